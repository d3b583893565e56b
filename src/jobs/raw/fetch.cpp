#include "jobs/raw/fetch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "base/mutex.hpp"
#include "base/text.hpp"
#include "jobs/raw/evidence.hpp"
#include "jobs/raw/staging.hpp"
#include "jobs/raw/verify.hpp"
#include "os/directory_tree.hpp"
#include "store/read_exactly.hpp"
#include "transfer/file_digests.hpp"

namespace bale::raw {
namespace {

using namespace literals;

/// A range is held whole, so that it is written in one piece and its checksum is known.
constexpr ByteCount range_bytes = 16_MiB;

/// Which ranges of a file an earlier run received: a text file beside it, one line of "ETag SIZE", then one number a
/// line.
class RangeJournal {
 public:
  RangeJournal(os::Files& files, os::fs::path path, const std::string& object) : files_(files), path_(std::move(path)) {
    const std::string header = object + "\n";
    if (files_.info(path_)) read(os::read_text_file(files_, path_), header);
    if (!done_.empty()) return;
    files_.remove(path_);
    file_ = files_.create(path_);
    file_->write(as_bytes(header));
    offset_ = header.size();
  }
  bool has(std::size_t range) const {
    const Lock lock(mutex_);
    return done_.contains(range);
  }
  void add(std::size_t range) {
    const std::string line = std::to_string(range) + "\n";
    const Lock lock(mutex_);
    if (!file_) file_ = files_.open_for_writing(path_);
    file_->write_at(offset_, as_bytes(line));
    offset_ += line.size();
    done_.insert(range);
  }
  bool is_new() const noexcept { return done_.empty(); }

 private:
  void read(const std::string& text, const std::string& header) {
    if (!text.starts_with(header)) return;  // of another object
    offset_ = header.size();
    // A line that was cut off by a kill has no end: its range is received again.
    for (std::size_t end = text.find('\n', offset_); end != std::string::npos; end = text.find('\n', offset_)) {
      const std::string line = text.substr(offset_, end - offset_);
      if (line.empty() || line.find_first_not_of("0123456789") != std::string::npos) return;
      done_.insert(std::stoull(line.substr(0, 18)));
      offset_ = end + 1;
    }
  }
  os::Files& files_;
  const os::fs::path path_;
  std::unique_ptr<os::WritableFile> file_;
  ByteCount offset_ = 0;
  mutable Mutex mutex_;  ///< guards done_, file_ and offset_ while ranges are received
  std::set<std::size_t> done_;
};

class Fetching {
 public:
  Fetching(const RawRecord& record, store::ObjectStore& store, const os::fs::path& directory, const Tools& tools)
      : record_(record),
        store_(store),
        directory_(directory),
        tools_(tools),
        files_(tools.world.files),
        there_(files_, directory, os::Durability::each_file),
        staging_(directory / staging_name(record.id)),
        staged_(files_, staging_, os::Durability::each_file) {}

  FetchResult run() {
    std::vector<std::string> names;
    for (const FileRecord& file : record_.files)
      if (!is_there(file)) names.push_back(file.name);
    check_space(names);
    staged_.make_directories("");
    for (const FileRecord& file : record_.files)
      if (std::find(names.begin(), names.end(), file.name) != names.end()) fetch_file(file);
    for (const std::string& folder : record_.empty_folders) {
      staged_.make_directories(folder);
      names.push_back(folder);
    }
    for (const FileRecord& file : record_.files) files_.remove(journal_of(file));
    give_names(files_, staging_, directory_, names);
    remove_tree(files_, staging_);
    return result_;
  }

 private:
  /// Named by the file's number: its own name may be as long as a name can be.
  os::fs::path journal_of(const FileRecord& file) const {
    return staging_ / fmt::format(".bale-ranges-{}", &file - record_.files.data());
  }

  void check_space(const std::vector<std::string>& names) {
    files_.make_directories(directory_);
    ByteCount needed = 0;
    for (const FileRecord& file : record_.files) {
      const bool is_wanted = std::find(names.begin(), names.end(), file.name) != names.end();
      if (is_wanted && !files_.info(staging_ / file.name)) needed += file.size;
    }
    const ByteCount free = files_.free_bytes(directory_);
    if (free >= needed) return;
    throw Error(ErrorKind::unavailable,
                fmt::format("not enough disk space: {} free, {} needed", format_bytes(free), format_bytes(needed)),
                escape_name(directory_.native()), "free space, or restore to another directory with --to");
  }

  /// Whether the file is there with the recorded bytes.
  bool is_there(const FileRecord& file) {
    const auto info = there_.info(file.name);  // refuses symbolic links on the way
    if (!info) return false;
    const auto found =
        info->type == os::FileType::regular && info->size == file.size ? there_.open_if_exists(file.name) : nullptr;
    if (!found || !has_recorded_bytes(file, *found)) {
      throw Error(ErrorKind::precondition, "a different file with this name exists",
                  escape_name((directory_ / file.name).native()), "restore to another directory with --to");
    }
    ++result_.same;
    ++tools_.progress.items_done;
    return true;
  }

  bool has_recorded_bytes(const FileRecord& file, os::ReadableFile& found) {
    if (file.crc64nvme)
      return transfer::read_crc64nvme(found, file.size, tools_.pools.cores, tools_.budget, {}, tools_.world.stop) ==
             *file.crc64nvme;
    const ByteCount part_bytes = file.part_bytes > 0 ? file.part_bytes : file.size + 1;
    const auto digests = transfer::read_digests(found, {.part_bytes = part_bytes, .stop = tools_.world.stop},
                                                tools_.pools, tools_.budget);
    return file.md5.empty() ? digests.etag == file.etag : to_hex_digest(digests.md5) == file.md5;
  }

