// S3 tells when an object was written to the second: what is newest when several versions of a key are of one second.
#include <thread>

#include "jobs/land/landing.hpp"
#include "support/odd_store.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

/// A clock that does something while somebody sleeps.
class EventfulClock final : public os::Clock {
 public:
  EventfulClock(os::Clock& inner, std::function<void()> happens) : inner_(inner), happens_(std::move(happens)) {}
  TimePoint now() override { return inner_.now(); }
  std::chrono::steady_clock::time_point steady() override { return inner_.steady(); }
  bool sleep_for(Milliseconds duration, std::stop_token stop) override {
    if (happens_) std::exchange(happens_, {})();
    return inner_.sleep_for(duration, stop);
  }

 private:
  os::Clock& inner_;
  std::function<void()> happens_;
};

class SameSecond : public ReplicationKit {
 protected:
  /// Packs and leaves the clock where it was, so that all is of one second.
  ObjectAddress packed(const pack::Item& item) {
    const TimePoint now = outside.clock.now();
    outside.clock.set(now + Milliseconds(++archives_));  // archives of one moment need different names
    const auto result = pack::Packer(plan(), source, source, world, log, pools, budget).pack({item}, {});
    outside.clock.set(now);
    return bring_to_inbound(result.archives.at(0).key);
  }

  /// As an event of the present content, without a sequencer: what a backfill sends.
  pack::Item listed(const std::string& key) {
    pack::Item made = item(key, "");
    made.announced = outside.clock.now();
    return made;
  }

  pack::PackResult pack_while(const pack::Item& item, std::function<void()> happens) {
    EventfulClock clock(outside.clock, std::move(happens));
    os::World eventful{clock,          world.entropy,  world.environment,
                       *outside.files, world.terminal, outside.stop.get_token()};
    return pack::Packer(plan(), source, source, eventful, log, pools, budget).pack({item}, {});
  }

  int archives_ = 0;
};

TEST_F(SameSecond, AnOverwriteAfterABackfillLandsWhateverComesFirst) {
  for (const bool backfill_first : {true, false}) {
    put("a", "old");
    const ObjectAddress backfill = packed(item("a", ""));
    put("a", "new");
    const ObjectAddress event = packed(item("a", "02"));
    for (const ObjectAddress& archive : {backfill_first ? backfill : event, backfill_first ? event : backfill})
      EXPECT_TRUE(land(archive).failures.empty());
    EXPECT_EQ(read(copy, "a"), "new") << backfill_first;
    store->remove({copy, ObjectKey("a")});
  }
}

TEST_F(SameSecond, EveryOrderOfThreeVersionsAndABackfillEndsWithTheNewest) {
  std::vector<ObjectAddress> archives;
  put("a", "1");
  archives.push_back(packed(item("a", "01")));
  archives.push_back(packed(item("a", "")));
  put("a", "2");
  archives.push_back(packed(item("a", "02")));
  put("a", "3");
  archives.push_back(packed(item("a", "03")));
  std::sort(archives.begin(), archives.end());
  do {
    for (const ObjectAddress& archive : archives) {
      land(archive);
      store->copy({{vault, archive.key}, {}, {}}, archive);  // delivered a second time
      land(archive);
      store->copy({{vault, archive.key}, {}, {}}, archive);
    }
    ASSERT_EQ(read(copy, "a"), "3");
    store->remove({copy, ObjectKey("a")});
  } while (std::next_permutation(archives.begin(), archives.end()));
}

TEST_F(SameSecond, SeveralWorkersEndWithTheNewest) {
  for (int round = 0; round < 20; ++round) {
    std::vector<ObjectAddress> archives;
    for (const char* sequencer : {"", "01", "02", "03"}) {
      put("a", "content " + std::string(sequencer));
      archives.push_back(packed(item("a", sequencer)));
    }
    {
      std::vector<std::jthread> workers;
      for (const ObjectAddress& archive : archives) workers.emplace_back([this, &archive] { land(archive); });
    }
    ASSERT_EQ(read(copy, "a"), "content 03");
    store->remove({copy, ObjectKey("a")});
  }
}

TEST_F(SameSecond, OfTwoSourceBucketsTheSameWinsWhateverComesFirst) {
  const auto now = outside.clock.now();
  store::ObjectInfo there;
  const land::LandedOrder one{{"05", now}, BucketName("bucket-a")}, other{{"01", now}, BucketName("bucket-b")};
  EXPECT_EQ(land::decide(there, one, other), land::Action::replace);
  EXPECT_EQ(land::decide(there, other, one), land::Action::skip);
  EXPECT_EQ(land::decide(there, other, other), land::Action::skip);
  const land::LandedOrder later{{"", now + std::chrono::seconds(1)}, BucketName("bucket-a")};
  EXPECT_EQ(land::decide(there, other, later), land::Action::replace);
  EXPECT_EQ(land::decide(there, later, other), land::Action::skip);
}

TEST_F(SameSecond, ABackfillOfASecondThatIsNotOverPacksWhatIsThereAfterwards) {
  put("a", "old");
  const auto result = pack_while(listed("a"), [this] { put("a", "new"); });
  ASSERT_EQ(result.archives.size(), 1U);
  land(bring_to_inbound(result.archives[0].key));
  EXPECT_EQ(read(copy, "a"), "new");
}

TEST_F(SameSecond, ABackfillOfOldObjectsWaitsForNothing) {
  put("a", "old");
  outside.clock.advance(std::chrono::seconds(3));
  bool slept = false;
  pack_while(listed("a"), [&] { slept = true; });
  EXPECT_FALSE(slept);
}

TEST_F(SameSecond, AnOldDateThatABackfillClaimsIsNotBelieved) {
  put("a", "old");
  pack::Item claimed = listed("a");
  claimed.time -= std::chrono::hours(1);
  const auto result = pack_while(claimed, [this] { put("a", "new"); });
  ASSERT_EQ(result.archives.size(), 1U);
  land(bring_to_inbound(result.archives[0].key));
  EXPECT_EQ(read(copy, "a"), "new");
}

TEST_F(SameSecond, AMultipartUploadThatBeganBeforeABackfillAndEndedAfterItLands) {
  put("a", "old");
  const auto began = outside.clock.now();
  outside.clock.advance(std::chrono::seconds(10));
  put("a", "listed");
  const ObjectAddress backfill = packed(item("a", ""));
  outside.clock.advance(std::chrono::seconds(20));
  put("a", "uploaded");
  pack::Item event = item("a", "02");
  event.announced = event.time + std::chrono::seconds(1);
  OddStore amazon(*store);  // dates the object by the begin of its upload
  amazon.get_ = [&](const ObjectAddress& object, const auto& range, const store::ReadConditions& conditions) {
    store::ObjectInfo info = store->get(object, range, conditions)->info();
    info.last_modified = began;
    return std::make_unique<TextStream>(info, 0, "uploaded");
  };
  const auto result = pack::Packer(plan(), amazon, source, world, log, pools, budget).pack({event}, {});
  const ObjectAddress upload = bring_to_inbound(result.archives.at(0).key);
  for (const ObjectAddress& archive : {backfill, upload}) land(archive);
  EXPECT_EQ(read(copy, "a"), "uploaded");
}

}  // namespace
}  // namespace bale::testing
