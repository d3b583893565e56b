// bale s3 rm
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/hash.hpp"
#include "base/mutex.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"
#include "flow/item_runner.hpp"

namespace bale::cli {
namespace {

/// An object or version that a listing gave.
struct Listed {
  ObjectAddress object;
  VersionId version;
  bool is_delete_marker = false;
  TimePoint last_modified{};
};

/// A number for an object or version, to know it again.
std::uint64_t number_of(const Listed& listed) {
  return xxh64(as_bytes(fmt::format("{}\n{}", listed.version.str(), listed.object.key.str())));
}

/// Objects in one request. S3 takes 1,000; servers that delete them one after the other (Ceph RGW 16 does) are faster
/// with several requests at the same time.
constexpr std::size_t removed_at_once = 250;

/// Removes objects, many in one request and several requests at a time.
class Removal {
 public:
  Removal(Context& context, const RemoveRequest& request) : context_(context), request_(request) {}

  int one(const ObjectAddress& object) {
    remove(object, VersionId(request_.version_id));
    return exit_ok;
  }

  /// Lists and removes until a listing gives nothing more: the listings of some servers end early.
  int recursive(const ObjectAddress& where) {
    require_bucket(context_, where.bucket);
    {
      const ProgressPrinter printer(context_, progress_, "deleting");
      std::optional<TimePoint> until;
      while (remove_listed(where, until) && !context_.options().dryrun) {
        // By the server's clock: what is newer came meanwhile, and nobody asked for its removal.
        if (!until) until = newest_;
      }
    }
    if (const auto error = end_.error()) throw ended_run(*error, {progress_.items_done, left()}, "deleted");
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    require_any(where);
    if (newer_ > 0) {
      emit_warning(context_,
                   fmt::format("{} newer than all that was listed first left: run the command again to remove them",
                               format_count(newer_, request_.all_versions ? "version" : "object")));
    }
    return progress_.items_failed == 0 ? exit_ok : exit_some_failed;
  }

 private:
  /// Throws Error{not_found} if there was nothing to remove: the prefix may be misspelt.
  void require_any(const ObjectAddress& where) const {
    if (found_ > 0) return;
    throw Error(ErrorKind::not_found, std::string(nothing_found(request_.filters)), escape_name(to_uri(where)),
                "`bale s3 ls` shows what there is");
  }

  /// What was listed and is still there.
  std::uint64_t left() const {
    const std::uint64_t settled = progress_.items_done + progress_.items_failed;
    return found_ - std::min<std::uint64_t>(found_, settled);
  }

  /// Removes what one listing gives, but for what is newer than `until`. Returns whether anything was tried.
  bool remove_listed(const ObjectAddress& where, const std::optional<TimePoint>& until) {
    const std::string prefix = as_directory(where.key.str());
    newer_ = 0;
    std::unordered_set<std::uint64_t> tried;
    bool any = false;
    {
      flow::ItemRunner runner(context_.options().connections);
      std::vector<Listed> batch;
      const auto flush = [&] {
        if (batch.empty()) return;
        runner.run(
            [this, items = std::exchange(batch, {}), again = until.has_value()] { try_remove_all(items, again); });
      };
      const auto start = [&](const Listed& listed) {
        if (!is_wanted(request_.filters, std::string_view(listed.object.key.str()).substr(prefix.size()))) return;
        if (is_settled(listed)) return;
        if (until && listed.last_modified > *until) return void(++newer_);
        newest_ = std::max(newest_, listed.last_modified);
        any = true;
        ++found_;
        if (end_.is_over()) return;  // counted as left
        if (until) tried.insert(number_of(listed));
        batch.push_back(listed);
        if (batch.size() == removed_at_once) flush();
      };
      if (request_.all_versions) {
        for_each_version(context_, where.bucket, prefix, [&](const store::ListedVersion& v) {
          start({{where.bucket, v.key}, v.version_id, v.is_delete_marker, v.last_modified});
        });
      } else {
        for_each_object(context_, where.bucket, prefix, [&](const store::ListedObject& o) {
          start({{where.bucket, o.key}, {}, false, o.last_modified});
        });
      }
      flush();
    }
    tried_ = std::move(tried);
    return any && !context_.stop().stop_requested() && !end_.is_over();
  }

  /// Whether to skip the item: its removal failed, which was reported before or is reported now.
  bool is_settled(const Listed& listed) {
    const std::uint64_t number = number_of(listed);
    {
      const Lock lock(mutex_);
      if (failed_.contains(number)) return true;
    }
    if (!tried_.contains(number)) return false;
    tell_still_listed(listed);
    const Lock lock(mutex_);
    failed_.insert(number);
    return true;
  }

