// What a search makes of a damaged catalog file, and a restore of an object that came there meanwhile.
#include "jobs/recover/search.hpp"

#include <gmock/gmock.h>

#include <random>
#include <set>

#include "catalog/file.hpp"
#include "catalog/index_sync.hpp"
#include "jobs/recover/restore.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

const ObjectKey catalog_file("src-bucket/docs/year=2025/month=01/day=23/backup_1_0a1b2c3d.tar.zst.jsonl");

recover::Query query(const std::string& bucket, const std::string& prefix, const std::vector<std::string>& paths = {}) {
  recover::Query made;
  made.bucket = BucketName(bucket);
  made.prefix = prefix;
  made.paths = paths;
  return made;
}

TEST(CouldHoldMatches, OnlyWhatSurelyCannotIsRuledOut) {
  for (const recover::Query& wanted :
       {query("", ""), query("", "other/"), query("src-bucket", ""), query("src-bucket", "do"),
        query("src-bucket", "docs/a/"), query("src-bucket", "", {"other", "docs/a"}), query("docs", "")})
    EXPECT_TRUE(recover::could_hold_matches(wanted, catalog_file)) << wanted.bucket.str() << " " << wanted.prefix;
  for (const recover::Query& other :
       {query("another", ""), query("src-bucket", "dox"), query("src-bucket", "", {"other"}), query("src", "")})
    EXPECT_FALSE(recover::could_hold_matches(other, catalog_file)) << other.bucket.str() << " " << other.prefix;
  EXPECT_TRUE(recover::could_hold_matches(query("another", ""), ObjectKey("of-another-form.jsonl")));
}

/// Version `name` of "k", or its deletion, at a time.
catalog::Record version(const std::string& name, std::int64_t ms, bool deleted = false) {
  catalog::Record record;
  record.source_bucket = BucketName("src-bucket");
  record.object_path = ObjectKey("k");
  record.version_id = VersionId(name);
  record.sequencer = name;
  record.last_modified = from_epoch_ms(ms);
  record.deleted = deleted;
  return record;
}

std::vector<catalog::Record> all_of(const catalog::RecordList& list) {
  std::vector<catalog::Record> records;
  for (std::size_t i = 0; i < list.size(); ++i) records.push_back(list[i]);
  return records;
}

