#include "embedded/commit_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/fake_world.hpp"

namespace bale::embedded {
namespace {

class CommitQueueTest : public ::testing::Test {
 protected:
  CommitQueueTest() {
    Database(file_).run_script(
        "CREATE TABLE counter(value INTEGER); INSERT INTO counter VALUES(0);"
        "CREATE TABLE t(x INTEGER UNIQUE)");
  }
  std::int64_t count() {
    Database database(file_);
    Query rows = database.query("SELECT count(*) FROM t");
    rows.step();
    return rows.integer(0);
  }
  testing::TemporaryDirectory directory_;
  const std::filesystem::path file_ = directory_.path() / "db";
};

TEST_F(CommitQueueTest, FailsOneWithoutTheOthers) {
  std::atomic<int> commits{0}, failed{0};
  CommitQueue queue(file_, [&](const CommitQueue::Committed&) { ++commits; });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          try {
            queue.run(Database::Durability::process, [&](WriteContext& context) {
              context.database.execute("INSERT INTO t VALUES(?)", t * 1000 + i);
              if (i % 5 == 0) throw Error(ErrorKind::precondition, "no");
            });
          } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::precondition);
            ++failed;
          }
        }
      });
    }
  }
  EXPECT_EQ(failed, 8 * 10);
  EXPECT_EQ(count(), 8 * 40);
  EXPECT_LE(commits, 8 * 50);
}

TEST_F(CommitQueueTest, NumbersStrictlyOverAllWriters) {
  CommitQueue one(file_, [](const auto&) {}), two(file_, [](const auto&) {});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          (t % 2 == 0 ? one : two).run(Database::Durability::process, [&](WriteContext& context) {
            context.database.execute("INSERT INTO t VALUES(?)", context.next_sequence());  // UNIQUE
          });
        }
      });
    }
  }
  EXPECT_EQ(count(), 300);
}

TEST_F(CommitQueueTest, SaysWhenOthersHaveCommitted) {
  std::atomic<int> foreign{0};
  CommitQueue one(file_,
                  [&](const CommitQueue::Committed& committed) { foreign += committed.foreign_commits ? 1 : 0; });
  CommitQueue two(file_, [](const auto&) {});
  const auto insert = [](std::int64_t x) {
    return [x](WriteContext& context) { context.database.execute("INSERT INTO t VALUES(?)", x); };
  };
  one.run(Database::Durability::process, insert(1));
  const int before = foreign;
  one.run(Database::Durability::process, insert(2));
  EXPECT_EQ(foreign, before);
  two.run(Database::Durability::process, insert(3));
  one.run(Database::Durability::process, insert(4));
  EXPECT_EQ(foreign, before + 1);
}

}  // namespace
}  // namespace bale::embedded
