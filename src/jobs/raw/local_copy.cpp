#include "jobs/raw/local_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/crc.hpp"
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
/// Files of this size and more are read back while they are copied.
constexpr ByteCount least_followed = 16_MiB;
/// What is read back in one go: as much as a piece of transfer::read_digests() at least.
constexpr std::size_t read_back_bytes = 2_MiB;
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

/// The staging directory. Removes it when it is destroyed, unless another run has made it anew.
class Staging {
 public:
  Staging(os::Files& files, os::fs::path path, std::size_t count)
      : files_(files),
        path_(std::move(path)),
        tree_(files, path_, count > files_synced_together ? os::Durability::together : os::Durability::each_file) {}
  ~Staging() {
    try {
      const auto there = files_.info(path_);
      const bool is_own = own_ && there && there->device == own_->device && there->inode == own_->inode;
      if (is_own) remove_tree(files_, path_);
    } catch (const Error&) {
      // The next run removes it; its name says what it is.
    }
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  /// Makes the directory in the place of one that was left by a process that was killed.
  void make() {
    remove_tree(files_, path_);
    tree_.make_directories("");
    own_ = tree_.info("");
  }
  os::DirectoryTree& tree() noexcept { return tree_; }
  const os::fs::path& path() const noexcept { return path_; }

 private:
  os::Files& files_;
  const os::fs::path path_;
  os::DirectoryTree tree_;
  std::optional<os::FileInfo> own_;
};

/// Reads a file back past the page cache while it is written, and computes the CRC64NVME of what the disk has.
class ReadBack {
 public:
  /// Borrows the file, which is opened when its first bytes have been written. Holds read_back_bytes of memory then.
  explicit ReadBack(os::TreeFile& target) : target_(target) {}

  /// Reads what was written at `offset`, the end of what was read before. Returns false where the file ends before.
  bool follow(ByteCount offset, ByteCount size) {
    target_.file().write_out(offset, size);
    if (!copy_) {
      copy_ = target_.atomic().reopen();
      buffer_ = Buffer(read_back_bytes);
    }
    while (size > 0) {
      const std::size_t wanted = std::min<ByteCount>(size, buffer_.capacity());
      if (copy_->read_past_cache(offset, {buffer_.data(), wanted}) != wanted) return false;
      crc_ = crc_of(crc64nvme, {buffer_.data(), wanted}, crc_);
      offset += wanted;
      size -= wanted;
    }
    return true;
  }
  std::uint64_t crc() const noexcept { return crc_; }

 private:
  os::TreeFile& target_;
  Buffer buffer_;
  std::unique_ptr<os::ReadableFile> copy_;
  std::uint64_t crc_ = 0;
};

class Copying {
 public:
  Copying(const CopyRequest& request, const Tools& tools)
      : request_(request),
        tools_(tools),
        files_(tools.world.files),
        pool_(files_, request.pool.empty() ? request.directory : request.pool, os::Durability::each_file),
        below_pool_(request.pool.empty() ? std::string() : request.directory.lexically_relative(request.pool).native()),
        staging_(files_, request.directory / staging_name(request.id), request.files.size()) {}

  std::vector<CopiedFile> run() {
    refusing_links([&] { pool_.make_directories(below_pool_ == "." ? std::string() : below_pool_); });
    check_space();
    staging_.make();
    for (const SourceFile& file : request_.files) copied_.push_back(copy(file));
    for (const std::string& folder : request_.empty_folders) staging_.tree().make_directories(folder);
    staging_.tree().sync();
    for (const CopiedFile& file : copied_)
      if (!file.was_there && !is_followed(file.digests.size)) read_back(file);
    check_unchanged(request_.files, copied_, tools_);
    if (request_.before_names) request_.before_names();
    give_names();
    return std::move(copied_);
  }

 private:
  static bool is_followed(ByteCount size) { return size >= least_followed; }

  /// Does something below the pool, and says what to do about a symbolic link there.
  template <typename Step>
  std::invoke_result_t<Step&> refusing_links(Step step) {
    try {
      return step();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::denied || !has_link()) throw;
      throw Error(ErrorKind::precondition, "a file or folder of the pool is a symbolic link", shown(request_.directory),
                  "remove the link, or set pool_path to the place that it leads to")
          .with_code(link_in_pool)
          .with_cause(error);
    }
  }

  /// Whether a symbolic link is on the way from the pool to a file.
  bool has_link() {
    const auto is_link = [&](const os::fs::path& path) {
      const auto info = files_.info(path);
      return info && info->type == os::FileType::symlink;
    };
    const auto has_link_below = [&](os::fs::path at, const os::fs::path& way) {
      return std::any_of(way.begin(), way.end(), [&](const os::fs::path& name) { return is_link(at /= name); });
    };
    if (has_link_below(request_.pool, below_pool_)) return true;
    return std::any_of(request_.files.begin(), request_.files.end(),
                       [&](const SourceFile& file) { return has_link_below(request_.directory, file.name); });
  }

