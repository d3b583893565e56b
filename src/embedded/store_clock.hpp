// The clock of messages and uploads: it goes on as time passes, whatever becomes of the wall clock.
#pragma once

#include <cstdint>
#include <string>

#include "embedded/commit_queue.hpp"
#include "os/world.hpp"

namespace bale::embedded {

/// A clock whose state is in the database. While the machine runs it counts as the steady clock does, in all processes
/// alike; the wall clock is looked at only after a restart of the machine, and believed for twelve hours at most (the
/// longest visibility timeout) and never backwards. So a wall clock that is years off, or that is set meanwhile,
/// neither hides a message nor lets its retention end. It starts with the wall clock's time. In milliseconds.
/// Thread-safe after start().
class StoreClock {
 public:
  /// `world` is borrowed; `boot_id` names the present run of the machine and may be empty.
  StoreClock(os::World& world, std::string boot_id) : world_(world), boot_id_(std::move(boot_id)) {}

  /// Reads the clock's state, or makes it. To be called once, before the other functions.
  void start(WriteContext& context);
  /// The time of the store.
  std::int64_t now() const;
  /// What the present wall clock would have shown at a time of the store: ages stay true.
  TimePoint wall_time(std::int64_t time) const;
  /// Writes down how far the clock is, where that was not done for ten seconds.
  void keep(WriteContext& context);

 private:
  void write(WriteContext& context);
  os::World& world_;
  const std::string boot_id_;
  std::int64_t ahead_ = 0;  ///< of the steady clock
  std::int64_t kept_ = 0;   ///< touched inside transactions of the process only
};

}  // namespace bale::embedded