/// The clock of the source was years ahead when "02" was put: from then on no version of its key is dated earlier.
std::vector<catalog::Record> history_of_a_wrong_clock() {
  constexpr std::int64_t ahead = 1'000'000'000;
  std::vector<catalog::Record> history{version("01", 100'000), version("02", ahead), version("03", ahead),
                                       version("04", ahead, true)};
  // In catalog files backup times are whole seconds.
  const std::int64_t backed_up[] = {110'000, ahead + 10'000, 310'000, 410'000};
  for (std::size_t i = 0; i < history.size(); ++i) {
    history[i].backup_time = from_epoch_ms(backed_up[i]);
    history[i].backup_file = "f";
  }
  return history;
}

recover::Query state_at(std::int64_t seconds, std::int64_t now) {
  recover::Query wanted;
  wanted.as_of = from_epoch_ms(1000 * seconds);
  wanted.now = from_epoch_ms(1000 * now);
  wanted.with_deleted = true;
  return wanted;
}

// as_of and now in seconds, the version that the key had
constexpr std::tuple<std::int64_t, std::int64_t, const char*> states_of_a_wrong_clock[] = {
    {99, 500, ""},          {105, 500, "01"}, {309, 500, "01"},       {310, 500, "03"}, {409, 500, "03"},
    {410, 500, "04"},       {500, 500, "04"}, {500, 2'000'000, "01"},  // the time has come: dates are believed
    {1'000'000, 500, "04"},
};

TEST(Selection, AVersionThatIsDatedInTheFutureCountsFromItsBackupOn) {
  for (const auto& [ms, now, expected] : states_of_a_wrong_clock) {
    recover::Selection selection(state_at(ms, now));
    for (const catalog::Record& record : history_of_a_wrong_clock()) selection.add(record);
    catalog::RecordList deletions;
    const catalog::RecordList found = selection.take(deletions);
    EXPECT_EQ(found.empty() ? "" : found[0].version_id.str(), expected) << ms << " " << now;
  }
}

TEST(Selection, OfATimeIsTheNewestVersionThenWhateverCameLater) {
  const std::vector<catalog::Record> history{version("01", 100), version("02", 200, true), version("03", 300)};
  const auto at = [&](std::int64_t ms, std::size_t& deletions) {
    recover::Query wanted;
    wanted.as_of = from_epoch_ms(ms);
    recover::Selection selection(wanted);
    for (const std::size_t i : {2U, 0U, 1U}) selection.add(history[i]);
    catalog::RecordList deleted;
    const catalog::RecordList found = selection.take(deleted);
    deletions = deleted.size();
    return found.empty() ? "" : found[0].version_id.str();
  };
  std::size_t deletions = 0;
  EXPECT_EQ(at(99, deletions), "");
  EXPECT_EQ(deletions, 0U) << "it was not yet there";
  EXPECT_EQ(at(100, deletions), "01") << "what happened at that very time has happened";
  EXPECT_EQ(at(199, deletions), "01");
  EXPECT_EQ(at(200, deletions), "");
  EXPECT_EQ(deletions, 1U);
  EXPECT_EQ(at(300, deletions), "03");
}

/// Which of two versions is newer is said by the source: its order, and that events come after a backfill. The time of
/// the backup, of a packer's clock, is believed of the same version alone.
TEST(Selection, NoPackersClockSaysWhatIsNewer) {
  const auto newest = [](catalog::Record a, catalog::Record b) {
    std::string found;
    for (const bool is_swapped : {false, true}) {
      recover::Selection selection({});
      selection.add(is_swapped ? b : a);
      selection.add(is_swapped ? a : b);
      catalog::RecordList deletions;
      found += selection.take(deletions)[0].version_id.str() + " ";
    }
    return found;
  };
  catalog::Record older = version("01", 1000), newer = version("02", 1000);
  older.backup_time = from_epoch_ms(4'000'000'000'000);  // packed by a clock that is a hundred years ahead
  newer.backup_time = from_epoch_ms(0);                  // and by one that stepped back
  EXPECT_EQ(newest(older, newer), "02 02 ");
  older.sequencer = "";  // of a backfill, overwritten within the same second
  EXPECT_EQ(newest(older, newer), "02 02 ");
  newer.last_modified = from_epoch_ms(2000);
  newer.sequencer = "";
  EXPECT_EQ(newest(older, newer), "02 02 ");
}

class Search : public ReplicationKit {
 protected:
  void back_up(const std::vector<std::string>& keys) {
    std::vector<pack::Item> items;
    for (const std::string& key : keys) {
      put(key, "content of " + key);
      items.push_back(item(key));
    }
    const pack::PackResult result = pack(items);
    EXPECT_TRUE(land(bring_to_inbound(result.archives.at(0).key)).failures.empty());
    file_ = {catalog, store->list(catalog, {}).objects.at(0).key};
    rows_.clear();
    text_ = *read(catalog, file_.key.str());
    EXPECT_FALSE(catalog::read_file_text(text_, [&](catalog::Record row) { rows_.push_back(std::move(row)); }));
  }
  void write(const std::string& text) {
    store::MemoryBody body(as_bytes(text));
    store->put(file_, body, {});
  }
  recover::SearchResult search(recover::OnDamage on_damage, const std::vector<BucketName>& backups = {}) {
    recover::SearchResult found =
        recover::search({{store.get(), catalog, "", backups}}, recover::Query{}, connections, on_damage);
    return found;
  }
  std::string first_line() const { return text_.substr(0, text_.find('\n') + 1); }

  ObjectAddress file_;
  std::string text_;
  std::vector<catalog::Record> rows_;
};

TEST_F(Search, TheArchiveGivesTheVeryRowsOfItsCatalogFile) {
  back_up({"a", "b/c", "b/d"});
  write(first_line());
  const recover::SearchResult found = search(recover::OnDamage::read_archive);
  EXPECT_EQ(all_of(found.records), rows_);
  ASSERT_EQ(found.damage.size(), 1U);
  EXPECT_EQ(found.damage[0].replaced_by->bucket, vault);
}

TEST_F(Search, WithoutARowTheConfigurationSaysWhereTheArchiveIs) {
  back_up({"a", "b"});
  write("");
  EXPECT_EQ(all_of(search(recover::OnDamage::read_archive, {copy, vault}).records), rows_);
  const recover::SearchResult lost = search(recover::OnDamage::read_archive);
  EXPECT_TRUE(lost.records.empty());
  ASSERT_EQ(lost.damage.size(), 1U);
  EXPECT_FALSE(lost.damage[0].replaced_by);
  EXPECT_EQ(lost.damage[0].error.where(), to_uri(file_));
}

TEST_F(Search, OnlyToldTheArchiveIsNotRead) {
  back_up({"a", "b"});
  write(first_line());
  const recover::SearchResult found = search(recover::OnDamage::tell, {vault});
  EXPECT_EQ(found.records.size(), 1U);
  ASSERT_EQ(found.damage.size(), 1U);
  EXPECT_FALSE(found.damage[0].replaced_by);
}

/// Restores the first of the records to the bucket of copies, whose store can be told to do something before.
class RestoreToBucket : public Search {
 protected:
  recover::RestoredObject restore() {
    recover::RestoreTarget to;
    to.bucket = copy;
    to.prefix = "restored/";
    const auto archives = [this](const catalog::Record&) -> store::ObjectStore& { return *store; };
    recover::RestoredObject made;
    recover::Restore(archives, &target, to, {}, world, pools, budget)
        .run(catalog::RecordList({rows_.at(0)}), [&](const recover::RestoredObject& object) { made = object; });
    return made;
  }
  /// Somebody else puts this there just before the restore does.
  void put_before(const std::string& content) {
    target.before = [this, content](const std::string& method, const std::string& key) {
      if (method != "put") return;
      store::MemoryBody body(as_bytes(content));
      store->put({copy, ObjectKey(key)}, body, {});
    };
  }
};

TEST_F(RestoreToBucket, AWriteThatWasSentTwiceOnItsWayIsNoFailure) {
  back_up({"a"});
  put_before("content of a");
  const recover::RestoredObject object = restore();
  EXPECT_FALSE(object.error) << object.error->what();
  EXPECT_EQ(object.fate, recover::RestoreFate::same);
}

TEST_F(RestoreToBucket, WhatIsThereIsTheSameWhateverPartsItWasWrittenIn) {
  back_up({"a"});
  rows_.at(0).etag = ETag("0123456789abcdef0123456789abcdef-2");  // the source was uploaded in parts
  EXPECT_EQ(restore().fate, recover::RestoreFate::restored);
  EXPECT_EQ(restore().fate, recover::RestoreFate::same);
  store::MemoryBody body(as_bytes(std::string_view("Content of a")));
  store->put({copy, ObjectKey("restored/a")}, body, {});
  EXPECT_EQ(restore().fate, recover::RestoreFate::failed) << "as many bytes, but others";
}

TEST_F(RestoreToBucket, WhatCameThereMeanwhileIsKept) {
  back_up({"a"});
  put_before("of another");
  const recover::RestoredObject object = restore();
  ASSERT_TRUE(object.error);
  EXPECT_NE(object.error->summary().find("something else has this name"), std::string::npos) << object.error->what();
  EXPECT_EQ(read(copy, "restored/a"), "of another");
}

/// Any search finds the same in the local index as in the catalog's own files.
class SearchIndexed : public ReplicationKit {
 protected:
  /// An index of what the catalog has now.
  std::shared_ptr<catalog::CatalogDatabase> index_of(const BucketName& bucket) {
    auto index = std::make_shared<catalog::CatalogDatabase>(outside.path(bucket.str() + ".sqlite"), bucket.str());
    flow::Progress progress;
    catalog::sync_index(index->file(), {*store, bucket, ""}, {}, world, pools, budget, progress,
                        [](const catalog::DamagedFile&) { FAIL(); });
    return index;
  }

  catalog::Record random_record() {
    static constexpr const char* parts[] = {"invoice", "Report", "scan", "x", "a%b", "deep/er", "[1]"};
    catalog::Record record;
    record.source_bucket = BucketName(random_() % 3 == 0 ? "other-bucket" : "src-bucket");
    record.object_path =
        ObjectKey(std::string(parts[random_() % 7]) + "/" + parts[random_() % 7] + std::to_string(random_() % 40));
    record.object_name = basename(record.object_path.str());
    record.backup_file = "backup_" + std::to_string(random_() % 50) + ".tar.zst";
    record.object_size = random_() % 1000;
    if (random_() % 5 == 0) record.object_size.reset();
    record.last_modified = from_epoch_ms(static_cast<std::int64_t>(1'737'000'000'000 + random_() % 1'000'000));
    record.sequencer = random_() % 4 == 0 ? "" : std::to_string(1'000'000 + random_() % 1'000'000);
    record.deleted = random_() % 6 == 0;
    record.sha256 = std::to_string(random_());
    return record;
  }

  recover::Query random_query() {
    static constexpr const char* texts[] = {"invoice", "inv", "REPORT", "er/", "x", "1", "scan/", "a%b"};
    static constexpr const char* patterns[] = {"*invoice*", "?can/*", "*1", "deep*", "*[1]*", "*"};
    static constexpr const char* expressions[] = {"invoice[0-9]+$", "(?i)report.*x", "^(scan|deep)/", "a%b|er/x", "."};
    recover::Query query;
    if (random_() % 3 == 0) query.contains = texts[random_() % 8];
    if (random_() % 4 == 0) query.prefix = texts[random_() % 8];
    if (random_() % 4 == 0) query.patterns = {patterns[random_() % 6]};
    if (random_() % 8 == 0) query.patterns = {"*x*", "scan*"};
    if (random_() % 5 == 0) query.paths = {random_record().object_path.str(), random_record().object_path.str()};
    if (random_() % 4 == 0) query.regex = std::make_shared<recover::KeyRegex>(expressions[random_() % 5]);
    if (random_() % 3 == 0) query.bucket = BucketName("src-bucket");
    const auto moment = [&] {
      return from_epoch_ms(static_cast<std::int64_t>(1'737'000'000'000 + random_() % 1'000'000));
    };
    if (random_() % 5 == 0) query.since = moment();
    if (random_() % 5 == 0) query.until = moment();
    if (random_() % 5 == 0) query.as_of = moment();
    if (random_() % 2 == 0) query.now = moment();
    if (random_() % 5 == 0) query.min_size = random_() % 1000;
    if (random_() % 5 == 0) query.max_size = random_() % 1000;
    query.all_versions = random_() % 3 == 0;
    query.with_deleted = random_() % 3 == 0;
    return query;
  }

  std::mt19937 random_{11};
};

TEST(Selection, AnUnknownSizeMeetsNoConditionOnSizes) {
  catalog::Record record;
  record.object_size.reset();
  recover::Query query;
  EXPECT_TRUE(recover::matches(query, record));
  query.min_size = 0;
  EXPECT_FALSE(recover::matches(query, record));
  query.min_size.reset();
  query.max_size = 1'000'000;
  EXPECT_FALSE(recover::matches(query, record));
}

TEST_F(SearchIndexed, VersionsThatAreDatedInTheFutureAreFoundAsWithoutAnIndex) {
  const std::string text = catalog::to_file_text(history_of_a_wrong_clock());
  store::MemoryBody body(as_bytes(text));
  store->put({catalog, ObjectKey("f.jsonl")}, body, {});
  const recover::CatalogPlace indexed{store.get(), catalog, "", {}, index_of(catalog)};
  for (const auto& [ms, now, expected] : states_of_a_wrong_clock) {
    const auto found = recover::search({indexed}, state_at(ms, now), connections, recover::OnDamage::tell).records;
    EXPECT_EQ(found.empty() ? "" : found[0].version_id.str(), expected) << ms << " " << now;
  }
}

/// Sequencers that contradict times: each of three is newer than another one, by pairs.
TEST(Selection, TheNewestOfThreeDoesNotDependOnTheOrderOfReading) {
  catalog::Record backfill = version("", 7);
  backfill.version_id = VersionId("backfill");
  const std::vector<catalog::Record> all{version("01", 10), version("02", 5), backfill};
  std::vector<std::size_t> order{0, 1, 2};
  do {
    for (const bool with_all_versions : {false, true}) {
      recover::Query query;
      query.all_versions = with_all_versions;
      recover::Selection selection(query);
      for (const std::size_t i : order) selection.add(all[i]);
      catalog::RecordList deletions;
      const catalog::RecordList found = selection.take(deletions);
      ASSERT_EQ(found.size(), with_all_versions ? 3U : 1U);
      EXPECT_EQ(found[0].version_id.str(), "backfill");
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

/// Each of the three is in a catalog of its own, with or without an index.
TEST_F(SearchIndexed, TheNewestOfThreeDoesNotDependOnThePlaces) {
  catalog::Record backfill = version("", 7000);
  backfill.version_id = VersionId("backfill");
  const std::vector<catalog::Record> all{version("01", 10'000), version("02", 5000), backfill};
  const std::vector<BucketName> buckets{BucketName("first"), BucketName("second"), BucketName("third")};
  for (const BucketName& bucket : buckets) store->create_bucket(bucket);
  std::vector<std::size_t> order{0, 1, 2};
  do {
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string text = catalog::to_file_text({all[order[i]]});
      store::MemoryBody body(as_bytes(text));
      store->put({buckets[i], ObjectKey("f.jsonl")}, body, {});
    }
    for (int indexed = 0; indexed < 8; ++indexed) {
      std::vector<recover::CatalogPlace> places;
      for (std::size_t i = 0; i < 3; ++i) {
        const bool has_index = (indexed >> i & 1) != 0;
        places.push_back({store.get(), buckets[i], "", {}, has_index ? index_of(buckets[i]) : nullptr});
      }
      const auto found = recover::search(places, {}, connections, recover::OnDamage::tell).records;
      ASSERT_EQ(found.size(), 1U);
      EXPECT_EQ(found[0].version_id.str(), "backfill") << indexed;
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Selection, AHotKeyDoesNotFillTheMemory) {
  recover::Query query;
  query.most_memory = 4 << 20;
  recover::Selection selection(query);
  for (std::int64_t i = 0; i < 20'000; ++i) selection.add(version(std::to_string(100'000 + i), i));
  catalog::RecordList deletions;
  const catalog::RecordList found = selection.take(deletions);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].sequencer, "119999");
}

TEST_F(SearchIndexed, WhatDoesNotFitIsRefused) {
  std::vector<catalog::Record> rows;
  for (int i = 0; i < 3000; ++i) {
    rows.push_back(random_record());
    rows.back().object_path = ObjectKey("many/" + std::to_string(i));
  }
  const std::string text = catalog::to_file_text(rows);
  store::MemoryBody body(as_bytes(text));
  store->put({catalog, ObjectKey("f.jsonl")}, body, {});
  const recover::CatalogPlace plain{store.get(), catalog, "", {}, nullptr};
  const recover::CatalogPlace indexed{store.get(), catalog, "", {}, index_of(catalog)};
  recover::Query query;
  query.most_memory = 1'200'000;  // a list begins with 1 MiB
  for (const recover::CatalogPlace& place : {plain, indexed}) {
    try {
      recover::search({place}, query, connections, recover::OnDamage::tell);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      EXPECT_EQ(error.where(), "--memory-limit");
    }
  }
  recover::Query one = query;
  one.paths = {"many/7"};
  one.with_deleted = true;
  for (const recover::CatalogPlace& place : {plain, indexed})
    EXPECT_EQ(recover::search({place}, one, connections, recover::OnDamage::tell).records.size(), 1U);
  std::size_t visited = 0;
  recover::search_each({indexed}, query, connections, recover::OnDamage::tell, {}, [&](const catalog::Record&) {
    ++visited;
    return true;
  });
  EXPECT_GT(visited, 2000U) << "an index needs no memory for what is looked at once";
}

TEST_F(SearchIndexed, FindsTheSameAsInTheFiles) {
  const BucketName second("second-catalog");
  store->create_bucket(second);
  std::vector<recover::CatalogPlace> plain, indexed;
  for (const BucketName& bucket : {catalog, second}) {
    for (int file = 0; file < 20; ++file) {
      std::vector<catalog::Record> rows;
      for (std::size_t i = 0; i < 1 + random_() % 120; ++i) rows.push_back(random_record());
      const std::string text = catalog::to_file_text(rows);
      store::MemoryBody body(as_bytes(text));
      store->put({bucket, ObjectKey("s/year=2025/month=01/day=2" + std::to_string(file % 5) + "/f" +
                                    std::to_string(file) + ".jsonl")},
                 body, {});
    }
    plain.push_back({store.get(), bucket, "", {}, nullptr});
    indexed.push_back({store.get(), bucket, "", {}, index_of(bucket)});
  }
  std::size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    const recover::Query query = random_query();
    const recover::SearchResult a = recover::search(plain, query, connections, recover::OnDamage::tell);
    const recover::SearchResult b = recover::search(indexed, query, connections, recover::OnDamage::tell);
    // Of one key and order, whichever comes first: compared are sets of what was found.
    const auto keys = [](const catalog::RecordList& records) {
      std::multiset<std::tuple<BucketName, ObjectKey, std::string, std::int64_t>> made;
      for (const catalog::Record& r : all_of(records))
        made.emplace(r.source_bucket, r.object_path, r.sequencer, to_epoch_ms(r.last_modified));
      return made;
    };
    ASSERT_EQ(keys(a.records), keys(b.records)) << "round " << round;
    ASSERT_EQ(a.deletions.size(), b.deletions.size()) << "round " << round;
    found += a.records.size();
  }
  EXPECT_GT(found, 1000U) << "the queries find something";
}

/// Ways in which a local index cannot be used, each made of a sound one that is closed.
class SearchWithoutIndex : public SearchIndexed {
 protected:
  SearchWithoutIndex() {
    for (int file = 0; file < 10; ++file) {
      std::vector<catalog::Record> rows;
      for (int i = 0; i < 200; ++i) rows.push_back(random_record());
      const std::string text = catalog::to_file_text(rows);
      store::MemoryBody body(as_bytes(text));
      store->put({catalog, ObjectKey("s/year=2025/month=01/day=20/" + std::to_string(file) + ".jsonl")}, body, {});
    }
    auto index = index_of(catalog);
    index->sql().run_script("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  /// Searches with the index and without; both find the same, and the index is said to be unusable.
  void expect_done_without() {
    const auto index = std::make_shared<catalog::CatalogDatabase>(path_, catalog.str());
    recover::Query query;
    query.contains = "invoice";
    const recover::SearchResult with =
        recover::search({{store.get(), catalog, "", {}, index}}, query, connections, recover::OnDamage::tell);
    const recover::SearchResult without =
        recover::search({{store.get(), catalog, "", {}, nullptr}}, query, connections, recover::OnDamage::tell);
    ASSERT_EQ(with.unusable_indexes.size(), 1U);
    EXPECT_EQ(with.unusable_indexes[0].kind(), ErrorKind::corrupt) << with.unusable_indexes[0].what();
    EXPECT_EQ(with.records.size(), without.records.size());
    EXPECT_GT(with.records.size(), 0U);
  }
  void run(const std::string& sql) {
    sqlite::Database database(path_);
    database.run_script(sql.c_str());
    database.run_script("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  const std::filesystem::path path_ = outside.path(catalog.str() + ".sqlite");
};

TEST_F(SearchWithoutIndex, WhatTheIndexHasLostOrChangedIsNoticed) {
  const std::string sound = outside.read(path_.filename());
  for (const std::string sql :
       {"DELETE FROM blocks WHERE id = (SELECT max(id) FROM blocks)",
        "DELETE FROM columns WHERE id = (SELECT max(id) FROM columns)", "DELETE FROM trigrams",
        "UPDATE columns SET data = substr(data, 1, length(data) - 9) || x'00' || substr(data, -8)",
        "UPDATE trigrams SET data = x'0000000000000000'", "UPDATE blocks SET rows = rows - 1",
        "UPDATE notes SET value = '0 0 0' WHERE name = 'totals'", "DELETE FROM notes WHERE name = 'totals'"}) {
    outside.write(path_.filename(), sound);
    run(sql);
    SCOPED_TRACE(sql);
    expect_done_without();
  }
}

TEST_F(SearchWithoutIndex, GarbledPagesAreNoticedInTheMiddleOfTheQuery) {
  std::string bytes = outside.read(path_.filename());
  for (std::size_t at = bytes.size() / 2; at < bytes.size(); ++at) bytes[at] = '\x55';
  outside.write(path_.filename(), bytes);
  expect_done_without();
}

TEST_F(SearchIndexed, AVisitorMayHaveEnough) {
  std::vector<catalog::Record> rows;
  for (int i = 0; i < 50; ++i) rows.push_back(random_record());
  const std::string text = catalog::to_file_text(rows);
  store::MemoryBody body(as_bytes(text));
  store->put({catalog, ObjectKey("f.jsonl")}, body, {});
  int seen = 0;
  recover::search_each({{store.get(), catalog, "", {}, index_of(catalog)}}, {}, connections, recover::OnDamage::tell,
                       {}, [&](const catalog::Record&) { return ++seen < 3; });
  EXPECT_EQ(seen, 3);
}

TEST(KeyRegex, KnowsWhatItsMatchesContain) {
  const recover::KeyRegex regex("^logs/.*ERROR[0-9]{3}\\.txt$");
  EXPECT_TRUE(regex.matches("logs/a/ERROR123.txt"));
  EXPECT_FALSE(regex.matches("logs/a/ERROR12.txt"));
  EXPECT_THAT(regex.literals(), ::testing::IsSupersetOf({"logs/", ".txt"}));
  EXPECT_TRUE(recover::KeyRegex("abc|def").literals().empty()) << "either is enough";
  EXPECT_THROW(recover::KeyRegex("("), Error);
}

}  // namespace
}  // namespace bale::testing
