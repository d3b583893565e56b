#include "jobs/raw/local_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "base/error.hpp"
#include "base/text.hpp"
#include "jobs/raw/source_change.hpp"
#include "jobs/raw/staging.hpp"
#include "os/directory_tree.hpp"

namespace bale::raw {
namespace {

using namespace literals;

/// What a file system needs besides the bytes of files: directories, tables of blocks.
constexpr ByteCount space_reserve = 16_MiB;
/// From so many files on, one sync of the file system costs less than a sync of each file.
constexpr std::size_t files_synced_together = 16;

std::string shown(const os::fs::path& path) { return escape_name(path.native()); }

Error gone(const SourceFile& file) {
  return Error(ErrorKind::not_found, "the source is gone: it was removed or renamed", shown(file.path),
               "look for a renamed file (instrument software often renames failed acquisitions)")
      .with_code(source_gone);
}

Error changed(const SourceFile& file, const os::FileInfo& before, const os::FileInfo& after) {
  return Error(ErrorKind::precondition, describe_change(before, after), shown(file.path),
               "run the backup again when the acquisition is over, or wait for it with --settle 60m")
      .with_code(source_changed);
}

/// The staging directory. Removes it when it is destroyed.
class Staging {
 public:
  Staging(os::Files& files, os::fs::path path, std::size_t count)
      : files_(files),
        path_(std::move(path)),
        tree_(files, path_, count > files_synced_together ? os::Durability::together : os::Durability::each_file) {
    remove_tree(files_, path_);  // left by a process that was killed
  }
  ~Staging() {
    try {
      remove_tree(files_, path_);
    } catch (const Error&) {
      // The next run removes it; its name says what it is.
    }
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  os::DirectoryTree& tree() noexcept { return tree_; }
  const os::fs::path& path() const noexcept { return path_; }

 private:
  os::Files& files_;
  const os::fs::path path_;
  os::DirectoryTree tree_;
};

class Copying {
 public:
  Copying(const CopyRequest& request, const Tools& tools)
      : request_(request),
        tools_(tools),
        files_(tools.world.files),
        staging_(files_, request.directory / staging_name(request.id), request.files.size()) {}

  std::vector<CopiedFile> run() {
    files_.make_directories(request_.directory);
    check_space();
    for (const SourceFile& file : request_.files) copied_.push_back(copy(file));
    for (const std::string& folder : request_.empty_folders) staging_.tree().make_directories(folder);
    staging_.tree().sync();
    for (const CopiedFile& file : copied_)
      if (!file.was_there) read_back(file);
    check_unchanged(request_.files, copied_, tools_);
    give_names();
    return std::move(copied_);
  }

 private:
  void check_space() {
    ByteCount needed = space_reserve;
    for (const SourceFile& file : request_.files) {
      const auto there = files_.info(request_.directory / file.name);
      if (!there || there->size != file.info.size) needed += file.info.size;
    }
    const ByteCount free = files_.free_bytes(request_.directory);
    if (free >= needed) return;
    throw Error(ErrorKind::unavailable,
                fmt::format("the pool is full: {} free, {} needed", format_bytes(free), format_bytes(needed)),
                shown(request_.directory), "free space in the pool, for example with `bale raw verify --purge-local`")
        .with_code(no_space);
  }

  CopiedFile copy(const SourceFile& file) {
    const auto before = files_.info_followed(file.path);
    if (!before) throw gone(file);
    if (compare(file.info, before) == Change::content) throw changed(file, file.info, *before);
    const auto source = files_.open_if_exists(file.path);
    if (!source) throw gone(file);
    CopiedFile copied{.name = file.name};
    const auto there = files_.info(request_.directory / file.name);
    if (there) {
      copied.digests = compare_with_copy(file, *source, *there);
      copied.was_there = true;
    } else {
      copied.digests = write(file, *source, *before);
    }
    copied.source = look_again(file, *source, *before, copied.digests);
    return copied;
  }

  /// Reads the source into a new file of the staging directory.
  transfer::FileDigests write(const SourceFile& file, os::ReadableFile& source, const os::FileInfo& info) {
    const auto target = staging_.tree().create(file.name, os::Existing::keep, info.mode & 0777);
    const auto take = [&](ByteCount offset, ByteView bytes) { target->file().write_past_cache(offset, bytes); };
    const transfer::FileDigests digests = read(file, source, take);
    target->commit(info.modified);
    return digests;
  }

