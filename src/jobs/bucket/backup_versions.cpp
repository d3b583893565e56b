#include "jobs/bucket/backup_versions.hpp"

#include <algorithm>
#include <optional>

#include "flow/item_runner.hpp"

namespace bale::bucket {
namespace {

using store::ListedVersion;
using Versions = std::vector<ListedVersion>;

std::string etag_of(const ListedVersion& version) {
  return version.is_delete_marker ? marker_etag : version.etag.str();
}

bool is_same(const ListedVersion& source, const ListedVersion& copy) {
  return etag_of(source) == etag_of(copy) && (source.is_delete_marker || source.size == copy.size);
}

/// The index behind the version that the journal remembers.
std::size_t behind_known(const Versions& source, const JournalEntry& known) {
  const auto by_id = [&](const ListedVersion& version) { return version.version_id == known.source_version; };
  const auto found = std::find_if(source.begin(), source.end(), by_id);
  if (found != source.end()) return static_cast<std::size_t>(found - source.begin()) + 1;
  // It was deleted for good: what is younger follows it.
  const auto younger = [&](const ListedVersion& version) {
    return std::chrono::floor<std::chrono::seconds>(version.last_modified) > known.source_modified;
  };
  return static_cast<std::size_t>(std::find_if(source.begin(), source.end(), younger) - source.begin());
}

/// The index behind the versions that both sides have, where no journal tells it.
std::size_t behind_equal(const Versions& source, const Versions& copies) {
  const std::size_t both = std::min(source.size(), copies.size());
  std::size_t equal = 0;
  while (equal < both && is_same(source[equal], copies[equal])) ++equal;
  if (equal == copies.size() || equal == source.size()) return equal;
  // The source may have lost old versions: the newest copy is looked for, from the newest version on.
  for (std::size_t i = source.size(); i-- > 0;)
    if (is_same(source[i], copies.back())) return i + 1;
  return 0;
}

/// The versions of one key after the other, the oldest first.
class Groups {
 public:
  Groups(store::VersionSequence& versions, std::string prefix) : versions_(versions), prefix_(std::move(prefix)) {}

  /// Reads the next group unless there is one that was not taken. Returns whether there is one.
  bool fill() {
    if (!group_.empty()) return true;
    if (!is_read_) next_ = versions_.next();
    is_read_ = true;
    while (next_ != nullptr && is_own_key(next_->key.str())) next_ = versions_.next();
    if (next_ == nullptr) return false;
    name_ = next_->key.str().substr(prefix_.size());
    const ObjectKey key = next_->key;
    while (next_ != nullptr && next_->key == key) {
      group_.push_back(*next_);
      next_ = versions_.next();
    }
    std::reverse(group_.begin(), group_.end());
    return true;
  }
  const std::string& name() const noexcept { return name_; }
  Versions take() { return std::exchange(group_, {}); }

 private:
  store::VersionSequence& versions_;
  const std::string prefix_;
  const ListedVersion* next_ = nullptr;
  bool is_read_ = false;
  std::string name_;
  Versions group_;
};

class Work {
 public:
  Work(const VersionRequest& request, JournalKeeper& keeper, flow::AdaptiveLimit& limit, const Tools& tools,
       const VersionEvents& events, VersionCounts& counts)
      : request_(request),
        keeper_(keeper),
        limit_(limit),
        tools_(tools),
        events_(events),
        counts_(counts),
        copier_(request.source, request.destination, request.copies, tools),
        runner_(tools.at_once) {}

  void run(Groups& source, Groups& destination, EntrySequence* journal) {
    try {
      while (source.fill()) {
        check_stop();
        while (destination.fill() && destination.name() < source.name()) destination.take();
        const bool has_copies = destination.fill() && destination.name() == source.name();
        const Versions copies = has_copies ? destination.take() : Versions();
        const std::string name = source.name();
        start(name, source.take(), copies, known(journal, name));
      }
    } catch (...) {
      is_over_ = true;  // what waits for its turn is not begun
      runner_.wait();
      throw;
    }
    runner_.wait();
    check_stop();
  }

