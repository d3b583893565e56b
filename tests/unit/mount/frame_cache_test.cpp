// What is kept, for how long, and who loads it.
#include "mount/frame_cache.hpp"

#include <atomic>
#include <latch>
#include <thread>

#include "base/error.hpp"

namespace bale::mount {
namespace {

FrameCache::Frame frame_at(ByteCount offset, ByteCount size, ByteCount compressed = 10) {
  Buffer bytes(size);
  bytes.resize(size);
  return std::make_shared<const CachedFrame>(CachedFrame{offset, compressed, std::move(bytes)});
}

class FrameCacheTest : public ::testing::Test {
 protected:
  FrameCache::Frame get(FrameCache& cache, std::int64_t archive, ByteCount offset, ByteCount size = 100) {
    return cache.get(archive, offset, offset + 10,
                     [&] {
                       ++loads_;
                       return std::vector{frame_at(offset, size)};
                     },
                     {});
  }
  std::atomic<int> loads_{0};
};

TEST_F(FrameCacheTest, LoadsOnceAndKeepsArchivesApart) {
  FrameCache cache(1000);
  const auto first = get(cache, 1, 0);
  EXPECT_EQ(get(cache, 1, 0), first);
  EXPECT_EQ(loads_, 1);
  EXPECT_NE(get(cache, 2, 0), first);
  EXPECT_EQ(loads_, 2);
  EXPECT_EQ(cache.bytes(), 200U);
}

TEST_F(FrameCacheTest, ForgetsWhatWasNotUsedForLongest) {
  FrameCache cache(300);
  for (ByteCount offset : {0, 10, 20}) get(cache, 1, offset);
  get(cache, 1, 0);
  get(cache, 1, 30);  // pushes 10 out
  EXPECT_EQ(cache.bytes(), 300U);
  EXPECT_EQ(loads_, 4);
  get(cache, 1, 0);
  get(cache, 1, 20);
  EXPECT_EQ(loads_, 4);
  get(cache, 1, 10);
  EXPECT_EQ(loads_, 5);
}

TEST_F(FrameCacheTest, AFrameLargerThanTheCacheIsKeptAlone) {
  FrameCache cache(300);
  get(cache, 1, 0);
  const auto large = get(cache, 1, 10, 5000);
  EXPECT_EQ(cache.bytes(), 5000U);
  EXPECT_EQ(get(cache, 1, 10), large);
  EXPECT_EQ(loads_, 2);
  get(cache, 1, 20);
  EXPECT_EQ(cache.bytes(), 100U);
}

TEST_F(FrameCacheTest, ConcurrentReadersShareOneLoad) {
  FrameCache cache(1000);
  std::latch loading(1), go_on(1);
  std::atomic<int> done{0};
  const auto slow = [&] {
    ++loads_;
    loading.count_down();
    go_on.wait();
    // Two frames come with one request; the second is what others wait for.
    return std::vector{frame_at(0, 100, 10), frame_at(10, 100, 10)};
  };
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    cache.get(1, 0, 20, slow, {});
    ++done;
  });
  loading.wait();
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      get(cache, 1, i % 2 == 0 ? 0 : 10);
      ++done;
    });
  }
  get(cache, 2, 0);  // another archive need not wait
  EXPECT_EQ(loads_, 2);
  EXPECT_EQ(done, 0);
  go_on.count_down();
  threads.clear();
  EXPECT_EQ(done, 7);
  EXPECT_EQ(loads_, 2);
}

TEST_F(FrameCacheTest, FailuresAreToldToWhoWaitsAndNotKept) {
  FrameCache cache(1000);
  std::latch loading(1), go_on(1);
  std::atomic<int> failures{0};
  const auto failing = [&]() -> std::vector<FrameCache::Frame> {
    ++loads_;
    loading.count_down();
    go_on.wait();
    throw Error(ErrorKind::unavailable, "no network");
  };
  const auto read = [&](const FrameCache::Load& load) {
    try {
      cache.get(1, 0, 10, load, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unavailable);
      ++failures;
    }
  };
  std::jthread first([&] { read(failing); });
  loading.wait();
  std::jthread second([&] { read([&] { return std::vector{frame_at(0, 100)}; }); });
  std::this_thread::yield();
  go_on.count_down();
  first.join();
  second.join();
  EXPECT_GE(failures, 1);
  EXPECT_EQ(loads_, 1);
  EXPECT_NO_THROW(get(cache, 1, 0));
}

TEST_F(FrameCacheTest, WhoWaitsCanBeStopped) {
  FrameCache cache(1000);
  std::latch loading(1), go_on(1);
  std::jthread loader([&] {
    cache.get(1, 0, 10,
              [&] {
                loading.count_down();
                go_on.wait();
                return std::vector{frame_at(0, 100)};
              },
              {});
  });
  loading.wait();
  std::stop_source stop;
  std::jthread waiter([&] {
    try {
      cache.get(
          1, 0, 10, [] { return std::vector<FrameCache::Frame>{}; }, stop.get_token());
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::cancelled);
    }
  });
  stop.request_stop();
  waiter.join();
  go_on.count_down();
}

TEST_F(FrameCacheTest, ALoadOfSomethingElseIsADefect) {
  FrameCache cache(1000);
  EXPECT_THROW(cache.get(1, 0, 10, [] { return std::vector{frame_at(5, 100)}; }, {}), Error);
  EXPECT_THROW(cache.get(1, 0, 10, [] { return std::vector<FrameCache::Frame>{}; }, {}), Error);
  EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace
}  // namespace bale::mount
