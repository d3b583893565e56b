#include "cli/bucket_options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/option_values.hpp"
#include "os/machine.hpp"

namespace bale::cli {
namespace {

constexpr const char* of_scripts = "As in s3-backup-restore";
constexpr std::size_t most_connections = 1024;  // as --connections

/// Where a value comes from, for messages.
struct Named {
  const char* option;
  const char* variable;
};

/// Reads the variables of the scripts, or none.
class Variables {
 public:
  Variables(const os::Environment& environment, bool count) : environment_(environment), count_(count) {}

  std::string text(const char* name) const { return count_ ? os::get_line(environment_, name).value_or("") : ""; }

  bool flag(const char* name) const {
    const std::string value = to_lower(text(name));
    return !value.empty() && value != "0" && value != "false" && value != "no" && value != "off";
  }

  template <typename Number>
  std::optional<Number> number(const char* name) const {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    const bool digits = value.size() < 19 && value.find_first_not_of("0123456789") == std::string::npos;
    if (digits) {
      const std::uint64_t number = std::stoull(value);
      if (number <= std::numeric_limits<Number>::max()) return static_cast<Number>(number);
    }
    throw Error(ErrorKind::invalid, fmt::format("'{}' is not a number", escape_for_terminal(value)), name);
  }

 private:
  const os::Environment& environment_;
  const bool count_;
};

/// One side, of three ways to give it.
ObjectAddress place_of(const std::string& positional, const std::string& option, const std::string& variable,
                       const char* word, const Named& names) {
  if (!positional.empty() && !option.empty())
    throw Error(ErrorKind::invalid, fmt::format("both {} and {} were given", word, names.option), {}, "give one");
  const std::string& given = !positional.empty() ? positional : !option.empty() ? option : variable;
  if (given.empty()) {
    throw Error(ErrorKind::invalid, fmt::format("missing {}", word), {},
                fmt::format("give s3://bucket[/prefix], or a bucket with {} or {}", names.option, names.variable));
  }
  if (!is_s3_uri(given) && !positional.empty()) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is not an S3 URI", escape_for_terminal(given)), word,
                "write s3://bucket[/prefix]");
  }
  const ObjectAddress place = is_s3_uri(given) ? parse_s3_uri(given) : ObjectAddress{BucketName(given), ObjectKey()};
  check_bucket_name(place.bucket);
  return place;
}

/// WARNING, INFO or DEBUG somewhere in the value, as the scripts looked for them, or 1 to 3.
int verbosity_of(const std::string& value) {
  if (value.empty()) return 0;
  if (value.find("WARNING") != std::string::npos || value == "1") return 1;
  if (value.find("INFO") != std::string::npos || value == "2") return 2;
  if (value.find("DEBUG") != std::string::npos || value == "3") return 3;
  throw Error(ErrorKind::invalid, fmt::format("'{}' is not WARNING, INFO or DEBUG", escape_for_terminal(value)),
              "VERBOSE");
}

std::string log_level_of(int verbosity) {
  if (verbosity <= 0) return "";
  return verbosity == 1 ? "warning" : verbosity == 2 ? "info" : "debug";
}

template <typename T>
std::optional<T> either(const std::optional<T>& given, const std::optional<T>& otherwise) {
  return given ? given : otherwise;
}

}  // namespace