 private:
  void check_stop() const {
    if (tools_.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    const Lock lock(mutex_);
    if (fatal_) throw *fatal_;
  }

  const JournalEntry* known(EntrySequence* journal, const std::string& name) {
    if (journal == nullptr) return nullptr;
    if (!is_journal_read_) entry_ = journal->next();
    is_journal_read_ = true;
    while (entry_ != nullptr && entry_->name < name) entry_ = journal->next();
    return entry_ != nullptr && entry_->name == name ? entry_ : nullptr;
  }

  void start(const std::string& name, Versions versions, const Versions& copies, const JournalEntry* known) {
    if (request_.is_wanted && !request_.is_wanted(name)) return;
    const std::size_t first = first_to_copy(versions, copies, known);
    {
      const Lock lock(mutex_);
      ++counts_.keys;
      counts_.versions += versions.size();
      if (first == versions.size()) ++counts_.current;
    }
    if (first == versions.size()) return;
    versions.erase(versions.begin(), versions.begin() + static_cast<std::ptrdiff_t>(first));
    runner_.run([this, name, rest = std::move(versions)] { copy_all(name, rest); });
  }

  void copy_all(const std::string& name, const Versions& versions) noexcept {
    for (const ListedVersion& version : versions) {
      if (tools_.world.stop.stop_requested() || is_over_) return;
      try {
        const flow::AdaptiveLimit::Place place(limit_, tools_.world.stop);
        copy(name, version);
        limit_.succeeded();
      } catch (...) {
        const Error error = current_error();
        if (error.kind() == ErrorKind::cancelled && tools_.world.stop.stop_requested()) return;
        {
          const Lock lock(mutex_);
          ++counts_.failed;
        }
        tell_failure(name, error);
        return;  // a later version must not come before this one
      }
    }
  }

  void tell_failure(const std::string& name, const Error& error) noexcept {
    try {
      events_.failed(name, error);
    } catch (...) {  // nobody takes the failures
      const Lock lock(mutex_);
      fatal_ = current_error();
      is_over_ = true;
    }
  }

  void copy(const std::string& name, const ListedVersion& version) {
    JournalEntry entry{.name = name,
                       .source_etag = ETag(etag_of(version)),
                       .source_version = version.version_id,
                       .size = version.size,
                       .source_modified = std::chrono::floor<std::chrono::seconds>(version.last_modified),
                       .copy_etag = ETag(marker_etag)};
    if (!request_.dryrun && version.is_delete_marker) {
      request_.destination.store->remove(request_.destination.at(name));
    } else if (!request_.dryrun) {
      const auto copied = copier_.copy(name, version.version_id);
      if (!copied) {
        const Lock lock(mutex_);
        ++counts_.gone;
        return;
      }
      entry.copy_etag = copied->copy.etag;
    }
    if (!request_.dryrun) keeper_.note(std::move(entry));
    {
      const Lock lock(mutex_);
      ++(version.is_delete_marker ? counts_.markers : counts_.copied);
      counts_.bytes += version.size;
    }
    ++tools_.progress.items_done;
    tools_.progress.bytes_done += version.size;
    events_.copied(name, version);
  }

  const VersionRequest& request_;
  JournalKeeper& keeper_;
  flow::AdaptiveLimit& limit_;
  const Tools& tools_;
  const VersionEvents& events_;
  mutable Mutex mutex_;  // guards also what counts_ refers to, while copies are under way
  VersionCounts& counts_;
  Copier copier_;
  std::atomic<bool> is_over_{false};
  std::optional<Error> fatal_ BALE_GUARDED_BY(mutex_);  ///< of an event
  const JournalEntry* entry_ = nullptr;
  bool is_journal_read_ = false;
  flow::ItemRunner runner_;  ///< last: its tasks use the others
};

}  // namespace

std::size_t first_to_copy(const Versions& source, const Versions& copies, const JournalEntry* known) {
  if (copies.empty()) return 0;
  if (known == nullptr || known->source_version.empty()) return behind_equal(source, copies);
  const std::size_t next = behind_known(source, *known);
  if (etag_of(copies.back()) == known->copy_etag.str()) return next;
  // A run that was killed may have copied one version more than it could note.
  const bool is_one_more = copies.size() > 1 && etag_of(copies[copies.size() - 2]) == known->copy_etag.str();
  if (!is_one_more || next >= source.size()) return behind_equal(source, copies);
  const bool is_next = source[next].is_delete_marker == copies.back().is_delete_marker &&
                       (source[next].is_delete_marker || source[next].size == copies.back().size);
  return is_next ? next + 1 : next;
}

void back_up_versions(const VersionRequest& request, store::VersionSequence& source,
                      store::VersionSequence& destination, EntrySequence* journal, JournalKeeper& keeper,
                      flow::AdaptiveLimit& limit, const Tools& tools, const VersionEvents& events,
                      VersionCounts& counts) {
  if (request.destination.store->get_versioning(request.destination.bucket) != store::Versioning::enabled) {
    throw Error(ErrorKind::precondition, "the destination keeps no versions", request.destination.uri(),
                "enable versioning of the bucket; `bale s3 mb --versioning` makes one with it");
  }
  Groups left(source, request.source.prefix), right(destination, request.destination.prefix);
  Work(request, keeper, limit, tools, events, counts).run(left, right, journal);
}

}  // namespace bale::bucket
