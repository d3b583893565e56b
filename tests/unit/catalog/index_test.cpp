// The local index says what the catalog says: after any history of syncs, to any query.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "catalog/statistics.hpp"
#include "unit/catalog/index_kit.hpp"

namespace bale::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

TEST_F(Index, SaysWhatTheCatalogSaysAfterAnyHistory) {
  std::vector<ObjectKey> files;
  for (int round = 0; round < 12; ++round) {
    for (std::size_t i = 0; i < 1 + random_() % 4; ++i) {
      std::vector<Record> rows;
      const std::string day = "2025-01-" + std::to_string(10 + random_() % 15), source = random_() % 2 == 0 ? "a" : "b";
      const int archive = static_cast<int>(random_() % 1'000'000);
      // Small files share blocks; large ones fill several.
      for (std::size_t n = 1 + random_() % (round % 4 == 0 ? 3000 : 60); n > 0; --n)
        rows.push_back(row(source, source == "b" ? "deep/prefix" : "", day, archive, random_key()));
      files.push_back(write(rows));
    }
    if (random_() % 3 == 0) {  // a file is written anew, with fewer rows
      const auto stream = store->get({bucket, files[random_() % files.size()]});
      std::vector<Record> rows;
      read_file_text(store::read_all(*stream, 1 << 30), [&](Record record) { rows.push_back(std::move(record)); });
      rows.resize(1 + rows.size() / 2);
      write(rows);
    }
    if (random_() % 3 == 0 && files.size() > 2) {
      store->remove({bucket, files.back()});
      files.pop_back();
    }
    sync({.since = {}, .full = true});
    expect_same(all(), truth());
    if (random_() % 4 == 0) close();  // another process goes on
  }
  EXPECT_TRUE(damaged.empty());
}

TEST_F(Index, AnswersAsIfEveryRowWereLookedAt) {
  for (int archive = 0; archive < 8; ++archive) {
    std::vector<Record> rows;
    for (int i = 0; i < 700; ++i)
      rows.push_back(row("a", "", "2025-01-2" + std::to_string(archive % 3), archive, random_key()));
    write(rows);
  }
  sync();
  // `+` keeps SQLite from handing a condition to the table.
  for (const std::string condition : {"object_name LIKE '%invoice%'",
                                      "object_path LIKE 'inv%'",
                                      "object_path LIKE '%ep/er%-12%'",
                                      "object_path GLOB '*Report-1*'",
                                      "object_name LIKE 'REPORT%'",
                                      "object_size > 990000",
                                      "object_size <= 1000",
                                      "day = '21'",
                                      "year = '2025' AND month = '01' AND day BETWEEN '20' AND '21'",
                                      "event = 'delete'",
                                      "tags = '{\"n\":\"1\"}'",
                                      "frame_offset IS NULL",
                                      "frame_offset = 3",
                                      "backup_file = 'backup_5.tar.zst'",
                                      "creation_date = '2025-01-20'",
                                      "backup_date <> '2025-01-20'",
                                      "object_name = 'x-17'",
                                      "version_id IS NULL",
                                      "object_path LIKE '%\xc3\xa4%'",
                                      "backup_timestamp >= 1737504000",
                                      "object_size = 'x'",
                                      "month = 1"}) {
    std::string unaided = condition;
    for (const std::string column :
         {"object_name", "object_path", "object_size", "day", "year", "month", "event", "tags", "frame_offset",
          "backup_file", "creation_date", "backup_date", "version_id", "backup_timestamp"}) {
      for (std::size_t at = unaided.find(column); at != std::string::npos;
           at = unaided.find(column, at + 2 + column.size()))
        unaided.insert(at, "+");
    }
    EXPECT_EQ(ask("SELECT rowid FROM catalog WHERE " + condition), ask("SELECT rowid FROM catalog WHERE " + unaided))
        << condition;
  }
  EXPECT_EQ(ask("SELECT count(*) FROM catalog WHERE object_path MATCH 'INVOICE'"),
            ask("SELECT count(*) FROM catalog WHERE lower(object_path) GLOB '*invoice*'"));
  const std::string rowid = ask("SELECT rowid FROM catalog LIMIT 1 OFFSET 4321").at(0);
  EXPECT_THAT(ask("SELECT rowid FROM catalog WHERE rowid = " + rowid), ElementsAre(rowid));
}