  /// Reports an item that was removed, and that the last two listings returned nevertheless.
  void tell_still_listed(const Listed& listed) {
    const std::string uri = escape_name(to_uri(listed.object));
    store::ObjectStore& store = context_.store(context_.region());
    if (!listed.is_delete_marker && !store.head(listed.object, {.version_id = listed.version, .if_match = {}}))
      return emit_warning(context_, fmt::format("{} is gone, and the server goes on listing it", uri));
    ++progress_.items_failed;
    emit_failure(context_, "delete failed: " + uri,
                 Error(ErrorKind::precondition, "it is still there after the server said that it is removed"));
  }

  /// Removes items of one bucket with one request, or one by one where the server has no such request. `again`: the
  /// items were tried before, if a listing before gave them.
  void try_remove_all(const std::vector<Listed>& items, bool again) noexcept {
    if (is_over()) return;
    if (context_.options().dryrun || items.size() == 1 || has_no_batches_) return try_each(items, again);
    try {
      std::vector<store::ObjectToRemove> objects;
      for (const Listed& listed : items) objects.push_back({listed.object.key, listed.version});
      const auto outcomes = context_.store(context_.region()).remove_all(items.front().object.bucket, objects);
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (outcomes[i].error)
          fail(items[i], *outcomes[i].error, again);
        else
          tell(items[i].object, items[i].version, outcomes[i].result);
      }
    } catch (...) {
      const Error error = current_error();
      if (error.kind() == ErrorKind::unsupported) {
        has_no_batches_ = true;
        return try_each(items, again);
      }
      for (const Listed& listed : items) fail(listed, error, again);
    }
  }

  void try_each(const std::vector<Listed>& items, bool again) noexcept {
    for (const Listed& listed : items) {
      if (is_over()) return;
      try {
        remove(listed.object, listed.version);
      } catch (...) {
        fail(listed, current_error(), again);
      }
    }
  }

  bool is_over() const { return context_.stop().stop_requested() || end_.is_over(); }

  void fail(const Listed& listed, const Error& error, bool again) {
    if (error.kind() == ErrorKind::cancelled && context_.stop().stop_requested()) return;
    if (end_.take(error)) return;
    // Perhaps it is gone: the next listing tells.
    if (error.kind() == ErrorKind::not_found && !again) return;
    ++progress_.items_failed;
    emit_failure(context_, "delete failed: " + escape_name(to_uri(listed.object)), error);
    const Lock lock(mutex_);
    failed_.insert(number_of(listed));
  }

  void remove(const ObjectAddress& object, const VersionId& version) {
    const bool dryrun = context_.options().dryrun;
    if (dryrun && !request_.recursive) require_bucket(context_, object.bucket);
    tell(object, version, dryrun ? store::DeleteResult{} : context_.store(context_.region()).remove(object, version));
  }

  /// Reports what was removed, or would have been.
  void tell(const ObjectAddress& object, const VersionId& version, const store::DeleteResult& result) {
    const bool dryrun = context_.options().dryrun;
    nlohmann::ordered_json line = {
        {"type", dryrun ? "dryrun" : "deleted"}, {"operation", "delete"}, {"bucket", object.bucket.str()}};
    add_name(line, "key", object.key.str());
    if (result.delete_marker) line["delete_marker"] = true;
    if (!result.version_id.empty()) line["version_id"] = result.version_id.str();
    ++progress_.items_done;
    emit(context_, line,
         fmt::format("{}delete: {}{}", dryrun ? "(dryrun) " : "", escape_name(to_uri(object)),
                     version.empty() ? "" : fmt::format(" (version {})", version.str())));
  }

  Context& context_;
  const RemoveRequest& request_;
  flow::RunEnd end_;
  std::atomic<bool> has_no_batches_{false};  ///< the server refuses DeleteObjects
  flow::Progress progress_;
  std::uint64_t found_ = 0;                  ///< objects or versions that are to be removed
  TimePoint newest_{};                       ///< of what the first listing gave
  std::uint64_t newer_ = 0;                  ///< that the last listing gave and that were left
  std::unordered_set<std::uint64_t> tried_;  ///< after the listing before, unless that was the first
  Mutex mutex_;
  std::unordered_set<std::uint64_t> failed_ BALE_GUARDED_BY(mutex_);  ///< and were told
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
