#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "os/directory.hpp"

namespace bale::os {
namespace {

/// Unique among the temporary files of this process and, with the process id, among those of all running processes.
std::string temporary_name() {
  static std::atomic<std::uint64_t> next{0};
  return fmt::format(".{}-{}.bale-tmp", ::getpid(), next.fetch_add(1));
}

/// What a file needs while it is written, and read again.
constexpr std::uint32_t writing_mode = 0600;

Error taken(const fs::path& path, const char* when) {
  return Error(ErrorKind::precondition, fmt::format("something {} has this name, and is kept", when),
               escape_name(path.native()), "choose another place, or remove what is there");
}

}  // namespace

AtomicFile::AtomicFile(Files& files, const fs::path& path, Existing existing) {
  const fs::path place = place_of_new_file(files, path);
  directory_ = files.open_directory(place.has_parent_path() ? place.parent_path() : fs::path("."));
  name_ = place.filename().native();
  begin(existing);
}

AtomicFile::AtomicFile(std::shared_ptr<Directory> directory, std::string name, Existing existing,
                       std::optional<std::uint32_t> mode)
    : directory_(std::move(directory)), name_(std::move(name)), mode_(mode) {
  begin(existing);
}

void AtomicFile::choose_mode(const std::optional<FileInfo>& found) {
  final_mode_ = mode_.value_or(default_mode) & 0777;
  if (!found) return;
  is_mode_inherited_ = !mode_;
  final_mode_ = found->mode & (mode_ ? final_mode_ : 0777U);
}

void AtomicFile::finish_mode() {
  if (is_mode_inherited_)
    file_->set_mode(final_mode_);
  else if ((final_mode_ & writing_mode) != writing_mode)
    file_->limit_mode(final_mode_);
}

void AtomicFile::begin(Existing existing) {
  const auto found = directory_->info(name_);
  if (found) check_replaceable(*found, path());
  if (found && existing == Existing::keep) throw taken(path(), "already");
  choose_mode(found);
  may_replace_ = found || existing == Existing::replace;
  for (int attempt = 0;; ++attempt) {
    // The final name may already be as long as a name can be: the temporary one does not contain it.
    temporary_ = temporary_name();
    try {
      file_ = directory_->create(temporary_, final_mode_ | writing_mode);
      return;
    } catch (const Error& error) {
      // Left by a dead process that had the same id.
      if (error.kind() != ErrorKind::precondition || attempt == 100) throw;
    }
  }
}

AtomicFile::~AtomicFile() {
  if (!file_) return;
  file_.reset();
  try {
    directory_->remove(temporary_);
  } catch (const Error&) {
    // The failure that brought us here matters more; the name says whose file it is.
  }
}

fs::path AtomicFile::path() const { return directory_->path() / name_; }

std::unique_ptr<ReadableFile> AtomicFile::reopen() {
  if (auto file = directory_->open_if_exists(temporary_)) return file;
  throw Error(ErrorKind::not_found, "the temporary file is gone",
              escape_name((directory_->path() / temporary_).native()));
}

void AtomicFile::set_modified(TimePoint time) { directory_->set_modified(temporary_, time); }

void AtomicFile::commit_without_sync() {
  finish_mode();
  take_name();
}

void AtomicFile::take_name() {
  if (may_replace_) {
    directory_->rename(temporary_, name_);
  } else {
    try {
      directory_->rename_new(temporary_, name_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::precondition) throw;
      throw taken(path(), "that appeared meanwhile");
    }
  }
  file_.reset();
}

void AtomicFile::commit() {
  finish_mode();
  file_->sync();
  take_name();
  directory_->sync();
}

}  // namespace bale::os
