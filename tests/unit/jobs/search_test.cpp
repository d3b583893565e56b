// What a search makes of a damaged catalog file, and a restore of an object that came there meanwhile.
#include "jobs/recover/search.hpp"

#include "catalog/file.hpp"
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

TEST(Selection, OfATimeIsTheNewestVersionThenWhateverCameLater) {
  const std::vector<catalog::Record> history{version("01", 100), version("02", 200, true), version("03", 300)};
  const auto at = [&](std::int64_t ms, std::size_t& deletions) {
    recover::Query wanted;
    wanted.as_of = from_epoch_ms(ms);
    recover::Selection selection(wanted);
    for (const std::size_t i : {2U, 0U, 1U}) selection.add(history[i]);
    std::vector<catalog::Record> deleted;
    const std::vector<catalog::Record> found = selection.take(deleted);
    deletions = deleted.size();
    return found.empty() ? "" : found.at(0).version_id.str();
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
  EXPECT_EQ(found.records, rows_);
  ASSERT_EQ(found.damage.size(), 1U);
  EXPECT_EQ(found.damage[0].replaced_by->bucket, vault);
}

TEST_F(Search, WithoutARowTheConfigurationSaysWhereTheArchiveIs) {
  back_up({"a", "b"});
  write("");
  EXPECT_EQ(search(recover::OnDamage::read_archive, {copy, vault}).records, rows_);
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
        .run({rows_.at(0)}, [&](const recover::RestoredObject& object) { made = object; });
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

}  // namespace
}  // namespace bale::testing
