// The outside world of a program, as one parameter.
#pragma once

#include <stop_token>

#include "os/clock.hpp"
#include "os/entropy.hpp"
#include "os/environment.hpp"
#include "os/files.hpp"
#include "os/terminal.hpp"

namespace bale::os {

/// Everything outside the process that jobs and commands touch, stores aside. Borrowed: the members outlive every user.
struct World {
  Clock& clock;
  Entropy& entropy;
  Environment& environment;
  Files& files;
  Terminal& terminal;
  /// Requested when the program should finish what it has in hand and return.
  std::stop_token stop;
};

/// The real world, with a stop token that no one requests; main() sets it.
World system_world();

}  // namespace bale::os
