// One row of the catalog: an object in a backup, or a deletion. See docs/format/catalog.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/manifest.hpp"
#include "archive/reader.hpp"
#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/sequencer_order.hpp"
#include "base/time.hpp"
#include "store/object_store.hpp"

namespace bale::catalog {

/// One line of a catalog file. What rows of the reference lack is empty.
struct Record {
  std::string backup_file;  ///< last component of archive_key
  TimePoint backup_time{};  ///< backup_timestamp (seconds) and backup_date
  BucketName source_bucket;
  std::string source_prefix;
  std::string object_name;
  ObjectKey object_path;                     ///< the full key
  std::optional<ByteCount> object_size = 0;  ///< absent where another program's row does not say it
  TimePoint last_modified{};                 ///< creation_time and creation_date too, to the second
  std::optional<TimePoint> current_since;    ///< since when the key had this content, where later than last_modified
  std::vector<BucketName> target_buckets;    ///< backup buckets of this region that hold the archive
  Region source_region;
  BucketName archive_bucket;  ///< the first of target_buckets
  ObjectKey archive_key;
  ETag archive_etag;     ///< of the copy in archive_bucket, as it was stored; empty in rows of earlier versions
  bool deleted = false;  ///< event: "delete" instead of "put"
  VersionId version_id;
  std::string sequencer;
  ETag etag;
  std::string sha256;
  std::string storage_class;
  store::SystemHeaders headers;
  store::UserMetadata metadata;
  store::Tags tags;
  std::optional<archive::MemberLocation> location;  ///< frame_offset, frame_length, frame_skip

  /// Returns when the key began to have this content.
  TimePoint since() const { return current_since.value_or(last_modified); }
  SourceOrder order() const { return {sequencer, since()}; }
  friend bool operator==(const Record&, const Record&);
};

/// One line, without the newline and without the checks of a catalog file (catalog/file.hpp). A string that is not
/// UTF-8 gets a second member `<name>_base64`, as in the manifest. Deterministic.
std::string to_json_line(const Record& record);
/// Throws Error{corrupt} naming the member that is missing or wrong. Accepts the rows of the reference, which lack what
/// Bale adds.
Record parse_json_line(std::string_view line);

/// Members of a line as JSON of their own, for the columns of a table; empty where there is nothing. Back:
/// Error{corrupt}.
std::string headers_to_json(const store::SystemHeaders& headers);
store::SystemHeaders headers_from_json(std::string_view json);
std::string map_to_json(const std::map<std::string, std::string>& map);
std::map<std::string, std::string> map_from_json(std::string_view json);
std::string buckets_to_json(const std::vector<BucketName>& buckets);
std::vector<BucketName> buckets_from_json(std::string_view json);

/// Which of its file's rows a row is.
struct RowPlace {
  std::uint64_t row = 0;   ///< from 1; 0 where the line does not say
  std::uint64_t rows = 0;  ///< of the file; 0 where the line does not say
};
struct Row {
  Record record;
  std::optional<RowPlace> place;  ///< absent where the line has neither member
};
/// As parse_json_line(), with the place that the row says it has. Nothing is verified here.
Row parse_row(std::string_view line);

/// "{source_bucket}/{prefix}/year=YYYY/month=MM/day=DD/{backup_file}.jsonl", by the date of the backup in UTC.
ObjectKey catalog_key(const BucketName& source_bucket, std::string_view source_prefix, TimePoint backup_time,
                      std::string_view backup_file);

/// Every place where the archive of a row may be, the likeliest first. Rows of the replaced program do not say it: that
/// program put an archive into each of target_buckets as {source_prefix}/{backup_file}, an earlier one below the
/// source bucket's name. Empty where not even buckets are said.
std::vector<ObjectAddress> archive_places(const Record& record);

/// The rows of an open archive, each made when it is asked for: there may be more than fit into memory. The archive is
/// borrowed. Else as make_records().
class ArchiveRecords {
 public:
  ArchiveRecords(const archive::Reader& archive, TimePoint stored, const ObjectKey& archive_key,
                 const std::vector<BucketName>& buckets);
  std::size_t size() const noexcept;
  /// Row `i`, which must be less than size().
  Record operator[](std::size_t i) const;

 private:
  const archive::Reader& archive_;
  Record common_;
};

/// The rows of an open archive that is stored in `buckets` (not empty) under `archive_key`: all that its catalog file
/// holds, in order. `stored` is when the archive came to where it is; it is the time of the backup where the manifest
/// has none (archives of the reference). Without archive_etag: the archive does not know how it was stored.
std::vector<Record> make_records(const archive::Reader& archive, TimePoint stored, const ObjectKey& archive_key,
                                 const std::vector<BucketName>& buckets);

}  // namespace bale::catalog