  void fetch_file(const FileRecord& file) {
    const ObjectAddress from{record_.bucket, file.key};
    const auto info = store_.head(from, {.version_id = {}, .if_match = {}, .with_evidence = true});
    if (!info)
      throw Error(ErrorKind::not_found, "the object is not in the bucket", to_uri(from)).with_code("NoSuchKey");
    if (compare_known(known_of(file), *info).verdict == Verdict::differs)
      throw differs(from, "its ETag or checksum differs from the record");
    const os::fs::path path = staging_ / file.name;
    const os::fs::path parent = os::fs::path(file.name).parent_path();
    if (!parent.empty()) staged_.make_directories(parent.native());
    RangeJournal journal(files_, journal_of(file), fmt::format("{} {}", info->etag.str(), info->size));
    if (journal.is_new()) {
      files_.remove(path);
      files_.create(path);
    }
    const auto target = files_.open_for_writing(path);
    target->extend_to(info->size);
    const std::optional<std::uint64_t> crc = receive(from, *info, *target, journal);
    target->sync();
    check(file, *info, path, crc);
    files_.set_modified(path, file.modified);
    ++result_.restored;
    ++tools_.progress.items_done;
  }

  /// Receives the ranges that the journal does not have. Returns the CRC64NVME of the file where all were received now.
  std::optional<std::uint64_t> receive(const ObjectAddress& from, const store::ObjectInfo& info,
                                       os::WritableFile& target, RangeJournal& journal) {
    const std::size_t ranges = (info.size + range_bytes - 1) / range_bytes;
    std::vector<std::uint64_t> checksums(ranges);
    bool is_complete = true;
    flow::TaskGroup group;
    const auto length_of = [&](std::size_t i) { return std::min(range_bytes, info.size - i * range_bytes); };
    for (std::size_t i = 0; i < ranges && !group.failed(); ++i) {
      if (journal.has(i)) {
        is_complete = false;
        result_.kept_bytes += length_of(i);
        tools_.progress.bytes_done += length_of(i);
        continue;
      }
      group.wait_until_at_most(tools_.pools.connections.size());
      group.run(tools_.pools.connections, [&, i] {
        checksums[i] = receive_range(from, info, i * range_bytes, length_of(i), target);
        journal.add(i);
      });
    }
    group.wait();
    if (!is_complete) return std::nullopt;
    std::uint64_t whole = 0;
    for (std::size_t i = 0; i < ranges; ++i) whole = join_crcs(crc64nvme, whole, checksums[i], length_of(i));
    return whole;
  }

  std::uint64_t receive_range(const ObjectAddress& from, const store::ObjectInfo& info, ByteCount offset,
                              ByteCount length, os::WritableFile& target) {
    if (tools_.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    auto [buffer, ticket] = tools_.budget.acquire_buffer(length, 0, tools_.world.stop);
    const auto stream =
        store_.get(from, store::ByteRange::at(offset, length), {.version_id = info.version_id, .if_match = info.etag});
    store::read_exactly(*stream, {buffer.bytes.data(), length}, to_uri(from),
                        [&](ByteCount bytes) { tools_.progress.bytes_done += bytes; });
    const ByteView bytes(buffer.bytes.data(), length);
    target.write_past_cache(offset, bytes);
    const Lock lock(mutex_);
    result_.received_bytes += length;
    return crc_of(crc64nvme, bytes);
  }

  void check(const FileRecord& file, const store::ObjectInfo& info, const os::fs::path& path,
             std::optional<std::uint64_t> crc) {
    const auto received = files_.open(path);
    const ObjectAddress from{record_.bucket, file.key};
    if (file.crc64nvme && !crc)
      crc = transfer::read_crc64nvme(*received, info.size, tools_.pools.cores, tools_.budget, {}, tools_.world.stop);
    const bool is_known = file.crc64nvme.has_value();
    const Evidence evidence = is_known
                                  ? Evidence{*crc == *file.crc64nvme ? Verdict::same : Verdict::differs, "crc64nvme"}
                                  : compare_reading(*received, info, tools_);
    if (evidence.verdict == Verdict::unknown) result_.is_proven = false;
    if (evidence.verdict != Verdict::differs) return;
    files_.remove(journal_of(file));
    files_.remove(path);
    throw differs(from, fmt::format("the {} of the received bytes differs from the record", evidence.by));
  }

  Error differs(const ObjectAddress& from, const std::string& how) const {
    return Error(ErrorKind::corrupt, "the object differs from the record: " + how, to_uri(from),
                 "check the local copy with `bale raw verify`, or restore an earlier version of the object");
  }

  const RawRecord& record_;
  store::ObjectStore& store_;
  const os::fs::path directory_;
  const Tools& tools_;
  os::Files& files_;
  os::DirectoryTree there_;
  const os::fs::path staging_;
  os::DirectoryTree staged_;
  Mutex mutex_;  ///< guards result_.received_bytes while ranges are received
  FetchResult result_;
};

void check_names(const RawRecord& record) {
  const auto check = [&](const std::string& name) {
    for (const os::fs::path& component : os::fs::path(name))
      if (component == ".." || component == "." || component.empty() || component.is_absolute())
        throw Error(ErrorKind::corrupt, "unsafe file name in the record: it points outside of the directory",
                    escape_name(name));
  };
  for (const FileRecord& file : record.files) check(file.name);
  for (const std::string& folder : record.empty_folders) check(folder);
}

}  // namespace

FetchResult fetch(const RawRecord& record, store::ObjectStore& store, const os::fs::path& directory,
                  const Tools& tools) {
  check_names(record);
  return Fetching(record, store, directory, tools).run();
}

}  // namespace bale::raw
