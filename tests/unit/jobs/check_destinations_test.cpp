// Normal destinations against the catalog: what is missing, older or other is found; what is newer is left alone.
#include <gmock/gmock.h>

#include <set>

#include "catalog/landed_order.hpp"
#include "jobs/check/check.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

using check::FindingType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckDestinations : public ReplicationKit {
 protected:
  /// Packs what the source has now and lands it.
  void replicate(const std::vector<std::string>& keys) {
    std::vector<pack::Item> items;
    for (const std::string& key : keys) items.push_back(item(key, std::to_string(10 + ++sequence_)));
    EXPECT_THAT(land(bring_to_inbound(pack(items).archives.at(0).key)).failures, IsEmpty());
    outside.clock.advance(Milliseconds(1));
  }
  void replicate_deletion(const std::string& key) {
    pack::Item deletion;
    deletion.key = ObjectKey(key);
    deletion.sequencer = std::to_string(10 + ++sequence_);
    deletion.deleted = true;
    deletion.time = outside.clock.now();
    EXPECT_THAT(land(bring_to_inbound(pack({deletion}).archives.at(0).key)).failures, IsEmpty());
  }

  check::Counts run(bool read_data = false) {
    findings.clear();
    options.read_data = read_data ? std::optional<check::Share>(check::Share{}) : std::nullopt;
    flow::Progress progress;
    check::Report report([&](const check::Finding& finding) { findings.push_back(finding); }, progress);
    const check::Tools tools{pools, budget, outside.clock, outside.stop.get_token()};
    check::check_destinations({{store.get(), catalog, region, src, "", "", {{&target, copy}}}}, options, tools, report);
    return report.counts();
  }

  /// Writes content to the destination that keeps the mark of the version that landed.
  void overwrite(const std::string& key, const std::string& content) {
    const auto info = store->head({copy, ObjectKey(key)});
    store::ObjectAttributes attributes;
    attributes.metadata = info->metadata;
    store::MemoryBody body(as_bytes(content));
    store->put({copy, ObjectKey(key)}, body, attributes);
  }

  check::Options options;
  std::vector<check::Finding> findings;

 private:
  int sequence_ = 0;
};

TEST_F(CheckDestinations, WhatIsThereAndEqualIsNoFindingAndOnlyListed) {
  put("a", "1");
  put("b/c", "");
  replicate({"a", "b/c"});
  const int heads = target.faults.calls("head");
  check::Counts counts = run();
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.destination_objects, 2U);
  EXPECT_EQ(counts.destination_read, 0U);
  EXPECT_EQ(target.faults.calls("head"), heads) << "the listing says enough";
  counts = run(/*read_data=*/true);
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.destination_read, 2U);
}

TEST_F(CheckDestinations, AMissingObjectIsNamed) {
  put("a", "1");
  put("b", "2");
  replicate({"a", "b"});
  store->remove({copy, ObjectKey("a")});
  EXPECT_EQ(run().damage, 1U);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].type, FindingType::missing_at_destination);
  EXPECT_EQ(findings[0].where, to_uri(copy, ObjectKey("a")));
  EXPECT_THAT(findings[0].objects, ElementsAre(ObjectAddress{src, ObjectKey("a")}));
}

TEST_F(CheckDestinations, AFlippedByteIsFoundByReading) {
  put("a", "some content");
  replicate({"a"});
  for (std::size_t at = 0; at < 12; ++at) {
    std::string damaged = "some content";
    damaged[at] ^= 1;
    overwrite("a", damaged);
    EXPECT_EQ(run(/*read_data=*/true).damage, 1U) << "byte " << at;
    EXPECT_EQ(findings.at(0).type, FindingType::different_at_destination);
    const check::Counts counts = run();
    EXPECT_EQ(counts.damage, 0U) << "an ETag alone could be that of a KMS key";
    EXPECT_EQ(counts.destination_unknown, 1U);
  }
  overwrite("a", "shorter");
  EXPECT_EQ(run().damage, 1U);
  EXPECT_THAT(findings.at(0).what, HasSubstr("7 bytes, the newest record 12"));
}

TEST_F(CheckDestinations, WhatSomebodyElseWroteIsFound) {
  put("a", "1");
  replicate({"a"});
  store::MemoryBody body(as_bytes("2"));
  store->put({copy, ObjectKey("a")}, body, {});
  EXPECT_EQ(run().damage, 1U);
  EXPECT_THAT(findings.at(0).what, HasSubstr("somebody else"));
}

TEST_F(CheckDestinations, OnlyTheNewestRecordCounts) {
  for (const char* const content : {"1", "22", "333"}) {
    put("a", content);
    replicate({"a"});
  }
  const check::Counts counts = run(/*read_data=*/true);
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.destination_objects, 1U);
}

TEST_F(CheckDestinations, ALaterVersionIsNoFindingAndAnOlderOneIs) {
  put("a", "old");
  replicate({"a"});
  const auto old = store->head({copy, ObjectKey("a")});
  put("a", "newer");
  targets = {{region, copy, "", "", false}};  // this version's backup is still on its way
  replicate({"a"});
  check::Counts counts = run(/*read_data=*/true);
  EXPECT_THAT(findings, IsEmpty());
  EXPECT_EQ(counts.destination_newer, 1U);

  put("a", "newest");
  targets = {{region, vault, "", "", true}};
  replicate({"a"});
  EXPECT_EQ(run().damage, 1U);
  EXPECT_THAT(findings.at(0).what, HasSubstr("an older version"));
}

TEST_F(CheckDestinations, WhatWasDeletedAtTheSourceIsNotExpected) {
  put("a", "1");
  replicate({"a"});
  replicate_deletion("a");
  store->remove({copy, ObjectKey("a")});
  EXPECT_EQ(run().damage, 0U);
  EXPECT_THAT(findings, IsEmpty());
}

TEST_F(CheckDestinations, ACatalogThatDoesNotFitIntoMemoryIsReadSeveralTimes) {
  std::vector<std::string> keys;
  for (int i = 0; i < 30; ++i) {
    keys.push_back("key-" + std::to_string(i));
    put(keys.back(), "content");
  }
  replicate(keys);
  store->remove({copy, ObjectKey("key-17")});
  options.row_bytes = 4 << 10;
  const check::Counts counts = run();
  EXPECT_EQ(counts.destination_objects, 30U);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].where, to_uri(copy, ObjectKey("key-17")));
}

TEST_F(CheckDestinations, WhatIsRefusedIsUnexamined) {
  put("a", "1");
  put("b", "2");
  replicate({"a", "b"});
  target.arm("head", "a", Error(ErrorKind::denied, "access denied"), 1);
  check::Counts counts = run(/*read_data=*/true);
  EXPECT_EQ(counts.damage, 0U);
  EXPECT_EQ(counts.unexamined, 1U);
  EXPECT_EQ(counts.destination_read, 1U);
  target.arm("list", "", Error(ErrorKind::denied, "access denied"), 1);
  EXPECT_EQ(run().unexamined, 1U);
}

TEST(LandedOrder, IsReadAsItWasWritten) {
  const catalog::LandedOrder order{{"0055AED6DCD90281E5", from_epoch_ms(1'700'000'000'123)}, BucketName("src")};
  EXPECT_EQ(catalog::parse_order(catalog::to_text(order)), order);
  for (const char* const other : {"", "a;b;c", "1;2", "1;2;3;4", "1;2x;c"}) EXPECT_FALSE(catalog::parse_order(other));
}

}  // namespace
}  // namespace bale::testing
