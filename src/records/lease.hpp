// Lease: the exclusive right to one item of a record store, for a time, with a number that fences off former holders.
//
// The lease is a few attributes ("lease_...") of the item that it protects, so that a write of that item can carry the
// condition that its writer still holds the lease: conditions(). A holder renews the lease by a heartbeat. It loses the
// lease when another process takes it, and counts it as lost, by its own steady clock, when it could not renew it for
// the lease's duration: a process that was stopped finds that out before its next write.
//
// A lease that somebody holds may be taken when one of these is true (may_take()):
//  1. The holder's process has ended, which only a process of the same machine and the same process namespace can know.
//  2. The waiter saw the heartbeat's counter unchanged for the lease's duration, on its own steady clock. No two clocks
//     need to agree. The counter is a condition of the taking.
//  3. The wall clock says that the last heartbeat is older than the duration and LeaseSettings::clock_tolerance
//     together. The tolerance is larger than what two hosts may differ by that sign their requests to AWS (15 minutes
//     each: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, RequestTimeTooSkewed). Should a clock
//     be wrong by more, a living holder loses its lease; it cannot write any more, and nothing is written twice.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "base/time.hpp"
#include "os/clock.hpp"
#include "os/entropy.hpp"
#include "os/process_identity.hpp"
#include "records/record_store.hpp"

namespace bale::records {

/// The item that a lease protects: table and key attributes. The item need not exist; acquire_lease() makes it.
struct LeasePlace {
  TableName table;
  Item key;
  std::string name;  ///< what errors call it: "raw file x"
};

/// A process that holds a lease or asks for one.
struct LeaseHolder {
  std::string host;  ///< for people
  std::int64_t pid = 0;
  std::string run;      ///< of this run of the command, for people and logs
  std::string machine;  ///< equal for processes that see each other's pids, and for no others; empty: not known
  std::string process;  ///< with `pid`, tells one process from a later one of the same pid; empty: not known
  friend bool operator==(const LeaseHolder&, const LeaseHolder&) = default;
};

struct LeaseState;

struct LeaseSettings {
  Milliseconds duration{std::chrono::seconds(60)};  ///< without a heartbeat for so long it is lost; at most 24 hours
  Milliseconds wait{0};  ///< how long acquire_lease() waits for a lease that is held; 0 looks once
  Milliseconds clock_tolerance{std::chrono::minutes(30)};  ///< rule 3 above
  /// Where given, a held lease whose last heartbeat is, by the wall clock, older than the lease's duration is watched
  /// for that duration, whatever `wait` is: rule 2 then says whether its holder stands still. Told before the watch
  /// begins, once. Absent: such a lease is treated as any other.
  std::function<void(const LeaseState&)> watches = {};
};

/// The lease as its item shows it.
struct LeaseState {
  std::string owner;       ///< random, of one acquisition
  std::int64_t fence = 0;  ///< rises with each owner
  std::int64_t beat = 0;   ///< heartbeats of this owner
  Milliseconds duration{0};
  TimePoint since{};    ///< by the holder's wall clock
  TimePoint renewed{};  ///< by the holder's wall clock
  LeaseHolder holder;
  friend bool operator==(const LeaseState&, const LeaseState&) = default;
};

/// Reads the lease out of an item. Returns nullopt where nobody holds it: it was never taken, or it was released.
/// Attributes that are missing or of another type count as empty. Pure.
std::optional<LeaseState> lease_of(const Item& item);
/// Returns the fencing number of the last owner, which outlives a release; 0 where there was none. Pure.
std::int64_t last_fence(const Item& item);

/// What a waiter knows about a lease that somebody holds.
struct LeaseObservation {
  bool has_holder_ended = false;  ///< known for certain
  Milliseconds unchanged{0};      ///< for how long owner and beat were seen unchanged, by the waiter's steady clock
  TimePoint now{};                ///< the waiter's wall clock
};
/// Decides whether a held lease may be taken by the rules above. Pure.
bool may_take(const LeaseState& lease, const LeaseObservation& seen, Milliseconds clock_tolerance);

/// Error codes (Error::code()) of leases; both are Error{precondition}.
inline constexpr const char* lease_held_code = "LeaseHeld";  ///< somebody else holds it, and since when
inline constexpr const char* lease_lost_code = "LeaseLost";  ///< this process held it and does not hold it any more

/// Returns whether a process has certainly ended; false where that is not known.
using HasEnded = std::function<bool(const LeaseHolder&)>;

/// Returns this process as a holder; `run` names its run.
LeaseHolder this_holder(os::Files& files, std::string run);
/// Returns the judge of rule 1: os::has_ended() of the holder's process. `files` is borrowed and outlives the result.
HasEnded ended_processes(os::Files& files);

/// A lease that this process has acquired. Thread-safe; store and clock are borrowed and outlive it.
class Lease {
 public:
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  /// Releases the lease where release() was not called, and drops errors: the lease then ends by its duration.
  ~Lease();

