// bale s3 rm
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/item_runner.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"

namespace bale::cli {
namespace {

/// Removes one object after the other, several at a time.
class Removal {
 public:
  Removal(Context& context, const RemoveRequest& request) : context_(context), request_(request) {}

  int one(const ObjectAddress& object) {
    remove(object, VersionId(request_.version_id));
    return exit_ok;
  }

  int recursive(const ObjectAddress& where) {
    require_bucket(context_, where.bucket);
    const std::string prefix = as_directory(where.key.str());
    {
      const ProgressPrinter printer(context_, progress_, "deleting");
      ItemRunner runner(context_.options().connections);
      const auto start = [&](const ObjectKey& key, const VersionId& version) {
        if (!is_wanted(request_.filters, std::string_view(key.str()).substr(prefix.size()))) return;
        ++found_;
        runner.run([this, object = ObjectAddress{where.bucket, key}, version] { try_remove(object, version); });
      };
      if (request_.all_versions)
        for_each_version(context_, where.bucket, prefix, [&](const auto& v) { start(v.key, v.version_id); });
      else
        for_each_object(context_, where.bucket, prefix, [&](const auto& o) { start(o.key, {}); });
    }
    end_.check(progress_.items_done, "deleted");
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    require_any(where);
    return progress_.items_failed == 0 ? exit_ok : exit_some_failed;
  }

 private:
  /// A misspelt prefix looks like one that nothing has.
  void require_any(const ObjectAddress& where) const {
    if (found_ > 0) return;
    throw Error(ErrorKind::not_found, std::string(nothing_found(request_.filters)), escape_name(to_uri(where)),
                "`bale s3 ls` shows what there is");
  }

  void try_remove(const ObjectAddress& object, const VersionId& version) noexcept {
    if (context_.stop().stop_requested() || end_.is_over()) return;
    try {
      remove(object, version);
    } catch (...) {
      const Error error = current_error();
      if (error.kind() == ErrorKind::cancelled && context_.stop().stop_requested()) return;
      if (end_.take(error)) return;
      ++progress_.items_failed;
      emit_failure(context_, "delete failed: " + escape_name(to_uri(object)), error);
    }
  }

  void remove(const ObjectAddress& object, const VersionId& version) {
    const bool dryrun = context_.options().dryrun;
    nlohmann::ordered_json line = {
        {"type", dryrun ? "dryrun" : "deleted"}, {"operation", "delete"}, {"bucket", object.bucket.str()}};
    add_name(line, "key", object.key.str());
    if (dryrun && !request_.recursive) require_bucket(context_, object.bucket);
    if (!dryrun) {
      const store::DeleteResult result = context_.store(context_.region()).remove(object, version);
      if (result.delete_marker) line["delete_marker"] = true;
      if (!result.version_id.empty()) line["version_id"] = result.version_id.str();
    }
    ++progress_.items_done;
    emit(context_, line,
         fmt::format("{}delete: {}{}", dryrun ? "(dryrun) " : "", escape_name(to_uri(object)),
                     version.empty() ? "" : fmt::format(" (version {})", version.str())));
  }

  Context& context_;
  const RemoveRequest& request_;
  RunEnd end_;
  flow::Progress progress_;
  std::uint64_t found_ = 0;  ///< objects or versions that are to be removed
};

}  // namespace

int remove_objects(Context& context, const RemoveRequest& request) {
  context.break_off_on_stop();
  Removal removal(context, request);
  if (!request.recursive) return removal.one(parse_object_uri(request.uri));
  const Location where = parse_location(request.uri);
  if (where.kind != Location::Kind::remote)
    throw Error(ErrorKind::invalid, fmt::format("'{}' is not an S3 URI", escape_name(request.uri)), {},
                "write s3://bucket/prefix");
  return removal.recursive(where.object);
}

}  // namespace bale::cli
