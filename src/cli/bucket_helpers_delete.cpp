// bale bucket delete-keys
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "base/text.hpp"
#include "cli/bucket_helpers.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"
#include "flow/item_runner.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr ByteCount most_list_bytes = 1 << 30;  // of --keys

/// Thrown to end a listing that has shown enough.
struct Enough {};

/// One run of the command.
class KeyDeletion {
 public:
  KeyDeletion(Context& context, const DeleteKeysOptions& options)
      : context_(context),
        options_(options),
        where_(parse_s3_uri(options.uri)),
        wanted_(parse_wanted_tags(options.tags)) {}

  int run() {
    require_bucket(context_, where_.bucket);
    if (options_.keys.empty() && wanted_.empty()) return delete_all();
    const std::vector<std::string> keys = wanted_.empty() ? listed_keys() : tagged();
    check_count(keys.size());
    if (failed_ == 0) check_yes(keys.size());
    return failed_ > 0 ? refuse() : delete_these(keys);
  }

 private:
  bool is_dryrun() const { return context_.options().dryrun; }

  void check_count(std::uint64_t count) const {
    if (count <= options_.max_deleted || is_dryrun()) return;
    throw Error(
        ErrorKind::precondition,
        fmt::format("more than --max-deleted {} would be deleted", format_count(options_.max_deleted, "object")),
        escape_name(options_.uri), "look with --dryrun, then raise --max-deleted");
  }

  void check_yes(std::uint64_t count) const {
    if (options_.yes || is_dryrun()) return;
    throw Error(ErrorKind::precondition, fmt::format("{} would be deleted", format_count(count, "object")),
                escape_name(options_.uri), "add --yes to delete, or --dryrun to see what");
  }

  /// What could not be looked at is perhaps to stay: nothing is deleted.
  int refuse() const {
    emit_warning(context_,
                 fmt::format("nothing was deleted: the tags of {} could not be read", format_count(failed_, "object")));
    return exit_some_failed;
  }

  template <typename Each>
  std::uint64_t count(Each for_each) {
    std::uint64_t found = 0;
    try {
      for_each(context_, where_.bucket, where_.key.str(), [&](const auto&) {
        if (++found > options_.max_deleted && !is_dryrun()) throw Enough();
      });
    } catch (const Enough&) {
    }
    return found;
  }

  int delete_all() {
    if (options_.delete_bucket && !where_.key.empty())
      throw Error(ErrorKind::invalid, "only a whole bucket can be deleted", escape_name(options_.uri));
    const std::string& prefix = where_.key.str();
    if (!prefix.empty() && !prefix.ends_with('/')) {
      throw Error(ErrorKind::invalid, "the prefix does not end with '/'", escape_name(options_.uri),
                  "write s3://bucket/prefix/, or name keys with --keys");
    }
    const std::uint64_t found = options_.versions ? count(for_each_version) : count(for_each_object);
    check_count(found);
    check_yes(found);
    int status = exit_ok;
    if (found > 0) {
      RemoveRequest request{.uri = options_.uri, .recursive = true, .all_versions = options_.versions};
      status = remove_objects(context_, request);
    }
    if (status == exit_ok && options_.delete_bucket) delete_bucket();
    return status;
  }

  void delete_bucket() {
    if (!is_dryrun()) context_.store(context_.region()).delete_bucket(where_.bucket);
    emit(context_, {{"type", is_dryrun() ? "dryrun" : "deleted"}, {"bucket", where_.bucket.str()}},
         fmt::format("{}remove_bucket: {}", is_dryrun() ? "(dryrun) " : "", escape_name(where_.bucket.str())));
  }