  /// Fencing number: higher than that of each earlier owner, for as long as the item is not removed.
  std::int64_t fence() const noexcept { return fence_; }
  const std::string& owner() const noexcept { return owner_; }
  const LeasePlace& place() const noexcept { return place_; }
  Milliseconds duration() const noexcept { return duration_; }

  /// The conditions for each write of the item: a write of a former owner does not pass them.
  std::vector<Condition> conditions() const;
  /// Marks the lease as lost because a write with conditions() was refused; `refusal` is its Error{precondition}.
  /// Returns the Error{precondition} LeaseLost to throw.
  Error lost_by(const Error& refusal);

  /// Throws Error{precondition} LeaseLost when the lease was lost or released, or the last heartbeat is too old by this
  /// process's steady clock. Asks nobody: to be called before each step with an effect.
  void check() const;
  bool is_lost() const noexcept;

  /// Writes a heartbeat. Throws Error{precondition} LeaseLost when another process took the lease, or it had to be
  /// counted as lost before; other errors (unavailable, timeout, ...) leave the lease as it is. To be called just
  /// before an effect that no condition protects (CompleteMultipartUpload): its success says that the lease was held
  /// then.
  void renew();

  /// Gives the lease up; the fencing number stays in the item. Does nothing when it is lost or released already. Errors
  /// of the store are thrown, and the lease counts as lost.
  void release();

 private:
  friend std::unique_ptr<Lease> acquire_lease(RecordStore&, const LeasePlace&, const LeaseHolder&, const LeaseSettings&,
                                              os::Clock&, os::Entropy&, const HasEnded&, const std::stop_token&);
  Lease(RecordStore& records, LeasePlace place, std::string owner, std::int64_t fence, Milliseconds duration,
        os::Clock& clock, std::chrono::steady_clock::time_point renewed);
  Error lost(std::string why) const;

  RecordStore& records_;
  const LeasePlace place_;
  const std::string owner_;
  const std::int64_t fence_;
  const Milliseconds duration_;
  os::Clock& clock_;
  mutable Mutex mutex_;
  std::chrono::steady_clock::time_point renewed_ BALE_GUARDED_BY(mutex_);
  std::int64_t beat_ BALE_GUARDED_BY(mutex_) = 0;
  bool is_lost_ BALE_GUARDED_BY(mutex_) = false;
  Mutex renewing_;  // held over a heartbeat's request, so that release() comes after it; guards no data
};

/// Takes the lease of `place`, making the item where it is missing. Waits up to settings.wait for one that is held,
/// looking several times per duration, and longer where `settings.watches` says so. An answer of the store that was
/// lost is settled by reading the item. Throws Error{precondition} LeaseHeld that names the holder (host, pid, run) and
/// since when; Error{cancelled} when `stop` is requested while waiting; errors of the store. `has_ended` may be empty:
/// then rule 1 above never holds.
std::unique_ptr<Lease> acquire_lease(RecordStore& records, const LeasePlace& place, const LeaseHolder& self,
                                     const LeaseSettings& settings, os::Clock& clock, os::Entropy& entropy,
                                     const HasEnded& has_ended = {}, const std::stop_token& stop = {});

/// Renews a lease three times per duration, from a thread of its own, until it is destroyed or the lease is lost.
/// Lease and clock are borrowed.
class LeaseKeeper {
 public:
  /// `on_loss` is called once, on the keeper's thread, when the lease is lost; it must not throw. A job requests its
  /// stop there. `on_failure` is told of heartbeats that failed otherwise; they are repeated.
  LeaseKeeper(Lease& lease, os::Clock& clock, std::function<void(const Error&)> on_loss = {},
              std::function<void(const Error&)> on_failure = {});
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

 private:
  void run(const std::stop_token& stop);
  Lease& lease_;
  os::Clock& clock_;
  const std::function<void(const Error&)> on_loss_, on_failure_;
  std::jthread thread_;  // last: it uses the members above
};

}  // namespace bale::records
