// bale s3 ls, stat
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"
#include "store/listing.hpp"

namespace bale::cli {
namespace {

using nlohmann::ordered_json;

std::string size_text(ByteCount size, bool human_readable) {
  return human_readable ? format_bytes(size) : fmt::format("{}", size);
}

int list_buckets(Context& context) {
  for (const store::BucketInfo& bucket : context.store(context.region()).list_buckets()) {
    emit(context,
         {{"type", "bucket"},
          {"name", bucket.name.str()},
          {"region", bucket.region.str()},
          {"created", to_iso8601(bucket.created)}},
         fmt::format("{} {}", to_timestamp(bucket.created), bucket.name.str()));
  }
  return exit_ok;
}

/// One listing: prints what it is told, and counts.
class Listing {
 public:
  Listing(Context& context, const ListRequest& request, const ObjectAddress& where)
      : context_(context), request_(request), where_(where) {}

  void run() {
    if (request_.versions) {
      for_each_version(context_, where_.bucket, where_.key.str(), [&](const auto& v) { print_version(v); });
    } else if (request_.recursive) {
      for_each_object(context_, where_.bucket, where_.key.str(), [&](const auto& o) { print_object(o, o.key.str()); });
    } else {
      list_level();
    }
    if (request_.summarize) print_summary();
    // An empty bucket is there; of a prefix nothing is there but what begins with it.
    if (!found_ && !where_.key.empty()) throw Error(ErrorKind::not_found, "nothing begins with this", to_uri(where_));
  }

 private:
  /// Names down to the next '/', as in a directory.
  void list_level() {
    const std::string& prefix = where_.key.str();
    const std::size_t shown_from = prefix.rfind('/') == std::string::npos ? 0 : prefix.rfind('/') + 1;
    store::Listing pages(context_.store(context_.region()), where_.bucket, {.prefix = prefix, .delimiter = "/"});
    while (const auto page = pages.next()) {
      for (const std::string& common : page->common_prefixes) {
        found_ = true;
        ordered_json line{{"type", "prefix"}};
        add_name(line, "prefix", common);
        emit(context_, line,
             fmt::format("{:>19} {:>{}} {}", "", "PRE", size_columns(), escape_name(common.substr(shown_from))));
      }
      for (const store::ListedObject& object : page->objects) print_object(object, object.key.str().substr(shown_from));
    }
  }

  static constexpr int size_columns() { return 10; }

  static ordered_json to_json(const store::ListedObject& object, const char* type) {
    ordered_json json{{"type", type}};
    add_name(json, "key", object.key.str());
    json.update({{"size", object.size},
                 {"etag", object.etag.str()},
                 {"last_modified", to_iso8601(object.last_modified)},
                 {"storage_class", object.storage_class}});
    return json;
  }

  std::string line(const store::ListedObject& object, std::string_view size, std::string_view name) const {
    return fmt::format("{} {:>{}} {}", to_timestamp(object.last_modified), size, size_columns(), escape_name(name));
  }

  void print_object(const store::ListedObject& object, std::string_view name) {
    found_ = true;
    emit(context_, to_json(object, "object"), line(object, size_text(object.size, request_.human_readable), name));
    ++objects_;
    bytes_ += object.size;
  }

  void print_version(const store::ListedVersion& version) {
    found_ = true;
    ordered_json json = to_json(version, version.is_delete_marker ? "delete_marker" : "version");
    json["version_id"] = version.version_id.str();
    json["is_latest"] = version.is_latest;
    const std::string size = version.is_delete_marker ? "deleted" : size_text(version.size, request_.human_readable);
    emit(context_, json,
         fmt::format("{}  {}{}", line(version, size, version.key.str()), version.version_id.str(),
                     version.is_latest ? " (latest)" : ""));
    if (version.is_delete_marker) return;
    ++objects_;
    bytes_ += version.size;
  }

  void print_summary() {
    emit_lines(
        context_, {{"type", "summary"}, {"objects", objects_}, {"bytes", bytes_}},
        fmt::format("\nTotal Objects: {}\n   Total Size: {}", objects_, size_text(bytes_, request_.human_readable)));
  }