TEST_F(Index, LikeTellsLettersOfEitherCaseApart) {
  write({row("a", "", "2025-01-20", 1, "Invoice.pdf"), row("a", "", "2025-01-20", 1, "invoice.pdf")});
  sync();
  EXPECT_THAT(ask("SELECT object_name FROM catalog_table_name WHERE object_name LIKE '%Inv%'"),
              ElementsAre("Invoice.pdf"));
}

TEST_F(Index, OnlyQueriesThatReadAreRun) {
  sync();
  for (const std::string sql : {"DELETE FROM catalog", "ATTACH 'x' AS y", "PRAGMA journal_mode=DELETE", "VACUUM",
                                "CREATE TABLE t (x)", "SELECT 1; SELECT 2", "", "SELECT load_extension('x')",
                                "INSERT INTO notes VALUES ('a', 'b')", "SELEC 1", "BEGIN", "-- nothing"}) {
    EXPECT_THROW(ask(sql), Error) << sql;
  }
  EXPECT_THAT(ask("SELECT 1 -- one\n;\n -- no more"), ElementsAre("1"));
  EXPECT_THAT(ask("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3) SELECT sum(x) FROM n"),
              ElementsAre("6"));
}

TEST_F(Index, ReadsNewPartitionsOnlyAndOncePerDayAll) {
  write({row("a", "", "2025-01-01", 1, "old")});
  write({row("a", "", "2025-01-20", 2, "new")});
  const SyncOptions of_a_large_catalog{.since = {}, .full = false, .files_always_listed = 0};
  EXPECT_EQ(sync(of_a_large_catalog).files_added, 2U);
  write({row("a", "", "2025-01-02", 3, "late, in a closed partition")});
  write({row("a", "", "2025-01-19", 4, "late, in an open one")});
  const SyncCounts quick = sync(of_a_large_catalog);
  EXPECT_EQ(quick.files_added, 1U);
  EXPECT_EQ(quick.files_known, 1U) << "the first of January is not even listed";
  outside.clock.advance(full_listing_after);
  const SyncCounts full = sync(of_a_large_catalog);
  EXPECT_EQ(full.files_added, 1U);
  EXPECT_EQ(full.files_known, 3U);
  expect_same(all(), truth());
}

TEST_F(Index, SinceLeavesOlderDaysOutUntilAsked) {
  write({row("a", "", "2025-01-01", 1, "old")});
  write({row("a", "", "2025-01-20", 2, "new")});
  EXPECT_EQ(sync({.since = parse_time("2025-01-20")}).files_added, 1U);
  EXPECT_THAT(ask("SELECT object_path FROM catalog"), ElementsAre("new"));
  EXPECT_EQ(sync().files_added, 1U) << "without --since the rest is read too";
}

TEST_F(Index, WhatWasAddedBeforeAStopStays) {
  for (int i = 0; i < 600; ++i) write({row("a", "", "2025-01-20", i, "k" + std::to_string(i))});
  sync();  // of nothing else
  close();
  std::filesystem::remove(outside.path("index.sqlite"));
  int calls = 0;
  damaged.clear();
  flow::Progress progress;
  put(ObjectKey("a/year=2025/month=01/day=20/backup_0000.jsonl"), "{not json}\n");
  EXPECT_THROW(sync_index(index().file(), {*store, bucket, ""}, {}, world, pools, budget, progress,
                          [&](const DamagedFile&) {
                            ++calls;
                            throw Error(ErrorKind::cancelled, "stopped");
                          }),
               Error);
  EXPECT_EQ(calls, 1);
  sync();
  expect_same(all(), truth());
}

TEST_F(Index, RowsOfDamagedFilesAreLeftOutAndNamed) {
  const ObjectKey key = write({row("a", "", "2025-01-20", 1, "one"), row("a", "", "2025-01-20", 1, "two")});
  std::string text = store::read_all(*store->get({bucket, key}), 1 << 20);
  text[text.find("one")] = 'X';
  put(key, text);
  EXPECT_EQ(sync().files_damaged, 1U);
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_THAT(damaged[0].error.what(), HasSubstr("line 1"));
  EXPECT_THAT(ask("SELECT object_path FROM catalog"), ElementsAre("two"));
  ASSERT_EQ(index().file().damaged_files().size(), 1U) << "searches will name it again";
  EXPECT_EQ(index().file().damaged_files()[0].key, key);
  EXPECT_EQ(sync().files_damaged, 1U) << "it is looked at again";
  EXPECT_THAT(ask("SELECT object_path FROM catalog"), ElementsAre("two"));
}

