// Manifests, jobs and completion reports of S3 Batch Operations, which restores and copies objects without this
// program. Pure. https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops.html
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/names.hpp"
#include "jobs/bucket/glacier.hpp"

namespace bale::bucket {

/// S3PutObjectCopy takes objects up to this size.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-copy-object.html
inline constexpr ByteCount most_batch_copy_bytes = 5ULL << 30;

/// Returns one line of a manifest, with its line end: bucket, percent-encoded key, and the version where the manifest
/// has a column for it.
std::string manifest_line(const ObjectAddress& object, const std::optional<VersionId>& version);

/// A manifest, as the job names it.
struct BatchManifest {
  ObjectAddress place;  ///< where it will lie when the job is created
  Md5Digest md5{};      ///< of its bytes: its ETag
  bool has_versions = false;
};

/// Who runs the jobs, and where their reports go.
struct BatchOwner {
  std::string account;    ///< 12 digits
  std::string role_arn;   ///< of the role that S3 Batch Operations takes
  ObjectAddress reports;  ///< the key is a prefix
};

/// Returns the account of a role's ARN, "arn:aws:iam::123456789012:role/name". Throws Error{invalid}.
std::string account_of_role(std::string_view arn);

/// Returns the input of `aws s3control create-job --cli-input-json` that requests restores of all objects of a
/// manifest: of archive classes, or, with `of_tiering`, of INTELLIGENT_TIERING, which takes no days. Throws
/// Error{invalid} for Expedited, which S3 Batch Operations does not have.
std::string restore_job(const BatchOwner& owner, const BatchManifest& manifest, Tier tier, int days, bool of_tiering);

/// The same for a job that copies all objects of a manifest to another bucket, with metadata and tags, under the same
/// key below `key_prefix`, which is empty or ends with '/'.
std::string copy_job(const BatchOwner& owner, const BatchManifest& manifest, const BucketName& to,
                     const std::string& key_prefix, const std::string& storage_class);

/// One row of a completion report.
struct BatchTask {
  ObjectAddress object;
  VersionId version;
  bool has_succeeded = false;
  std::string error_code;
  std::string http_status;
  std::string message;
};

/// Reads a completion report (Report_CSV_20180820), piece by piece. Not thread-safe.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html
class BatchReportReader {
 public:
  using Take = std::function<void(const BatchTask&)>;
  explicit BatchReportReader(Take take) : take_(std::move(take)) {}
  /// Reads more of the text; calls `take` for each row that is complete. Throws Error{corrupt} that names the row where
  /// it is not one of a report, or is longer than 64 KiB.
  void read(std::string_view piece);
  /// Reads the last row, where no line end follows it. Throws as read() does, also for an open quotation mark.
  void finish();

 private:
  void end_field();
  void end_row();
  [[noreturn]] void refuse(std::string_view what) const;

  enum class State { begin, plain, quoted, after_quote };
  Take take_;
  State state_ = State::begin;
  std::string field_;
  std::vector<std::string> fields_;
  std::size_t row_bytes_ = 0;
  std::uint64_t row_ = 1;
};

/// One report that a report's manifest.json names.
struct BatchReportFile {
  ObjectAddress place;
  std::string md5;  ///< hexadecimal, lower case
};
/// Reads manifest.json of a completion report. Throws Error{corrupt}.
std::vector<BatchReportFile> parse_report_manifest(std::string_view json);

}  // namespace bale::bucket
