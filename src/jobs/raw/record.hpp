// The record of a raw file: what is copied, what is uploaded, and how far both are. Conversions are pure.
//
// A record is one item {id, part: "record"} of the records' table. Where its list of files is long, the list is in
// further items {id, part: "files#{fence}-{digest}"} ("pages"), because an item has at most 400 KB and each heartbeat
// of the lease costs what the item's size costs. A page is named after the fencing number of its writer's lease and
// after its content, and is never changed. A save writes the pages that are new, then the record that names them, on
// the condition that the writer still holds the record's lease, then removes pages of its own and earlier owners that
// the record does not name. So a writer that lost its lease changes nothing that a reader sees, a reader sees all of
// one state, and a save writes again only pages that differ.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "records/lease.hpp"
#include "records/record_store.hpp"

namespace bale::raw {

/// backup_status: the summary that a pipeline reads.
enum class BackupStatus { in_progress, done, failed };
/// How far a raw file is: the step that is being done, or was begun last.
enum class Step { copy, upload, done };
/// How far one file is.
enum class FileState {
  planned,    ///< known, nothing done
  copied,     ///< in the pool, read back and compared
  uploading,  ///< has an upload id
  uploaded,   ///< in the bucket, compared by HEAD
};
/// "IN_PROGRESS", "DONE", "FAILED"; "copy", "upload", "done"; "planned", "copied", "uploading", "uploaded".
std::string_view to_string(BackupStatus status) noexcept;
std::string_view to_string(Step step) noexcept;
std::string_view to_string(FileState state) noexcept;

/// One file of a raw file.
struct FileRecord {
  std::string name;    ///< relative to the copy's directory (PlannedFile::name)
  std::string source;  ///< relative to the main path's directory (PlannedFile::source); empty: as `name`
  ObjectKey key;       ///< empty: not known yet
  ByteCount size = 0;
  TimePoint modified{};  ///< of the source
  FileState state = FileState::planned;
  std::string md5;           ///< of the whole file, 32 hex digits; empty: not known
  ETag etag;                 ///< of the object; before the upload, the one that parts of part_bytes will have
  ByteCount part_bytes = 0;  ///< of every part but the last of the object with `etag`; 0: not known
  std::optional<std::uint64_t> crc64nvme;  ///< of the whole file
  VersionId version_id;                    ///< of the object
  UploadId upload_id;        ///< durable before the first part; stays until the upload is completed or gone
  std::string upload_token;  ///< in the object's metadata: tells whose Complete was answered
  friend bool operator==(const FileRecord&, const FileRecord&) = default;
};

/// Why the last attempt failed.
struct LastError {
  ErrorKind kind = ErrorKind::internal;
  std::string code;     ///< Error::code(), or one of the job's own ("SourceGone")
  std::string message;  ///< at most max_error_bytes of UTF-8
  Step step = Step::copy;
  TimePoint at{};
  friend bool operator==(const LastError&, const LastError&) = default;
};
inline constexpr std::size_t max_error_bytes = 1024;
/// Shortens the message, between characters, to max_error_bytes.
LastError last_error(const Error& error, Step step, TimePoint at);

/// When a step was begun and ended last.
struct StepTimes {
  std::optional<TimePoint> begun, ended;
  friend bool operator==(const StepTimes&, const StepTimes&) = default;
};

/// Which pages of a record are stored. Bookkeeping of RawRecords: all values are equal.
struct StoredPages {
  std::vector<std::string> names;
  std::int64_t swept_by = 0;  ///< fencing number of the owner who removed pages that nobody names
  friend bool operator==(const StoredPages&, const StoredPages&) noexcept { return true; }
};

/// Everything that is known of a raw file. Empty strings and nullopt: not known yet.
struct RawRecord {
  std::string id;
  /// Absent: no step that decides it was begun. With backup_type s3 the copy leaves it alone.
  std::optional<BackupStatus> backup_status;
  Step step = Step::copy;
  StepTimes copy, upload;
  TimePoint created{}, updated{};  ///< of the record; save() sets them
  std::string project;             ///< as it was given, not normalised
  std::string instrument;
  std::string month;        ///< "YYYY_MM" of keys and pool, fixed with the first run
  std::string layout;       ///< Layout::name
  std::string key_layout;   ///< config::to_string(KeyLayout)
  std::string main;         ///< Plan::main
  std::string source_path;  ///< main path on the instrument
  std::string pool_path;    ///< directory of the local copy, that FileRecord::name is relative to
  Region region;
  BucketName bucket;
  std::string s3_backup_key;  ///< Plan::prefix; at most 1024 bytes
  ETag s3_etag;               ///< of the main file's object; at most 128 bytes
  std::vector<FileRecord> files;
  std::vector<std::string> empty_folders;
  std::uint32_t attempts = 0;           ///< runs that were begun, of both steps
  std::optional<LastError> last_error;  ///< of the last run, where it failed
  std::optional<TimePoint> purged;      ///< when the local copy was deleted
  StoredPages pages;
  friend bool operator==(const RawRecord&, const RawRecord&) = default;

