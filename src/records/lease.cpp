#include "records/lease.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/text.hpp"

namespace bale::records {
namespace {

using Test = Condition::Test;
using std::chrono::steady_clock;

constexpr const char* owner_name = "lease_owner";
constexpr const char* fence_name = "lease_fence";
constexpr const char* beat_name = "lease_beat";
constexpr const char* duration_name = "lease_duration_ms";
constexpr const char* since_name = "lease_since_ms";
constexpr const char* renewed_name = "lease_renewed_ms";
constexpr const char* holder_name = "lease_holder";

/// No lease is longer: an item that was damaged does not keep everybody out for ever.
constexpr Milliseconds max_duration = std::chrono::hours(24);
/// How often a waiter looks in the duration of a lease, and a keeper renews it in one.
constexpr int looks_per_duration = 4;
constexpr int beats_per_duration = 3;
constexpr Milliseconds least_pause{50};

std::string text_of(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  const auto* text = found == map.end() ? nullptr : std::get_if<std::string>(&found->second.data);
  return text == nullptr ? std::string() : *text;
}

std::int64_t number_of(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  const auto* number = found == map.end() ? nullptr : std::get_if<Number>(&found->second.data);
  std::int64_t value = 0;
  if (number != nullptr) std::from_chars(number->digits.data(), number->digits.data() + number->digits.size(), value);
  return value;
}

TimePoint time_of(const Map& map, const std::string& name) {
  // Beyond the year 9999 a time cannot be printed.
  constexpr std::int64_t latest = 253'402'300'799'999;
  return from_epoch_ms(std::clamp<std::int64_t>(number_of(map, name), 0, latest));
}

LeaseHolder holder_of(const Item& item) {
  const auto found = item.find(holder_name);
  const auto* map = found == item.end() ? nullptr : std::get_if<Map>(&found->second.data);
  if (map == nullptr) return {};
  return {text_of(*map, "host"), number_of(*map, "pid"), text_of(*map, "run"), text_of(*map, "machine"),
          text_of(*map, "process")};
}

Value holder_value(const LeaseHolder& holder) {
  return Map{{"host", Value(holder.host)},
             {"pid", Value(holder.pid)},
             {"run", Value(holder.run)},
             {"machine", Value(holder.machine)},
             {"process", Value(holder.process)}};
}

Error lease_error(const char* code, std::string what, const LeasePlace& place, std::string hint) {
  return Error(ErrorKind::precondition, std::move(what), place.name, std::move(hint)).with_code(code);
}

std::string who(const LeaseHolder& holder) {
  return escape_for_terminal(fmt::format("{} (process {}, run {})", holder.host, holder.pid, holder.run));
}

Error held(const LeasePlace& place, const LeaseState& lease) {
  return lease_error(lease_held_code,
                     fmt::format("{} works on it since {}; last sign of life {}", who(lease.holder),
                                 to_iso8601(lease.since), to_iso8601(lease.renewed)),
                     place, "Wait until that run has ended, or stop it.");
}

/// The condition that an attribute is still as it was read.
Condition unchanged(const Item& item, const char* name) {
  const auto found = item.find(name);
  if (found == item.end()) return {name, Test::not_exists, {}};
  return {name, Test::equal, found->second};
}

/// Writes that `self` has the lease under the name `owner`, if the item's lease is still as in `item`. Returns whether
/// it is; false when somebody else was faster.
bool take(RecordStore& records, const LeasePlace& place, const LeaseHolder& self, Milliseconds duration,
          const std::string& owner, const Item& item, TimePoint now) {
  Update update;
  const auto set = [&](const char* name, Value value) { update.set.push_back({{name}, std::move(value)}); };
  set(owner_name, Value(owner));
  set(fence_name, Value(last_fence(item) + 1));
  set(beat_name, Value(std::int64_t{0}));
  set(duration_name, Value(std::int64_t{duration.count()}));
  set(since_name, Value(to_epoch_ms(now)));
  set(renewed_name, Value(to_epoch_ms(now)));
  set(holder_name, holder_value(self));
  try {
    records.update(place.table, place.key, update,
                   {unchanged(item, owner_name), unchanged(item, fence_name), unchanged(item, beat_name)});
    return true;
  } catch (const Error& error) {
    const bool is_refused = error.kind() == ErrorKind::precondition;
    const bool is_unknown = is_transient(error.kind()) && !error.had_no_effect();
    if (!is_refused && !is_unknown) throw;
    // The first attempt may have worked, its answer be lost, and the repetition be refused: the owner's name tells.
    const auto present = records.get(place.table, place.key);
    const auto lease = present ? lease_of(*present) : std::nullopt;
    if (lease && lease->owner == owner) return true;
    if (is_unknown) throw;
    return false;
  }
}

/// For how long one waiter has seen a lease without a change.
class Watcher {
 public:
  /// `before`, `after`: steady times before and after the lease was read. The result is never too long: it counts from
  /// the end of the first reading to the beginning of this one.
  Milliseconds see(const LeaseState& lease, steady_clock::time_point before, steady_clock::time_point after) {
    if (owner_ != lease.owner || beat_ != lease.beat) {
      owner_ = lease.owner;
      beat_ = lease.beat;
      first_seen_ = after;
    }
    return std::max(std::chrono::duration_cast<Milliseconds>(before - first_seen_), Milliseconds(0));
  }

