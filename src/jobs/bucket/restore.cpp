#include "jobs/bucket/restore.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/bucket/evidence.hpp"
#include "jobs/bucket/marks.hpp"
#include "transfer/archived_object.hpp"
#include "transfer/stream_copy.hpp"

namespace bale::bucket {
namespace {

using namespace std::chrono_literals;

/// S3's codes for a source whose bytes lie in an archive.
bool is_archived(const Error& error) {
  return error.code() == "InvalidObjectState" || error.code() == "ObjectNotInActiveTierError";
}

/// What a listing knows of where an object lies: of INTELLIGENT_TIERING nothing.
std::optional<Archive> listed_archive(const store::ListedObject& object) {
  return archive_of(object.storage_class, {});
}

/// The objects of a bucket that is yet to be made.
class NoObjects final : public store::ObjectSequence {
 public:
  const store::ListedObject* next() override { return nullptr; }
  std::uint64_t requests() const noexcept override { return 0; }
};

/// A source that is written again and again is read this often before its copy fails.
constexpr int most_attempts = 5;

std::optional<Evidence> judge(const Pair& pair) { return judge_listed(pair, {.level = Level::checksum, .since = {}}); }

}  // namespace

/// Runs tasks on threads of its own, a bounded number of them ahead of the listing.
class BucketRestore::Workers {
 public:
  Workers(BucketRestore& restore, std::size_t threads) : restore_(restore), pool_(threads, "restore") {}
  void start(Task task) {
    group_.wait_until_at_most(2 * pool_.size());
    group_.run(pool_, [this, task = std::move(task)] { restore_.run(task); });
  }
  void wait() { group_.wait(); }

