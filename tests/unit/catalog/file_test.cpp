// Damage of a catalog file is noticed wherever it is, and every sound row is still given out.
#include "catalog/file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "catalog/scan.hpp"
#include "support/little_memory.hpp"

namespace bale::catalog {
namespace {

Record row(const std::string& key) {
  Record record;
  record.backup_file = "backup_1_0a1b2c3d.tar.zst";
  record.source_bucket = BucketName("src");
  record.object_name = key;
  record.object_path = ObjectKey(key);
  record.archive_bucket = BucketName("vault");
  record.archive_key = ObjectKey("src/backup_1_0a1b2c3d.tar.zst");
  record.location = archive::MemberLocation{1, 2, 512};
  return record;
}

std::vector<Record> rows(std::size_t count) {
  std::vector<Record> made;
  for (std::size_t i = 0; i < count; ++i) made.push_back(row("key-" + std::to_string(i)));
  return made;
}

struct Read {
  std::vector<std::string> keys;
  std::optional<FileDamage> damage;
};

Read read(const std::string& text) {
  Read result;
  result.damage = read_file_text(text, [&](const Record& record) { result.keys.push_back(record.object_path.str()); });
  return result;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1)
    lines.push_back(text.substr(begin, text.find('\n', begin) + 1 - begin));
  return lines;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}

TEST(CatalogFile, LinesEndWithTheDocumentedChecks) {
  const std::string text = to_file_text({row("a"), row("b")});
  EXPECT_THAT(text, ::testing::MatchesRegex("\\{.*,\"row\":1,\"rows\":2,\"row_xxh64\":\"[0-9a-f]+\"\\}\n"
                                            "\\{.*,\"row\":2,\"rows\":2,\"row_xxh64\":\"[0-9a-f]+\"\\}\n"));
  EXPECT_EQ(parse_json_line(lines_of(text)[1]), row("b"));
}

TEST(CatalogFile, AWholeFileIsReadWithoutComplaint) {
  const Read whole = read(to_file_text(rows(3)));
  EXPECT_FALSE(whole.damage);
  EXPECT_THAT(whole.keys, ::testing::ElementsAre("key-0", "key-1", "key-2"));
}

TEST(CatalogFile, EveryTruncationIsNoticed) {
  const std::string text = to_file_text(rows(3));
  for (std::size_t length = 0; length + 1 < text.size(); ++length)  // without the last newline nothing is lost
    EXPECT_TRUE(read(text.substr(0, length)).damage) << length;
  const Read cut = read(text.substr(0, text.find('\n') + 1));
  ASSERT_TRUE(cut.damage);
  EXPECT_EQ(cut.damage->rows_lost, 2U);
  EXPECT_THAT(cut.keys, ::testing::ElementsAre("key-0"));
}

TEST(CatalogFile, EveryChangedByteIsNoticed) {
  for (const std::size_t count : {1U, 2U}) {
    const std::string text = to_file_text(rows(count));
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
      for (const char mask : {'\x01', '\x20'}) {
        std::string changed = text;
        changed[i] = static_cast<char>(changed[i] ^ mask);
        EXPECT_TRUE(read(changed).damage) << i << ": " << changed;
      }
    }
  }
}

TEST(CatalogFile, LinesThatAreGoneTwiceOrElsewhereAreNoticed) {
  const std::vector<std::string> lines = lines_of(to_file_text(rows(3)));
  const Read middle = read(lines[0] + lines[2]);
  ASSERT_TRUE(middle.damage);
  EXPECT_EQ(middle.damage->rows_lost, 1U);
  EXPECT_THAT(middle.damage->first, ::testing::HasSubstr("2 of its 3 rows"));
  EXPECT_THAT(middle.keys, ::testing::ElementsAre("key-0", "key-2"));
  EXPECT_TRUE(read(lines[0] + lines[1] + lines[1] + lines[2]).damage);
  EXPECT_TRUE(read(lines[1] + lines[0] + lines[2]).damage);
  EXPECT_TRUE(read(lines[0] + lines[1] + lines_of(to_file_text(rows(4)))[2]).damage);
}

TEST(CatalogFile, ARowThatSaysSomethingElseIsNotBelieved) {
  const std::string text = to_file_text(rows(3));
  const Read changed = read(replaced(text, "\"object_path\":\"key-1\"", "\"object_path\":\"evil!\""));
  ASSERT_TRUE(changed.damage);
  EXPECT_THAT(changed.damage->first, ::testing::HasSubstr("line 2"));
  EXPECT_THAT(changed.keys, ::testing::ElementsAre("key-0", "key-2"));
}

TEST(CatalogFile, ARowWithoutChecksIsNotBelievedBesideOthersThatHaveThem) {
  const std::vector<std::string> lines = lines_of(to_file_text(rows(2)));
  const Read mixed = read(lines[0] + to_json_line(row("key-1")) + "\n");
  EXPECT_TRUE(mixed.damage);
  EXPECT_THAT(mixed.keys, ::testing::ElementsAre("key-0"));
}

TEST(CatalogFile, FilesWithoutChecksAreRead) {
  const std::string line = to_json_line(row("a")) + "\n";
  EXPECT_FALSE(read(line + to_json_line(row("b"))).damage);
  const Read garbled = read(line + "{\"backup_file\":\n" + line);
  ASSERT_TRUE(garbled.damage);
  EXPECT_FALSE(garbled.damage->rows_lost);
  EXPECT_THAT(garbled.keys, ::testing::ElementsAre("a", "a"));
}

TEST(CatalogFile, AnEmptyFileIsDamaged) {
  for (const char* const text : {"", "\n", "\n\n"}) {
    ASSERT_TRUE(read(text).damage);
    EXPECT_THAT(read(text).damage->first, ::testing::HasSubstr("empty"));
  }
}

