#include "jobs/bucket/backup.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "flow/item_runner.hpp"
#include "jobs/bucket/tag_deleted.hpp"
#include "os/target.hpp"

namespace bale::bucket {
namespace {

TimePoint whole_seconds(TimePoint time) { return std::chrono::floor<std::chrono::seconds>(time); }

/// The entry of a copy that has the content of a listed source.
JournalEntry entry_of(std::string name, const store::ListedObject& source, const store::ListedObject& copy,
                      Origin origin) {
  return {.name = std::move(name),
          .source_etag = source.etag,
          .source_version = {},
          .size = source.size,
          .source_modified = whole_seconds(source.last_modified),
          .copy_etag = copy.etag,
          .origin = origin};
}

JournalEntry entry_of(std::string name, const Copied& copied) {
  return {.name = std::move(name),
          .source_etag = copied.source.etag,
          .source_version = copied.source.version_id,
          .size = copied.source.size,
          .source_modified = whole_seconds(copied.source.last_modified),
          .copy_etag = copied.copy.etag,
          .origin = Origin::copied};
}

/// Whether every other object would fail likewise.
bool ends_run(const Error& error) {
  constexpr std::array<std::string_view, 7> codes{
      "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId",   "InvalidToken",
      "NoSuchBucket", "RequestTimeTooSkewed",  "SignatureDoesNotMatch"};
  return std::find(codes.begin(), codes.end(), error.code()) != codes.end() || os::is_of_whole_target(error);
}

}  // namespace

std::string_view to_string(CopyReason reason) noexcept {
  switch (reason) {
    case CopyReason::missing: return "missing";
    case CopyReason::changed: return "changed";
    case CopyReason::rewritten: return "rewritten";
    case CopyReason::unproven: return "unproven";
    case CopyReason::asked: break;
  }
  return "asked";
}

Decision decide(const Pair& pair, const ListedRules& rules) {
  using Action = Decision::Action;
  if (pair.right == nullptr) return {Action::copy, CopyReason::missing};
  const store::ListedObject &source = *pair.left, &copy = *pair.right;
  if (source.size != copy.size) return {Action::copy, CopyReason::changed};
  if (pair.known != nullptr && is_of(*pair.known, source, copy)) return {Action::none};
  const bool is_own_copy =
      pair.known != nullptr && pair.known->origin != Origin::none && pair.known->copy_etag == copy.etag;
  // The copy is what the journal knows, so that the source is another one now.
  if (is_own_copy && pair.known->source_etag != source.etag) return {Action::copy, CopyReason::changed};
  if (is_own_copy) return {Action::copy, CopyReason::rewritten};
  const auto evidence = judge_listed(pair, rules);
  if (!evidence) return {Action::compare};
  if (evidence->verdict != Verdict::same) {
    const bool is_other = evidence->verdict == Verdict::differs;
    return {Action::copy, is_other ? CopyReason::changed : CopyReason::unproven};
  }
  if (copy.last_modified < source.last_modified) return {Action::copy, CopyReason::rewritten};
  const bool is_by_etag = evidence->by == "etag";
  return {Action::note, CopyReason::missing, is_by_etag ? Origin::etag : Origin::time};
}

class Backup::Work {
 public:
  Work(const BackupRequest& request, JournalKeeper& journal, flow::AdaptiveLimit& limit, const Tools& tools,
       BackupEvents events)
      : request_(request),
        journal_(journal),
        limit_(limit),
        tools_(tools),
        events_(std::move(events)),
        copier_(request.source, request.destination, request.copies, tools),
        compare_{request.source, request.destination, request.listed, false, false, {}},
        marking_(request.source, request.destination, journal, tools, events_.marks),
        runner_(tools.at_once) {}

  void run(Difference& difference) {
    const bool is_whole = ending_on_failure([&] {
      while (const Pair* pair = difference.next()) {
        check_go_on();
        if (request_.is_wanted && !request_.is_wanted(pair->name)) continue;
        count(*pair);
        if (pair->left == nullptr) {
          if (request_.tag_deleted) marking_.take(*pair);
        } else if (!start(*pair)) {
          return false;
        }
      }
      check_source(listed_, request_.allow_empty_source);
      tools_.progress.items_total = begun_;
      tools_.progress.bytes_total = begun_bytes_;
      return true;
    });
    runner_.wait();
    check_go_on();
    if (is_whole) mark();
  }

  void run_names(const std::function<std::optional<std::string>()>& next) {
    ending_on_failure([&] {
      for (auto name = next(); name; name = next()) {
        check_go_on();
        if (is_own_key(*name) || (request_.is_wanted && !request_.is_wanted(*name))) continue;
        if (!begin_copy(0)) return false;
        probe_rights(*name);
        runner_.run([this, each = *name] { process(each, CopyReason::asked); });
      }
      return true;
    });
    runner_.wait();
    check_go_on();
  }