  /// Reads the source and the file that has its name in the pool side by side.
  transfer::FileDigests compare_with_copy(const SourceFile& file, os::ReadableFile& source, const os::FileInfo& there) {
    const os::fs::path path = request_.directory / file.name;
    const auto differs = [&] {
      return Error(ErrorKind::precondition, "a different file with this name is in the pool", shown(path),
                   fmt::format("compare it with {}, and move it away if it is wrong", shown(file.path)))
          .with_code(name_is_taken);
    };
    if (there.type != os::FileType::regular || there.size != source.size()) throw differs();
    const auto copy = files_.open(path);
    const auto take = [&](ByteCount offset, ByteView bytes) {
      Buffer found(bytes.size());
      if (copy->read_at(offset, {found.data(), bytes.size()}) != bytes.size() ||
          std::memcmp(found.data(), bytes.data(), bytes.size()) != 0)
        throw differs();
    };
    return read(file, source, take);
  }

  transfer::FileDigests read(const SourceFile& file, os::ReadableFile& source,
                             const std::function<void(ByteCount, ByteView)>& take) {
    try {
      return transfer::read_digests(source,
                                    {.part_bytes = request_.part_bytes(source.size()),
                                     .take = take,
                                     .moved = [&](ByteCount bytes) { tools_.progress.bytes_done += bytes; },
                                     .stop = tools_.world.stop},
                                    tools_.pools, tools_.budget);
    } catch (const Error& error) {
      // It got shorter or longer: the look at the file says how.
      const auto now = files_.info_followed(file.path);
      if (error.kind() != ErrorKind::precondition || !error.code().empty()) throw;
      if (!now) throw gone(file);
      throw changed(file, file.info, *now);
    }
  }

  /// Looks at the source after it was read, and reads it again where the look does not tell whether it was written.
  os::FileInfo look_again(const SourceFile& file, os::ReadableFile& source, const os::FileInfo& before,
                          const transfer::FileDigests& digests) {
    const auto after = files_.info_followed(file.path);
    const Change change = compare(before, after);
    if (change == Change::gone) throw gone(file);
    if (change == Change::content) throw changed(file, before, *after);
    if (change == Change::unclear) {
      const std::uint64_t now =
          transfer::read_crc64nvme(source, digests.size, tools_.pools.cores, tools_.budget, {}, tools_.world.stop);
      const Change since = compare(*after, files_.info_followed(file.path));
      if (now != digests.crc64nvme || since != Change::none) throw changed(file, before, *after);
    }
    return *after;
  }

  void read_back(const CopiedFile& file) {
    const auto copy = staging_.tree().open_if_exists(file.name);
    const auto differs = [&](const std::string& why) {
      return Error(ErrorKind::corrupt, "the local copy differs from what was read from the instrument: " + why,
                   shown(request_.directory / file.name),
                   "check the disk, the memory and the cable of the pool; the source was not touched")
          .with_code(copy_differs);
    };
    if (!copy || copy->size() != file.digests.size) throw differs("its size differs");
    copy->drop_cached();
    const std::uint64_t found =
        transfer::read_crc64nvme(*copy, file.digests.size, tools_.pools.cores, tools_.budget, {}, tools_.world.stop);
    if (found != file.digests.crc64nvme) throw differs("its bytes differ");
  }

  /// Gives the staged files their names, the main file last, so that whoever sees it finds the others.
  void give_names() {
    std::vector<std::string> names;
    for (const CopiedFile& file : copied_)
      if (!file.was_there) names.push_back(file.name);
    names.insert(names.end(), request_.empty_folders.begin(), request_.empty_folders.end());
    std::reverse(names.begin(), names.end());
    raw::give_names(files_, staging_.path(), request_.directory, names);
  }

  const CopyRequest& request_;
  const Tools& tools_;
  os::Files& files_;
  Staging staging_;
  std::vector<CopiedFile> copied_;
};

}  // namespace

std::vector<CopiedFile> copy_files(const CopyRequest& request, const Tools& tools) {
  return Copying(request, tools).run();
}

void check_unchanged(const std::vector<SourceFile>& files, const std::vector<CopiedFile>& copied, const Tools& tools) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto now = tools.world.files.info_followed(files[i].path);
    const Change change = compare(copied[i].source, now);
    if (change == Change::none) continue;
    if (change == Change::gone) throw gone(files[i]);
    if (change == Change::content) throw changed(files[i], copied[i].source, *now);
    const auto source = tools.world.files.open(files[i].path);
    const std::uint64_t found = transfer::read_crc64nvme(*source, copied[i].digests.size, tools.pools.cores,
                                                         tools.budget, {}, tools.world.stop);
    if (found != copied[i].digests.crc64nvme) throw changed(files[i], copied[i].source, *now);
  }
}

}  // namespace bale::raw
