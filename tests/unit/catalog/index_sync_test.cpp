// A sync believes what the listing says, and no clock. Each test is a history of a catalog bucket, its store and its
// readers; after each sync the index has the rows of the bucket, or the sync has said what it left out.
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "support/odd_store.hpp"
#include "unit/catalog/index_kit.hpp"

namespace bale::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class IndexSync : public Index {
 protected:
  /// Without what small catalogs are spared: closed partitions are not listed.
  SyncCounts quick_sync() { return sync({.since = {}, .full = false, .files_always_listed = 0}); }
  void expect_truth() { expect_same(all(), truth()); }
  ObjectKey write_one(const std::string& day, int archive, const std::string& key) {
    return write({row("a", "", day, archive, key)});
  }
  /// A reader of the store that gets an error in the place of one file.
  void refuse(const ObjectKey& key, const Error& error) {
    odd.get_ = [this, key, error](const ObjectAddress& object, const auto& range, const auto& conditions) {
      if (object.key == key) throw error;
      return store->get(object, range, conditions);
    };
    reader = &odd;
  }
  static Error gone() { return Error(ErrorKind::not_found, "no such key").with_code("NoSuchKey"); }

  OddStore odd{*store};
};

// ---- clocks. The readers' clock is at 2025-01-23.

TEST_F(IndexSync, APackersClockThatIsAheadHidesNothingThatComesLater) {
  int archive = 0;
  for (const std::string future : {"2025-02-02", "2029-01-23", "9999-12-31"}) {
    write_one("2025-01-20", ++archive, "before");
    const ObjectKey wrong = write_one(future, ++archive, "of the future");
    EXPECT_EQ(quick_sync().files_in_future, 1U) << future;
    write_one("2025-01-23", ++archive, "after, by a right clock");
    const SyncCounts counts = quick_sync();
    EXPECT_EQ(counts.files_added, 1U) << future;
    ASSERT_EQ(counts.future_files.size(), 1U) << "it is named every time";
    EXPECT_EQ(counts.future_files[0].key, wrong);
    EXPECT_EQ(counts.future_files[0].day, future);
    expect_truth();
    close();
    std::filesystem::remove(outside.path("index.sqlite"));
    store->remove({bucket, wrong});
  }
}

TEST_F(IndexSync, APackersClockThatIsYearsBehindIsFound) {
  write_one("2025-01-20", 1, "before");
  quick_sync();
  write_one("2019-06-01", 2, "by a clock that is years behind");
  write_one("1970-01-05", 3, "by no clock at all");
  EXPECT_EQ(quick_sync().files_added, 2U);
  expect_truth();
  write_one("2025-01-02", 4, "by a clock that is weeks behind, in a year that is known");
  EXPECT_EQ(sync().files_added, 1U) << "a small catalog is listed as a whole";
  write_one("2025-01-03", 5, "the same in a large one");
  const SyncCounts quick = quick_sync();
  EXPECT_EQ(quick.files_added, 0U);
  EXPECT_EQ(quick.files_known, 1U);
  outside.clock.advance(full_listing_after);
  EXPECT_EQ(quick_sync().files_added, 1U) << "a large one once a day";
  expect_truth();
}

TEST_F(IndexSync, AYearThatIsKnownByNoFileIsListedOnce) {
  write_one("2026-05-01", 1, "the index knows the future alone");
  quick_sync();
  outside.clock.set(parse_time("2025-06-15"));
  write_one("2025-02-01", 2, "closed, as far as the clock says");
  write_one("2025-06-14", 3, "open");
  EXPECT_EQ(quick_sync().files_added, 2U);
  expect_truth();
}

TEST_F(IndexSync, AReadersWrongClockHidesNothing) {
  write_one("2025-01-20", 1, "first");
  for (const std::string now : {"2035-01-01", "1970-01-02", "2025-01-24"}) {
    outside.clock.set(parse_time(now));
    quick_sync();
    write_one("2025-01-21", static_cast<int>(random_() % 1000), "at " + now);
    EXPECT_EQ(quick_sync().files_added, 1U) << now;
    expect_truth();
  }
}

