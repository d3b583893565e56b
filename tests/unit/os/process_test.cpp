#include "os/process.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::os {
namespace {

using namespace std::chrono_literals;

TEST(Processes, GivesOutputAndStatus) {
  const ProcessResult result =
      system_processes().run({"sh", "-c", "printf '%s|' \"$@\"; exit 3", "sh", "a b", "$HOME"}, 10s, 100, {});
  EXPECT_EQ(result.output, "a b|$HOME|");
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(system_processes().run({"sh", "-c", "kill -9 $$"}, 10s, 100, {}).status, 128 + 9);
}

TEST(Processes, KillsWhatTakesTooLongOrSaysTooMuchOrIsNotWanted) {
  const auto began = std::chrono::steady_clock::now();
  EXPECT_ERROR(ErrorKind::timeout, "", system_processes().run({"sleep", "30"}, 50ms, 100, {}));
  EXPECT_ERROR(ErrorKind::invalid, "", system_processes().run({"yes"}, 30s, 100, {}));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_ERROR(ErrorKind::cancelled, "", system_processes().run({"sleep", "30"}, 30s, 100, stop.get_token()));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
}

TEST(Processes, SaysThatThereIsNoSuchProgram) {
  EXPECT_ERROR(ErrorKind::not_found, "", system_processes().run({"bale-no-such-program"}, 1s, 100, {}));
  EXPECT_ERROR(ErrorKind::invalid, "", system_processes().run({}, 1s, 100, {}));
}

}  // namespace
}  // namespace bale::os
