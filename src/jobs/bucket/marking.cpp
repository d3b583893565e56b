#include "jobs/bucket/marking.hpp"

#include <fmt/format.h>

#include "flow/item_runner.hpp"
#include "jobs/bucket/marks.hpp"

namespace bale::bucket {
namespace {

/// Names of one run take at most this much memory: more than a million. The rest is left to the next run.
constexpr std::size_t most_spooled_bytes = 64 << 20;
/// Tags that others change at the same time are read again this often.
constexpr int most_attempts = 4;

/// What is to be done with the copy, in the member of the entry that tells it.
bool is_to_be_marked(const JournalEntry& entry) { return !entry.marked; }

bool has_all(const store::Tags& tags, const store::Tags& wanted) {
  for (const auto& [name, value] : wanted) {
    const auto found = tags.find(name);
    if (found == tags.end() || found->second != value) return false;
  }
  return true;
}

}  // namespace

struct Marking::Counters {
  std::atomic<std::uint64_t> marked{0}, unmarked{0}, before{0}, failed{0};
  std::uint64_t left = 0;
};

Marking::Marking(const Side& source, const Side& destination, JournalKeeper& journal, const Tools& tools,
                 MarkEvents events)
    : source_(source),
      destination_(destination),
      journal_(journal),
      tools_(tools),
      events_(std::move(events)),
      writer_(std::make_unique<JournalWriter>("", [this](std::string_view bytes) { spool_ += bytes; })),
      counters_(std::make_unique<Counters>()) {}

Marking::~Marking() = default;

void Marking::take(const Pair& pair, bool examines_all, const JournalEntry* current) {
  if (pair.right == nullptr) return;
  const bool is_known = pair.known != nullptr && pair.known->copy_etag == pair.right->etag;
  const bool is_known_marked = is_known && pair.known->marked.has_value();
  const bool has_source = pair.left != nullptr;
  if (has_source && !is_known_marked && !examines_all) return;
  if (!has_source && is_known_marked) {
    ++counters_->before;
    return;
  }
  if (!has_source) ++to_mark_;
  if (spool_.size() >= most_spooled_bytes) {
    ++counters_->left;
    return;
  }
  JournalEntry entry;
  if (current != nullptr)
    entry = *current;
  else if (is_known)
    entry = *pair.known;
  else
    entry.origin = Origin::none;
  entry.name = std::string(pair.name);
  entry.copy_etag = pair.right->etag;
  entry.size = pair.right->size;
  entry.noted = {};
  entry.marked = has_source ? std::optional(entry.marked.value_or(TimePoint{})) : std::nullopt;
  writer_->add(entry);
}

std::unique_ptr<EntrySequence> Marking::spooled() {
  if (!is_finished_) writer_->finish();
  is_finished_ = true;
  return std::make_unique<JournalReader>(
      [rest = std::string_view(spool_)](MutableBytes bytes) mutable {
        const std::size_t count = std::min(bytes.size(), rest.size());
        std::copy_n(as_bytes(rest).begin(), count, bytes.begin());
        rest.remove_prefix(count);
        return count;
      },
      "memory");
}

/// Calls `work`, which must not throw, for every spooled entry, several at once, until a stop.
void Marking::for_each_at_once(const std::function<void(const JournalEntry&)>& work) {
  const auto entries = spooled();
  flow::ItemRunner runner(tools_.at_once);
  while (const JournalEntry* entry = entries->next()) {
    if (tools_.world.stop.stop_requested()) break;
    runner.run([&work, copy = *entry] { work(copy); });
  }
  runner.wait();
}

std::uint64_t Marking::count_unmarked() {
  std::atomic<std::uint64_t> unmarked{counters_->left};
  for_each_at_once([&](const JournalEntry& entry) {
    if (!is_to_be_marked(entry) || tools_.world.stop.stop_requested()) return;
    try {
      if (!is_marked(destination_.store->get_tags(destination_.at(entry.name)))) ++unmarked;
    } catch (const Error&) {
      ++unmarked;  // nobody knows
    }
  });
  return unmarked;
}

void Marking::for_each_to_mark(const std::function<void(const std::string&)>& take) {
  const auto entries = spooled();
  while (const JournalEntry* entry = entries->next())
    if (is_to_be_marked(*entry)) take(entry->name);
}

MarkCounts Marking::run(bool dryrun) {
  for_each_at_once([&](const JournalEntry& entry) { work(entry, dryrun); });
  const Lock lock(mutex_);
  if (fatal_) throw *fatal_;
  return {counters_->marked, counters_->unmarked, counters_->before, counters_->failed, counters_->left};
}

void Marking::work(const JournalEntry& entry, bool dryrun) noexcept {
  if (tools_.world.stop.stop_requested()) return;
  {
    const Lock lock(mutex_);
    if (fatal_) return;
  }
  try {
    if (is_to_be_marked(entry))
      mark(entry, dryrun);
    else
      unmark(entry, dryrun);
  } catch (...) {
    const Error error = current_error();
    if (error.kind() == ErrorKind::cancelled && tools_.world.stop.stop_requested()) return;
    ++counters_->failed;
    tell_failure(entry.name, error);
  }
}

void Marking::tell_failure(const std::string& name, const Error& error) noexcept {
  try {
    events_.failed(name, error);
  } catch (...) {  // nobody takes the failures
    const Lock lock(mutex_);
    fatal_ = current_error();
  }
}

void Marking::note(JournalEntry entry, std::optional<TimePoint> marked) {
  entry.marked = marked;
  entry.is_forgotten = !marked && entry.origin == Origin::none;  // nothing is left to be told
  journal_.note(std::move(entry));
}

/// Sets the tags, unless they are others than `seen` by now. S3 has no condition for it: the tags are read once more
/// right before, and after. Returns whether they are as wanted; others may have added some.
bool Marking::change_tags(const ObjectAddress& copy, const store::Tags& seen, const store::Tags& wanted) {
  store::ObjectStore& store = *destination_.store;
  if (store.get_tags(copy) != seen) return false;
  store.set_tags(copy, wanted);
  const store::Tags after = store.get_tags(copy);
  return has_all(after, wanted) && is_marked(after) == is_marked(wanted);
}

void Marking::mark(const JournalEntry& entry, bool dryrun) {
  const ObjectAddress copy = destination_.at(entry.name);
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const store::Tags tags = destination_.store->get_tags(copy);
    const TimePoint now = tools_.world.clock.now();
    if (is_marked(tags)) {
      if (!dryrun) note(entry, deleted_at(tags).value_or(now));
      // A mark of the attempt before is this run's own.
      if (attempt == 0) {
        ++counters_->before;
        return;
      }
    }
    if (!is_marked(tags)) {
      if (source_.store->head(source_.at(entry.name))) return;  // it came back since it was listed
      const auto wanted = with_marks(tags, now);
      if (!wanted) {
        throw Error(ErrorKind::precondition,
                    fmt::format("there is no room for two more tags: the copy has {}", tags.size()), to_uri(copy),
                    "remove tags of the copy; S3 allows 10")
            .with_code("TooManyTags");
      }
      if (!dryrun && !change_tags(copy, tags, *wanted)) continue;
      if (!dryrun) note(entry, now);
    }
    ++counters_->marked;
    events_.done(MarkEvents::Kind::mark, entry.name);
    return;
  }
  throw Error(ErrorKind::precondition, "another writer changes the tags at the same time", to_uri(copy),
              "run the command again when the other writer has ended")
      .with_code("TagsChanged");
}

void Marking::unmark(const JournalEntry& entry, bool dryrun) {
  const ObjectAddress copy = destination_.at(entry.name);
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const store::Tags tags = destination_.store->get_tags(copy);
    const bool has_marks = is_marked(tags);
    if (!has_marks && attempt == 0) {
      if (!dryrun) note(entry, std::nullopt);
      return;
    }
    if (has_marks && !dryrun && !change_tags(copy, tags, without_marks(tags))) continue;
    if (!dryrun) note(entry, std::nullopt);
    ++counters_->unmarked;
    events_.done(MarkEvents::Kind::unmark, entry.name);
    return;
  }
  throw Error(ErrorKind::precondition, "another writer changes the tags at the same time", to_uri(copy),
              "run the command again when the other writer has ended")
      .with_code("TagsChanged");
}

}  // namespace bale::bucket
