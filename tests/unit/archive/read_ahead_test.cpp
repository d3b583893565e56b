#include "archive/read_ahead.hpp"

#include "base/error.hpp"
#include "support/archive_kit.hpp"

namespace bale::archive {
namespace {

using test::Machine;
using test::MemorySource;
using test::noise;

constexpr ByteCount MiB = 1 << 20;

std::string read_all(ReadAhead& bytes) {
  std::string all;
  for (ByteView next = bytes.next(); !next.empty(); next = bytes.next()) {
    all += as_text(next);
    EXPECT_LE(next.size(), ReadAhead::most_request_bytes);
  }
  return all;
}

TEST(ReadAhead, GivesThePartInOrderWithAndWithoutMeans) {
  Machine machine;
  MemorySource file(noise(23 * MiB + 5, 1));
  for (const ReadAheadMeans& means : {ReadAheadMeans{}, ReadAheadMeans{&machine.connections, &machine.budget}}) {
    for (const auto& [begin, end] : {std::pair<ByteCount, ByteCount>{0, file.bytes.size()}, {3, 9 * MiB}, {7, 7}}) {
      ReadAhead bytes(file, begin, end, {}, means);
      EXPECT_TRUE(read_all(bytes) == file.bytes.substr(begin, end - begin)) << begin << " " << end;
      EXPECT_EQ(bytes.offset(), end);
    }
  }
}

/// Each read ends when another one has begun: one after the other, they would never end.
TEST(ReadAhead, RequestsOverlap) {
  Machine machine;
  MemorySource file(noise(16 * MiB, 1));
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  file.on_read = [&](ByteCount, std::size_t) {
    std::unique_lock lock(mutex);
    ++begun;
    changed.notify_all();
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return begun >= 2; }));
  };
  ReadAhead bytes(file, 0, file.bytes.size(), {}, {&machine.connections, &machine.budget});
  EXPECT_TRUE(read_all(bytes) == file.bytes);
}

TEST(ReadAhead, WhatIsPerhapsNotWantedIsNotReadAhead) {
  Machine machine;
  MemorySource file(noise(16 * MiB, 1));
  ReadAhead bytes(file, 0, file.bytes.size(), [](ByteCount offset) { return offset < 6 * MiB ? 6 * MiB - offset : 0; },
                  {&machine.connections, &machine.budget});
  ByteCount got = 0;
  while (got < 6 * MiB) got += bytes.next().size();
  EXPECT_EQ(file.bytes_read, 6 * MiB);
  EXPECT_EQ(file.requests, 2U);
  EXPECT_EQ(bytes.next().size(), 256U << 10);  // it was wanted after all
  EXPECT_EQ(file.bytes_read, 6 * MiB + (256 << 10));
}

TEST(ReadAhead, TakesASmallShareOfTheBudgetAndGivesItBack) {
  MemorySource file(noise(64 * MiB, 1));
  for (const ByteCount limit : {1 * MiB, 100 * MiB}) {
    Machine machine(8, 2, limit);
    {
      ReadAhead bytes(file, 0, file.bytes.size(), {}, {&machine.connections, &machine.budget});
      EXPECT_EQ(read_all(bytes).size(), file.bytes.size());
    }
    EXPECT_LE(machine.budget.peak(), limit / 16 + ReadAhead::most_request_bytes * (limit > 8 * MiB ? 1 : 0));
    EXPECT_TRUE(machine.budget.try_acquire(limit));
  }
}

TEST(ReadAhead, AFailureComesAfterWhatWasBeforeIt) {
  Machine machine;
  MemorySource file(noise(20 * MiB, 1));
  file.on_read = [](ByteCount offset, std::size_t) {
    if (offset >= 8 * MiB) throw Error(ErrorKind::unavailable, "gone");
  };
  ReadAhead bytes(file, 0, file.bytes.size(), {}, {&machine.connections, &machine.budget});
  EXPECT_EQ(bytes.next().size(), 4 * MiB);
  EXPECT_EQ(bytes.next().size(), 4 * MiB);
  EXPECT_THROW(bytes.next(), Error);
}

TEST(ReadAhead, MayBeGivenUpAtAnyTime) {
  Machine machine;
  MemorySource file(noise(40 * MiB, 1));
  for (int blocks = 0; blocks < 8; ++blocks) {
    ReadAhead bytes(file, 0, file.bytes.size(), {}, {&machine.connections, &machine.budget});
    for (int i = 0; i < blocks; ++i) EXPECT_FALSE(bytes.next().empty());
  }
  EXPECT_TRUE(machine.budget.try_acquire(machine.budget.limit()));
}

}  // namespace
}  // namespace bale::archive