void add_bucket_options(CLI::App& command, BucketVerb verb, BucketArguments& arguments) {
  const bool is_restore = verb == BucketVerb::restore;
  const char* const from = is_restore ? "BACKUP" : "SRC";
  const char* const to = is_restore ? "NEW" : "DST";
  command.add_option(from, arguments.source,
                     is_restore ? "s3://bucket[/prefix]: the backup" : "s3://bucket[/prefix]: the source");
  command.add_option(to, arguments.destination,
                     is_restore ? "s3://bucket[/prefix]: where the objects go" : "s3://bucket[/prefix]: the backup");
  command.add_option("--prefix", arguments.prefix, "only keys with this prefix")->type_name("PREFIX");
  const auto script = [&](CLI::Option* option) { return option->group(of_scripts); };
  script(command.add_option("-s,--source-bucket", arguments.source_bucket,
                            fmt::format("bucket in the place of {} [S3_SRC_BUCKET]", from)))
      ->type_name("NAME")
      ->check(refuse_empty);
  script(command.add_option("-d,--destination-bucket", arguments.destination_bucket,
                            fmt::format("bucket in the place of {} [S3_DEST_BUCKET]", to)))
      ->type_name("NAME")
      ->check(refuse_empty);
  script(command.add_flag(
      "-a,--all", arguments.all,
      is_restore ? "also objects that are marked as deleted [ALL]" : "everything, without comparing [ALL]"));
  script(command.add_option("--thread-count-per-proc", arguments.threads_per_process,
                            "requests at once for each core, in the place of --connections [THREAD_COUNT_PER_PROC]"))
      ->type_name("N")
      ->check(CLI::Range(1, 1024).description(""));
  script(command.add_option("--timeout", arguments.timeout, "has no effect: requests have timeouts [TIMEOUT]"))
      ->type_name("SECONDS");
  script(command.add_option("-p", arguments.profile, "as --profile"))->type_name("NAME")->check(refuse_empty);
  script(command.add_option("--cloudwatch-dimension-name", arguments.dimension,
                            fmt::format("dimension of the metrics [CW_DIMENSION_NAME; {}]", default_dimension)))
      ->type_name("NAME")
      ->check(refuse_empty);
  command.add_flag("--emf", arguments.emf,
                   "write metrics for CloudWatch to standard output; the default where a dimension is named");
  script(command.add_flag("-v,--verbose", arguments.verbose,
                          "log warnings; -vv also information, -vvv everything [VERBOSE]"));
  if (verb != BucketVerb::compare) {
    script(command.add_option("--objects-count", arguments.objects_count, "copy at most N objects [S3_OBJECTS_COUNT]"))
        ->type_name("N");
  }
  if (is_restore) {
    script(command.add_flag("--check-deleted-tag", arguments.check_deleted_tag,
                            "leave out objects that are marked as deleted: the default [CHECK_DELETED_TAG]"));
  } else {
    script(command.add_option("--last-modified-since", arguments.last_modified_since,
                              "compare objects changed in the last N hours [LAST_MODIFIED_SINCE]"))
        ->type_name("N");
  }
  if (verb == BucketVerb::backup) {
    script(command.add_flag("--tag-deleted", arguments.tag_deleted,
                            "mark objects that are gone from the source [TAG_DELETED]"));
  }
}

BucketOptions bucket_options(const BucketArguments& arguments, BucketVerb verb, const os::Environment& environment) {
  const bool is_restore = verb == BucketVerb::restore;
  const bool is_script_form = arguments.source.empty() && arguments.destination.empty();
  const Variables variables(environment, is_script_form);
  BucketOptions options;
  options.is_script_form = is_script_form;
  options.source = place_of(arguments.source, arguments.source_bucket, variables.text("S3_SRC_BUCKET"),
                            is_restore ? "BACKUP" : "SRC", {"-s", "S3_SRC_BUCKET"});
  options.destination = place_of(arguments.destination, arguments.destination_bucket, variables.text("S3_DEST_BUCKET"),
                                 is_restore ? "NEW" : "DST", {"-d", "S3_DEST_BUCKET"});
  options.prefix = arguments.prefix.value_or(variables.text("PREFIX"));
  options.threads_per_process =
      either(arguments.threads_per_process, variables.number<std::uint32_t>("THREAD_COUNT_PER_PROC"));
  static_cast<void>(variables.number<std::uint32_t>("TIMEOUT"));  // refused where it is no number, as by the scripts
  options.objects_count = either(arguments.objects_count, variables.number<std::uint64_t>("S3_OBJECTS_COUNT"));
  options.profile = arguments.profile;
  options.dimension = arguments.dimension.empty() ? variables.text("CW_DIMENSION_NAME") : arguments.dimension;
  options.wants_metrics = arguments.emf || !options.dimension.empty();
  if (options.dimension.empty()) options.dimension = default_dimension;
  options.all = arguments.all || variables.flag("ALL");
  options.log_level = log_level_of(arguments.verbose > 0 ? arguments.verbose : verbosity_of(variables.text("VERBOSE")));
  if (is_restore) {
    options.check_deleted_tag = arguments.check_deleted_tag || variables.flag("CHECK_DELETED_TAG");
  } else {
    options.last_modified_since =
        either(arguments.last_modified_since, variables.number<std::uint32_t>("LAST_MODIFIED_SINCE"));
  }
  if (verb == BucketVerb::backup) options.tag_deleted = arguments.tag_deleted || variables.flag("TAG_DELETED");
  return options;
}

std::size_t connections_of(std::uint32_t threads_per_process, std::size_t cores) {
  return std::clamp<std::size_t>(std::size_t{threads_per_process} * std::max<std::size_t>(cores, 1), 1,
                                 most_connections);
}

void apply_to(Context& context, const BucketOptions& options) {
  if (!options.profile.empty()) context.use_profile(options.profile);
  if (!options.log_level.empty()) context.use_log_level(options.log_level);
  if (options.threads_per_process)
    context.use_connections(connections_of(*options.threads_per_process, os::usable_cores(context.world().files)));
}

}  // namespace bale::cli
