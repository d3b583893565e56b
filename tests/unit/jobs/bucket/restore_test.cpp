// A restore on the embedded store, with a clock that stands still.
#include "jobs/bucket/restore.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "base/error.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"

namespace bale::bucket {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class BucketRestoreTest : public ::testing::Test {
 protected:
  BucketRestoreTest() {
    inner->create_bucket(backup.bucket);
    inner->create_bucket(fresh.bucket);
    options.tells_restores = true;
  }

  void put(const std::string& key, const std::string& content, const std::string& storage_class = "STANDARD",
           const store::Tags& tags = {}) {
    store::MemoryBody body{as_bytes(content)};
    store::ObjectAttributes attributes;
    attributes.storage_class = storage_class;
    attributes.tags = tags;
    inner->put({backup.bucket, ObjectKey(key)}, body, attributes);
  }
  std::vector<std::string> keys() {
    std::vector<std::string> all;
    for (const store::ListedObject& object : inner->list(fresh.bucket, {}).objects) all.push_back(object.key.str());
    return all;
  }
  /// Runs `work` on a restore, and keeps what it tells as "fate name".
  void run(const std::function<void(BucketRestore&)>& work) {
    told.clear();
    BucketRestore job(backup, fresh, options, {tools, limit, listing, 1, &journal}, [&](const RestoredObject& object) {
      constexpr std::array<const char*, 8> fates{"restored", "same",       "deleted", "requested",
                                                 "waiting",  "over_limit", "gone",    "failed"};
      told.push_back(std::string(fates[static_cast<std::size_t>(object.fate)]) + " " + object.from.key.str());
    });
    work(job);
  }

  testing::FakeWorld world;
  os::World outside = world.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(world.path("store"), outside);
  std::unique_ptr<store::ObjectStore> inner = backend->store(Region("eu-central-1"));
  testing::FaultyStore store{*inner};
  Side backup{&store, BucketName("backup")}, fresh{&store, BucketName("fresh")};
  RestoreOptions options;
  flow::ThreadPool connections{4, "connection"}, cores{1, "core"}, listing{4, "list"};
  flow::MemoryBudget budget{64 << 20};
  telemetry::Log log{outside, telemetry::Level::off, telemetry::Format::text};
  flow::Progress progress;
  Tools tools{outside, {connections, cores}, budget, log, progress, 4, [](const std::string&) {}};
  flow::AdaptiveLimit limit{world.clock, 4};
  RestoreJournal journal{*world.files, world.path("journal.db"), "backup to fresh"};
  std::vector<std::string> told;
};

TEST_F(BucketRestoreTest, RequestsNoMoreThanTheMoneyAllows) {
  for (const char* key : {"a", "b", "c"}) put(key, "x", "GLACIER");
  options.most_dollars = 2.5 * restore_dollars(Archive::glacier, Tier::standard, 1, options.days);
  run([&](BucketRestore& job) {
    job.pass();
    EXPECT_EQ(job.counts().requested, 2U);
    EXPECT_EQ(job.counts().over_limit, 1U);
    EXPECT_EQ(job.waiting(), 2U) << "what was not requested is not waited for";
    EXPECT_LE(job.requested().dollars(), *options.most_dollars);
  });
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_F(BucketRestoreTest, LooksOnlyForWhatIsAwaited) {
  for (int i = 0; i < 2500; ++i) put("m" + std::to_string(10'000 + i), "x");
  put("a-first", "x", "GLACIER");
  put("z-last", "x", "GLACIER");
  run([&](BucketRestore& job) {
    job.pass();
    EXPECT_EQ(job.waiting(), 2U);
    std::atomic<std::size_t> pages{0};
    store.before = [&](const std::string& method, const std::string&) { pages += method == "list" ? 1 : 0; };
    EXPECT_FALSE(job.poll());
    store.before = {};
    EXPECT_LE(pages, 8U);
    EXPECT_EQ(job.counts().restored, 2502U);
  });
  EXPECT_EQ(told.size(), 2504U) << "each object once, and the two requests";
}

TEST_F(BucketRestoreTest, AnAwaitedKeyThatFailsIsNoLongerAwaited) {
  put("bad", "x", "GLACIER");
  put("good", "x", "GLACIER");
  run([&](BucketRestore& job) {
    job.pass();
    store.arm("copy", "bad", Error(ErrorKind::denied, "no").with_code("AccessDenied"));
    EXPECT_FALSE(job.poll()) << "there is an end";
    EXPECT_EQ(job.counts().failed, 1U);
  });
  EXPECT_THAT(told, UnorderedElementsAre("requested bad", "requested good", "failed bad", "restored good"));
}

TEST_F(BucketRestoreTest, PollsLessAndLessOften) {
  put("cold", "x", "GLACIER");
  run([&](BucketRestore& job) {
    job.pass();
    const TimePoint began = world.clock.now();
    // Restored at once by the embedded store, but the listing says otherwise, as S3's does for hours.
    store.arm("copy", "cold", Error(ErrorKind::denied, "archived").with_code("InvalidObjectState"), 1);
    EXPECT_TRUE(job.poll()) << "it turned out to be archived: requested again, and awaited";
    EXPECT_EQ(world.clock.now() - began, std::chrono::seconds(1));
    EXPECT_FALSE(job.poll());
    EXPECT_EQ(world.clock.now() - began, std::chrono::seconds(3));
  });
  EXPECT_THAT(told, ElementsAre("requested cold", "requested cold", "restored cold"));
}

TEST_F(BucketRestoreTest, AsOfLeavesOutWhatIsNewer) {
  put("old", "1");
  const TimePoint then = world.clock.now();
  world.clock.advance(std::chrono::seconds(5));
  put("new", "2");
  options.as_of = then;
  run([&](BucketRestore& job) {
    EXPECT_EQ(job.plan().to_copy, 1U);
    job.pass();
    EXPECT_EQ(job.counts().newer, 1U);
  });
  EXPECT_THAT(keys(), ElementsAre("old"));
}

TEST_F(BucketRestoreTest, AMarkWithoutATimeCountsAtAnyTime) {
  put("marked", "1", "STANDARD", {{"Deleted", "True"}, {"DeletedAt", "yesterday"}});
  put("marked-later", "1", "STANDARD", {{"Deleted", "True"}, {"DeletedAt", "2999-01-01T00:00"}});
  options.as_of = world.clock.now();
  run([&](BucketRestore& job) { job.pass(); });
  EXPECT_THAT(keys(), ElementsAre("marked-later"));
}

}  // namespace
}  // namespace bale::bucket
