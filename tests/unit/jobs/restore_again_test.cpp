// Objects whose archive is gone: another backup of the same version is read, and an older version never silently.
#include "jobs/recover/restore_again.hpp"

#include <gmock/gmock.h>

#include "catalog/index_sync.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

using recover::RestoreFate;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RestoreAgainTest : public ReplicationKit {
 protected:
  /// Puts a version of an object and backs it up; returns the archive's key.
  ObjectKey back_up(const std::string& key, const std::string& content, const std::string& sequencer) {
    put(key, content);
    return back_up_again(key, sequencer);
  }
  /// Backs up the present version of an object, in an archive of its own.
  ObjectKey back_up_again(const std::string& key, const std::string& sequencer) {
    outside.clock.advance(std::chrono::seconds(10));
    const pack::PackResult result = pack({item(key, sequencer)});
    const ObjectKey archive = result.archives.at(0).key;
    EXPECT_TRUE(land(bring_to_inbound(archive)).failures.empty());
    return archive;
  }
  ObjectKey catalog_file_of(const ObjectKey& archive) {
    for (const store::ListedObject& object : store->list(catalog, {}).objects) {
      if (catalog::archive_key_of(object.key) == archive) return object.key;
    }
    ADD_FAILURE() << "no catalog file of " << archive.str();
    return {};
  }
  void remove_archive(const ObjectKey& archive) { store->remove({vault, archive}); }
  void remove_all_of(const ObjectKey& archive) {
    store->remove({catalog, catalog_file_of(archive)});
    remove_archive(archive);
  }

  catalog::SyncCounts sync() {
    if (!index_) index_ = std::make_shared<catalog::CatalogDatabase>(outside.path("index.sqlite"), "test");
    flow::Progress progress;
    return catalog::sync_index(index_->file(), {*store, catalog, "", store_id_}, {}, world, pools, budget, progress,
                               [](const catalog::DamagedFile&) {});
  }

  /// Restores everything that the index knows, as of the last sync(), to a directory.
  void restore(recover::Query query = {}) {
    fates_.clear();
    errors_.clear();
    asked_ = 0;
    const std::vector<recover::CatalogPlace> places{{store.get(), catalog, "", {}, index_}};
    const recover::SearchResult found = recover::search(places, query, connections, recover::OnDamage::read_archive);
    recover::RestoreTarget to;
    to.directory = outside.path("out");
    recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *store; }, nullptr, to, {},
                         world, pools, budget);
    recover::restore_with_replacements(
        job, found.records,
        [&](const recover::GoneObjects& gone) {
          ++asked_;
          recover::AgainOptions how;
          how.is_new_store = sync().is_of_new_store;
          return recover::find_replacements(places, query, gone, how, connections, recover::OnDamage::read_archive, {});
        },
        [this](const recover::RestoredObject& object) {
          fates_[object.record->object_path.str()].push_back(object.fate);
          if (object.error) errors_.insert_or_assign(object.record->object_path.str(), *object.error);
        });
  }
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    if (!std::filesystem::exists(outside.path("out"))) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(outside.path("out"))) {
      const auto path = entry.path().lexically_relative(outside.path("out"));
      if (entry.is_regular_file()) found[path.string()] = outside.read("out" / path);
    }
    return found;
  }

  std::string store_id_ = "store";
  std::shared_ptr<catalog::CatalogDatabase> index_;
  std::map<std::string, std::vector<RestoreFate>> fates_;
  std::map<std::string, Error> errors_;
  int asked_ = 0;
};

TEST_F(RestoreAgainTest, AnotherArchiveWithTheSameVersionIsRead) {
  back_up("k", "content", "01");
  const ObjectKey second = back_up_again("k", "01");
  const ObjectKey third = back_up_again("k", "01");
  back_up("other", "of an archive that is there", "02");
  sync();
  remove_archive(third);
  remove_archive(second);
  restore();
  EXPECT_EQ(files(), (std::map<std::string, std::string>{{"k", "content"}, {"other", "of an archive that is there"}}));
  EXPECT_THAT(fates_["k"], ElementsAre(RestoreFate::restored)) << "it is told once";
  EXPECT_EQ(asked_, 1) << "once for all that is gone";
}