TEST_F(Index, ReadsCatalogsOfTheReplacedProgram) {
  const std::string line =
      R"({"backup_file":"0a1b.tar.zst","backup_timestamp":1737417600.25,"backup_date":"2025-01-21",)"
      R"("source_bucket":"src","source_prefix":"docs","object_name":"a.txt",)"
      R"("object_path":"docs/a.txt","object_size":7,)"
      R"("creation_time":"2025-01-20 10:00:00","creation_date":"2025-01-20","target_buckets":["vault"]})";
  put(ObjectKey("eu-west-1/src/docs/year=2025/month=01/day=21/0a1b.tar.zst.jsonl"), line + "\n");
  sync();
  EXPECT_THAT(
      ask("SELECT object_path, creation_time, year, month, day, target_buckets, archive_key, sha256 FROM catalog"),
      ElementsAre("docs/a.txt|2025-01-20 10:00:00|2025|01|21|[\"vault\"]|NULL|NULL"));
  expect_same(all(), truth());
}

TEST_F(Index, ASizeThatIsNotSaidIsNull) {
  std::vector<Record> rows{row("a", "p", "2025-01-20", 1, "unknown"), row("a", "p", "2025-01-20", 1, "empty")};
  rows[0].object_size.reset();
  rows[1].object_size = 0;
  write(rows);
  sync();
  EXPECT_THAT(ask("SELECT object_path, object_size FROM catalog ORDER BY object_path"),
              ElementsAre("empty|0", "unknown|NULL"));
  EXPECT_THAT(ask("SELECT object_path FROM catalog WHERE object_size >= 0"), ElementsAre("empty"));
  EXPECT_THAT(ask("SELECT object_path FROM catalog WHERE object_size < 5"), ElementsAre("empty"));
  EXPECT_THAT(ask("SELECT object_path FROM catalog WHERE object_size IS NULL"), ElementsAre("unknown"));
  expect_same(all(), truth());
}

TEST_F(Index, IsOfOneCatalogAndOneKind) {
  sync();
  close();
  EXPECT_THROW(CatalogDatabase(outside.path("index.sqlite"), "another"), Error);
  outside.write("foreign.sqlite", "no database, but some text that is long enough to be taken for one");
  EXPECT_THROW(CatalogDatabase(outside.path("foreign.sqlite"), identity), Error);
}

TEST_F(Index, TwoSyncsAtOnceAreNot) {
  const auto lock = world.files.try_lock(outside.path("index.sqlite.lock"));
  ASSERT_TRUE(lock);
  EXPECT_THROW(sync(), Error);
}

TEST_F(Index, StatisticsAreThoseOfTheRows) {
  std::vector<Record> rows;
  for (int i = 0; i < 10; ++i) {
    rows.push_back(row("a", "p", "2025-01-20", 1, "k" + std::to_string(i)));
    rows.back().deleted = i == 9;
    rows.back().object_size = 100;
    rows.back().location = archive::MemberLocation{i < 5 ? 0U : 300U, 300, 512};  // two frames
  }
  rows.back().location.reset();
  rows[8].object_size.reset();
  write(rows);
  write({row("a", "p", "2025-02-01", 2, "later")});
  sync();
  const std::vector<PeriodTotals> totals = totals_of({&index().file()}, Period::month);
  ASSERT_EQ(totals.size(), 2U);
  EXPECT_EQ(totals[0].period, "2025-01");
  EXPECT_EQ(totals[0].objects, 9U);
  EXPECT_EQ(totals[0].deletions, 1U);
  EXPECT_EQ(totals[0].bytes, 800U);
  EXPECT_EQ(totals[0].unsized, 1U);
  EXPECT_EQ(totals[0].packed, 600U);
  EXPECT_EQ(totals[0].archives, 1U);
}

}  // namespace
}  // namespace bale::testing
