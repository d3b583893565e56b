#include "flow/item_runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <semaphore>
#include <thread>

namespace bale::flow {
namespace {

TEST(ItemRunner, CountsAndNamesWhatFails) {
  ItemRunner runner(3, {}, 2);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(runner.run(
        [i] {
          if (i % 10 == 0) throw Error(ErrorKind::denied, "no");
          if (i == 55) throw std::runtime_error("broken");
        },
        [i] { return "item " + std::to_string(i); }));
  }
  runner.wait();
  EXPECT_EQ(runner.done(), 89u);
  EXPECT_EQ(runner.failed(), 11u);
  EXPECT_EQ(runner.dropped(), 0u);
  const std::vector<FailedItem> failures = runner.failures();
  ASSERT_EQ(failures.size(), 2u) << "the first ones only";
  EXPECT_THAT(failures[0].name, ::testing::StartsWith("item "));
  EXPECT_EQ(failures[0].error.kind(), ErrorKind::denied);
}

TEST(ItemRunner, BoundsWhatIsUnderWay) {
  std::counting_semaphore<> may_end(0);
  std::atomic<int> begun{0};
  std::atomic<int> submitted{0};
  std::jthread starter;
  {
    ItemRunner runner(2);
    starter = std::jthread([&] {
      for (int i = 0; i < 20; ++i) {
        runner.run([&] {
          ++begun;
          may_end.acquire();
        });
        ++submitted;
      }
    });
    for (int ended = 0; ended < 20; ++ended) {
      may_end.release();
      EXPECT_LE(submitted - ended, 6) << "two run, two wait, and one or two have just ended";
    }
    starter.join();
  }
  EXPECT_EQ(begun, 20);
}

TEST(ItemRunner, BeginsNothingAfterAStop) {
  std::stop_source stop;
  std::latch first_runs(1), may_end(1);
  ItemRunner runner(1, stop.get_token());
  EXPECT_TRUE(runner.run([&] {
    first_runs.count_down();
    may_end.wait();
    throw Error(ErrorKind::cancelled, "broken off");
  }));
  EXPECT_TRUE(runner.run([] { ADD_FAILURE() << "it waited for a thread when the stop came"; }));
  first_runs.wait();
  stop.request_stop();
  EXPECT_FALSE(runner.run([] { ADD_FAILURE() << "it came after the stop"; }));
  may_end.count_down();
  runner.wait();
  EXPECT_EQ(runner.done(), 0u);
  EXPECT_EQ(runner.failed(), 0u) << "what a stop breaks off has not failed";
  EXPECT_EQ(runner.dropped(), 2u);
}

}  // namespace
}  // namespace bale::flow
