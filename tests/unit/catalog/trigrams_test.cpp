// The trigram index never leaves out what holds a text.
#include "catalog/trigrams.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.hpp"

namespace bale::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Trigrams, OfAPatternAreThoseOfItsLiterals) {
  EXPECT_THAT(literals_of_like("%invoice%.pdf"), ElementsAre("invoice", ".pdf"));
  EXPECT_THAT(literals_of_like("a_b%"), ElementsAre("a", "b"));
  EXPECT_THAT(literals_of_like("%%__"), IsEmpty());
  EXPECT_THAT(literals_of_glob("*scan?.raw"), ElementsAre("scan", ".raw"));
  EXPECT_THAT(literals_of_glob("run[0-9]*tail"), ElementsAre("run")) << "nothing behind a class is taken for granted";
}

TEST(Trigrams, ContainsInOrderLooksForEachBehindTheOneBefore) {
  EXPECT_TRUE(contains_in_order("abcabc", {"abc", "abc"}));
  EXPECT_FALSE(contains_in_order("abcab", {"abc", "abc"}));
  EXPECT_FALSE(contains_in_order("xyabc", {"abc", "xy"}));
  EXPECT_TRUE(contains_in_order("", {}));
}

TEST(Trigrams, LettersOfEitherCaseAreOne) {
  EXPECT_EQ(buckets_of({"InVoice"}), buckets_of({"invoice"}));
  EXPECT_THAT(buckets_of({"ab", "c"}), IsEmpty()) << "shorter than a trigram";
}

TEST(SegmentIndex, ATextIsFoundInEveryGranuleThatHoldsIt) {
  std::mt19937 random(1);
  std::vector<std::string> texts;
  SegmentIndex index;
  for (std::size_t granule = 0; granule < segment_granules; ++granule) {
    std::string text = "file-";
    for (int i = 0; i < 12; ++i) text += static_cast<char>('a' + random() % 6);
    TrigramSet set;
    set.add(text);
    for (const TrigramBucket bucket : set.take()) index.add(bucket, granule);
    texts.push_back(text);
  }
  SegmentIndex again;
  for (std::size_t group = 0; group < bucket_groups; ++group) {
    const std::string encoded = index.encode_group(group);
    if (!encoded.empty()) again.decode_group(group, encoded);
  }
  for (int round = 0; round < 50; ++round) {
    const std::string part = texts[random() % texts.size()].substr(random() % 8, 5);
    Granules found;
    found.set();
    for (const TrigramBucket bucket : buckets_of({part}))
      found &= granules_of(again.encode_group(bucket / bucket_group), bucket);
    std::size_t surplus = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const bool holds = texts[i].find(part) != std::string::npos;
      EXPECT_TRUE(!holds || found[i]) << part;
      surplus += found[i] && !holds ? 1 : 0;
    }
    EXPECT_LT(surplus, texts.size() / 4) << "it rules most of the others out";
  }
}

TEST(SegmentIndex, WhatIsCutOffIsForgotten) {
  SegmentIndex index;
  index.add(7, 3);
  index.add(7, 500);
  index.cut(500);
  const Granules left = granules_of(index.encode_group(0), 7);
  EXPECT_TRUE(left[3]);
  EXPECT_EQ(left.count(), 1U);
  index.clear();
  EXPECT_TRUE(index.encode_group(0).empty());
}

TEST(SegmentIndex, DamagedGroupsAreNoticed) {
  SegmentIndex index;
  index.add(0, 1023);
  for (std::size_t i = 0; i < 200; ++i) index.add(1, i);
  const std::string whole = index.encode_group(0);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    SegmentIndex other;
    EXPECT_THROW(other.decode_group(0, std::string_view(whole).substr(0, length)), Error) << length;
  }
  std::string wrong = whole;
  wrong[2] = static_cast<char>(0x7f);  // granule 32,767
  EXPECT_THROW(granules_of(wrong, 0), Error);
}

}  // namespace
}  // namespace bale::catalog
