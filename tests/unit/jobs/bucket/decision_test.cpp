// What listings and the journal decide: evidence, and what a backup does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "jobs/bucket/backup.hpp"
#include "jobs/bucket/brakes.hpp"
#include "jobs/bucket/cost.hpp"
#include "jobs/bucket/marks.hpp"

namespace bale::bucket {
namespace {

constexpr const char* md5_a = "0123456789abcdef0123456789abcdef";
constexpr const char* md5_b = "fedcba9876543210fedcba9876543210";
const std::string parts_a = std::string(md5_a) + "-3", parts_b = std::string(md5_b) + "-5";

TimePoint at(std::chrono::hours hours) { return TimePoint(std::chrono::hours(400'000) + hours); }
constexpr std::chrono::hours now{1000};

store::ListedObject object(const std::string& etag, std::chrono::hours written, ByteCount size = 10) {
  store::ListedObject made;
  made.key = ObjectKey("a");
  made.size = size;
  made.etag = ETag(etag);
  made.last_modified = at(written);
  return made;
}

JournalEntry entry_of(const store::ListedObject& source, const store::ListedObject& copy) {
  return {.name = "a",
          .source_etag = source.etag,
          .size = source.size,
          .source_modified = source.last_modified,
          .copy_etag = copy.etag};
}

struct Case {
  store::ListedObject source, copy;
  std::optional<JournalEntry> known = {};
  ListedRules rules = {.level = Level::checksum, .since = at(now - std::chrono::hours(48))};

  Pair pair() const { return {"a", &source, &copy, known ? &*known : nullptr}; }
  std::string evidence() const {
    const auto found = judge_listed(pair(), rules);
    return found ? std::string(to_string(found->verdict)) + " " + found->by : "ask";
  }
  std::string decision() const {
    const Decision made = decide(pair(), rules);
    switch (made.action) {
      case Decision::Action::none: return "none";
      case Decision::Action::compare: return "compare";
      case Decision::Action::note: return made.origin == Origin::etag ? "note etag" : "note time";
      case Decision::Action::copy: break;
    }
    return "copy " + std::string(to_string(made.reason));
  }
};

using std::chrono::hours;

TEST(Decision, OfEqualETags) {
  const Case equal{object(md5_a, hours(1)), object(md5_a, hours(2))};
  EXPECT_EQ(equal.evidence(), "same etag");
  EXPECT_EQ(equal.decision(), "note etag");
  // Written again with the same bytes: its headers may be others.
  EXPECT_EQ((Case{object(md5_a, hours(3)), object(md5_a, hours(2))}).decision(), "copy rewritten");
}

TEST(Decision, OfSizes) {
  Case differing{object(md5_a, hours(1), 10), object(md5_a, hours(2), 11)};
  EXPECT_EQ(differing.evidence(), "differs size");
  EXPECT_EQ(differing.decision(), "copy changed");
  Case equal{object(md5_a, hours(1)), object(md5_b, hours(2))};
  equal.rules.level = Level::size;
  EXPECT_EQ(equal.evidence(), "same size");
}

TEST(Decision, OfMd5sThatDifferAHeadTellsWhetherTheyAreMd5s) {
  const Case old{object(md5_a, hours(1)), object(md5_b, hours(2))};
  EXPECT_EQ(old.evidence(), "ask") << "an old edit of the same size is not hidden by its date";
  EXPECT_EQ(old.decision(), "compare");
}

TEST(Decision, OfPartsThatDifferTheWindowDecides) {
  // Old, and the copy was written long after the longest upload.
  EXPECT_EQ((Case{object(parts_a, hours(1)), object(parts_b, hours(500))}).evidence(), "same size+time");
  // The upload may have ended after the copy was made: its date is that of its beginning.
  EXPECT_EQ((Case{object(parts_a, hours(1)), object(parts_b, hours(100))}).evidence(), "ask");
  // In the window.
  EXPECT_EQ((Case{object(parts_a, now - hours(1)), object(parts_b, now)}).evidence(), "ask");
  // The copy is older than its source.
  EXPECT_EQ((Case{object(parts_a, hours(500)), object(parts_b, hours(2))}).evidence(), "ask");
  Case all{object(parts_a, hours(1)), object(parts_b, hours(500))};
  all.rules.since = std::nullopt;
  EXPECT_EQ(all.evidence(), "ask");
  all.rules.level = Level::etag;
  EXPECT_EQ(all.evidence(), "unknown the ETags are of parts that differ");
  EXPECT_EQ(all.decision(), "copy unproven");
}

TEST(Decision, TheJournalKnowsWhatWasCopied) {
  Case known{object(parts_a, hours(1)), object(parts_b, hours(2))};
  known.known = entry_of(known.source, known.copy);
  EXPECT_EQ(known.evidence(), "same journal");
  EXPECT_EQ(known.decision(), "none");
  known.known->origin = Origin::time;
  EXPECT_EQ(known.evidence(), "same size+time") << "what was only assumed is not told as known";

  Case changed = known;
  changed.source = object(md5_a, hours(3));
  EXPECT_EQ(changed.decision(), "copy changed");
  Case rewritten = known;
  rewritten.source.last_modified += hours(1);
  EXPECT_EQ(rewritten.decision(), "copy rewritten");
  Case replaced = known;
  replaced.copy.etag = ETag(md5_b);
  EXPECT_EQ(replaced.decision(), "compare") << "the journal says nothing of another copy";
  Case missing = known;
  const Pair without{"a", &missing.source, nullptr, &*missing.known};
  EXPECT_EQ(decide(without, missing.rules).action, Decision::Action::copy);
}

store::ObjectInfo info(const std::string& etag, std::optional<std::string> checksum = {}, bool is_opaque = false) {
  store::ObjectInfo made;
  made.size = 10;
  made.etag = ETag(etag);
  made.is_etag_opaque = is_opaque;
  if (checksum) made.checksum = store::Checksum{store::Checksum::Algorithm::crc64nvme, *checksum};
  return made;
}

std::string judged(const store::ObjectInfo& left, const store::ObjectInfo& right) {
  const Evidence found = judge_content(left, right);
  return std::string(to_string(found.verdict)) + (found.verdict == Verdict::unknown ? "" : " " + found.by);
}

TEST(Content, OrderOfEvidence) {
  EXPECT_EQ(judged(info(md5_a, "1"), info(md5_b, "1", true)), "same crc64nvme");
  EXPECT_EQ(judged(info(md5_a, "1"), info(md5_a, "2")), "differs crc64nvme");
  EXPECT_EQ(judged(info(md5_a), info(md5_b)), "differs etag");
  EXPECT_EQ(judged(info(md5_a), info(md5_b, {}, true)), "unknown") << "SSE-KMS at one side";
  EXPECT_EQ(judged(info(parts_a), info(parts_b)), "unknown");
  store::ObjectInfo left = info(parts_a), right = info(parts_b);
  left.part_bytes = right.part_bytes = 5;
  EXPECT_EQ(judged(left, right), "differs etag") << "parts of one size";
  right.size = 11;
  EXPECT_EQ(judged(left, right), "differs size");
}

TEST(Content, MetadataIsComparedByName) {
  store::ObjectInfo left = info(md5_a), right = info(md5_a);
  EXPECT_EQ(metadata_difference(left, right), "");
  right.metadata["a"] = "b";
  EXPECT_EQ(metadata_difference(left, right), "metadata");
  left.headers.cache_control = "no-store";
  EXPECT_EQ(metadata_difference(left, right), "cache-control");
}

TEST(Marks, AreAddedBesideOtherTags) {
  const TimePoint time = parse_time("2026-11-30T12:34:56Z");
  const auto marked = with_marks({{"mine", "kept"}}, time);
  ASSERT_TRUE(marked);
  EXPECT_EQ(*marked, (store::Tags{{"mine", "kept"}, {"Deleted", "True"}, {"DeletedAt", "2026-11-30T12:34"}}));
  EXPECT_EQ(with_marks(*marked, time + std::chrono::hours(1)), marked) << "a mark is not renewed";
  EXPECT_EQ(without_marks(*marked), (store::Tags{{"mine", "kept"}}));
  EXPECT_EQ(deleted_at(*marked), parse_time("2026-11-30T12:34:00Z"));
  EXPECT_EQ(deleted_at({{"Deleted", "true"}, {"DeletedAt", "2026-11-30T12:34:56"}}), time);
  EXPECT_FALSE(deleted_at({{"Deleted", "True"}, {"DeletedAt", "yesterday"}}));
  EXPECT_FALSE(is_marked({{"Deleted", "False"}}));
}

TEST(Marks, HaveNoRoomFromNineTagsOn) {
  store::Tags tags;
  for (int i = 0; i < 8; ++i) tags["t" + std::to_string(i)] = "";
  EXPECT_TRUE(with_marks(tags, {}));
  tags["t8"] = "";
  EXPECT_FALSE(with_marks(tags, {}));
  tags.erase("t0");
  tags["Deleted"] = "no";
  EXPECT_TRUE(with_marks(tags, {})) << "a tag of the same name is replaced";
}

TEST(Brakes, MarkTheLargerOfBothLimits) {
  EXPECT_EQ(MarkLimit().of(100), 1000U);
  EXPECT_EQ(MarkLimit().of(100'000), 10'000U);
  EXPECT_EQ(parse_mark_limit("7").of(1'000'000), 7U);
  EXPECT_EQ(parse_mark_limit("25%").of(40), 10U);
  for (const char* wrong : {"", "%", "101%", "-1", "1.5", "many"})
    EXPECT_THROW(parse_mark_limit(wrong), Error) << wrong;
  EXPECT_NO_THROW(check_marks({1, 100, 1000}, {}));
  EXPECT_THROW(check_marks({1, 100, 1001}, {}), Error);
  EXPECT_THROW(check_source({0, 1, 0}, false), Error);
  EXPECT_NO_THROW(check_source({0, 1, 0}, true));
  EXPECT_NO_THROW(check_source({0, 0, 0}, false));
}

TEST(Cost, SmallObjectsAreBilledAsLargerOnes) {
  StorageEstimate estimate;
  estimate.add(2048, "STANDARD_IA", false);
  estimate.add(1 << 20, "STANDARD_IA", false);
  estimate.add(100, "STANDARD", true);
  EXPECT_EQ(estimate.billed, (128U << 10) + (1U << 20) + 100);
  EXPECT_EQ(estimate.small, 1U);
  EXPECT_EQ(estimate.kept_standard, 1U);
  const CopyRules rules{.storage_class = "STANDARD_IA", .ia_above = 128 << 10};
  EXPECT_EQ(copy_class(rules, 1000, "GLACIER"), "STANDARD");
  EXPECT_EQ(copy_class(rules, 128 << 10, "GLACIER"), "STANDARD_IA");
  EXPECT_EQ(copy_class({.storage_class = ""}, 1, "GLACIER"), "GLACIER");
  RequestCounts requests;
  requests.list = requests.copy = 1000;
  requests.head = 10'000;
  EXPECT_NEAR(price_of(requests, {}), 0.005 + 0.01 + 0.004, 1e-9);
}

}  // namespace
}  // namespace bale::bucket