  /// The name of a file in `pool_`.
  std::string in_pool(const std::string& name) const {
    return below_pool_.empty() || below_pool_ == "." ? name : below_pool_ + "/" + name;
  }

  std::optional<os::FileInfo> find_in_pool(const std::string& name) {
    return refusing_links([&] {
      const auto there = pool_.info(in_pool(name));
      if (there && there->type == os::FileType::symlink)
        throw Error(ErrorKind::denied, "this is a symbolic link", shown(request_.directory / name));
      return there;
    });
  }

  void check_space() {
    ByteCount needed = space_reserve;
    for (const SourceFile& file : request_.files) {
      const auto there = find_in_pool(file.name);
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
    const auto there = find_in_pool(file.name);
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
    transfer::FileReading reading;
    reading.take = [&](ByteCount offset, ByteView bytes) { target->file().write_past_cache(offset, bytes); };
    std::optional<ReadBack> back;
    if (is_followed(source.size())) {
      back.emplace(*target);
      reading.more_bytes = read_back_bytes;
      reading.follow = [&](ByteCount offset, ByteCount size) {
        if (!back->follow(offset, size)) throw differs(file.name, "its size differs");
      };
    }
    const transfer::FileDigests digests = read(file, source, std::move(reading));
    if (back && back->crc() != digests.crc64nvme) throw differs(file.name, "its bytes differ");
    target->commit(info.modified);
    return digests;
  }

  /// Reads the source and the file that has its name in the pool side by side.
  transfer::FileDigests compare_with_copy(const SourceFile& file, os::ReadableFile& source, const os::FileInfo& there) {
    const os::fs::path path = request_.directory / file.name;
    const auto is_another = [&] {
      return Error(ErrorKind::precondition, "a different file with this name is in the pool", shown(path),
                   fmt::format("compare it with {}, and move it away if it is wrong", shown(file.path)))
          .with_code(name_is_taken);
    };
    if (there.type != os::FileType::regular || there.size != source.size()) throw is_another();
    const auto copy = pool_.open_if_exists(in_pool(file.name));
    if (!copy) throw is_another();
    transfer::FileReading reading;
    reading.take = [&](ByteCount offset, ByteView bytes) {
      Buffer found(bytes.size());
      if (copy->read_at(offset, {found.data(), bytes.size()}) != bytes.size() ||
          std::memcmp(found.data(), bytes.data(), bytes.size()) != 0)
        throw is_another();
    };
    return read(file, source, std::move(reading));
  }

  /// `reading` has what is to be done with the bytes.
  transfer::FileDigests read(const SourceFile& file, os::ReadableFile& source, transfer::FileReading reading) {
    reading.part_bytes = request_.part_bytes(source.size());
    reading.moved = [&](ByteCount bytes) { tools_.progress.bytes_done += bytes; };
    reading.stop = tools_.world.stop;
    try {
      return transfer::read_digests(source, reading, tools_.pools, tools_.budget);
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

  Error differs(const std::string& name, const std::string& why) const {
    return Error(ErrorKind::corrupt, "the local copy differs from what was read from the instrument: " + why,
                 shown(request_.directory / name),
                 "check the disk, the memory and the cable of the pool; the source was not touched")
        .with_code(copy_differs);
  }

  void read_back(const CopiedFile& file) {
    const auto copy = staging_.tree().open_if_exists(file.name);
    if (!copy || copy->size() != file.digests.size) throw differs(file.name, "its size differs");
    copy->drop_cached();
    const std::uint64_t found =
        transfer::read_crc64nvme(*copy, file.digests.size, tools_.pools.cores, tools_.budget, {}, tools_.world.stop);
    if (found != file.digests.crc64nvme) throw differs(file.name, "its bytes differ");
  }

  /// Gives the staged files their names, the main file last, so that whoever sees it finds the others.
  void give_names() {
    std::vector<std::string> names;
    for (const CopiedFile& file : copied_)
      if (!file.was_there) names.push_back(file.name);
    names.insert(names.end(), request_.empty_folders.begin(), request_.empty_folders.end());
    std::reverse(names.begin(), names.end());
    for (const std::string& name : names) static_cast<void>(find_in_pool(name));  // no link came in between
    raw::give_names(files_, staging_.path(), request_.directory, names);
  }

  const CopyRequest& request_;
  const Tools& tools_;
  os::Files& files_;
  os::DirectoryTree pool_;
  const std::string below_pool_;  ///< the directory, relative to the pool
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