  Context& context_;
  const ListRequest& request_;
  const ObjectAddress& where_;
  bool found_ = false;
  std::uint64_t objects_ = 0;
  ByteCount bytes_ = 0;
};

ordered_json headers_json(const store::SystemHeaders& headers) {
  return {{"content_type", headers.content_type},
          {"cache_control", headers.cache_control},
          {"content_disposition", headers.content_disposition},
          {"content_encoding", headers.content_encoding},
          {"content_language", headers.content_language},
          {"expires", headers.expires},
          {"website_redirect", headers.website_redirect}};
}

ordered_json to_json(const ObjectAddress& object, const store::ObjectInfo& info, const store::Tags& tags) {
  ordered_json json = {{"type", "object"}, {"bucket", object.bucket.str()}};
  add_name(json, "key", object.key.str());
  json.update({{"size", info.size},
               {"etag", info.etag.str()},
               {"version_id", info.version_id.str()},
               {"last_modified", to_iso8601(info.last_modified)},
               {"storage_class", info.storage_class},
               {"kms_key_arn", info.kms_key_arn},
               {"restore", info.restore}});
  json.update(headers_json(info.headers));
  const ordered_json not_set = "";
  for (auto member = json.begin(); member != json.end();)
    member = *member == not_set ? json.erase(member) : std::next(member);
  json["metadata"] = info.metadata;
  json["tags"] = tags;
  return json;
}

std::string to_text(const ordered_json& json) {
  Table table({{"Name"}, {"Value"}});
  for (const auto& [name, value] : json.items()) {
    if (name == "type") continue;
    if (value.is_object()) {
      for (const auto& [inner, text] : value.items())
        table.add({fmt::format("{}.{}", name, inner), text.get<std::string>()});
    } else {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      table.add({name, name == "key" ? escape_name(text) : text});
    }
  }
  return table.text();
}

}  // namespace

void for_each_object(Context& context, const BucketName& bucket, const std::string& prefix,
                     const std::function<void(const store::ListedObject&)>& object) {
  store::StreamedListing listing(context.store(context.region()), bucket, {.prefix = prefix, .stop = context.stop()},
                                 context.pools().connections);
  while (const store::ListedObject* const listed = listing.next()) object(*listed);
}

void for_each_version(Context& context, const BucketName& bucket, const std::string& prefix,
                      const std::function<void(const store::ListedVersion&)>& version) {
  store::StreamedVersions listing(context.store(context.region()), bucket, {.prefix = prefix, .stop = context.stop()},
                                  context.pools().connections);
  while (const store::ListedVersion* const listed = listing.next()) version(*listed);
}

void require_bucket(Context& context, const BucketName& bucket) {
  if (context.store(context.region()).head_bucket(bucket)) return;
  throw Error(ErrorKind::not_found, "no such bucket", "s3://" + bucket.str(), "bale s3 mb makes it")
      .with_code("NoSuchBucket");
}

ObjectAddress parse_object_uri(std::string_view uri) {
  const Location location = parse_location(uri);
  if (location.kind != Location::Kind::remote)
    throw Error(ErrorKind::invalid, fmt::format("'{}' is not an S3 URI", escape_name(uri)), {},
                "write s3://bucket/key");
  if (location.object.key.empty())
    throw Error(ErrorKind::invalid, fmt::format("'{}' names no object", escape_name(uri)), {}, "write s3://bucket/key");
  return location.object;
}

int list_objects(Context& context, const ListRequest& request) {
  context.break_off_on_stop();
  if (request.uri.empty() || request.uri == "s3://") return list_buckets(context);
  const Location where = parse_location(is_s3_uri(request.uri) || request.uri.starts_with("s3:")
                                            ? request.uri
                                            : "s3://" + request.uri);  // aws s3 ls takes a bare bucket too
  Listing(context, request, where.object).run();
  return exit_ok;
}

int stat_object(Context& context, const StatRequest& request) {
  context.break_off_on_stop();
  const ObjectAddress object = parse_object_uri(request.uri);
  const VersionId version(request.version_id);
  store::ObjectStore& store = context.store(context.region());
  const auto info = store.head(object, {.version_id = version, .if_match = {}});
  if (!info) {
    require_bucket(context, object.bucket);
    throw Error(ErrorKind::not_found, "no such object", to_uri(object)).with_code("NoSuchKey");
  }
  const store::Tags tags = info->tag_count == 0 ? store::Tags{} : store.get_tags(object, version);
  const ordered_json json = to_json(object, *info, tags);
  emit_lines(context, json, to_text(json));
  return exit_ok;
}

}  // namespace bale::cli
