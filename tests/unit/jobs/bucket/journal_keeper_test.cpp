#include "jobs/bucket/journal_keeper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "support/fake_world.hpp"

namespace bale::bucket {
namespace {

using ::testing::ElementsAre;
using testing::FakeWorld;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const JournalIdentity identity{"aws", "s3://a", "s3://b"};

JournalEntry entry(const std::string& name, const std::string& etag = "e1") {
  return {.name = name, .source_etag = ETag(etag), .size = 1, .copy_etag = ETag(etag)};
}

class Keeper : public ::testing::Test {
 protected:
  std::unique_ptr<JournalKeeper> keeper(const JournalIdentity& about = identity) {
    outside.clock.advance(std::chrono::seconds(1));  // a run of its own
    return std::make_unique<JournalKeeper>(files.get(), about, world,
                                           [this](const std::string& text) { warnings.push_back(text); });
  }
  /// "name=etag" of what the journal knows.
  std::vector<std::string> known(const JournalIdentity& about = identity) {
    const auto reading = keeper(about);
    const auto entries = reading->entries();
    std::vector<std::string> found;
    if (!entries) return {"no journal"};
    while (const JournalEntry* each = entries->next()) found.push_back(each->name + "=" + each->copy_etag.str());
    return found;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const JournalFile& file : files->list()) found.push_back(file.name.substr(0, file.name.find('-')));
    return found;
  }

  FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<JournalFiles> files = journal_in_directory(os::system_files(), outside.path("journal"));
  std::vector<std::string> warnings;
};

TEST_F(Keeper, ARunThatEndsLeavesOneFile) {
  EXPECT_THAT(known(), ElementsAre("no journal"));
  const auto first = keeper();
  first->note(entry("b"));
  first->note(entry("a"));
  first->fold();
  EXPECT_THAT(names(), ElementsAre("base"));
  EXPECT_THAT(known(), ElementsAre("a=e1", "b=e1"));
}

TEST_F(Keeper, ARunThatIsCutLeavesSegmentsThatTheNextOneFolds) {
  const auto first = keeper();
  first->note(entry("b"));
  first->note(entry("c"));
  first->fold();
  const auto cut = keeper();
  cut->note(entry("b", "e2"));
  cut->note(entry("b", "e3"));
  cut->flush();
  EXPECT_THAT(names(), ElementsAre("base", "segment"));
  EXPECT_THAT(known(), ElementsAre("b=e3", "c=e1"));
  const auto last = keeper();
  JournalEntry gone = entry("c");
  gone.is_forgotten = true;
  last->note(gone);
  last->fold();
  EXPECT_THAT(names(), ElementsAre("base"));
  EXPECT_THAT(known(), ElementsAre("b=e3"));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Keeper, SegmentsAreWrittenWhileTheRunGoesOn) {
  const auto running = keeper();
  running->note(entry("a"));
  EXPECT_THAT(names(), IsEmpty());
  outside.clock.advance(std::chrono::seconds(31));
  running->note(entry("b"));
  EXPECT_THAT(names(), ElementsAre("segment"));
  EXPECT_THAT(known(), ElementsAre("a=e1", "b=e1"));
}

TEST_F(Keeper, FewSegmentsBesideALargeBaseWait) {
  const auto first = keeper();
  for (int i = 0; i < 2000; ++i) first->note(entry(std::to_string(1'000'000 + i * 997), std::to_string(i)));
  first->fold();
  const auto second = keeper();
  second->note(entry("2"));
  second->fold();
  EXPECT_THAT(names(), ElementsAre("base", "segment"));
  EXPECT_EQ(known().size(), 2001U);
}

TEST_F(Keeper, ADamagedFileIsLeftOutWithAWarning) {
  const auto first = keeper();
  first->note(entry("a"));
  first->fold();
  std::ofstream(outside.path("journal/base"), std::ios::binary) << "BALEJRN1 and something else";
  EXPECT_THAT(known(), IsEmpty());
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("damaged")));
  const auto second = keeper();
  second->note(entry("b"));
  second->fold();
  warnings.clear();
  EXPECT_THAT(known(), ElementsAre("b=e1"));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(Keeper, AnotherPairOfBucketsIsRefused) {
  const auto first = keeper();
  first->note(entry("a"));
  first->fold();
  EXPECT_THROW(known({"aws", "s3://a", "s3://other"}), Error);
  EXPECT_THROW(known({"http://nas:9000", "s3://a", "s3://b"}), Error);
  EXPECT_NE(identity.folder(), (JournalIdentity{"aws", "s3://a/x", "s3://b"}.folder()));
}

TEST_F(Keeper, AJournalThatCannotBeWrittenFailsNoObject) {
  std::ofstream(outside.path("journal"), std::ios::binary) << "a file in the place of the directory";
  const auto running = keeper();
  for (int i = 0; i < 20; ++i) {
    outside.clock.advance(std::chrono::minutes(10));
    EXPECT_NO_THROW(running->note(entry(std::to_string(i))));
  }
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("cannot be written")));
}

}  // namespace
}  // namespace bale::bucket
