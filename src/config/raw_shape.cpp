// What may stand in the section `backup` of a YAML file.
#include "config/raw_shape.hpp"

#include <fmt/format.h>

namespace bale::config {
namespace {

using Type = Member::Type;

Member text(std::string name, std::string description, std::string pattern = {}, std::string allowed = {}) {
  return {.name = std::move(name),
          .type = Type::string,
          .description = std::move(description),
          .pattern = std::move(pattern),
          .allowed = std::move(allowed)};
}

Member choice(std::string name, std::string description, std::vector<std::string> choices) {
  return {.name = std::move(name),
          .type = Type::string,
          .description = std::move(description),
          .choices = std::move(choices)};
}

Member number(std::string name, std::string description, std::int64_t least, std::int64_t most) {
  return {.name = std::move(name),
          .type = Type::integer,
          .description = fmt::format("{} ({}-{})", description, least, most),
          .least = least,
          .most = most};
}

/// "20MB", a mapping of times of day, or a list of such mappings.
constexpr const char* bandwidth_schema = R"({"anyOf": [
  {"type": "string"}, {"type": "integer", "minimum": 1},
  {"type": "object", "additionalProperties": {"type": ["string", "integer"]},
   "propertyNames": {"pattern": "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"}},
  {"type": "array", "items": {"type": "object", "additionalProperties": {"type": ["string", "integer"]},
   "propertyNames": {"pattern": "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"}}}]})";

const Shape& s3_shape() {
  static const Shape shape{{
      text("region", "Region of the buckets; required where backup_type is s3", "^[a-z0-9]+(-[a-z0-9]+)*$",
           "a region (a-z, 0-9 and '-', e.g. eu-central-1)"),
      text("bucket_prefix", "Buckets are {bucket_prefix}-{project}; required where backup_type is s3",
           "^[A-Za-z0-9][A-Za-z0-9.-]{0,60}$", "the beginning of a bucket name (a-z, 0-9, '.' and '-')"),
      {.name = "auto_create_buckets",
       .type = Type::boolean,
       .description = "Whether missing buckets are made and half-configured ones repaired; default false"},
      text("fallback_project", "Project whose bucket takes files without a project; default _FALLBACK",
           "^[^\\x00-\\x1f]{1,63}$", "a project of 1-63 characters"),
      // Parts of S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
      number("chunk_size_mb", "Part size of uploads in MiB; default 500", 5, 5120),
      choice("storage_class", "Storage class of objects; default: the bucket's",
             {"INTELLIGENT_TIERING", "STANDARD", "STANDARD_IA", "GLACIER_IR", "ONEZONE_IA", "GLACIER", "DEEP_ARCHIVE"}),
      choice("sse", "Encryption of objects; default: the bucket's", {"AES256", "aws:kms"}),
      text("kms_key_arn", "KMS key with which objects are encrypted; implies sse aws:kms",
           "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+$",
           "the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)"),
      text("expected_bucket_owner", "Account that owns the buckets: buckets of others are refused", "^[0-9]{12}$",
           "12 digits"),
      text("endpoint_url", "Endpoint of a store other than Amazon's", "^https?://[^\\s/?#]+(/[^\\s?#]*)?$",
           "a URL (https://HOST[:PORT])"),
      number("retries", "Attempts after a failed upload; default 3", 0, 100),
      number("retry_delay_seconds", "Wait before such an attempt; default 300", 0, 86'400),
      // After a week the usual lifecycle rule has removed the parts of an upload.
      number("timeout_seconds", "Longest time of one run on one raw file; default 21600", 1, 604'800),
      number("max_uploads", "Raw files that are uploaded at a time; default 2", 1, 64),
      {.name = "bandwidth_limit",
       .type = Type::other,
       .description = "Bytes per second (20MB), or by local time of day (08:00-18:00: 20MB); default unlimited",
       .schema = bandwidth_schema},
  }};
  return shape;
}

const Shape& backup_shape() {
  static const Shape shape{{
      choice("backup_type", "Which step is the backup: the local copy, or the upload after it; default local",
             {"local", "s3"}),
      {.name = "s3", .type = Type::object, .description = "Where and how raw files are uploaded", .shape = &s3_shape()},
      choice("purging_verification_type",
             "What has to be proven before a local copy is deleted; default: that of backup_type",
             {"local", "s3", "force_local"}),
      choice("layout", "How keys of objects are formed; default by_id", {"by_id", "alphakraken"}),
      text("pool_path",
           "Directory of local copies, relative to the directory of this file: "
           "{pool_path}/{instrument}/{YYYY_MM}"),
      {.name = "instruments",
       .type = Type::string_map,
       .description = "Directory in which each instrument leaves files"},
      text("records",
           "Where records are kept: a directory of this machine, relative to the directory of this file, or "
           "dynamodb"),
      text("records_table", "Table of the records; default bale-raw", "^[A-Za-z0-9_.-]{3,255}$",
           "a table name (3-255 of A-Z, a-z, 0-9, '_', '-' and '.')"),
      number("lease_seconds",
             "How long a run may give no sign of life before another run may take its raw file over; default 60", 2,
             3600),
      text("backup_base_path", "Not used: alphakraken shows it to its users"),
  }};
  return shape;
}

}  // namespace

const Member& backup_member() {
  static const Member member{.name = "backup",
                             .type = Type::object,
                             .required = true,
                             .description = "Backup of raw files",
                             .shape = &backup_shape()};
  return member;
}

const Shape& raw_shape() {
  static const Shape shape{.members = {backup_member()}, .is_open = true};
  return shape;
}

}  // namespace bale::config
