#include "embedded/data_files.hpp"

#include "base/error.hpp"

namespace bale::embedded {
namespace {

/// Directories remembered as durable; forgetting costs one sync each.
constexpr std::size_t most_remembered = 100'000;
/// How often a directory may vanish between its making and its use before it is no coincidence.
constexpr int most_attempts = 100;

}  // namespace

void SharedDirectorySync::sync(const os::fs::path& directory) {
  Lock lock(mutex_);
  Syncs& syncs = directories_[directory.native()];
  ++syncs.users;
  const std::uint64_t wanted = syncs.begun + 1;
  std::exception_ptr failure;
  while (syncs.ended < wanted && !failure) {
    if (syncs.running) {
      syncs.changed.wait(lock);
      continue;
    }
    const std::uint64_t number = ++syncs.begun;
    syncs.running = true;
    lock.unlock();
    failure = failure_of_sync(directory);  // the others, who wait, try themselves
    lock.lock();
    syncs.running = false;
    syncs.changed.notify_all();
    if (!failure) syncs.ended = number;
  }
  if (--syncs.users == 0) directories_.erase(directory.native());
  if (failure) std::rethrow_exception(failure);
}

std::exception_ptr SharedDirectorySync::failure_of_sync(const os::fs::path& directory) const noexcept {
  try {
    files_.sync_directory(directory);
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

DataFiles::DataFiles(os::Files& files, os::fs::path root) : files_(files), root_(std::move(root)) {}

template <typename Make>
void DataFiles::in_directory_of(const os::fs::path& path, const Make& make) {
  for (int attempt = 1;; ++attempt) {
    try {
      return make();
    } catch (const Error& error) {
      // The directory is not there yet, or was removed as empty by somebody else just now.
      if (error.kind() != ErrorKind::not_found || attempt == most_attempts) throw;
    }
    try {
      files_.make_private_directories(path.parent_path());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found || attempt == most_attempts) throw;
    }
  }
}

std::unique_ptr<os::WritableFile> DataFiles::create(const os::fs::path& relative) {
  const os::fs::path path = absolute(relative);
  std::unique_ptr<os::WritableFile> file;
  in_directory_of(path, [&] { file = files_.create_private(path); });
  return file;
}

void DataFiles::mark(const std::string& name) {
  try {
    files_.create_private(root_ / name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::precondition) throw;
  }
  files_.sync_directory(root_);
}

std::unique_ptr<os::WritableFile> DataFiles::open_or_create(const os::fs::path& relative) {
  const os::fs::path path = absolute(relative);
  for (int attempt = 1;; ++attempt) {
    try {
      return files_.info(path) ? files_.open_for_writing(path) : create(relative);
    } catch (const Error& error) {
      // Made or removed by somebody else between the question and the answer.
      const bool raced = error.kind() == ErrorKind::precondition || error.kind() == ErrorKind::not_found;
      if (!raced || attempt == most_attempts) throw;
    }
  }
}

void DataFiles::link_or_copy(const os::fs::path& from, const os::fs::path& to) {
  const os::fs::path source = absolute(from), target = absolute(to);
  const auto opened = files_.open(source);  // so that a missing source is not taken for a missing directory
  try {
    in_directory_of(target, [&] { files_.link(source, target); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    const auto file = create(to);
    file->copy_from(*opened, 0, opened->size(), 0);
    file->sync();
  }
}

void DataFiles::sync_name(const os::fs::path& relative) {
  const os::fs::path directory = absolute(relative).parent_path();
  directory_sync_.sync(directory);
  std::vector<std::string> added;
  for (os::fs::path at = directory; at != root_ && at.has_relative_path(); at = at.parent_path()) {
    {
      const Lock lock(mutex_);
      if (durable_.contains(at.native())) break;
    }
    directory_sync_.sync(at.parent_path());
    added.push_back(at.native());
  }
  if (added.empty()) return;
  const Lock lock(mutex_);
  if (durable_.size() > most_remembered) durable_.clear();
  durable_.insert(added.begin(), added.end());
}

void DataFiles::remove(const os::fs::path& relative) {
  const os::fs::path path = absolute(relative);
  files_.remove(path);
  for (os::fs::path at = path.parent_path(); at != root_ && at.has_relative_path(); at = at.parent_path()) {
    // Under the lock: whoever makes a file in a directory made anew asks after that whether its name is durable.
    const Lock lock(mutex_);
    if (!files_.remove(at)) return;
    durable_.erase(at.native());
  }
}

bool DataFiles::move(const os::fs::path& from, const os::fs::path& to) {
  try {
    in_directory_of(absolute(to), [&] { files_.rename_new(absolute(from), absolute(to)); });
  } catch (const Error& error) {
    // Removed by its owner meanwhile, moved by another process, or on a file system that cannot do it.
    const bool stays = error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::precondition ||
                       error.kind() == ErrorKind::unsupported;
    if (!stays) throw;
    return false;
  }
  remove(from);  // the directories that are empty now
  return true;
}

void DataFiles::remove_tree(const os::fs::path& relative) {
  const os::fs::path path = absolute(relative);
  const auto info = files_.info(path);
  if (!info) return;
  if (info->type == os::FileType::directory) {
    try {
      for (const os::DirectoryEntry& entry : files_.list(path)) remove_tree(relative / entry.name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found) throw;  // somebody else is removing it
    }
  }
  const Lock lock(mutex_);
  if (files_.remove(path)) durable_.erase(path.native());
}

void DataFiles::forget_directories() {
  const Lock lock(mutex_);
  durable_.clear();
}

}  // namespace bale::embedded