  ByteCount bytes() const noexcept;
};

/// The items of a record. Pure.
struct RecordItems {
  records::Item record;              ///< with the key attributes, without those of the lease
  std::vector<records::Item> pages;  ///< none where the list of files is in `record`
};
inline constexpr std::size_t max_key_bytes = 1024;  ///< of s3_backup_key and names
inline constexpr std::size_t max_etag_bytes = 128;  ///< of s3_etag
inline constexpr std::size_t max_files = 1'000'000;
/// Converts a record. Names of pages begin with `page_prefix` ("files#3-").
/// Throws Error{invalid} for what breaks a limit above. Texts without a limit of their own (paths) must leave the item
/// below 400 KB; the store refuses others.
RecordItems to_items(const RawRecord& record, std::string_view page_prefix);
/// Converts items back. Tolerant: unknown attributes are passed over; missing ones, and ones of a wrong type, are not
/// known. Reads the records of alphakraken's pipeline too: `file_info` (path -> [size, md5] or [size, md5,
/// "{etag}__{chunk size in MiB}"]), `project_id`, `instrument_id`, `created_at`, `s3_upload_path`, statuses
/// UPLOAD_IN_PROGRESS, UPLOAD_DONE, UPLOAD_FAILED, in upper or lower case; they say what the pipeline believed: files
/// have the state `planned`, whatever the status is.
/// Throws Error{corrupt} naming the id where a page that the record names is not among `pages`.
RawRecord from_items(const records::Item& record, const std::vector<records::Item>& pages);
/// Reads a record of alphakraken's pipeline out of JSON, as mongoexport writes it (with "$oid", "$date", "$numberLong")
/// or as plain JSON: from_items() of its members. Throws Error{invalid} for what is no JSON object or has no id (`_id`,
/// `id` or `name`).
RawRecord from_pipeline_json(std::string_view json);
/// Names (sort keys) of the pages that a record's item names.
std::vector<std::string> page_names(const records::Item& record);

/// A record as it is stored, with who works on it.
struct StoredRecord {
  RawRecord record;
  std::optional<records::LeaseState> lease;  ///< absent: nobody
};

/// The records of a table. Thread-safe as the store is, which is borrowed.
class RawRecords {
 public:
  RawRecords(records::RecordStore& records, TableName table) : records_(records), table_(std::move(table)) {}

  /// Makes the table where it is missing.
  void create_table();
  /// Returns nullopt where there is no record (an item that has nothing but a lease is none), or no table.
  std::optional<StoredRecord> get(const std::string& id);
  /// Where a record's lease is: for records::acquire_lease(). The record need not exist.
  records::LeasePlace lease_place(const std::string& id) const;

  /// Writes the whole record, and sets record.updated to `now` (record.created, too, where it is not set).
  /// Throws Error{precondition} LeaseLost when the lease was lost; nothing that a reader sees is changed then. `lease`
  /// is of lease_place(record.id). `record` is one that get() or an earlier save() left, or a new one. Called by one
  /// thread at a time for one record.
  void save(RawRecord& record, records::Lease& lease, TimePoint now);
  /// Calls `visit` with each record of the table, in no order; read in pages, one record in memory at a time but for
  /// the store's page. Records that cannot be read are told to `unreadable` instead (id, error).
  void for_each(const std::function<void(const StoredRecord&)>& visit,
                const std::function<void(const std::string&, const Error&)>& unreadable);

 private:
  records::Item key_of(const std::string& id, std::string_view part) const;
  StoredRecord read(records::Item item);
  void remove_pages(RawRecord& record, const std::set<std::string>& before, std::int64_t fence);
  void sweep_pages(const RawRecord& record, std::int64_t fence);
  records::RecordStore& records_;
  const TableName table_;
};

}  // namespace bale::raw