TEST_F(IndexSync, AClockThatStepsBackDoesNotPutOffTheDailyListing) {
  outside.clock.set(parse_time("2035-01-01"));
  write_one("2025-01-20", 1, "first");
  quick_sync();  // the full listing is noted with a time that will not come for ten years
  outside.clock.set(parse_time("2025-01-23"));
  write_one("2025-01-02", 2, "late");
  EXPECT_EQ(quick_sync().files_added, 1U);
  expect_truth();
}

TEST_F(IndexSync, APartitionThatIsNoDayStopsNothing) {
  const std::string text = to_file_text({row("a", "", "2025-01-20", 1, "odd")});
  for (const char* key : {"a/year=2025/month=99/day=99/f.jsonl", "a/year=12025/month=01/day=01/f.jsonl",
                          "a/year=x/month=y/day=z/f.jsonl"}) {
    put(ObjectKey(key), text);
    quick_sync();
    write_one("2025-01-21", static_cast<int>(random_() % 100'000), key);
    EXPECT_EQ(quick_sync().files_added, 1U) << key;
    expect_truth();
  }
}

// ---- the listing is the truth

TEST_F(IndexSync, AFileRemovedFromAListedDayLeavesTheIndex) {
  write_one("2025-01-19", 1, "stays");
  const ObjectKey file = write_one("2025-01-20", 2, "goes");
  quick_sync();
  store->remove({bucket, file});
  EXPECT_EQ(quick_sync().files_gone, 1U);
  expect_truth();
}

TEST_F(IndexSync, ASourceThatIsGoneLeavesTheIndex) {
  write_one("2025-01-20", 1, "stays");
  const ObjectKey old = write({row("b", "deep/prefix", "2024-01-01", 2, "goes")});
  const ObjectKey loose("loose.jsonl");
  put(loose, to_file_text({row("a", "", "2025-01-20", 3, "outside of partitions")}));
  quick_sync();
  expect_truth();
  store->remove({bucket, old});
  store->remove({bucket, loose});
  EXPECT_EQ(quick_sync().files_gone, 2U);
  expect_truth();
}

TEST_F(IndexSync, WhatIsNotListedIsKept) {
  write_one("2024-12-01", 1, "of a closed day");
  write_one("2025-01-20", 2, "of an open one");
  quick_sync();
  EXPECT_EQ(quick_sync().files_gone, 0U);
  expect_truth();
  sync({.since = parse_time("2025-01-10")});
  expect_truth();
}

TEST_F(IndexSync, AReplacedFileIsReadAnew) {
  write({row("a", "", "2025-01-20", 1, "first"), row("a", "", "2025-01-20", 1, "second")});
  quick_sync();
  write({row("a", "", "2025-01-20", 1, "third")});
  EXPECT_EQ(quick_sync().files_changed, 1U);
  expect_truth();
}

TEST_F(IndexSync, AnIndexOfAnotherStoreIsMadeAnew) {
  store_id = "first";
  write_one("2024-01-01", 1, "of the first store, in a day that is closed");
  write_one("2025-01-20", 2, "of the first store");
  EXPECT_FALSE(quick_sync().is_of_new_store);
  for (const store::ListedObject& object : store->list(bucket, {}).objects) store->remove({bucket, object.key});
  write_one("2025-01-20", 3, "of the second store");
  store_id = "second";
  const SyncCounts counts = quick_sync();
  EXPECT_TRUE(counts.is_of_new_store);
  EXPECT_EQ(counts.files_added, 1U);
  expect_truth();
  EXPECT_FALSE(quick_sync().is_of_new_store);
  store_id = "";  // not to be known any more: the index stays what it is
  EXPECT_FALSE(quick_sync().is_of_new_store);
  expect_truth();
}

TEST_F(IndexSync, AnIndexThatIsBeingMadeAnewIsNotTakenForWhole) {
  store_id = "first";
  write_one("2025-01-20", 1, "a");
  quick_sync();
  store_id = "second";
  write_one("2025-01-20", 2, "b");
  odd.get_ = [](const auto&, const auto&, const auto&) -> std::unique_ptr<store::GetStream> {
    throw Error(ErrorKind::cancelled, "the machine goes down");
  };
  reader = &odd;
  EXPECT_THROW(quick_sync(), Error);
  close();
  const bool is_old = all().size() == 1 && index().file().note(note_store) == "first";
  EXPECT_TRUE(is_old || !index().file().time_note(note_synced));
  reader = store.get();
  quick_sync();
  expect_truth();
}

TEST_F(IndexSync, AStoreThatIsMadeAnewAtTheSameMomentIsAnotherOne) {
  const std::string first = store_identity(*store, bucket);
  store.reset();
  backend.reset();
  backend = embedded::Backend::open(outside.path("local"), world);
  store = backend->store(Region("eu-west-1"));
  EXPECT_EQ(store_identity(*store, bucket), first) << "the id stays";
  const auto second = embedded::Backend::open(outside.path("second"), world);
  const auto other = second->store(Region("eu-west-1"));
  other->create_bucket(bucket);
  EXPECT_NE(store_identity(*other, bucket), first);
}

TEST_F(IndexSync, AnIndexOfAnOlderBaleKnowsTheTimeAlone) {
  const std::string identity_now = store_identity(*store, bucket);
  store_id = identity_now.substr(identity_now.find("bucket made at"));
  write_one("2025-01-20", 1, "a");
  quick_sync();
  store_id = identity_now;
  EXPECT_FALSE(quick_sync().is_of_new_store);
  EXPECT_EQ(index().file().note(note_store), identity_now);
}

TEST_F(IndexSync, TheIdentityOfAStoreIsWhenItsBucketWasMade) {
  const std::string first = store_identity(*store, bucket);
  EXPECT_NE(first, "");
  EXPECT_EQ(store_identity(*store, BucketName("another")), "");
  outside.clock.advance(Milliseconds(1));
  store->delete_bucket(bucket);
  store->create_bucket(bucket);
  EXPECT_NE(store_identity(*store, bucket), first);
}

// ---- listed, and not to be had

TEST_F(IndexSync, AListedFileThatIsNotGivenIsNamedAndTheRestIsRead) {
  write_one("2025-01-20", 1, "sound");
  const ObjectKey lost = write_one("2025-01-20", 2, "lost");
  write_one("2025-01-21", 3, "sound too");
  const Error denied = Error(ErrorKind::denied, "access denied").with_code("AccessDenied");
  const Error archived = Error(ErrorKind::denied, "archived").with_code("InvalidObjectState");
  for (const Error& error : {gone(), denied, archived}) {
    damaged.clear();
    refuse(lost, error);
    for (int round = 0; round < 2; ++round) EXPECT_EQ(quick_sync().files_unreadable, 1U) << error.what();
    EXPECT_THAT(ask("SELECT object_path FROM catalog ORDER BY 1"), ElementsAre("sound", "sound too"));
    ASSERT_EQ(damaged.size(), 2U);
    EXPECT_EQ(damaged[0].file.key, lost);
    EXPECT_EQ(damaged[0].error.kind(), error.kind());
    ASSERT_EQ(index().file().damaged_files().size(), 1U) << "searches name it too";
    EXPECT_EQ(index().file().damaged_files()[0].damage_kind, error.kind());
  }
  reader = store.get();
  EXPECT_EQ(quick_sync().files_unreadable, 0U) << "it is given again";
  expect_truth();
}

TEST_F(IndexSync, AFileThatTheServiceFailsToGiveIsNamedAndTheRestIsRead) {
  write_one("2025-01-20", 1, "sound");
  const ObjectKey failing = write_one("2025-01-20", 2, "failing");
  refuse(failing, Error(ErrorKind::unavailable, "internal error").with_code("InternalError"));
  EXPECT_EQ(quick_sync().files_unreadable, 1U);
  EXPECT_THAT(ask("SELECT object_path FROM catalog"), ElementsAre("sound"));
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_EQ(damaged[0].file.key, failing);
  reader = store.get();
  EXPECT_EQ(quick_sync().files_unreadable, 0U);
  expect_truth();
}

TEST_F(IndexSync, AServiceThatFailsForManyFilesEndsIt) {
  for (int archive = 1; archive <= 12; ++archive) write_one("2025-01-20", archive, "a");
  odd.get_ = [](const auto&, const auto&, const auto&) -> std::unique_ptr<store::GetStream> {
    throw Error(ErrorKind::unavailable, "the network is away");
  };
  reader = &odd;
  EXPECT_THROW(quick_sync(), Error);
}

TEST_F(IndexSync, AFileThatASecondListingNoLongerHasIsJustGone) {
  write_one("2025-01-20", 1, "stays");
  const ObjectKey going = write_one("2025-01-20", 2, "goes");
  quick_sync();
  write({row("a", "", "2025-01-20", 2, "goes, written anew")});
  odd.get_ = [&](const ObjectAddress& object, const auto& range, const auto& conditions) {
    if (object.key == going) store->remove(object);  // between the listing and this
    return store->get(object, range, conditions);
  };
  reader = &odd;
  const SyncCounts counts = quick_sync();
  EXPECT_EQ(counts.files_unreadable, 0U);
  EXPECT_EQ(counts.files_gone, 1U);
  EXPECT_TRUE(damaged.empty());
  expect_truth();
}

TEST_F(IndexSync, AFileThatIsReplacedWhileItIsReadIsReadAnew) {
  const ObjectKey key = write_one("2025-01-20", 1, "first");
  bool is_replaced = false;
  odd.get_ = [&](const ObjectAddress& object, const auto& range, const auto& conditions) {
    if (object.key == key && !std::exchange(is_replaced, true)) write_one("2025-01-20", 1, "second");
    return store->get(object, range, conditions);
  };
  reader = &odd;
  EXPECT_EQ(quick_sync().files_added, 1U);
  expect_truth();
  reader = store.get();
  EXPECT_EQ(quick_sync().files_known, 1U) << "the index knows it by its new ETag";
}

// ---- files that are larger than the memory limit lets be held

class LargeFile : public IndexSync {
 protected:
  ObjectKey write_large(int archive) {
    std::vector<Record> rows;
    for (int i = 0; i < 8000; ++i)
      rows.push_back(row("a", "", "2025-01-21", archive, random_key() + std::to_string(i)));
    return write(rows);
  }
  std::string text_of(const ObjectKey& key) {
    const auto stream = store->get({bucket, key}, std::nullopt, {});
    return store::read_all(*stream, 64U << 20);
  }

  flow::MemoryBudget small{16U << 20};  ///< files of more than 2 MiB are read in pieces
};

TEST_F(LargeFile, IsReadInPiecesBetweenOthers) {
  write_one("2025-01-20", 1, "before");
  write_large(2);
  write_one("2025-01-22", 3, "after");
  const SyncCounts counts = sync_within(small);
  EXPECT_EQ(counts.files_added, 3U);
  EXPECT_EQ(counts.rows_added, 8002U);
  EXPECT_LE(small.peak(), small.limit());
  expect_truth();
  write_one("2025-01-22", 4, "later");
  EXPECT_EQ(sync_within(small).files_added, 1U);
  expect_truth();
}

TEST_F(LargeFile, IsReplacedAndGoes) {
  const ObjectKey key = write_large(1);
  sync_within(small);
  write_large(1);  // under the same key, with other rows
  EXPECT_EQ(sync_within(small).files_changed, 1U);
  expect_truth();
  store->remove({bucket, key});
  EXPECT_EQ(sync_within(small).files_gone, 1U);
  EXPECT_TRUE(all().empty());
}

TEST_F(LargeFile, KeepsItsSoundRowsWhenItIsDamaged) {
  write_one("2025-01-20", 1, "before");
  const ObjectKey key = write_large(2);
  std::string text = text_of(key);
  text[text.size() / 2] ^= 1;
  put(key, text.substr(0, text.size() - 100));
  const SyncCounts counts = sync_within(small);
  EXPECT_EQ(counts.files_damaged, 1U);
  EXPECT_EQ(counts.rows_added, 1 + 8000U - 2) << "one damaged, one cut";
  expect_truth();
}

TEST_F(LargeFile, LeavesNothingBehindWhenReadingItFails) {
  write_one("2025-01-20", 1, "before");
  const ObjectKey large = write_large(2);
  refuse(large, Error(ErrorKind::cancelled, "stopped"));
  EXPECT_THROW(sync_within(small), Error);
  EXPECT_THAT(ask("SELECT object_path FROM catalog"), ElementsAre("before")) << "what came before it stays";
  reader = store.get();
  EXPECT_EQ(sync_within(small).files_added, 1U);
  expect_truth();
}

TEST_F(LargeFile, ThatAppearsInThePlaceOfASmallOneIsNamedAndReadTheNextTime) {
  const ObjectKey key = write_one("2025-01-21", 1, "small");
  bool is_replaced = false;
  odd.get_ = [&](const ObjectAddress& object, const auto& range, const auto& conditions) {
    if (object.key == key && !std::exchange(is_replaced, true)) write_large(1);
    return store->get(object, range, conditions);
  };
  reader = &odd;
  EXPECT_EQ(sync_within(small).files_unreadable, 1U);
  EXPECT_EQ(sync_within(small).rows_added, 8000U);
  expect_truth();
}

TEST_F(IndexSync, WithoutAnIndexTheSameFilesAreNamed) {
  write_one("2025-01-20", 1, "sound");
  const ObjectKey lost = write_one("2025-01-20", 2, "lost");
  refuse(lost, gone());
  std::vector<std::string> found;
  const ScanCounts counts = scan(
      odd, bucket, "", connections, [&](const Record& record) { found.push_back(record.object_path.str()); },
      [&](const DamagedFile& file) { damaged.push_back(file); });
  EXPECT_THAT(found, ElementsAre("sound"));
  EXPECT_EQ(counts.damaged_files, 1U);
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_EQ(damaged[0].error.kind(), ErrorKind::not_found);
  EXPECT_THAT(damaged[0].error.what(), HasSubstr("is listed, and cannot be read"));
}

// ---- wrong listings

TEST_F(IndexSync, AWrongListingEndsTheSync) {
  write_one("2025-01-20", 1, "k");
  quick_sync();
  reader = &odd;
  odd.list_ = [](const store::ListRequest& request) {
    store::ListPage page;
    page.common_prefixes = {"elsewhere/"};
    if (request.delimiter.empty()) page.next = "again";
    return page;
  };
  try {
    quick_sync();
    FAIL() << "it believed it";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the server's listing is wrong"));
  }
  close();
  EXPECT_EQ(all().size(), 1U) << "nothing is taken out";
}

// ---- damage of the index

/// Whatever byte of the index is flipped: an answer is right, or an error says that the index is damaged.
TEST_F(IndexSync, NoFlippedByteMakesAWrongAnswer) {
  for (int archive = 0; archive < 5; ++archive)
    write({row("a", "", "2025-01-20", archive, random_key()), row("a", "", "2025-01-20", archive, random_key())});
  put(ObjectKey("a/year=2025/month=01/day=20/damaged.jsonl"), "{}\n");
  quick_sync();
  const std::string question = "SELECT * FROM catalog WHERE object_path LIKE '%-%' ORDER BY object_path, sha256";
  const std::vector<std::string> right = ask(question);
  ASSERT_EQ(right.size(), 10U);
  index().sql().run_script("PRAGMA wal_checkpoint(TRUNCATE)");
  close();
  const std::string bytes = outside.read("index.sqlite");
  std::size_t noticed = 0;
  for (int round = 0; round < 400; ++round) {
    std::string flipped = bytes;
    std::size_t at = random_() % bytes.size();
    while (flipped[at] == 0) at = (at + 1) % bytes.size();  // pages are mostly empty
    flipped[at] ^= static_cast<char>(1 << random_() % 8);
    outside.write("index.sqlite", flipped);
    for (const char* suffix : {"-wal", "-shm"})
      std::filesystem::remove(outside.path(std::string("index.sqlite") + suffix));
    try {
      const std::vector<std::string> answer = ask(question);
      ASSERT_EQ(answer, right) << "round " << round;
      EXPECT_EQ(index().file().damaged_files().size(), 1U) << "round " << round;
    } catch (const Error&) {
      ++noticed;
    }
    close();
  }
  EXPECT_GT(noticed, 20U);
}

}  // namespace
}  // namespace bale::testing