 private:
  BucketRestore& restore_;
  flow::ThreadPool pool_;
  flow::TaskGroup group_;
};

BucketRestore::BucketRestore(Side backup, Side destination, RestoreOptions options, RestoreTools tools,
                             RestoreListener listener)
    : backup_(std::move(backup)),
      destination_(std::move(destination)),
      options_(std::move(options)),
      tools_(tools),
      listener_(std::move(listener)),
      requested_(options_.tier, options_.days) {}

RestoreEstimate BucketRestore::requested() const {
  const Lock lock(mutex_);
  return requested_;
}

std::uint64_t BucketRestore::waiting() const {
  return tools_.journal == nullptr || options_.dryrun ? counts_.waiting.load() : tools_.journal->waiting();
}

void BucketRestore::check_stop() const {
  if (world().stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while restoring");
}

bool BucketRestore::is_wanted(std::string_view name) const { return !options_.is_wanted || options_.is_wanted(name); }

ListedPlace BucketRestore::place(const Side& side) const {
  return {*side.store,
          side.bucket,
          {.prefix = side.prefix, .stop = world().stop},
          tools_.listing,
          std::max<std::size_t>(tools_.listers, 1)};
}

std::unique_ptr<BackupSequence> BucketRestore::whole_backup() const {
  return list_backup(place(backup_), options_.as_of);
}

/// The backup behind a key, which is read only as far as it is needed.
std::unique_ptr<BackupSequence> BucketRestore::backup_from(const std::string& after_key) const {
  ListedPlace where = place(backup_);
  where.options.start_after = after_key;
  where.listers = 1;
  return list_backup(where, options_.as_of);
}

std::unique_ptr<store::ObjectSequence> BucketRestore::destination() const {
  if (!options_.has_destination) return std::make_unique<NoObjects>();
  return list_objects(place(destination_));
}

RestorePlan BucketRestore::plan() {
  RestorePlan plan{.archived = RestoreEstimate(options_.tier, options_.days)};
  const auto backup = whole_backup();
  const auto there = destination();
  const auto known = tools_.journal == nullptr ? nullptr : tools_.journal->copies();
  Difference difference({*backup, backup_.prefix}, {*there, destination_.prefix}, known.get());
  const TimePoint now = world().clock.now();
  while (const Pair* pair = difference.next()) {
    check_stop();
    if (pair->left == nullptr || !is_wanted(pair->name)) continue;
    ++plan.objects;
    const auto evidence = judge(*pair);
    if (evidence && evidence->verdict == Verdict::same) {
      ++plan.same;
      continue;
    }
    const store::ListedObject& object = *pair->left;
    plan.copy_dollars += copy_dollars(object.storage_class, options_.storage_class, object.size);
    const Readiness readiness = readiness_of(object, options_.tells_restores, now);
    const auto archive = listed_archive(object);
    if (readiness == Readiness::coming) {
      ++plan.coming;
    } else if (archive && readiness != Readiness::readable) {
      plan.archived.add(*archive, object.size);
    } else {
      ++(readiness == Readiness::unknown ? plan.unsettled : plan.to_copy);
      plan.bytes_to_copy += object.size;
    }
  }
  return plan;
}

void BucketRestore::probe_tags() {
  if (!options_.with_tags) return;
  const auto backup = backup_from({});
  const store::ListedObject* first = backup->next();
  while (first != nullptr && is_own_key(first->key.str())) first = backup->next();
  if (first == nullptr) return;
  const ObjectAddress object{backup_.bucket, first->key};
  try {
    backup_.store->get_tags(object, backup->version());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied) return;  // what is wrong with this object alone is found out later
    throw Error(ErrorKind::denied, "the tags of the backup cannot be read, so nobody knows what is marked as deleted",
                to_uri(object), "grant s3:GetObjectTagging, or restore everything with --include-deleted --no-tags")
        .with_code(error.code())
        .with_cause(error);
  }
}

BucketRestore::Task BucketRestore::task_of(std::string_view name, const store::ListedObject& listed,
                                           const VersionId& version, std::string after_key) const {
  Task task;
  task.name = std::string(name);
  task.version = version;
  task.after_key = std::move(after_key);
  task.etag = listed.etag;
  task.size = listed.size;
  task.modified = listed.last_modified;
  task.storage_class = listed.storage_class;
  return task;
}

/// Settles what listings alone can settle. Returns whether more is to be done; then the task has what they tell.
bool BucketRestore::consider(const Pair& pair, Task& task) {
  if (pair.right != nullptr) {
    const auto evidence = judge(pair);
    if (evidence && evidence->verdict == Verdict::same) {
      tell(task, RestoreFate::same);
      return false;
    }
    task.there = pair.right->etag;
    task.is_judged = evidence.has_value();
    const bool is_ours =
        pair.known != nullptr && !pair.right->etag.empty() && pair.known->copy_etag == pair.right->etag;
    task.may_replace = options_.overwrite || is_ours;
  }
  if (task.there && (!task.is_judged || !task.may_replace)) return true;
  if (readiness_of(*pair.left, options_.tells_restores, world().clock.now()) != Readiness::coming) return true;
  await(task, listed_archive(*pair.left), RestoreFate::waiting);
  return false;
}

void BucketRestore::pass() {
  if (tools_.journal != nullptr && !options_.dryrun) {
    tools_.journal->begin();
    tools_.journal->forget_waiting();
  }
  const auto backup = whole_backup();
  const auto there = destination();
  const auto known = tools_.journal == nullptr ? nullptr : tools_.journal->copies();
  Difference difference({*backup, backup_.prefix}, {*there, destination_.prefix}, known.get());
  Workers workers(*this, tools_.tools.at_once);
  std::string before;
  while (const Pair* pair = difference.next()) {
    check_stop();
    if (pair->left == nullptr || !is_wanted(pair->name)) continue;
    ++counts_.objects;
    Task task = task_of(pair->name, *pair->left, backup->version(), before);
    before = pair->left->key.str();
    if (!consider(*pair, task)) continue;
    if (options_.most_objects && started_ >= *options_.most_objects) break;
    ++started_;
    workers.start(std::move(task));
  }
  workers.wait();
  counts_.newer = backup->newer();
  check_stop();
}

bool BucketRestore::poll() {
  constexpr std::size_t rows = 1000;
  wait_ = std::min(options_.most_poll, wait_ == 0ms ? Milliseconds(1s) : 2 * wait_);
  if (!world().clock.sleep_for(wait_, world().stop)) check_stop();
  const std::uint64_t before = counts_.restored;
  {
    Workers workers(*this, tools_.tools.at_once);
    std::optional<std::string> last;
    for (;;) {
      const auto objects = tools_.journal->waiting_after(last, rows);
      if (objects.empty()) break;
      poll_some(objects, workers);
      last = objects.back().name;
    }
    workers.wait();
  }
  check_stop();
  if (counts_.restored > before) wait_ = std::min<Milliseconds>(wait_, 30s);
  return tools_.journal->waiting() > 0;
}

/// Looks for awaited objects in listings that begin right before them.
void BucketRestore::poll_some(const std::vector<WaitingObject>& objects, Workers& workers) {
  constexpr std::size_t page = 1000;  // keys that are read through rather than begun after
  std::unique_ptr<BackupSequence> listing;
  const store::ListedObject* object = nullptr;
  const auto begin = [&](const WaitingObject& at) {
    listing = backup_from(at.after_key);
    object = listing->next();
  };
  for (const WaitingObject& waiting : objects) {
    check_stop();
    const std::string key = backup_.prefix + waiting.name;
    if (!listing) begin(waiting);
    for (std::size_t i = 0; object != nullptr && object->key.str() < key; ++i) {
      if (i > 0 && i % page == 0 && waiting.after_key > object->key.str())
        begin(waiting);
      else
        object = listing->next();
    }
    Task task;
    task.name = waiting.name;
    if (object != nullptr && object->key.str() == key)
      task = task_of(waiting.name, *object, listing->version(), waiting.after_key);
    task.is_awaited = true;
    task.may_replace = true;
    if (!waiting.there.empty()) task.there = waiting.there;
    if (object == nullptr || object->key.str() != key) {
      tell(task, RestoreFate::gone);
    } else if (readiness_of(*object, options_.tells_restores, world().clock.now()) != Readiness::coming) {
      workers.start(std::move(task));
    }
  }
}

void BucketRestore::run(const Task& task) {
  if (world().stop.stop_requested()) return;
  try {
    const flow::AdaptiveLimit::Place place(tools_.limit, world().stop);
    settle(task);
    tools_.limit.succeeded();
  } catch (...) {
    const Error error = current_error();
    if (error.kind() == ErrorKind::cancelled && world().stop.stop_requested()) return;
    tell(task, RestoreFate::failed, {}, &error);
  }
}

bool BucketRestore::is_same_by_content(const Task& task) {
  const auto left = backup_.store->head(backup_.at(task.name), {.version_id = task.version, .with_evidence = true});
  const auto right = destination_.store->head(destination_.at(task.name), {.with_evidence = true});
  if (!left || !right || judge_content(*left, *right).verdict != Verdict::same) return false;
  if (tools_.journal != nullptr && !options_.dryrun) {
    tools_.journal->note_copied({.name = task.name,
                                 .source_etag = left->etag,
                                 .source_version = left->version_id,
                                 .size = left->size,
                                 .source_modified = task.modified,
                                 .copy_etag = right->etag,
                                 .origin = Origin::checksum,
                                 .noted = world().clock.now()});
  }
  return true;
}

void BucketRestore::settle(const Task& task, int attempt) {
  if (!task.is_judged && is_same_by_content(task)) return tell(task, RestoreFate::same);
  if (destination_.at(task.name).key.empty()) {
    throw Error(ErrorKind::invalid, "the object has the name of the backup's prefix, and would have none", {},
                "restore below a prefix: s3://bucket/prefix/");
  }
  const auto info = backup_.store->head(backup_.at(task.name), {.version_id = task.version, .if_match = {}});
  if (!info) return tell(task, RestoreFate::gone);
  const auto tags = tags_to_keep(task, *info);
  if (!tags) return tell(task, RestoreFate::deleted);
  if (task.there && !task.may_replace) {
    throw Error(ErrorKind::precondition, "the destination has another object of this name",
                to_uri(destination_.at(task.name)), "give --overwrite to replace it");
  }
  const auto archive = archive_of(info->storage_class, info->archive_status);
  switch (readiness_of(*info, world().clock.now())) {
    case Readiness::coming: return await(task, archive, RestoreFate::waiting);
    case Readiness::archived: return request(task, *archive, info->size);
    default: return restore_readable(task, *info, *tags, attempt);
  }
}

std::optional<store::Tags> BucketRestore::tags_to_keep(const Task& task, const store::ObjectInfo& info) {
  if (!options_.with_tags || info.tag_count == 0) return store::Tags();
  store::Tags tags;
  try {
    tags = backup_.store->get_tags(backup_.at(task.name), task.version);
  } catch (const Error&) {
    ++counts_.tag_failures;
    throw;
  }
  if (is_marked(tags) && !options_.include_deleted) {
    const auto at = deleted_at(tags);
    // A mark without a time that can be read counts at any time.
    if (!options_.as_of || !at || *at <= *options_.as_of) return std::nullopt;
  }
  return without_marks(std::move(tags));
}

/// Copies an object; requests it where it turns out to be archived after all: a restored copy may expire meanwhile.
void BucketRestore::restore_readable(const Task& task, const store::ObjectInfo& info, const store::Tags& tags,
                                     int attempt) {
  try {
    copy(task, info, tags);
  } catch (const Error& error) {
    const auto archive = archive_of(info.storage_class, info.archive_status);
    if (is_archived(error) && archive) return request(task, *archive, info.size);
    const bool is_gone = error.code() == "NoSuchKey" || error.code() == "NoSuchVersion";
    if (error.kind() == ErrorKind::precondition && is_written_by_another(task, info, error))
      return tell(task, RestoreFate::same);
    if ((error.kind() != ErrorKind::precondition && !is_gone) || attempt == most_attempts) throw;
    settle(task, attempt + 1);  // the source was replaced or deleted since: it is looked at again
  }
}

/// Decides what a condition of a copy failed for. Returns true where the destination has the content already: another
/// restore wrote it, or this one, whose response was lost. Throws where it has something else now; false where it is as
/// it was: then the source is not.
bool BucketRestore::is_written_by_another(const Task& task, const store::ObjectInfo& info, const Error& error) {
  const auto found = destination_.store->head(destination_.at(task.name));
  const std::optional<ETag> now = found ? std::optional(found->etag) : std::nullopt;
  if (now == task.there) return false;
  if (found && found->etag == info.etag && found->size == info.size) return true;
  throw Error(ErrorKind::precondition, "somebody else wrote the destination meanwhile",
              to_uri(destination_.at(task.name)), "give --overwrite to replace what is there")
      .with_code(error.code())
      .with_cause(error);
}

void BucketRestore::copy(const Task& task, const store::ObjectInfo& info, const store::Tags& tags) {
  if (options_.dryrun) {
    counts_.bytes += info.size;
    return tell(task, RestoreFate::restored);
  }
  transfer::CopyOptions how;
  how.storage_class = options_.storage_class;
  how.tags = tags;
  if (task.there)
    how.conditions.if_match = *task.there;
  else
    how.conditions.if_none_match = true;
  const store::PutResult result = send(task, info, how);
  if (tools_.journal != nullptr) {
    tools_.journal->note_copied({.name = task.name,
                                 .source_etag = info.etag,
                                 .source_version = info.version_id,
                                 .size = info.size,
                                 .source_modified = task.modified,
                                 .copy_etag = result.etag,
                                 .origin = Origin::copied,
                                 .noted = world().clock.now()});
  }
  counts_.bytes += info.size;
  tools_.tools.progress.bytes_done += info.size;
  tell(task, RestoreFate::restored);
}

store::PutResult BucketRestore::send(const Task& task, const store::ObjectInfo& info,
                                     const transfer::CopyOptions& how) const {
  const Tools& tools = tools_.tools;
  if (options_.through_program) {
    const transfer::StreamCopy stream{.pass = {}, .stop = world().stop};
    return transfer::stream_copy(*backup_.store, backup_.at(task.name), info, *destination_.store,
                                 destination_.at(task.name), how, stream, tools.pools.connections, tools.budget);
  }
  return transfer::copy_known(*backup_.store, backup_.at(task.name), info, *destination_.store,
                              destination_.at(task.name), how, tools.pools.connections, world().stop);
}

/// Returns whether the request stays below the limit; then its price is taken.
bool BucketRestore::take_dollars(Archive archive, ByteCount size) {
  const Lock lock(mutex_);
  RestoreEstimate with = requested_;
  with.add(archive, size);
  if (options_.most_dollars && with.dollars() > *options_.most_dollars) return false;
  requested_ = with;
  return true;
}

void BucketRestore::request(const Task& task, Archive archive, ByteCount size) {
  if (!has_tier(archive, options_.tier)) {
    throw Error(
        ErrorKind::invalid, fmt::format("objects in {} cannot be restored with the tier Expedited", name_of(archive)),
        to_uri(backup_.at(task.name)), "use --tier Standard (12 hours) or --tier Bulk (48 hours, the cheapest)");
  }
  if (!take_dollars(archive, size)) return tell(task, RestoreFate::over_limit, archive);
  if (options_.dryrun) return await(task, archive, RestoreFate::requested);
  const transfer::RestoreRequest request{.days = options_.days, .tier = to_string(options_.tier)};
  const auto outcome =
      transfer::request_restore(*backup_.store, backup_.at(task.name), task.version, task.storage_class, request);
  // Somebody else's request, or one of an earlier run, which the listing did not tell.
  if (outcome != transfer::RestoreOutcome::requested) return await(task, archive, RestoreFate::waiting);
  const bool is_again =
      tools_.journal != nullptr && tools_.journal->note_requested(task.name, task.version, world().clock.now());
  if (is_again) ++counts_.requested_again;
  await(task, archive, RestoreFate::requested, is_again);
}

void BucketRestore::await(const Task& task, std::optional<Archive> archive, RestoreFate fate, bool is_again) {
  ++counts_.waiting;
  if (tools_.journal != nullptr && !options_.dryrun)
    tools_.journal->await({task.name, task.version, task.after_key, task.there.value_or(ETag())});
  tell(task, fate, archive, nullptr, is_again);
}

void BucketRestore::tell(const Task& task, RestoreFate fate, std::optional<Archive> archive, const Error* error,
                         bool is_again) {
  const bool is_settled = fate != RestoreFate::waiting && fate != RestoreFate::requested;
  if (is_settled && task.is_awaited) tools_.journal->end_wait(task.name);
  switch (fate) {
    case RestoreFate::restored: ++counts_.restored; break;
    case RestoreFate::same: ++counts_.same; break;
    case RestoreFate::deleted: ++counts_.deleted; break;
    case RestoreFate::requested: ++counts_.requested; break;
    case RestoreFate::waiting: break;
    case RestoreFate::over_limit: ++counts_.over_limit; break;
    case RestoreFate::gone: ++counts_.gone; break;
    case RestoreFate::failed: ++counts_.failed; break;
  }
  if (fate == RestoreFate::failed)
    ++tools_.tools.progress.items_failed;
  else if (is_settled && fate != RestoreFate::same)
    ++tools_.tools.progress.items_done;
  const Lock lock(listener_mutex_);
  listener_({.fate = fate,
             .from = backup_.at(task.name),
             .to = destination_.at(task.name),
             .version = task.version,
             .size = task.size,
             .storage_class = task.storage_class,
             .archive = archive,
             .is_again = is_again,
             .error = error});
}

}  // namespace bale::bucket
