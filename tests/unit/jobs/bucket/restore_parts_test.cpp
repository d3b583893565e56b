// What a restore is made of: its sequence of objects, and its journal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "contract/errors.hpp"
#include "jobs/bucket/restore_journal.hpp"
#include "jobs/bucket/restore_sequence.hpp"
#include "support/fake_world.hpp"

namespace bale::bucket {
namespace {

using ::testing::ElementsAre;

TimePoint at(int hour) { return TimePoint(std::chrono::hours(400'000 + hour)); }

store::ListedVersion version(const char* key, const char* id, int hour, bool is_marker = false) {
  store::ListedVersion made;
  made.key = ObjectKey(key);
  made.version_id = VersionId(id);
  made.last_modified = at(hour);
  made.is_delete_marker = is_marker;
  return made;
}

class Versions final : public store::VersionSequence {
 public:
  explicit Versions(std::vector<store::ListedVersion> versions) : versions_(std::move(versions)) {}
  const store::ListedVersion* next() override { return at_ < versions_.size() ? &versions_[at_++] : nullptr; }
  std::uint64_t requests() const noexcept override { return 1; }

 private:
  std::vector<store::ListedVersion> versions_;
  std::size_t at_ = 0;
};

TEST(ObjectsAsOf, TakesOfEachKeyTheNewestVersionOfThatTime) {
  ObjectsAsOf objects(std::make_unique<Versions>(std::vector<store::ListedVersion>{
                          version("a", "a2", 5), version("a", "a1", 1),                               // changed later
                          version("b", "bm", 2, true), version("b", "b1", 1),                         // removed before
                          version("c", "cm", 9, true), version("c", "c1", 3),                         // removed later
                          version("d", "d1", 4),                                                      // too new
                          version("e", "e2", 3), version("e", "em", 2, true), version("e", "e1", 1),  // came back
                          version("f", "fm", 9, true)}),  // only a later marker
                      at(3));
  std::vector<std::string> seen;
  while (const store::ListedObject* object = objects.next())
    seen.push_back(object->key.str() + " " + objects.version().str());
  EXPECT_THAT(seen, ElementsAre("a a1", "c c1", "e e2"));
  EXPECT_EQ(objects.newer(), 2U) << "d and f";
  EXPECT_EQ(objects.next(), nullptr);
  EXPECT_EQ(objects.newer(), 2U);
}

class RestoreJournalTest : public ::testing::Test {
 protected:
  RestoreJournal open(const std::string& identity = "a to b") {
    return RestoreJournal(*world.files, world.path("state/journal.db"), identity);
  }
  testing::FakeWorld world;
};

TEST_F(RestoreJournalTest, RemembersBetweenRuns) {
  const JournalEntry copied{.name = "k",
                            .source_etag = ETag("s-2"),
                            .source_version = VersionId("v"),
                            .size = 5,
                            .source_modified = at(1),
                            .copy_etag = ETag("c"),
                            .origin = Origin::copied,
                            .noted = at(2)};
  {
    RestoreJournal journal = open();
    EXPECT_FALSE(journal.has_begun());
    journal.begin();
    JournalEntry earlier = copied;
    earlier.copy_etag = ETag("other");
    journal.note_copied(earlier);
    journal.note_copied(copied);
    JournalEntry first = copied;
    first.name = "\xFF";
    journal.note_copied(first);
    EXPECT_FALSE(journal.note_requested("cold", VersionId(), at(1)));
    journal.await({"cold", VersionId("v"), "before", ETag("there")});
  }
  RestoreJournal journal = open();
  EXPECT_TRUE(journal.has_begun());
  const auto copies = journal.copies();
  const JournalEntry* entry = copies->next();
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(*entry, copied) << "the newest counts";
  journal.note_copied({.name = "later"});
  entry = copies->next();
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->name, "\xFF") << "in the order of bytes, as it was when the reading began";
  EXPECT_EQ(copies->next(), nullptr);
  EXPECT_TRUE(journal.note_requested("cold", VersionId(), at(2)));
  EXPECT_FALSE(journal.note_requested("cold", VersionId("v"), at(2)));
  const auto waiting = journal.waiting_after(std::nullopt, 10);
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting[0].after_key, "before");
  EXPECT_EQ(waiting[0].there, ETag("there"));
  EXPECT_EQ(journal.waiting(), 1U);
  journal.end_wait("cold");
  EXPECT_EQ(journal.waiting(), 0U);
}

TEST_F(RestoreJournalTest, GivesWhatIsAwaitedInOrder) {
  RestoreJournal journal = open();
  for (const char* name : {"b", "", "a", "c"}) journal.await({name, {}, "", {}});
  EXPECT_EQ(journal.waiting_after(std::nullopt, 2).front().name, "") << "the object of the prefix itself";
  const auto rest = journal.waiting_after("a", 10);
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].name, "b");
  journal.forget_waiting();
  EXPECT_EQ(journal.waiting(), 0U);
}

TEST_F(RestoreJournalTest, IsOfOneRestoreOnly) {
  open();
  EXPECT_ERROR(ErrorKind::invalid, "", open("a to c"));
}

}  // namespace
}  // namespace bale::bucket
