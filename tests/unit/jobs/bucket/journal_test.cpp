#include "jobs/bucket/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale::bucket {
namespace {

TimePoint at(std::int64_t seconds) { return TimePoint(std::chrono::seconds(seconds)); }

JournalEntry entry(std::string name, std::string etag = "0123456789abcdef0123456789abcdef") {
  return {.name = std::move(name),
          .source_etag = ETag(etag),
          .source_version = {},
          .size = 123456,
          .source_modified = at(1'700'000'000),
          .copy_etag = ETag(etag),
          .origin = Origin::copied,
          .marked = {},
          .noted = at(1'700'000'100)};
}

std::string file_of(const std::vector<JournalEntry>& entries, const std::string& identity = "two sides") {
  std::string bytes;
  JournalWriter writer(identity, [&](std::string_view more) { bytes += more; });
  for (const JournalEntry& each : entries) writer.add(each);
  writer.finish();
  return bytes;
}

/// Gives bytes in pieces of `most`.
ReadBytes reading(std::string bytes, std::size_t most = 7) {
  return [bytes = std::move(bytes), at = std::size_t(0), most](MutableBytes to) mutable {
    const std::size_t count = std::min({to.size(), most, bytes.size() - at});
    std::copy_n(as_bytes(bytes).begin() + static_cast<std::ptrdiff_t>(at), count, to.begin());
    at += count;
    return count;
  };
}

std::vector<JournalEntry> read_all(EntrySequence& sequence) {
  std::vector<JournalEntry> entries;
  while (const JournalEntry* next = sequence.next()) entries.push_back(*next);
  return entries;
}

std::vector<JournalEntry> read_file(const std::string& bytes) {
  JournalReader reader(reading(bytes), "here");
  return read_all(reader);
}

TEST(Journal, GivesBackWhatWasWritten) {
  JournalEntry marked = entry("b", "not an MD5");
  marked.marked = at(1'700'000'200);
  marked.source_version = VersionId("v1");
  marked.copy_etag = ETag("0123456789abcdef0123456789abcdef-17");
  marked.origin = Origin::time;
  JournalEntry forgotten;
  forgotten.name = std::string("b\0c", 3);
  forgotten.is_forgotten = true;
  forgotten.noted = at(1);
  JournalEntry upper = entry("\xc3\xa9", "0123456789ABCDEF0123456789ABCDEF");
  upper.copy_etag = ETag("0123456789abcdef0123456789abcdef-007");  // no number that Bale would write
  const std::vector<JournalEntry> entries{entry("a"), entry("a//b"), marked, forgotten, upper};
  const std::string bytes = file_of(entries);
  EXPECT_EQ(read_file(bytes), entries);
  const JournalHeader header = read_journal_header(bytes, "here");
  EXPECT_EQ(header.identity, "two sides");
  EXPECT_EQ(header.first, "a");
}

TEST(Journal, MayBeEmpty) { EXPECT_TRUE(read_file(file_of({})).empty()); }

TEST(Journal, TakesFewBytesForManyNeighbours) {
  std::vector<JournalEntry> entries;
  for (int i = 0; i < 100'000; ++i)
    entries.push_back(entry("a/long/directory/of/names/" + std::to_string(1'000'000 + i)));
  const std::string bytes = file_of(entries);
  EXPECT_LT(bytes.size(), entries.size() * 45);
  EXPECT_EQ(read_file(bytes), entries);
}

TEST(Journal, NoticesEveryFlippedByteAndEveryCut) {
  const std::string bytes = file_of({entry("a"), entry("b"), entry("c")});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    EXPECT_THROW(read_file(damaged), Error) << i;
    EXPECT_THROW(read_file(bytes.substr(0, i)), Error) << i;
  }
}

TEST(Journal, RefusesEntriesOutOfOrder) {
  EXPECT_THROW(file_of({entry("b"), entry("a")}), Error);
  EXPECT_THROW(file_of({entry("a"), entry("a")}), Error);
}

MergeInput input(const std::string& bytes, int* opened = nullptr) {
  return {read_journal_header(bytes, "here").first, [bytes, opened]() -> std::unique_ptr<EntrySequence> {
            if (opened != nullptr) ++*opened;
            return std::make_unique<JournalReader>(reading(bytes), "here");
          }};
}

TEST(MergedEntries, TheLaterEntryHolds) {
  JournalEntry older = entry("b"), newer = entry("b", "fedcba9876543210fedcba9876543210");
  newer.noted = older.noted + std::chrono::seconds(1);
  JournalEntry forgotten = entry("c");
  forgotten.is_forgotten = true;
  forgotten.noted += std::chrono::hours(1);
  MergedEntries merged({input(file_of({entry("a"), older, entry("c")})), input(file_of({newer})),
                        input(file_of({forgotten, entry("d")}))});
  EXPECT_EQ(read_all(merged), (std::vector<JournalEntry>{entry("a"), newer, entry("d")}));
}

TEST(MergedEntries, OpensAFileWhenItsNamesCome) {
  int first = 0, second = 0;
  MergedEntries merged(
      {input(file_of({entry("m"), entry("z")}), &second), input(file_of({entry("a"), entry("b")}), &first)});
  EXPECT_EQ(merged.next()->name, "a");
  EXPECT_EQ(first + second, 1);
  EXPECT_EQ(merged.next()->name, "b");
  EXPECT_EQ(merged.next()->name, "m");
  EXPECT_EQ(second, 1);
}

TEST(MergedEntries, OverlappingFilesComeInOrder) {
  std::vector<MergeInput> inputs;
  std::vector<std::string> names;
  for (int file = 0; file < 5; ++file) {
    std::vector<JournalEntry> entries;
    for (int i = 0; i < 20; ++i) entries.push_back(entry(std::to_string(1000 + file * 10 + i)));
    inputs.push_back(input(file_of(entries)));
  }
  for (int i = 0; i < 60; ++i) names.push_back(std::to_string(1000 + i));
  MergedEntries merged(std::move(inputs));
  std::vector<std::string> found;
  while (const JournalEntry* next = merged.next()) found.push_back(next->name);
  EXPECT_EQ(found, names);
}

}  // namespace
}  // namespace bale::bucket