 private:
  std::string owner_;
  std::int64_t beat_ = 0;
  steady_clock::time_point first_seen_{};
};

}  // namespace

std::optional<LeaseState> lease_of(const Item& item) {
  LeaseState lease;
  lease.owner = text_of(item, owner_name);
  if (lease.owner.empty()) return std::nullopt;
  lease.fence = last_fence(item);
  lease.beat = number_of(item, beat_name);
  lease.duration = std::clamp(Milliseconds(number_of(item, duration_name)), Milliseconds(0), max_duration);
  lease.since = time_of(item, since_name);
  lease.renewed = time_of(item, renewed_name);
  lease.holder = holder_of(item);
  return lease;
}

std::int64_t last_fence(const Item& item) { return number_of(item, fence_name); }

bool may_take(const LeaseState& lease, const LeaseObservation& seen, Milliseconds clock_tolerance) {
  return seen.has_holder_ended || seen.unchanged >= lease.duration ||
         seen.now > lease.renewed + lease.duration + clock_tolerance;
}

Lease::Lease(RecordStore& records, LeasePlace place, std::string owner, std::int64_t fence, Milliseconds duration,
             os::Clock& clock, steady_clock::time_point renewed)
    : records_(records),
      place_(std::move(place)),
      owner_(std::move(owner)),
      fence_(fence),
      duration_(duration),
      clock_(clock),
      renewed_(renewed) {}

Lease::~Lease() {
  try {
    release();
  } catch (const Error&) {
    // A destructor cannot throw; the lease ends by its duration.
  }
}

std::vector<Condition> Lease::conditions() const {
  return {{owner_name, Test::equal, Value(owner_)}, {fence_name, Test::equal, Value(fence_)}};
}

Error Lease::lost(std::string why) const {
  return lease_error(lease_lost_code, std::move(why), place_, "Run the command again.");
}

Error Lease::lost_by(const Error& refusal) {
  const Lock lock(mutex_);
  is_lost_ = true;
  return lost("another run has taken the lease").with_cause(refusal);
}

void Lease::check() const {
  const Lock lock(mutex_);
  if (is_lost_) throw lost("the lease was lost to another run, or given up");
  const auto age = std::chrono::duration_cast<Milliseconds>(clock_.steady() - renewed_);
  if (age >= duration_)
    throw lost(fmt::format("the lease could not be renewed for {}; it lasts {}", format_duration(age),
                           format_duration(duration_)));
}

bool Lease::is_lost() const noexcept {
  const Lock lock(mutex_);
  return is_lost_ || clock_.steady() - renewed_ >= duration_;
}

void Lease::renew() {
  const Lock renewing(renewing_);
  // Once it was too old, work may have ended because of it: a heartbeat that is still accepted must not revive it.
  check();
  // From before the request: whoever watches the counter sees it change no earlier.
  const auto before = clock_.steady();
  std::int64_t beat = 0;
  {
    const Lock lock(mutex_);
    beat = ++beat_;  // also after a heartbeat whose answer was lost: numbers are left out, never used twice
  }
  Update update;
  update.set.push_back({{beat_name}, Value(beat)});
  update.set.push_back({{renewed_name}, Value(to_epoch_ms(clock_.now()))});
  try {
    records_.update(place_.table, place_.key, update, conditions());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::precondition) throw;
    throw lost_by(error);
  }
  {
    const Lock lock(mutex_);
    renewed_ = before;
  }
  check();  // an answer that took longer than the lease lasts
}

void Lease::release() {
  const Lock renewing(renewing_);
  {
    const Lock lock(mutex_);
    if (is_lost_) return;
    is_lost_ = true;  // whatever comes of the request
  }
  Update update;
  for (const char* name : {owner_name, beat_name, duration_name, since_name, renewed_name, holder_name})
    update.remove.push_back({name});
  try {
    records_.update(place_.table, place_.key, update, conditions());
  } catch (const Error& error) {
    // Another run has it, or the release of an attempt before this one has worked.
    if (error.kind() != ErrorKind::precondition) throw;
  }
}