  /// The keys of the file, each below the prefix, if there is one.
  std::vector<std::string> listed_keys() {
    const std::string text = os::read_text_file(context_.world().files, options_.keys, most_list_bytes);
    std::vector<std::string> keys;
    for (std::string_view line : split(text, '\n')) {
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) continue;
      if (!line.starts_with(where_.key.str())) {
        throw Error(ErrorKind::invalid, fmt::format("the key {} is not below the prefix", escape_name(line)),
                    escape_name(options_.keys));
      }
      keys.emplace_back(line);
    }
    return keys;
  }

  /// The keys of the file, or all of the listing, that have the tags: at most one more than may be deleted.
  std::vector<std::string> tagged() {
    flow::ItemRunner runner(context_.options().connections, context_.stop());
    const auto look = [&](const std::string& key) {
      if (is_over_limit()) throw Enough();
      runner.run([this, key] {
        if (!is_tagged(key)) return;
        const Lock lock(mutex_);
        tagged_.push_back(key);
      });
    };
    try {
      if (options_.keys.empty())
        for_each_object(context_, where_.bucket, where_.key.str(),
                        [&](const store::ListedObject& object) { look(object.key.str()); });
      else
        for (const std::string& key : listed_keys()) look(key);
    } catch (const Enough&) {  // check_count() refuses
    }
    runner.wait();
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    const auto failures = runner.failures();  // of the output
    if (!failures.empty()) throw failures.front().error;
    const Lock lock(mutex_);
    std::sort(tagged_.begin(), tagged_.end());
    return std::move(tagged_);
  }

  bool is_over_limit() {
    const Lock lock(mutex_);
    return !is_dryrun() && tagged_.size() > options_.max_deleted;
  }

  bool is_tagged(const std::string& key) {
    const ObjectAddress object{where_.bucket, ObjectKey(key)};
    try {
      return has_tags(context_.store(context_.region()).get_tags(object), wanted_);
    } catch (...) {
      const Error error = current_error();
      if (error.code() == "NoSuchKey") return false;
      ++failed_;
      emit_failure(context_, "tags of " + escape_name(to_uri(object)), error);
      return false;
    }
  }

  int delete_these(const std::vector<std::string>& keys) {
    store::ObjectStore& store = context_.store(context_.region());
    for (std::size_t first = 0; first < keys.size(); first += store::max_removed_at_once) {
      if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
      std::vector<store::ObjectToRemove> batch;
      for (std::size_t i = first; i < std::min(keys.size(), first + store::max_removed_at_once); ++i)
        batch.push_back({.key = ObjectKey(keys[i])});
      const auto outcomes = is_dryrun() ? std::vector<store::RemoveOutcome>(batch.size()) : remove(store, batch);
      for (std::size_t i = 0; i < batch.size(); ++i) tell({where_.bucket, batch[i].key}, outcomes[i]);
    }
    emit(context_, {{"type", "summary"}, {"deleted", deleted_}, {"failed", failed_.load()}, {"dryrun", is_dryrun()}},
         fmt::format("{}{} deleted, {} failed", is_dryrun() ? "(dryrun) " : "", format_count(deleted_, "object"),
                     format_count(failed_)));
    return failed_ > 0 ? exit_some_failed : exit_ok;
  }

  std::vector<store::RemoveOutcome> remove(store::ObjectStore& store, const std::vector<store::ObjectToRemove>& batch) {
    try {
      return store.remove_all(where_.bucket, batch);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported) throw;
    }
    std::vector<store::RemoveOutcome> outcomes;
    for (const store::ObjectToRemove& object : batch) {
      try {
        outcomes.push_back({.result = store.remove({where_.bucket, object.key})});
      } catch (const Error& error) {
        outcomes.push_back({.result = {}, .error = error});
      }
    }
    return outcomes;
  }

  void tell(const ObjectAddress& object, const store::RemoveOutcome& outcome) {
    if (outcome.error) {
      ++failed_;
      return emit_failure(context_, "delete failed: " + escape_name(to_uri(object)), *outcome.error);
    }
    ++deleted_;
    Json line{{"type", is_dryrun() ? "dryrun" : "deleted"}, {"operation", "delete"}, {"bucket", object.bucket.str()}};
    add_name(line, "key", object.key.str());
    emit(context_, line, fmt::format("{}delete: {}", is_dryrun() ? "(dryrun) " : "", escape_name(to_uri(object))));
  }

  Context& context_;
  const DeleteKeysOptions& options_;
  const ObjectAddress where_;
  const WantedTags wanted_;
  std::atomic<std::uint64_t> failed_{0};
  std::uint64_t deleted_ = 0;
  Mutex mutex_;
  std::vector<std::string> tagged_ BALE_GUARDED_BY(mutex_);
};

}  // namespace

int bucket_delete_keys(Context& context, const DeleteKeysOptions& options) {
  context.break_off_on_stop();
  return KeyDeletion(context, options).run();
}

}  // namespace bale::cli