  const BackupRequest& request() const noexcept { return request_; }
  BackupCounts counts() const {
    const Lock lock(mutex_);
    return counts_;
  }

 private:
  /// Throws after a stop, and the failure that ended the run.
  void check_go_on() const {
    if (tools_.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    const Lock lock(mutex_);
    if (fatal_) throw *fatal_;
  }

  /// Does `step`. What it throws ends the run: copies that wait for their turn are not begun.
  template <typename Step>
  bool ending_on_failure(Step step) {
    try {
      return step();
    } catch (...) {
      is_over_ = true;
      runner_.wait();
      throw;
    }
  }

  void count(const Pair& pair) {
    const Lock lock(mutex_);
    if (pair.left != nullptr) ++counts_.sources, counts_.source_bytes += pair.left->size, ++listed_.sources;
    if (pair.right != nullptr) ++counts_.destinations, ++listed_.copies;
    if (pair.left == nullptr) ++counts_.extra;
  }

  /// Starts what a name of the source needs. Returns false where a limit ends the run.
  bool start(const Pair& pair) {
    using Action = Decision::Action;
    const Decision decision =
        request_.copies_all ? Decision{Action::copy, CopyReason::asked} : decide(pair, request_.listed);
    std::string name(pair.name);
    if (decision.action == Action::none || decision.action == Action::note) {
      keep(pair, decision);
      return true;
    }
    if (!begin_copy(pair.left->size)) return false;
    const bool is_marked = pair.known != nullptr && pair.known->marked;
    const bool is_compared = decision.action == Action::compare && !is_marked;
    if (request_.dryrun && !is_compared) {
      tell_copied(name, decision.reason, pair.left->size, pair.left->storage_class);
      return true;
    }
    if (!request_.dryrun) probe_rights(name);
    if (is_compared) {
      runner_.run(
          [this, name = std::move(name), left = *pair.left, right = *pair.right] { compare_first(name, left, right); });
    } else {  // a copy takes the marks away, too
      runner_.run([this, name = std::move(name), reason = decision.reason] { process(name, reason); });
    }
    return true;
  }

  /// The copy is current: the journal and the marks are brought up to date.
  void keep(const Pair& pair, const Decision& decision) {
    std::optional<JournalEntry> entry;
    if (decision.action == Decision::Action::note)
      entry = entry_of(std::string(pair.name), *pair.left, *pair.right, decision.origin);
    if (request_.copies.tags) marking_.take(pair, false, entry ? &*entry : nullptr);
    if (entry && !request_.dryrun) journal_.note(std::move(*entry));
    const Lock lock(mutex_);
    ++counts_.current;
  }

  /// Counts a copy against the limits; false where it would exceed them.
  bool begin_copy(ByteCount bytes) {
    const bool is_over = (request_.max_objects && begun_ >= *request_.max_objects) ||
                         (request_.max_bytes && begun_bytes_ + bytes > *request_.max_bytes);
    if (is_over) {
      const Lock lock(mutex_);
      counts_.is_at_limit = true;
      return false;
    }
    ++begun_;
    begun_bytes_ += bytes;
    return true;
  }

  /// Reads the tags of the first object that is copied, and throws where the right to read tags is missing. A HEAD
  /// without that right reports no tags, so copies would lose their tags and nobody would notice.
  void probe_rights(const std::string& name) {
    if (is_probed_ || !request_.copies.tags) return;
    const ObjectAddress object = request_.source.at(name);
    std::optional<store::ObjectInfo> info;
    try {
      info = request_.source.store->head(object);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::denied) throw;
    }
    if (!info) return;  // gone, or not to be read itself: the next object tells
    try {
      request_.source.store->get_tags(object, info->version_id);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found) return;
      if (error.kind() != ErrorKind::denied) throw;
      throw error.with_summary("the tags of the source must not be read: " + error.summary())
          .with_hint("allow s3:GetObjectTagging, or copy without tags: --no-tags");
    }
    is_probed_ = true;
  }

  /// Calls `step`, and counts and tells its failure. What is throttled although its requests were repeated is tried
  /// again later, while fewer objects are copied at once.
  template <typename Step>
  void guarded(const std::string& name, Step step) noexcept {
    constexpr int most_attempts = 5;
    const flow::AdaptiveLimit::Place place(limit_, tools_.world.stop);
    for (int attempt = 1;; ++attempt) {
      if (tools_.world.stop.stop_requested() || is_over_) return;
      try {
        step();
        return limit_.succeeded();
      } catch (...) {
        const Error error = current_error();
        const bool is_tried_again = error.kind() == ErrorKind::throttled && attempt < most_attempts;
        if (!is_tried_again) return fail(name, error);
      }
      limit_.throttled();
      tools_.world.clock.sleep_for(std::chrono::seconds(1) * (1 << (attempt - 1)), tools_.world.stop);
    }
  }

