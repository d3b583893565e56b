// The configuration of raw file backup: the section `backup` of a YAML file. Other sections of the file are of other
// programs and are ignored.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "config/replication.hpp"
#include "os/files.hpp"

namespace bale::config {

/// backup.backup_type: which step makes a raw file's backup, and so writes its backup_status.
enum class BackupType {
  local,  ///< the local copy
  s3,     ///< the upload, which follows the local copy
};

/// backup.purging_verification_type: what has to be proven before a local copy is deleted. Default: that of
/// backup_type.
enum class PurgingVerification {
  local,        ///< another local copy, the instrument's, equals it; refused where backup_type is s3
  s3,           ///< the object in the bucket is the recorded one, and so is the local copy; needs backup_type s3
  force_local,  ///< as local, whatever backup_type is
};

/// backup.layout: how keys of objects are formed (jobs/raw/layout.hpp).
enum class KeyLayout {
  by_id,        ///< "{file_id}.raw" for one file, "{file_id}/{relative path}" for sets
  alphakraken,  ///< keys of alphakraken's uploader: "{relative path}", "{file_id}/..." for .wiff sets alone
};
/// The words of the configuration: "local", "s3", "force_local"; "by_id", "alphakraken".
std::string_view to_string(BackupType type) noexcept;
std::string_view to_string(PurgingVerification verification) noexcept;
std::string_view to_string(KeyLayout layout) noexcept;
/// Throws Error{invalid} naming the text and the words that there are.
KeyLayout parse_key_layout(std::string_view text);

/// Limits of bytes per second by the time of day.
struct BandwidthSchedule {
  /// From `from` to before `to`, both since midnight. `to` <= `from` goes past midnight; equal is the whole day.
  struct Period {
    std::chrono::minutes from{0}, to{0};
    std::optional<ByteCount> bytes_per_second;  ///< nullopt: no limit
    friend bool operator==(const Period&, const Period&) = default;
  };
  std::vector<Period> periods;  ///< they do not overlap

  /// Returns the limit in bytes per second at a local time of day (since midnight, 0-24 h), nullopt where there is
  /// none: outside of all periods, too. Pure.
  std::optional<ByteCount> limit_at(std::chrono::seconds time_of_day) const;
  bool is_unlimited() const noexcept;
  friend bool operator==(const BandwidthSchedule&, const BandwidthSchedule&) = default;
};
/// Reads "20MB" or "20MiB/s" (bytes.hpp: MB is 1000², MiB 1024²), or "unlimited", which is nullopt. Throws
/// Error{invalid} naming the text; 0 is refused.
std::optional<ByteCount> parse_bandwidth(std::string_view text);
/// Reads "08:00-18:00" into a Period without limit. Throws Error{invalid} naming the text.
BandwidthSchedule::Period parse_period(std::string_view text);

/// backup.s3.
struct RawS3 {
  Region region;
  std::string bucket_prefix;         ///< buckets are {bucket_prefix}-{project}, normalised
  bool auto_create_buckets = false;  ///< buckets that are missing are made, half-configured ones repaired
  /// The project whose bucket takes files without a project; default "_FALLBACK", as alphakraken calls it.
  std::string fallback_project = "_FALLBACK";
  ByteCount part_bytes = 500ULL << 20;  ///< chunk_size_mb, in MiB, 5-5120
  std::string storage_class;            ///< empty: the bucket's default
  std::string sse;                      ///< "AES256" or "aws:kms"; empty: the bucket's default
  std::string kms_key_arn;              ///< implies aws:kms
  std::string expected_bucket_owner;    ///< 12 digits; empty: not checked
  std::string endpoint_url;             ///< empty: AWS, or what the environment says
  int retries = 3;                      ///< of a whole upload, after the retries of its requests
  std::chrono::seconds retry_delay{300};
  std::chrono::seconds timeout{21'600};  ///< of one run on one raw file
  int max_uploads = 2;                   ///< raw files at once
  BandwidthSchedule bandwidth_limit;
};

/// RawConfig::records of records in DynamoDB.
inline constexpr const char* raw_records_in_dynamodb = "dynamodb";

/// The section `backup`.
struct RawConfig {
  BackupType backup_type = BackupType::local;
  /// Absent: no section s3. Where backup_type is s3 it is there, with region and bucket_prefix.
  std::optional<RawS3> s3;
  PurgingVerification purging_verification = PurgingVerification::local;
  KeyLayout layout = KeyLayout::by_id;
  os::fs::path pool_path;  ///< where local copies go: {pool_path}/{instrument}/{YYYY_MM}/...; empty: step 1 is not done
  std::map<std::string, os::fs::path> instruments;  ///< directory in which each instrument leaves its files
  /// Where records are kept: a directory of this machine, or "dynamodb"; empty: not said.
  std::string records;
  TableName records_table{"bale-raw"};  ///< one record a raw file
  /// How long a run may give no sign of life before another run may work on its raw file.
  std::chrono::seconds lease{60};
};

/// Reads a configuration. `file` names it in findings, which carry line and column.
/// `text`: one document of YAML, UTF-8, of at most max_raw_config_bytes and max_yaml_depth levels. Anchors and aliases
/// are refused in `backup`; elsewhere they are not followed, so that no text takes more memory than a few times its
/// size. Names that are given twice are refused in `backup` and at the top. true, yes and on are the same, as for
/// programs that read YAML 1.1. Throws InvalidConfig with everything that is wrong. Pure.
RawConfig parse_raw_config(std::string_view text, const std::string& file);
inline constexpr ByteCount max_raw_config_bytes = 1 << 20;

/// Reads and validates a file. Relative paths of `pool_path` and `records` are taken from the directory of the file,
/// and are absolute afterwards. Throws InvalidConfig, Error{not_found} when the file is not there.
RawConfig load_raw_config(os::Files& files, const os::fs::path& file);

/// Whether a path is that of a raw configuration by its name: *.yaml or *.yml.
bool is_yaml_name(std::string_view path) noexcept;

/// JSON Schema (draft 2020-12) of the file, for editors: what `bale config schema raw` prints.
std::string raw_schema();

}  // namespace bale::config
