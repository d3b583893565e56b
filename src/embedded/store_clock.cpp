#include "embedded/store_clock.hpp"

#include <algorithm>

#include "queue/rules.hpp"

namespace bale::embedded {
namespace {

constexpr std::int64_t keep_every_ms = 10'000;

std::int64_t steady_ms(os::World& world) {
  return std::chrono::floor<Milliseconds>(world.clock.steady().time_since_epoch()).count();
}

}  // namespace

void StoreClock::start(WriteContext& context) {
  constexpr std::int64_t most_gap = Milliseconds(queue::max_visibility).count();
  const std::int64_t steady = steady_ms(world_), wall = to_epoch_ms(world_.clock.now());
  bool is_new = false, is_same_boot = false;
  std::int64_t kept = 0;
  {
    Query state = context.database.query("SELECT boot, ahead, time, wall FROM store_clock");
    is_new = !state.step();
    if (is_new) {
      ahead_ = wall - steady;
    } else {
      kept = state.integer(2);
      // A steady clock that is behind what was written down belongs to another run, whatever the id says.
      is_same_boot = !boot_id_.empty() && state.text(0) == boot_id_ && steady + state.integer(1) >= kept;
      const std::int64_t passed = std::clamp<std::int64_t>(wall - state.integer(3), 0, most_gap);
      ahead_ = is_same_boot ? state.integer(1) : kept + passed - steady;
    }
  }
  if (is_new) {
    context.database.execute("INSERT INTO store_clock(boot, ahead, time, wall) VALUES('', 0, 0, 0)");
    // Times of an earlier Bale are those of a wall clock that may have been wrong: retention begins now.
    context.database.execute("UPDATE messages SET sent = ?", now());
    context.database.execute("UPDATE uploads SET initiated = min(initiated, ?)", now());
  }
  if (!is_same_boot) {
    context.database.execute("UPDATE messages SET visible_at = ? WHERE visible_at > ?", now() + most_gap,
                             now() + most_gap);
    write(context);
  }
  kept_ = is_same_boot ? kept : now();
}

std::int64_t StoreClock::now() const { return steady_ms(world_) + ahead_; }

TimePoint StoreClock::wall_time(std::int64_t time) const { return world_.clock.now() - Milliseconds(now() - time); }

void StoreClock::keep(WriteContext& context) {
  if (now() - kept_ < keep_every_ms) return;
  write(context);
  kept_ = now();
}

void StoreClock::write(WriteContext& context) {
  context.database.execute("UPDATE store_clock SET boot = ?, ahead = ?, time = ?, wall = ?", boot_id_, ahead_, now(),
                           to_epoch_ms(world_.clock.now()));
}

}  // namespace bale::embedded
