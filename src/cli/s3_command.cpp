// bale s3: the command line of mb, rb, ls, cp, rm, stat, presign.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/filter_options.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"

namespace bale::cli {
namespace {

/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, x-amz-storage-class
const std::vector<std::string> storage_classes = {"STANDARD",     "REDUCED_REDUNDANCY",  "STANDARD_IA",
                                                  "ONEZONE_IA",   "INTELLIGENT_TIERING", "GLACIER",
                                                  "DEEP_ARCHIVE", "GLACIER_IR"};

BucketName parse_bucket(const std::string& uri) {
  const ObjectAddress address = parse_s3_uri(uri);
  check_bucket_name(address.bucket);
  if (!address.key.empty())
    throw Error(ErrorKind::invalid, fmt::format("'{}' is more than a bucket", escape_name(uri)), {},
                "write s3://bucket");
  return address.bucket;
}

int make_bucket(Context& context, const std::string& uri, bool versioning) {
  context.break_off_on_stop();
  const BucketName bucket = parse_bucket(uri);
  const bool dryrun = context.options().dryrun;
  if (!dryrun) {
    context.allow_new_store();
    store::ObjectStore& store = context.store(context.region());
    store.create_bucket(bucket);
    if (versioning) store.set_versioning(bucket, store::Versioning::enabled);
  }
  emit(context,
       {{"type", dryrun ? "dryrun" : "bucket"},
        {"operation", "make_bucket"},
        {"name", bucket.str()},
        {"region", context.region().str()},
        {"versioning", versioning}},
       fmt::format("{}make_bucket: {}", dryrun ? "(dryrun) " : "", bucket.str()));
  return exit_ok;
}

/// Whether the bucket was seen to be there; false where looking is denied, which does not say that removing is.
/// Throws Error{not_found} NoSuchBucket where it was seen not to be there.
bool see_bucket(Context& context, const BucketName& bucket) {
  try {
    require_bucket(context, bucket);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied) throw;
    return false;
  }
}

/// Looks first: a store that is asked again, because its answer was lost, says that there is no such bucket whether the
/// first request removed it or it never was.
void delete_bucket(Context& context, const BucketName& bucket) {
  const bool was_there = see_bucket(context, bucket);
  try {
    context.store(context.region()).delete_bucket(bucket);
  } catch (const Error& error) {
    if (!was_there || error.code() != "NoSuchBucket") throw;  // else it has gone meanwhile: that was wanted
  }
}

int remove_bucket(Context& context, const std::string& uri) {
  context.break_off_on_stop();
  const BucketName bucket = parse_bucket(uri);
  const bool dryrun = context.options().dryrun;
  if (dryrun)
    require_bucket(context, bucket);
  else
    delete_bucket(context, bucket);
  emit(context, {{"type", dryrun ? "dryrun" : "bucket"}, {"operation", "remove_bucket"}, {"name", bucket.str()}},
       fmt::format("{}remove_bucket: {}", dryrun ? "(dryrun) " : "", bucket.str()));
  return exit_ok;
}

int presign(Context& context, const std::string& uri, std::int64_t expires) {
  context.break_off_on_stop();
  const ObjectAddress object = parse_object_uri(uri);
  const std::string url = context.store(context.region()).presign_get(object, std::chrono::seconds(expires));
  nlohmann::ordered_json line{{"type", "url"}, {"url", url}, {"expires_in", expires}};
  const auto end = context.credentials_end();
  const TimePoint now = context.world().clock.now();
  if (end && *end < now + std::chrono::seconds(expires)) {
    emit_warning(context,
                 fmt::format("the URL ends at {} at the latest, in {}: the credentials that signed it end then",
                             to_iso8601(*end), format_duration(std::max(*end - now, Milliseconds{0}))));
    line["credentials_end"] = to_iso8601(*end);
  }
  emit(context, line, url);
  return exit_ok;
}

void add_bucket_commands(CLI::App& s3, Action& action) {
  struct Options {
    std::string uri;
    bool versioning = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* make = s3.add_subcommand("mb", "Make a bucket in --region");
  make->add_option("uri", options->uri, "s3://bucket")->required();
  make->add_flag("--versioning", options->versioning, "keep old versions of objects");
  make->callback([&action, options] {
    action = [options](Context& context) { return make_bucket(context, options->uri, options->versioning); };
  });
  CLI::App* remove = s3.add_subcommand("rb", "Remove an empty bucket");
  remove->add_option("uri", options->uri, "s3://bucket")->required();
  remove->callback(
      [&action, options] { action = [options](Context& context) { return remove_bucket(context, options->uri); }; });
}

void add_list_command(CLI::App& s3, Action& action) {
  const auto request = std::make_shared<ListRequest>();
  CLI::App* list = s3.add_subcommand("ls", "List buckets, or objects as in directories; times are UTC");
  list->add_option("uri", request->uri, "s3://bucket[/prefix]; without it, the buckets");
  list->add_flag("--recursive", request->recursive, "all objects below the prefix, with their whole keys");
  list->add_flag("--human-readable", request->human_readable, "sizes as 1.2 MiB");
  list->add_flag("--summarize", request->summarize, "number and size of the objects at the end");
  list->add_flag("--versions", request->versions, "all versions and delete markers below the prefix");
  list->callback(
      [&action, request] { action = [request](Context& context) { return list_objects(context, *request); }; });
}

void add_stat_command(CLI::App& s3, Action& action) {
  const auto request = std::make_shared<StatRequest>();
  CLI::App* stat = s3.add_subcommand("stat", "All that is known of an object, tags included");
  stat->add_option("uri", request->uri, "s3://bucket/key")->required();
  stat->add_option("--version-id", request->version_id, "this version of the object")->type_name("ID");
  stat->callback(
      [&action, request] { action = [request](Context& context) { return stat_object(context, *request); }; });
}

void add_remove_command(CLI::App& s3, Action& action) {
  const auto request = std::make_shared<RemoveRequest>();
  CLI::App* remove = s3.add_subcommand("rm", "Remove objects");
  remove->add_option("uri", request->uri, "s3://bucket/key, or with --recursive s3://bucket[/prefix]")->required();
  CLI::Option* recursive = remove->add_flag("--recursive", request->recursive, "all objects below the prefix");
  remove->add_flag("--all-versions", request->all_versions, "all versions and delete markers: nothing can be got back")
      ->needs(recursive);
  remove->add_option("--version-id", request->version_id, "this version of the object, for good")
      ->type_name("ID")
      ->excludes(recursive);
  add_filter_options(*remove);
  remove->callback([&action, request, remove] {
    request->filters = ordered_filters(*remove);
    action = [request](Context& context) { return remove_objects(context, *request); };
  });
}

void add_attribute_options(CLI::App& copy, AttributeOptions& attributes) {
  const auto text = [&](const char* name, std::optional<std::string>& into, const char* help) {
    return copy.add_option(name, into, help)->type_name("TEXT")->group("Stored with the object");
  };
  text("--storage-class", attributes.storage_class, "storage class [STANDARD; of the source]")
      ->type_name("CLASS")
      ->check(CLI::IsMember(storage_classes).description(""));
  text("--sse-kms-key-id", attributes.kms_key_id, "KMS key to encrypt with")->type_name("ARN");
  text("--content-type", attributes.content_type, "content type [guessed from the extension; of the source]");
  text("--cache-control", attributes.cache_control, "Cache-Control header");
  text("--content-disposition", attributes.content_disposition, "Content-Disposition header");
  text("--content-encoding", attributes.content_encoding, "Content-Encoding header");
  text("--content-language", attributes.content_language, "Content-Language header");
  text("--expires", attributes.expires, "Expires header");
  text("--website-redirect", attributes.website_redirect, "where a website endpoint redirects to");
}

/// Options that are given several times, each adding pairs.
template <typename Pairs>
void add_pair_option(CLI::App& copy, const char* name, std::optional<Pairs>& into,
                     void (*add)(std::string_view, Pairs&), const char* help) {
  copy.add_option_function<std::vector<std::string>>(
          name,
          [&into, add](const std::vector<std::string>& texts) {
            if (!into) into.emplace();
            for (const std::string& one : texts) add(one, *into);
          },
          help)
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE")
      ->group("Stored with the object");
}

void add_copy_options(CLI::App& copy, CopyRequest& request) {
  copy.add_option("source", request.source, "file, directory, s3://bucket/key, or - (standard input)")->required();
  copy.add_option("destination", request.destination, "file, directory, s3://bucket/key, or - (standard output)")
      ->required();
  copy.add_flag("--recursive", request.recursive, "all files of a directory, or all objects below a prefix");
  copy.add_flag("--exact-key", request.exact_key, "a '/' at the end of the destination key belongs to the key");
  copy.add_flag("--if-none-match", request.if_none_match, "write only where no object or file has the name yet");
  copy.add_flag_callback(
      "--no-guess-mime-type", [&request] { request.guess_type = false; }, "no content type from the extension");
  copy.add_option("--version-id", request.version_id, "this version of the source")->type_name("ID");
  copy.add_option("--expected-size", request.expected_size, "most bytes that standard input will give")
      ->type_name("BYTES");
  copy.add_option("--part-size", request.part_size,
                  "smallest part size, for servers that accept fewer than 10,000 parts [8MB]")
      ->type_name("SIZE")
      ->check(refuse_empty);
}

void add_copy_command(CLI::App& s3, Action& action) {
  const auto request = std::make_shared<CopyRequest>();
  CLI::App* copy = s3.add_subcommand("cp", "Copy files to objects, objects to files, objects to objects");
  add_copy_options(*copy, *request);
  add_filter_options(*copy);
  AttributeOptions& attributes = request->attributes;
  add_attribute_options(*copy, attributes);
  add_pair_option(*copy, "--metadata", attributes.metadata, add_metadata, "user metadata: a=1,b=2, or a JSON object");
  add_pair_option(*copy, "--tagging", attributes.tags, add_tagging, "tags, URL-encoded: a=1&b=2");
  add_pair_option(*copy, "--tag", attributes.tags, add_tag, "one tag, as it is");
  copy->callback([&action, request, copy] {
    request->filters = ordered_filters(*copy);
    action = [request](Context& context) { return copy_objects(context, *request); };
  });
}

void add_presign_command(CLI::App& s3, Action& action) {
  struct Options {
    std::string uri;
    std::int64_t expires = 3600;
  };
  constexpr std::int64_t longest = 604800;  // seconds; of a signature, version 4
  const auto options = std::make_shared<Options>();
  CLI::App* presign_command = s3.add_subcommand("presign", "A URL with which anyone can read an object for a while");
  presign_command->add_option("uri", options->uri, "s3://bucket/key")->required();
  presign_command->add_option("--expires-in", options->expires, "seconds until it expires [3600]")
      ->type_name("SECONDS")
      ->check(CLI::Range(std::int64_t{1}, longest).description(""));
  presign_command->callback([&action, options] {
    action = [options](Context& context) { return presign(context, options->uri, options->expires); };
  });
}

}  // namespace

void add_s3_command(CLI::App& app, Action& action) {
  CLI::App* s3 = app.add_subcommand("s3", "Buckets and objects, as aws s3 does");
  s3->require_subcommand(1);
  add_bucket_commands(*s3, action);
  add_list_command(*s3, action);
  add_copy_command(*s3, action);
  add_remove_command(*s3, action);
  add_stat_command(*s3, action);
  add_presign_command(*s3, action);
}

}  // namespace bale::cli