TEST_F(RestoreAgainTest, AnOlderVersionIsNeverTakenSilently) {
  back_up("k", "older", "01");
  const auto older = store->head({src, ObjectKey("k")})->last_modified;
  const ObjectKey newest = back_up("k", "newest", "02");
  sync();
  remove_archive(newest);
  restore();
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_THAT(fates_["k"], ElementsAre(RestoreFate::failed));
  EXPECT_THAT(errors_.at("k").what(), HasSubstr("the archive that holds the object is not there any more"));
  EXPECT_THAT(errors_.at("k").hint(), HasSubstr("--as-of " + to_iso8601(older)));
  recover::Query query;
  query.as_of = older;
  restore(query);
  EXPECT_EQ(files()["k"], "older") << "the hint can be followed";
}

TEST_F(RestoreAgainTest, AnOlderVersionIsNotTakenWhenTheNewestLeftTheCatalogToo) {
  back_up("k", "older", "01");
  const ObjectKey newest = back_up("k", "newest", "02");
  sync();
  remove_all_of(newest);
  restore();
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_THAT(errors_.at("k").hint(), HasSubstr("--as-of"));
}

TEST_F(RestoreAgainTest, AVersionThatIsNewerInTheCatalogThanInTheIndexIsRead) {
  const ObjectKey first = back_up("k", "first", "01");
  sync();
  back_up("k", "second", "02");
  remove_all_of(first);
  restore();
  EXPECT_EQ(files()["k"], "second");
}

TEST_F(RestoreAgainTest, AStoreMadeAnewIsReadAsItIsNow) {
  const ObjectKey old = back_up("k", "of the first store", "0F");
  const ObjectKey lost = back_up("lost", "of the first store", "10");
  sync();
  remove_all_of(old);
  remove_all_of(lost);
  store_id_ = "made anew";
  back_up("k", "of the second store", "01");  // sequencers began again
  restore();
  EXPECT_EQ(files(), (std::map<std::string, std::string>{{"k", "of the second store"}}));
  EXPECT_THAT(fates_["k"], ElementsAre(RestoreFate::restored));
  EXPECT_THAT(fates_["lost"], ElementsAre(RestoreFate::failed));
}

TEST_F(RestoreAgainTest, ADeletionThatCameMeanwhileIsSaid) {
  const ObjectKey first = back_up("k", "first", "01");
  sync();
  pack::Item deletion = item("k", "02");
  store->remove({src, ObjectKey("k")});
  deletion.deleted = true;
  deletion.time = outside.clock.now();
  const pack::PackResult result = pack({deletion});
  EXPECT_TRUE(land(bring_to_inbound(result.archives.at(0).key)).failures.empty());
  remove_archive(first);
  restore();
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_THAT(errors_.at("k").hint(), HasSubstr("its deletion was recorded"));
}

TEST_F(RestoreAgainTest, WhenTheCatalogCannotBeAskedBothErrorsAreSaid) {
  const ObjectKey archive = back_up("k", "content", "01");
  sync();
  remove_archive(archive);
  const recover::SearchResult found =
      recover::search({{store.get(), catalog, "", {}, index_}}, {}, connections, recover::OnDamage::read_archive);
  recover::RestoreTarget to;
  to.directory = outside.path("out");
  recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *store; }, nullptr, to, {}, world,
                       pools, budget);
  std::vector<Error> errors;
  recover::restore_with_replacements(
      job, found.records,
      [](const recover::GoneObjects&) -> recover::Replacements {
        throw Error(ErrorKind::unavailable, "the catalog is away");
      },
      [&](const recover::RestoredObject& object) { errors.push_back(object.error.value()); });
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].kind(), ErrorKind::not_found);
  EXPECT_THAT(errors[0].what(), HasSubstr("not there any more"));
  EXPECT_THAT(errors[0].what(), HasSubstr("the catalog is away"));
}

}  // namespace
}  // namespace bale::testing