  void fail(const std::string& name, const Error& error) noexcept {
    if (error.kind() == ErrorKind::cancelled && tools_.world.stop.stop_requested()) return;
    if (ends_run(error)) return end_run(error);
    {
      const Lock lock(mutex_);
      ++counts_.failed;
    }
    ++tools_.progress.items_failed;
    try {
      events_.failed(name, error);
    } catch (...) {
      end_run(current_error());
    }
  }

  void end_run(const Error& error) noexcept {
    const Lock lock(mutex_);
    if (!fatal_) fatal_ = error;
    is_over_ = true;
  }

  void process(const std::string& name, CopyReason reason) noexcept {
    guarded(name, [&] { copy(name, reason); });
  }

  void copy(const std::string& name, CopyReason reason) {
    if (request_.dryrun) return tell_copied(name, reason, 0, "STANDARD");
    const auto copied = copier_.copy(name);
    if (!copied) {
      const Lock lock(mutex_);
      ++counts_.gone;
      return;
    }
    if (copied->copy.etag.empty())
      throw Error(ErrorKind::unavailable, "the store gave no ETag of the copy", request_.destination.uri() + name);
    journal_.note(entry_of(name, *copied));
    tell_copied(name, reason, copied->source.size, copied->source.storage_class);
  }

  void compare_first(const std::string& name, const store::ListedObject& left,
                     const store::ListedObject& right) noexcept {
    guarded(name, [&] {
      const Evidence evidence = compare_by_head(compare_, name);
      if (evidence.verdict == Verdict::same && left.last_modified <= right.last_modified) {
        const bool is_by_etag = evidence.by == "etag";
        if (!request_.dryrun) journal_.note(entry_of(name, left, right, is_by_etag ? Origin::etag : Origin::checksum));
        const Lock lock(mutex_);
        ++counts_.current;
        return;
      }
      const CopyReason reason = evidence.verdict == Verdict::same      ? CopyReason::rewritten
                                : evidence.verdict == Verdict::differs ? CopyReason::changed
                                                                       : CopyReason::unproven;
      if (request_.dryrun) return tell_copied(name, reason, left.size, left.storage_class);
      copy(name, reason);
    });
  }

  void tell_copied(const std::string& name, CopyReason reason, ByteCount bytes, const std::string& source_class) {
    const std::string storage_class = copy_class(request_.copies, bytes, source_class);
    const bool is_kept = storage_class == "STANDARD" && request_.copies.storage_class != "STANDARD" &&
                         !request_.copies.storage_class.empty();
    {
      const Lock lock(mutex_);
      ++counts_.copied;
      counts_.copied_bytes += bytes;
      ++(reason == CopyReason::missing ? counts_.missing : counts_.changed);
      if (!request_.copies.tags) ++counts_.tags_not_read;
      counts_.storage.add(bytes, storage_class, is_kept);
    }
    ++tools_.progress.items_done;
    tools_.progress.bytes_done += bytes;
    events_.copied(name, reason, bytes);
  }

  /// Both listings came to their ends: what is not in the source is not there.
  void mark() {
    if (request_.tag_deleted) check_marking(marking_, listed_, request_.mark_limit, events_.over_limit);
    const MarkCounts marks = marking_.run(request_.dryrun);
    {
      const Lock lock(mutex_);
      counts_.marks = marks;
    }
    check_go_on();
  }

  const BackupRequest& request_;
  JournalKeeper& journal_;
  flow::AdaptiveLimit& limit_;
  const Tools& tools_;
  const BackupEvents events_;
  Copier copier_;
  const CompareRequest compare_;
  Marking marking_;
  Listed listed_;
  bool is_probed_ = false;
  std::uint64_t begun_ = 0;
  ByteCount begun_bytes_ = 0;
  std::atomic<bool> is_over_{false};  ///< nothing more is begun
  mutable Mutex mutex_;
  BackupCounts counts_ BALE_GUARDED_BY(mutex_);
  std::optional<Error> fatal_ BALE_GUARDED_BY(mutex_);  ///< what would fail for every other object, too
  flow::ItemRunner runner_;                             ///< last: its tasks use the others
};

Backup::Backup(const BackupRequest& request, JournalKeeper& journal, flow::AdaptiveLimit& limit, const Tools& tools,
               BackupEvents events)
    : work_(std::make_unique<Work>(request, journal, limit, tools, std::move(events))) {}

Backup::~Backup() = default;

void Backup::run(store::ObjectSequence& source, store::ObjectSequence& destination, EntrySequence* journal) {
  Difference difference({source, work_->request().source.prefix}, {destination, work_->request().destination.prefix},
                        journal);
  work_->run(difference);
}

void Backup::run_names(const std::function<std::optional<std::string>()>& next) { work_->run_names(next); }

BackupCounts Backup::counts() const { return work_->counts(); }

}  // namespace bale::bucket
