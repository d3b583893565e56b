// What may stand in settings.json and replication_config.json.
#include <fmt/format.h>

#include <memory>

#include "config/schema.hpp"

namespace bale::config {
namespace {

using Type = Member::Type;

constexpr const char* region_pattern = "^[a-z0-9]+(-[a-z0-9]+)*$";
constexpr const char* region_words = "a region (a-z, 0-9 and '-', e.g. eu-central-1)";
constexpr const char* bucket_pattern = "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$";
constexpr const char* bucket_words = "a bucket name (3-63 of a-z, 0-9, '.' and '-')";
constexpr const char* key_arn_pattern = "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+$";
constexpr const char* key_arn_words = "the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)";

Member text(std::string name, bool required, std::string description, std::string pattern = {},
            std::string allowed = {}) {
  return {.name = std::move(name),
          .type = Type::string,
          .required = required,
          .description = std::move(description),
          .pattern = std::move(pattern),
          .allowed = std::move(allowed)};
}

Member number(std::string name, std::string description, std::int64_t least, std::int64_t most) {
  return {.name = std::move(name),
          .type = Type::integer,
          .description = fmt::format("{} ({}-{})", description, least, most),
          .least = least,
          .most = most};
}

Member flag(std::string name, std::string description) {
  return {.name = std::move(name), .type = Type::boolean, .description = std::move(description)};
}

Member list(std::string name, bool required, std::size_t least, Member element, std::string description) {
  return {.name = std::move(name),
          .type = Type::array,
          .required = required,
          .description = std::move(description),
          .element = std::make_shared<const Member>(std::move(element)),
          .least_elements = least};
}

Member object(std::string name, bool required, const Shape& shape, std::string description) {
  return {.name = std::move(name),
          .type = Type::object,
          .required = required,
          .description = std::move(description),
          .shape = &shape};
}

const Member schema_member = text("$schema", false, "The JSON Schema of this file, for editors");

const Shape& region_shape() {
  static const Shape shape{{
      text("region", true, "Name of the region", region_pattern, region_words),
      text("vpc_cidr", false, "Addresses of the network of the services in this region: IPv4 CIDR, /16 to /28",
           "^([0-9]{1,3}\\.){3}[0-9]{1,3}/(1[6-9]|2[0-8])$", "an IPv4 CIDR block of /16 to /28 (e.g. 10.0.0.0/16)"),
      list("source_target", true, 1, {.choices = {"source", "target"}},
           "What happens here: objects are taken (source), objects are put (target), or both"),
      number("availability_zones", "Availability zones of the network; default 2", 1, 6),
  }};
  return shape;
}

/// Limits of batches: S3 takes objects of at most 5 TiB; the rest is what one process can reasonably hold a list of.
const Shape& batch_shape() {
  static const Shape shape{{
      number("max_objects", "Most objects in an archive; default 1000", 1, 1'000'000),
      number("max_bytes", "Bytes of objects after which an archive is full; default 268435456", 1,
             std::int64_t{5} << 40),
      number("max_wait_seconds", "Longest wait for an archive to fill; default 5", 0, 900),
  }};
  return shape;
}

const Shape& source_shape() {
  static const Shape shape{{
      text("region", true, "Region of the source bucket; enabled as a source", region_pattern, region_words),
      text("bucket", true, "The source bucket", bucket_pattern, bucket_words),
      text("kms_key_arn", false, "KMS key with which the source bucket is encrypted", key_arn_pattern, key_arn_words),
      text("prefix_filter", false, "Only keys below this prefix; a '/' at its end is understood"),
      text("suffix_filter", false, "Only keys with this ending"),
      number("scaling_limit", "Most tasks at once; default 20", 1, 1000),
      number("cpu", "CPU units of a task; default 2048", 256, 16384),
      number("memory", "Memory of a task in MiB; default 4096", 512, 122880),
      number("ephemeral_storage", "Disk of a task in GiB; default 20", 21, 200),
      number("scaling_target_backlog_per_task", "Messages per task at which tasks are added; default 60", 1, 1'000'000),
      // SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
      number("visibility_timeout", "Seconds for which a message is invisible once received; default 300", 1, 43200),
      number("max_receive_count", "Receives before a message goes to the dead-letter queue; default 5", 1, 1000),
      object("batch", false, batch_shape(), "When an archive is full"),
      flag("track_deletes", "Whether deletions are recorded too; default false"),
      number("level", "Compression level, 0 stores; default chosen by the command", 0, 22),
      // archive::min_frame_size and max_frame_size
      number("frame_size", "Bytes of the tar stream in one frame of an archive; default 16777216", 64 << 10, 128 << 20),
  }};
  return shape;
}

const Shape& destination_shape() {
  static const Shape shape{{
      text("region", true, "Region of the destination bucket; enabled as a target", region_pattern, region_words),
      text("bucket", true, "The destination bucket", bucket_pattern, bucket_words),
      text("kms_key_arn", false, "KMS key with which objects are written", key_arn_pattern, key_arn_words),
      {.name = "storage_class",
       .description = "Storage class of what is written; default: each object keeps its own",
       .choices = {"INTELLIGENT_TIERING", "STANDARD", "STANDARD_IA", "GLACIER_IR", "ONEZONE_IA", "GLACIER",
                   "DEEP_ARCHIVE"}},
      flag("backup", "Whether archives are kept and catalogued instead of unpacked; default false"),
  }};
  return shape;
}

const Shape& rule_shape() {
  static const Shape shape{{
      object("source", true, source_shape(), "Which objects are taken"),
      list("destinations", true, 1, {.type = Type::object, .shape = &destination_shape()}, "Where they are put"),
  }};
  return shape;
}

}  // namespace

const Shape& settings_shape() {
  static const Shape shape{{
      schema_member,
      // A part of bucket names, hence no capitals; CloudFormation wants a letter first.
      text("stack_name", true, "Name of this installation; part of the names of its buckets, queues and tables",
           "^[a-z][a-z0-9-]*$", "a name of a-z, 0-9 and '-' that starts with a letter"),
      text("account", false, "Account of the buckets; default 000000000000 (embedded)", "^[0-9]{12}$", "12 digits"),
      list("enabled_regions", true, 1, {.type = Type::object, .shape = &region_shape()}, "The regions in use"),
      list("notification_emails", false, 0,
           {.pattern = "^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", .allowed = "an e-mail address"}, "Who is told of alarms"),
      {.name = "tags", .type = Type::string_map, .description = "Tags of everything that is made"},
  }};
  return shape;
}

const Shape& replication_shape() {
  static const Shape shape{{
      schema_member,
      list("replication_configuration", true, 1, {.type = Type::object, .shape = &rule_shape()},
           "The rules: which objects go where"),
  }};
  return shape;
}

std::string settings_schema() {
  return json_schema(settings_shape(), "settings.json", "Settings of bale replicate: names and regions.");
}

std::string replication_schema() {
  return json_schema(replication_shape(), "replication_config.json",
                     "Rules of bale replicate: which objects go where.");
}

}  // namespace bale::config