TEST(CatalogFile, WhatTheVisitorThrowsIsNotDamage) {
  const std::string text = to_file_text(rows(1));
  EXPECT_THROW(read_file_text(text, [](const Record&) { throw Error(ErrorKind::cancelled, "stop"); }), Error);
  EXPECT_THROW(read_file_text(text, [](const Record&) { throw Error(ErrorKind::corrupt, "of another thing"); }), Error);
}

// ---- Piece by piece

Read read_in_pieces(const std::string& text, std::size_t bytes) {
  Read result;
  const std::function<void(Record)> visit = [&](const Record& record) {
    result.keys.push_back(record.object_path.str());
  };
  FileReader reader(visit);
  for (std::size_t at = 0; at < text.size(); at += bytes) reader.add(std::string_view(text).substr(at, bytes));
  result.damage = reader.finish();
  return result;
}

TEST(CatalogFile, PiecesMakeNoDifference) {
  const std::string sound = to_file_text(rows(3)), line = to_json_line(row("a")) + "\n";
  for (const std::string& text : {sound, line + line, line + sound, sound + line, sound.substr(0, 400), "\n" + sound,
                                  "x\n" + sound, sound.substr(0, sound.size() - 1)}) {
    const Read whole = read(text);
    for (const std::size_t bytes : {1U, 7U, 1000U}) {
      const Read pieces = read_in_pieces(text, bytes);
      EXPECT_EQ(pieces.keys, whole.keys);
      EXPECT_EQ(pieces.damage.has_value(), whole.damage.has_value());
      if (pieces.damage && whole.damage) {
        EXPECT_EQ(pieces.damage->first, whole.damage->first);
      }
    }
  }
}

TEST(CatalogFile, RowsWithChecksComeBeforeTheFileHasEnded) {
  const std::vector<std::string> lines = lines_of(to_file_text(rows(2)));
  std::size_t visited = 0;
  const std::function<void(Record)> visit = [&](const Record&) { ++visited; };
  FileReader reader(visit, 0);
  reader.add(lines[0]);
  EXPECT_EQ(visited, 1U);
  reader.add(lines[1]);
  EXPECT_FALSE(reader.finish());
}

TEST(CatalogFile, RowsWithoutChecksAreHeldWithinTheirBound) {
  const std::string line = to_json_line(row("a")) + "\n";
  std::size_t visited = 0;
  const std::function<void(Record)> visit = [&](const Record&) { ++visited; };
  FileReader reader(visit, 10 * line.size());
  for (int i = 0; i < 1000; ++i) reader.add(line);
  const auto damage = reader.finish();
  ASSERT_TRUE(damage);
  EXPECT_THAT(damage->first, ::testing::HasSubstr("of rows without checksums"));
  EXPECT_EQ(visited, 10U);
}

/// Rows that are made to take memory, each 256 MiB: what is kept of them is bounded, and the rows behind them are read.
TEST(CatalogFile, AHostileLineIsDamageInLittleMemory) {
  const std::vector<std::string> lines = lines_of(to_file_text(rows(2)));
  const std::string head = R"({"backup_file":")", nested = R"({"tags":[[[[[[)", deep(100'000, '[');
  for (const std::string& part : {std::string(1 << 16, 'a'), std::string(1 << 16, ' '), std::string(1 << 16, '[')}) {
    const std::string told = test::with_little_memory(16 << 20, [&] {
      std::size_t visited = 0;
      const std::function<void(Record)> visit = [&](const Record&) { ++visited; };
      FileReader reader(visit);
      reader.add(lines[0]);
      reader.add(head);
      for (int i = 0; i < 4096; ++i) reader.add(part);
      reader.add("\n");
      reader.add(lines[1]);
      const auto damage = reader.finish();
      if (visited != 2 || !damage || damage->first != "line 2 is longer than 1.0 MiB")
        throw Error(ErrorKind::internal, damage ? damage->first : "no damage");
    });
    EXPECT_EQ(told, "");
  }
  for (const std::string& line : {deep, "{\"metadata\":" + deep, nested}) {
    const Read hostile = read(lines[0] + line + "\n" + lines[1]);
    EXPECT_TRUE(hostile.damage);
    EXPECT_EQ(hostile.keys.size(), 2U);
  }
}

TEST(CatalogFile, UnknownMembersAreSkippedHoweverManyTheyAre) {
  std::string line = to_json_line(row("a"));
  line.pop_back();
  std::string unknown = ",\"later\":[0";
  while (unknown.size() < 900'000) unknown += ",{\"x\":[1,2,3]}";
  const Read found = read(line + unknown + "]}\n");
  EXPECT_FALSE(found.damage);
  EXPECT_THAT(found.keys, ::testing::ElementsAre("a"));
}

TEST(CatalogFile, ItsKeySaysWhichArchiveItIsOf) {
  const auto archive_of = [](const char* key) { return archive_key_of(ObjectKey(key)).str(); };
  EXPECT_EQ(archive_of("src/year=2025/month=01/day=23/b.tar.zst.jsonl"), "src/b.tar.zst");
  EXPECT_EQ(archive_of("src/docs/x/year=2025/month=01/day=23/b.tar.zst.jsonl"), "src/docs/x/b.tar.zst");
  for (const char* const other : {"a.jsonl", "src/b.jsonl", "year=2025/month=01/day=23/b.jsonl",
                                  "src/year=2025/month=01/x/b.jsonl", "src/year=2025/month=01/day=23/b.json"})
    EXPECT_EQ(archive_of(other), "") << other;
}

}  // namespace
}  // namespace bale::catalog
