#include <atomic>
#include <random>

#include "base/error.hpp"
#include "flow/memory_budget.hpp"
#include "flow/sequencer.hpp"
#include "flow/thread_pool.hpp"

namespace bale::flow {
namespace {

using ::testing::ElementsAre;

void wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(condition());
}

// ---- MemoryBudget

TEST(MemoryBudgetTest, TicketsAreGivenBackHoweverTheyMove) {
  MemoryBudget budget(100);
  {
    Ticket a = budget.acquire(60);
    Ticket b = std::move(a);
    EXPECT_EQ(a.bytes(), 0U);
    EXPECT_EQ(b.bytes(), 60U);
    EXPECT_FALSE(budget.try_acquire(41));
    b.shrink_to(20);
    b.shrink_to(30);  // never grows
    EXPECT_EQ(b.bytes(), 20U);
    Ticket c = budget.acquire(80);
    c = std::move(b);  // what c held is free
    EXPECT_TRUE(budget.try_acquire(80));
    EXPECT_EQ(c.budget_limit(), 100U);
  }
  EXPECT_TRUE(budget.try_acquire(100));
  EXPECT_EQ(budget.peak(), 100U);
  EXPECT_EQ(Ticket().budget_limit(), 0U);
}

TEST(MemoryBudgetTest, ATicketCanBeSplit) {
  MemoryBudget budget(100);
  Ticket whole = budget.acquire(100);
  {
    const Ticket part = whole.split(30);
    EXPECT_EQ(part.bytes(), 30U);
    EXPECT_EQ(whole.bytes(), 70U);
    EXPECT_FALSE(budget.try_acquire(1));
  }
  EXPECT_TRUE(budget.try_acquire(30));
  EXPECT_EQ(whole.split(1000).bytes(), 70U);
}

TEST(MemoryBudgetTest, MoreThanTheLimitIsGrantedAlone) {
  MemoryBudget budget(100);
  const Ticket huge = budget.acquire(~ByteCount{0});
  EXPECT_FALSE(budget.try_acquire(1));
}

TEST(MemoryBudgetTest, FirstComeFirstServed) {
  MemoryBudget budget(100);
  auto held = std::make_optional(budget.acquire(60));
  std::vector<int> order;
  std::mutex mutex;
  const auto waiter = [&](int name, ByteCount bytes) {
    return std::jthread([&, name, bytes] {
      const Ticket ticket = budget.acquire(bytes);
      const std::scoped_lock lock(mutex);
      order.push_back(name);
    });
  };
  {
    const std::jthread large = waiter(1, 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const std::jthread small = waiter(2, 10);  // would fit, but the large one came first
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(budget.try_acquire(1));
    held.reset();
  }
  EXPECT_THAT(order, ElementsAre(1, 2));
}

TEST(MemoryBudgetTest, WhoGivesUpDoesNotHoldUpTheOthers) {
  MemoryBudget budget(100);
  const Ticket held = budget.acquire(60);
  std::stop_source stop;
  std::atomic<bool> cancelled{false}, served{false};
  std::jthread impatient([&] {
    try {
      const Ticket ticket = budget.acquire(100, stop.get_token());
    } catch (const Error& error) {
      cancelled = error.kind() == ErrorKind::cancelled;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::jthread behind([&] {
    const Ticket ticket = budget.acquire(10);
    served = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(served);
  stop.request_stop();
  wait_until([&] { return cancelled && served; });
}

TEST(MemoryBudgetTest, NeverMoreThanTheLimitIsHeld) {
  MemoryBudget budget(1000);
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(t);
        for (int i = 0; i < 500; ++i) {
          Ticket ticket = budget.acquire(random() % 700);
          if (random() % 3 == 0) ticket.shrink_to(random() % 100);
        }
      });
    }
  }
  EXPECT_LE(budget.peak(), 1000U);
  EXPECT_TRUE(budget.try_acquire(1000));
}

TEST(MemoryBudgetTest, BuffersAreUsedAgainWithinTheLimit) {
  MemoryBudget budget(64 << 10);
  const std::byte* first = nullptr;
  {
    auto [buffer, more] = budget.acquire_buffer(10'000, 100);
    EXPECT_EQ(buffer.bytes.capacity(), 16'384U);
    EXPECT_EQ(more.bytes(), 100U);
    buffer.bytes.resize(10);
    first = buffer.bytes.data();
    Buffer taken = std::move(buffer.bytes);  // and back, as a frame does
    buffer.bytes = std::move(taken);
  }
  EXPECT_EQ(budget.kept(), 16'384U);
  {
    const auto again = budget.acquire_buffer(16'000, 0);
    EXPECT_EQ(again.first.bytes.data(), first);
    EXPECT_TRUE(again.first.bytes.empty());
    EXPECT_EQ(budget.kept(), 0U);
    EXPECT_FALSE(budget.try_acquire_buffer(40'000, 0));
  }
  const Ticket most = budget.acquire(60'000);  // what is kept makes room
  EXPECT_EQ(budget.kept(), 0U);
  EXPECT_EQ(budget.peak(), 60'000U);
}

TEST(MemoryBudgetTest, ABufferThatWouldExceedTheLimitIsNotKept) {
  MemoryBudget budget(20'000);
  auto held = budget.acquire_buffer(10'000, 0);
  { const auto large = budget.try_acquire_buffer(4'000, 0); }
  MemoryBudget tiny(100);
  { const auto alone = tiny.acquire_buffer(10'000, 0); }  // more than the limit: granted, not kept
  EXPECT_EQ(tiny.kept(), 0U);
  EXPECT_LE(budget.kept() + 16'384, 20'480U);
}

// ---- Sequencer

TEST(SequencerTest, EmitsInOrderWhateverTheOrderOfArrival) {
  std::vector<int> emitted;
  Sequencer<int> sequencer([&](std::uint64_t number, int value) {
    EXPECT_EQ(static_cast<int>(number) * 10, value);
    emitted.push_back(value);
  });
  for (const int number : {2, 0, 3, 1}) sequencer.put(static_cast<std::uint64_t>(number), number * 10);
  EXPECT_THAT(emitted, ElementsAre(0, 10, 20, 30));
  EXPECT_EQ(sequencer.next(), 4U);
}

TEST(SequencerTest, OneCallAtATimeFromManyThreads) {
  std::vector<std::uint64_t> emitted;
  std::atomic<int> inside{0};
  Sequencer<std::unique_ptr<int>> sequencer([&](std::uint64_t number, std::unique_ptr<int>) {
    EXPECT_EQ(++inside, 1);
    emitted.push_back(number);
    --inside;
  });
  std::atomic<std::uint64_t> next{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (std::uint64_t i = next++; i < 5000; i = next++) sequencer.put(i, std::make_unique<int>(1));
      });
    }
  }
  EXPECT_EQ(emitted.size(), 5000U);
  EXPECT_TRUE(std::is_sorted(emitted.begin(), emitted.end()));
}

TEST(SequencerTest, AfterAThrowNothingIsEmittedAndNothingIsHeld) {
  MemoryBudget budget(100);
  int calls = 0;
  Sequencer<Ticket> sequencer([&](std::uint64_t, Ticket) {
    ++calls;
    throw Error(ErrorKind::unavailable, "emit");
  });
  sequencer.put(1, budget.acquire(30));
  EXPECT_THROW(sequencer.put(0, budget.acquire(30)), Error);
  sequencer.put(2, budget.acquire(30));
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(budget.try_acquire(100)) << "a dead sequence holds memory that others wait for";
}

// ---- ThreadPool and TaskGroup

TEST(ThreadPoolTest, RunsEverythingBeforeItEnds) {
  std::atomic<int> done{0};
  {
    ThreadPool pool(3, "a rather long name for a thread");
    EXPECT_EQ(pool.size(), 3U);
    for (int i = 0; i < 100; ++i) pool.submit([&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

TEST(TaskGroupTest, TheFirstFailureIsThrownAndWhatHasNotStartedIsSkipped) {
  ThreadPool pool(1, "one");
  TaskGroup group;
  std::atomic<int> ran{0};
  group.run(pool, [] { throw Error(ErrorKind::denied, "first"); });
  for (int i = 0; i < 10; ++i) {
    group.run(pool, [&] {
      ++ran;
      throw Error(ErrorKind::internal, "later");
    });
  }
  try {
    group.wait();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::denied);
  }
  EXPECT_EQ(ran, 0);
  group.run(pool, [&] { ++ran; });  // usable again
  group.wait();
  EXPECT_EQ(ran, 1);
}

TEST(TaskGroupTest, WhoeverAddsTasksMayKeepNearTheWork) {
  ThreadPool pool(4, "test");
  TaskGroup group;
  std::atomic<int> held{0}, most{0};
  for (int i = 0; i < 200; ++i) {
    group.wait_until_at_most(2);
    const auto held_by_task = std::shared_ptr<void>(nullptr, [&](void*) { --held; });
    most = std::max<int>(most, ++held);
    group.run(pool, [held_by_task] { std::this_thread::yield(); });
  }
  group.wait();
  EXPECT_LE(most, 4);  // three tasks, and what this loop itself has not let go of
  EXPECT_EQ(held, 0);
}

TEST(TaskGroupTest, TasksMayAddTasksAndReleaseWhatTheyHoldBeforeWaitReturns) {
  ThreadPool pool(2, "two");
  TaskGroup group;
  const auto held = std::make_shared<int>(0);
  std::atomic<int> done{0};
  for (int i = 0; i < 20; ++i) {
    group.run(pool, [&, held] { group.run(pool, [&, held] { ++done; }); });
  }
  group.wait();
  EXPECT_EQ(done, 20);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(TaskGroupTest, TheDestructorWaitsAndSwallows) {
  ThreadPool pool(1, "one");
  std::atomic<bool> done{false};
  {
    TaskGroup group;
    group.run(pool, [&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      done = true;
      throw Error(ErrorKind::internal, "nobody asks");
    });
  }
  EXPECT_TRUE(done);
}

// What is charged stays while others wait for memory: it must not keep them from it for ever.
TEST(MemoryBudget, ChargesWaitForNobodyAndNobodyWaitsForThemToEnd) {
  MemoryBudget budget(100);
  Ticket held = budget.acquire(90);
  Ticket charged = budget.charge(40);  // more than is left
  EXPECT_EQ(budget.peak(), 130U);
  EXPECT_FALSE(budget.try_acquire(1));
  held = {};
  EXPECT_TRUE(budget.try_acquire(60));
  EXPECT_TRUE(budget.try_acquire(1000));  // nothing but charges is held
  const Ticket other = budget.acquire(10);
  EXPECT_FALSE(budget.try_acquire(60));
  charged.charge_to(20);
  EXPECT_TRUE(budget.try_acquire(70));
  charged.charge_to(90);
  EXPECT_FALSE(budget.try_acquire(1));
  charged = {};
  EXPECT_TRUE(budget.try_acquire(90));
}

}  // namespace
}  // namespace bale::flow
