#include "os/process_use.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace bale::os {
namespace {

TEST(ProcessUse, SeesThisProcess) {
  std::stop_source stop;
  const auto wait_for_stop = [token = stop.get_token()] {
    while (!token.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const std::jthread first(wait_for_stop);  // with the first thread a sanitizer starts one of its own
  const ProcessUse before = process_use(system_files());
  EXPECT_GT(before.resident_bytes, 1u << 20);
  EXPECT_GE(before.open_files, 3u);
  EXPECT_GE(before.threads, 1u);
  const std::jthread second(wait_for_stop);
  const auto file = system_files().open_if_exists("/proc/self/exe");
  const ProcessUse after = process_use(system_files());
  EXPECT_EQ(after.threads, before.threads + 1);
  EXPECT_EQ(after.open_files, before.open_files + 1);
  EXPECT_GE(after.processor_time, before.processor_time);
  stop.request_stop();
}

TEST(ThreadProcessorTime, CountsOwnWorkAloneAndNotWaiting) {
  const auto before = thread_processor_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  std::jthread([] {
    const auto start = thread_processor_time();
    while (thread_processor_time() - start < std::chrono::milliseconds(30)) continue;
  }).join();
  const auto waited = thread_processor_time();
  EXPECT_LT(waited - before, std::chrono::milliseconds(20));
  while (thread_processor_time() - waited < std::chrono::milliseconds(5)) continue;
}

}  // namespace
}  // namespace bale::os
