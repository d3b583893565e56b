#include "jobs/raw/fetch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
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
#include "transfer/file_digests.hpp"
#include "transfer/file_download.hpp"

namespace bale::raw {
namespace {

/// Which ranges of a file an earlier run received: a text file beside it, one line that names the object, then one line
/// of offset and length for each range. Thread-safe.
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
  bool has(ByteCount first, ByteCount length) const {
    const Lock lock(mutex_);
    return done_.contains({first, length});
  }
  void add(ByteCount first, ByteCount length) {
    const std::string line = fmt::format("{} {}\n", first, length);
    const Lock lock(mutex_);
    if (!file_) file_ = files_.open_for_writing(path_);
    file_->write_at(offset_, as_bytes(line));
    offset_ += line.size();
    done_.insert({first, length});
  }
  bool is_new() const {
    const Lock lock(mutex_);
    return done_.empty();
  }

 private:
  void read(const std::string& text, const std::string& header) {
    if (!text.starts_with(header)) return;  // of another object
    offset_ = header.size();
    // A line that was cut off by a kill has no end: its range is received again.
    for (std::size_t end = text.find('\n', offset_); end != std::string::npos; end = text.find('\n', offset_)) {
      const char* last = text.data() + end;
      ByteCount first = 0, length = 0;
      const auto read = std::from_chars(text.data() + offset_, last, first);
      if (read.ec != std::errc() || read.ptr == last || *read.ptr != ' ') return;
      if (std::from_chars(read.ptr + 1, last, length).ptr != last) return;
      done_.insert({first, length});
      offset_ = end + 1;
    }
  }
  os::Files& files_;
  const os::fs::path path_;
  std::unique_ptr<os::WritableFile> file_;
  ByteCount offset_ = 0;
  mutable Mutex mutex_;  ///< guards done_, file_ and offset_ while ranges are received
  std::set<std::pair<ByteCount, ByteCount>> done_;
};

/// The CRC64NVME of a file whose ranges come in any order. Thread-safe.
class RangeChecksum {
 public:
  void add(ByteCount first, ByteView bytes) {
    const std::uint64_t crc = crc_of(crc64nvme, bytes);
    const Lock lock(mutex_);
    ranges_[first] = {bytes.size(), crc};
  }
  ByteCount bytes() const {
    const Lock lock(mutex_);
    ByteCount sum = 0;
    for (const auto& [first, range] : ranges_) sum += range.first;
    return sum;
  }
  /// Absent where not all of `size` bytes came.
  std::optional<std::uint64_t> of_all(ByteCount size) const {
    const Lock lock(mutex_);
    ByteCount end = 0;
    std::uint64_t whole = 0;
    for (const auto& [first, range] : ranges_) {
      if (first != end) return std::nullopt;
      whole = join_crcs(crc64nvme, whole, range.second, range.first);
      end += range.first;
    }
    return end == size ? std::optional(whole) : std::nullopt;
  }

 private:
  mutable Mutex mutex_;
  std::map<ByteCount, std::pair<ByteCount, std::uint64_t>> ranges_ BALE_GUARDED_BY(mutex_);  ///< length and CRC
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
    const os::fs::path path = staging_ / file.name;
    const os::fs::path parent = os::fs::path(file.name).parent_path();
    if (!parent.empty()) staged_.make_directories(parent.native());
    std::optional<RangeJournal> journal;
    std::unique_ptr<os::WritableFile> target;
    RangeChecksum checksum;
    transfer::FileDownload download;
    download.names_version = false;  // that would need the permission s3:GetObjectVersion
    download.stop = tools_.world.stop;
    download.moved = [&](std::int64_t bytes) { tools_.progress.bytes_done += static_cast<std::uint64_t>(bytes); };
    download.found = [&](const store::ObjectInfo& info) {
      if (compare_known(known_of(file), info).verdict == Verdict::differs)
        throw differs(from, "its ETag or checksum differs from the record");
      journal.emplace(files_, journal_of(file), fmt::format("{} {}", info.etag.str(), info.size));
    };
    download.has = [&](ByteCount first, ByteCount length) { return journal->has(first, length); };
    download.received = [&](ByteCount first, ByteView bytes) {
      checksum.add(first, bytes);
      journal->add(first, bytes.size());
    };
    const auto open = [&] {
      if (journal->is_new()) {
        files_.remove(path);
        files_.create(path);
      }
      target = files_.open_for_writing(path);
      return transfer::DownloadTarget{*target, [&] { return files_.open(path); }};
    };
    try {
      const store::ObjectInfo info =
          transfer::download_into(store_, tools_.pools.connections, tools_.budget, from, download, open);
      result_.received_bytes += checksum.bytes();
      result_.kept_bytes += file.size - std::min(file.size, checksum.bytes());
      target->sync();
      check(file, info, path, checksum.of_all(file.size));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::corrupt && target) {
        files_.remove(journal_of(file));
        files_.remove(path);
      }
      throw;
    }
    files_.set_modified(path, file.modified);
    ++result_.restored;
    ++tools_.progress.items_done;
  }

  void check(const FileRecord& file, const store::ObjectInfo& info, const os::fs::path& path,
             std::optional<std::uint64_t> crc) {
    const auto received = files_.open(path);
    const ObjectAddress from{record_.bucket, file.key};
    if (file.crc64nvme && !crc)
      crc = transfer::read_crc64nvme(*received, file.size, tools_.pools.cores, tools_.budget, {}, tools_.world.stop);
    const bool is_known = file.crc64nvme.has_value();
    const Evidence evidence = is_known
                                  ? Evidence{*crc == *file.crc64nvme ? Verdict::same : Verdict::differs, "crc64nvme"}
                                  : compare_reading(*received, info, tools_);
    if (evidence.verdict == Verdict::unknown) result_.is_proven = false;
    if (evidence.verdict == Verdict::differs)
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