namespace {

/// The lease that a waiter watches although it was not asked to wait, because its holder seems to stand still.
class StaleLease {
 public:
  /// Returns for how long the lease has to be watched further; 0 where its holder shows signs of life. `watches` is
  /// told of the first lease that is stale.
  Milliseconds time_left(const LeaseState& lease, const LeaseObservation& seen,
                         const std::function<void(const LeaseState&)>& watches) {
    if (!is_looked_at_) {
      is_looked_at_ = true;
      if (seen.now < lease.renewed + lease.duration) return Milliseconds(0);
      owner_ = lease.owner;
      beat_ = lease.beat;
      watches(lease);
    }
    const bool stands_still = owner_ == lease.owner && beat_ == lease.beat;
    return stands_still ? lease.duration - seen.unchanged : Milliseconds(0);
  }

 private:
  bool is_looked_at_ = false;
  std::string owner_;
  std::int64_t beat_ = 0;
};

/// Sleeps until a waiter looks again. Throws Error{cancelled}.
void pause(os::Clock& clock, const LeasePlace& place, Milliseconds lease_duration, Milliseconds left,
           const std::stop_token& stop) {
  const Milliseconds interval = std::max(lease_duration / looks_per_duration, least_pause);
  if (!clock.sleep_for(std::min(interval, left), stop))
    throw Error(ErrorKind::cancelled, "interrupted while waiting for another run", place.name);
}

}  // namespace

std::unique_ptr<Lease> acquire_lease(RecordStore& records, const LeasePlace& place, const LeaseHolder& self,
                                     const LeaseSettings& settings, os::Clock& clock, os::Entropy& entropy,
                                     const HasEnded& has_ended, const std::stop_token& stop) {
  if (settings.duration <= Milliseconds(0) || settings.duration > max_duration)
    throw Error(ErrorKind::invalid, "a lease lasts longer than 0 seconds and at most 24 hours", place.name);
  const auto begun = clock.steady();
  Watcher watcher;
  StaleLease stale;
  while (true) {
    const auto before = clock.steady();
    const Item item = records.get(place.table, place.key).value_or(Item{});
    const auto after = clock.steady();
    if (const auto lease = lease_of(item)) {
      const LeaseObservation seen{has_ended && has_ended(lease->holder), watcher.see(*lease, before, after),
                                  clock.now()};
      if (!may_take(*lease, seen, settings.clock_tolerance)) {
        const auto waited = std::chrono::duration_cast<Milliseconds>(after - begun);
        const Milliseconds watched =
            settings.watches ? stale.time_left(*lease, seen, settings.watches) : Milliseconds(0);
        const Milliseconds left = std::max(settings.wait - waited, watched);
        if (left <= Milliseconds(0)) throw held(place, *lease);
        pause(clock, place, lease->duration, left, stop);
        continue;
      }
    }
    if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted", place.name);
    // A new name for each attempt: an attempt whose answer was lost cannot be taken for a later one.
    const std::string owner = fmt::format("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64());
    const auto asked = clock.steady();
    if (take(records, place, self, settings.duration, owner, item, clock.now())) {
      std::unique_ptr<Lease> taken(
          new Lease(records, place, owner, last_fence(item) + 1, settings.duration, clock, asked));
      taken->check();  // an answer that took longer than the lease lasts
      return taken;
    }
  }
}

LeaseHolder this_holder(os::Files& files, std::string run) {
  const os::ProcessIdentity self = os::this_process(files);
  return {self.host, self.pid, std::move(run), self.machine, self.started};
}

HasEnded ended_processes(os::Files& files) {
  return [&files](const LeaseHolder& holder) {
    return os::has_ended(files, {holder.host, holder.pid, holder.machine, holder.process});
  };
}

LeaseKeeper::LeaseKeeper(Lease& lease, os::Clock& clock, std::function<void(const Error&)> on_loss,
                         std::function<void(const Error&)> on_failure)
    : lease_(lease),
      clock_(clock),
      on_loss_(std::move(on_loss)),
      on_failure_(std::move(on_failure)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

LeaseKeeper::~LeaseKeeper() = default;

void LeaseKeeper::run(const std::stop_token& stop) {
  const Milliseconds interval = std::max(lease_.duration() / beats_per_duration, least_pause);
  while (clock_.sleep_for(interval, stop)) {
    try {
      lease_.renew();
    } catch (const Error& error) {
      if (error.code() == lease_lost_code) {
        if (on_loss_) on_loss_(error);
        return;
      }
      if (on_failure_) on_failure_(error);
    }
  }
}

}  // namespace bale::records
