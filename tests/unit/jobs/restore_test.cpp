// Restores of many objects: what is read together, what damage touches, and archives that have to be asked for.
#include "jobs/recover/restore.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <random>

#include "catalog/file.hpp"
#include "crash/crash_files.hpp"
#include "support/archive_kit.hpp"
#include "support/foreign_archive.hpp"
#include "support/odd_store.hpp"
#include "unit/jobs/replication_kit.hpp"

namespace bale::testing {
namespace {

using recover::RestoreFate;

/// Backups of objects, and restores of all of them.
class RestoreTest : public ReplicationKit {
 protected:
  RestoreTest() { targets = {{region, vault, "", "STANDARD_IA", true}}; }
  /// Packs objects into one archive that is in the bucket of backups, and adds their rows.
  ObjectKey back_up(const std::map<std::string, std::string>& objects, ByteCount frame_size = 64 << 10) {
    std::vector<pack::Item> items;
    for (const auto& [key, content] : objects) {
      store::ObjectAttributes attributes;
      attributes.metadata = {{"of", key}};
      put(key, content, attributes);
      items.push_back(item(key));
      expected_[key] = content;
    }
    const ObjectKey archive = pack(items, frame_size).archives.at(0).key;
    EXPECT_TRUE(land(bring_to_inbound(archive)).failures.empty());
    rows_.clear();
    for (const store::ListedObject& file : store->list(catalog, {}).objects) {
      EXPECT_FALSE(catalog::read_file_text(*read(catalog, file.key.str()),
                                           [&](catalog::Record row) { rows_.push_back(std::move(row)); }));
    }
    return archive;
  }
  static std::map<std::string, std::string> many(std::size_t count, const std::string& prefix,
                                                 std::size_t bytes = 3000) {
    std::map<std::string, std::string> objects;
    for (std::size_t i = 0; i < count; ++i)
      objects[fmt::format("{}/{:04}", prefix, i)] = test::words(bytes + i, static_cast<unsigned>(i));
    return objects;
  }
  ObjectAddress in_vault(const ObjectKey& archive) const { return {vault, archive}; }

  /// Another bucket of the region with the same archives.
  void copy_to_second(const ObjectKey& archive) {
    if (!store->head_bucket(second)) store->create_bucket(second);
    store->copy({in_vault(archive), {}, {}}, {second, archive});
    for (catalog::Record& row : rows_) row.target_buckets = {vault, second};
  }
  void change_class(const ObjectAddress& archive, const std::string& storage_class) {
    store::ObjectAttributes attributes;
    attributes.storage_class = storage_class;
    store->copy({archive, {}, {}}, archive, attributes);
  }
  void damage(const ObjectAddress& archive, ByteCount at) {
    std::string bytes = *read(archive.bucket, archive.key.str());
    bytes.at(at) ^= 1;
    store::MemoryBody body(as_bytes(bytes));
    store->put(archive, body, {});
  }

  recover::RestoreResult restore(const recover::RestoreTarget& to, const recover::RestoreOptions& options = {}) {
    fates_.clear();
    objects_.clear();
    asked_.clear();
    waits_.clear();
    recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *archives_; }, &target, to,
                         options, world, pools, budget_);
    return job.run(catalog::RecordList(rows_),
                   [this](const recover::RestoredObject& object) {
                     ++fates_[object.fate];
                     objects_[object.record->object_path.str()] = object;
                   },
                   {[this](const recover::ArchiveCopy& asked) { asked_.push_back(to_uri(asked.address)); },
                    [this](std::size_t archives) { waits_.push_back(archives); }});
  }
  recover::RestoreResult restore(const recover::RestoreOptions& options = {}) {
    recover::RestoreTarget to;
    to.directory = out_;
    return restore(to, options);
  }
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    if (!std::filesystem::exists(out_)) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out_)) {
      const auto path = entry.path().lexically_relative(outside.path());
      if (entry.is_regular_file()) found[entry.path().lexically_relative(out_).string()] = outside.read(path);
    }
    return found;
  }
  /// How often archives were read.
  void count_reads() {
    source.before = [this](const std::string& method, const std::string&) { reads_ += method == "get"; };
  }

  const BucketName second{"second-vault"};
  const std::filesystem::path out_ = outside.path("out");
  store::ObjectStore* archives_ = &source;
  flow::MemoryBudget budget_{256ULL << 20};
  std::map<std::string, std::string> expected_;
  std::vector<catalog::Record> rows_;
  std::map<RestoreFate, std::size_t> fates_;
  std::map<std::string, recover::RestoredObject> objects_;
  std::vector<std::string> asked_;
  std::vector<std::size_t> waits_;
  std::atomic<int> reads_{0};
};

TEST_F(RestoreTest, AnArchiveIsReadOnceAndARerunReadsNothing) {
  back_up(many(150, "a"));
  back_up(many(150, "b"));
  count_reads();
  const recover::RestoreResult result = restore();
  EXPECT_EQ(files(), expected_);
  EXPECT_EQ(reads_, 2);
  EXPECT_EQ(result.requests, 2u);
  EXPECT_EQ(result.archives, 2u);
  EXPECT_GT(result.bytes_read, 0u);
  EXPECT_EQ(fates_[RestoreFate::restored], 300u);
  EXPECT_EQ(restore().requests, 0u);
  EXPECT_EQ(fates_[RestoreFate::same], 300u);
}

TEST_F(RestoreTest, ARerunReadsWhatIsMissing) {
  back_up(many(150, "a"));
  restore();
  std::filesystem::remove(out_ / "a/0007");
  const recover::RestoreResult again = restore();
  EXPECT_EQ(files(), expected_);
  EXPECT_EQ(fates_[RestoreFate::restored], 1u);
  EXPECT_LT(again.bytes_read, 64u << 10) << "its frame alone";
}

TEST_F(RestoreTest, ToABucketWithWhatWasRecordedOfEach) {
  back_up(many(50, "a"));
  recover::RestoreTarget to;
  to.bucket = copy;
  to.prefix = "restored/";
  EXPECT_EQ(restore(to).requests, 1u);
  for (const auto& [key, content] : expected_) {
    EXPECT_EQ(read(copy, "restored/" + key), content);
    EXPECT_EQ(store->head({copy, ObjectKey("restored/" + key)})->metadata.at("of"), key);
  }
  EXPECT_EQ(restore(to).requests, 0u);
  EXPECT_EQ(fates_[RestoreFate::same], 50u);
}

TEST_F(RestoreTest, LargeObjectsAreStreamedAndSmallOnesBesideThemAreNot) {
  auto objects = many(20, "a");
  objects["large"] = test::noise(700'000, 5);
  back_up(objects);
  recover::RestoreOptions options;
  options.ranges.content = 100'000;
  EXPECT_EQ(restore(options).requests, 2u);
  EXPECT_EQ(files(), expected_);
}

TEST_F(RestoreTest, DamageNamesTheObjectsItTouchesAndKeepsNoOthersBack) {
  const ObjectKey archive = back_up(many(150, "a"));
  const catalog::Record& touched = rows_.at(100);
  damage(in_vault(archive), touched.location->frame_offset + touched.location->frame_length / 2);
  restore();
  EXPECT_GT(fates_[RestoreFate::failed], 0u);
  EXPECT_EQ(fates_[RestoreFate::failed] + fates_[RestoreFate::restored], 150u);
  for (const catalog::Record& row : rows_) {
    const recover::RestoredObject& object = objects_.at(row.object_path.str());
    const bool in_damaged_frame = row.location->frame_offset == touched.location->frame_offset;
    EXPECT_EQ(object.fate, in_damaged_frame ? RestoreFate::failed : RestoreFate::restored) << row.object_path.str();
    if (object.error) {
      EXPECT_EQ(object.error->kind(), ErrorKind::corrupt);
      EXPECT_THAT(object.error->what(), ::testing::HasSubstr(to_uri(in_vault(archive))));
    }
  }
  for (const auto& [name, content] : files()) EXPECT_EQ(content, expected_.at(name));
}

TEST_F(RestoreTest, WhatIsDamagedOrGoneInOnePlaceIsReadInAnother) {
  const ObjectKey first = back_up(many(100, "a")), gone = back_up(many(100, "b"));
  copy_to_second(first);
  copy_to_second(gone);
  damage(in_vault(first), 1000);
  store->remove(in_vault(gone));
  restore();
  EXPECT_EQ(files(), expected_);
  EXPECT_EQ(fates_[RestoreFate::failed], 0u);
}

TEST_F(RestoreTest, AnArchiveThatIsNowhereIsNamed) {
  const ObjectKey archive = back_up(many(3, "a"));
  store->remove(in_vault(archive));
  restore();
  EXPECT_EQ(fates_[RestoreFate::failed], 3u);
  EXPECT_EQ(objects_.begin()->second.error->kind(), ErrorKind::not_found);
  EXPECT_THAT(objects_.begin()->second.error->what(), ::testing::HasSubstr(to_uri(in_vault(archive))));
}

TEST_F(RestoreTest, AFailingReadFailsItsObjectsAlone) {
  const ObjectKey broken = back_up(many(100, "a"));
  back_up(many(100, "b"));
  source.arm("get", broken.str(), Error(ErrorKind::unavailable, "no answer"));
  restore();
  EXPECT_EQ(fates_[RestoreFate::failed], 100u);
  EXPECT_EQ(fates_[RestoreFate::restored], 100u);
}

TEST_F(RestoreTest, AFailingWriteFailsItsObjectAlone) {
  back_up(many(100, "a"));
  target.arm("put", "0042", Error(ErrorKind::denied, "no permission"));
  recover::RestoreTarget to;
  to.bucket = copy;
  restore(to);
  EXPECT_EQ(fates_[RestoreFate::failed], 1u);
  EXPECT_EQ(objects_.at("a/0042").error->summary(), "no permission") << "and not that of the archive";
}

TEST_F(RestoreTest, MemoryIsBoundedAndNothingWaitsForEver) {
  for (const char* prefix : {"a", "b", "c", "d", "e", "f"}) back_up(many(40, prefix, 20'000));
  recover::RestoreOptions options;
  options.ranges.range = 10'000;  // many ranges
  for (const bool to_bucket : {false, true}) {
    flow::MemoryBudget small(20 << 20);  // one range at a time
    recover::RestoreTarget to;
    if (!to_bucket) to.directory = out_;
    to.bucket = copy;
    recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *archives_; }, &target, to,
                         options, world, pools, small);
    std::size_t restored = 0;
    job.run(catalog::RecordList(rows_),
            [&](const recover::RestoredObject& object) { restored += object.fate == RestoreFate::restored; });
    EXPECT_EQ(restored, 240u);
    EXPECT_LE(small.peak(), small.limit());
  }
  EXPECT_EQ(files(), expected_);
}

TEST_F(RestoreTest, ManyLargeObjectsAndSmallOnesGoIntoABucketWithLittleMemory) {
  auto objects = many(30, "a", 20'000);
  for (unsigned i = 0; i < 12; ++i) objects[fmt::format("large/{}", i)] = test::noise(9'000'000, i);
  back_up(objects, 4 << 20);
  recover::RestoreOptions options;
  options.ranges.content = 1 << 20;
  flow::MemoryBudget little(36 << 20);
  recover::RestoreTarget to;
  to.bucket = copy;
  recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *archives_; }, &target, to,
                       options, world, pools, little);
  std::size_t restored = 0;
  job.run(catalog::RecordList(rows_),
          [&](const recover::RestoredObject& object) { restored += object.fate == RestoreFate::restored; });
  EXPECT_EQ(restored, 42u);
  EXPECT_LE(little.peak(), little.limit());
  EXPECT_TRUE(read(copy, "large/7") == objects["large/7"]);
}

TEST_F(RestoreTest, ARowWithoutAPlaceIsFoundInItsArchiveWhichIsReadOnce) {
  auto objects = many(200, "a");
  objects["large"] = test::noise(9'000'000, 3);  // more than a bucket takes in one piece
  back_up(objects, 1 << 20);
  for (catalog::Record& row : rows_) row.location.reset();
  const recover::RestoreResult result = restore();
  EXPECT_EQ(files(), expected_);
  EXPECT_LT(result.requests, 50u);
  EXPECT_GT(result.bytes_read, 9'000'000u);
  recover::RestoreTarget to;
  to.bucket = copy;
  restore(to);
  for (const auto& [key, content] : expected_) EXPECT_TRUE(read(copy, key) == content) << key;
  rows_[0].sha256 = std::string(64, '0');
  rows_[1].object_path = ObjectKey("not/in/it");
  std::filesystem::remove_all(out_);
  restore();
  EXPECT_EQ(fates_[RestoreFate::failed], 2u);
  EXPECT_EQ(fates_[RestoreFate::restored], 199u);
}

TEST_F(RestoreTest, ASizeThatIsNotSaidIsTheArchives) {
  auto objects = many(20, "a");
  objects["large"] = test::noise(9'000'000, 3);  // more than a bucket takes in one piece
  objects["empty"] = "";
  back_up(objects, 1 << 20);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].object_size.reset();
    rows_[i].etag = ETag();
    if (i % 2 == 0) rows_[i].location.reset();  // and others where the place alone is said
    if (i % 3 == 0) rows_[i].sha256.clear();
  }
  restore();
  EXPECT_EQ(fates_[RestoreFate::restored], rows_.size());
  EXPECT_EQ(files(), expected_);
  recover::RestoreTarget to;
  to.bucket = copy;
  restore(to);
  for (const auto& [key, content] : expected_) EXPECT_TRUE(read(copy, key) == content) << key;
  // What has a digest is recognised without a size.
  std::erase_if(rows_, [](const catalog::Record& row) { return row.sha256.empty(); });
  restore();
  EXPECT_EQ(fates_[RestoreFate::same], rows_.size());
  restore(to);
  EXPECT_EQ(fates_[RestoreFate::same], rows_.size());
}

/// Rows of an archive of the published S3 Cross-Region Compressor, as earlier versions wrote them and as they are
/// right.
TEST_F(RestoreTest, ARowWhoseKeyWasMisreadIsFoundToo) {
  const std::string bytes = test::frames_of(test::tar_of(
      {{"objects/deep/x", "content"},
       {"manifest.json", R"({"targets": [], "objects": [{"source_bucket": "src-bucket", "source_prefix": "docs/deep",
        "object_name": "x", "relative_key": "deep/x", "size": 7, "creation_time": "2025-01-23 09:05:07"}]})"}}));
  const ObjectAddress archive{vault, ObjectKey("src-bucket/docs/0123abc.tar.zst")};
  store::MemoryBody body(as_bytes(bytes));
  store->put(archive, body, {});
  for (const char* key : {"docs/deep/x", "docs/deep/deep/x"}) {
    catalog::Record row;
    row.backup_file = "0123abc.tar.zst";
    row.source_bucket = src;
    row.source_prefix = key == std::string("docs/deep/x") ? "docs" : "docs/deep";
    row.object_name = "x";
    row.object_path = ObjectKey(key);
    row.object_size = 7;
    row.archive_bucket = vault;
    row.archive_key = archive.key;
    row.target_buckets = {vault};
    rows_ = {row};
    restore();
    EXPECT_EQ(fates_[RestoreFate::restored], 1U) << key;
    EXPECT_EQ(files()[key], "content");
  }
}

TEST_F(RestoreTest, AFileThatAppearsMeanwhileIsKept) {
  back_up(many(50, "a"));
  bool appeared = false;
  source.before = [&](const std::string& method, const std::string&) {
    if (method == "get" && !std::exchange(appeared, true)) outside.write("out/a/0042", "theirs");
  };
  restore();
  EXPECT_EQ(fates_[RestoreFate::restored], 49u);
  EXPECT_EQ(objects_.at("a/0042").error->kind(), ErrorKind::precondition);
  EXPECT_THAT(objects_.at("a/0042").error->what(), ::testing::HasSubstr("a/0042"));
  EXPECT_EQ(files().at("a/0042"), "theirs");
  EXPECT_EQ(files().size(), 50u) << "no temporary files";
  restore({.overwrite = true});
  EXPECT_EQ(fates_[RestoreFate::same], 49u);
  EXPECT_EQ(files(), expected_);
}

TEST_F(RestoreTest, ADirectoryThatBecomesALinkMeanwhileIsNotFollowed) {
  std::map<std::string, std::string> objects = many(50, "deep/er");
  objects.merge(many(50, "beside"));
  back_up(objects);
  const auto elsewhere = outside.path("elsewhere");
  std::filesystem::create_directories(elsewhere / "er");
  std::filesystem::create_directories(out_ / "deep/er");
  bool replaced = false;
  source.before = [&](const std::string& method, const std::string&) {
    if (method != "get" || std::exchange(replaced, true)) return;
    std::filesystem::rename(out_ / "deep", outside.path("moved"));
    std::filesystem::create_directory_symlink(elsewhere, out_ / "deep");
  };
  restore({.overwrite = true});
  EXPECT_EQ(fates_[RestoreFate::failed], 50u);
  EXPECT_EQ(fates_[RestoreFate::restored], 50u);
  EXPECT_EQ(objects_.at("deep/er/0007").error->kind(), ErrorKind::denied);
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere / "er"));
}

TEST_F(RestoreTest, ADestinationThatBecomesALinkMeanwhileIsNotFollowed) {
  back_up(many(50, "d"));
  const auto elsewhere = outside.path("elsewhere");
  std::filesystem::create_directories(elsewhere / "d");
  std::filesystem::create_directories(out_ / "d");
  bool replaced = false;
  source.before = [&](const std::string& method, const std::string&) {
    if (method != "get" || std::exchange(replaced, true)) return;
    std::filesystem::rename(out_, outside.path("moved"));
    std::filesystem::create_directory_symlink(elsewhere, out_);
  };
  restore({.overwrite = true});
  EXPECT_EQ(fates_[RestoreFate::failed], 50u);
  EXPECT_EQ(objects_.at("d/0007").error->kind(), ErrorKind::precondition);
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere / "d"));
  EXPECT_TRUE(std::filesystem::is_empty(outside.path("moved") / "d"));
}

TEST_F(RestoreTest, ALinkInTheDestinationIsRefusedByName) {
  back_up(many(3, "a"));
  std::filesystem::create_directories(outside.path("elsewhere"));
  std::filesystem::create_directories(out_);
  std::filesystem::create_directory_symlink(outside.path("elsewhere"), out_ / "a");
  restore();
  EXPECT_EQ(fates_[RestoreFate::failed], 3u);
  EXPECT_EQ(objects_.at("a/0001").error->kind(), ErrorKind::denied);
  EXPECT_TRUE(std::filesystem::is_empty(outside.path("elsewhere")));
}

/// Counts what makes files durable.
class CountingFiles final : public ForwardingFiles {
 public:
  void rename(const fs::path& from, const fs::path& to) override {
    ForwardingFiles::rename(from, to);
    ++renames;
  }
  void rename_new(const fs::path& from, const fs::path& to) override {
    ForwardingFiles::rename_new(from, to);
    ++renames;
  }
  void sync_directory(const fs::path& path) override {
    ForwardingFiles::sync_directory(path);
    ++syncs;
  }
  void sync_filesystem(const fs::path& path) override {
    ForwardingFiles::sync_filesystem(path);
    ++syncs;
    renames_before_sync = renames.load();
  }
  std::atomic<int> renames{0}, syncs{0}, renames_before_sync{0};
};

TEST_F(RestoreTest, FilesAreMadeDurableTogetherAfterTheLast) {
  back_up(many(100, "a"));
  CountingFiles counting;
  os::World counted{world.clock, world.entropy, world.environment, counting, world.terminal, world.stop};
  recover::RestoreTarget to;
  to.directory = out_;
  recover::Restore job([this](const catalog::Record&) -> store::ObjectStore& { return *archives_; }, nullptr, to, {},
                       counted, pools, budget_);
  job.run(catalog::RecordList(rows_), [](const recover::RestoredObject&) {});
  EXPECT_EQ(counting.renames_before_sync, 100);
  EXPECT_EQ(counting.syncs, 1);
}

TEST_F(RestoreTest, AStopEndsIt) {
  back_up(many(100, "a"));
  source.before = [this](const std::string& method, const std::string&) {
    if (method == "get") outside.stop.request_stop();
  };
  try {
    restore();
    ADD_FAILURE() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

TEST_F(RestoreTest, ADryRunForeseesWhatARunReads) {
  back_up(many(150, "a"));
  auto objects = many(10, "b");
  objects["large"] = test::noise(400'000, 1);
  back_up(objects);
  recover::RestoreOptions options;
  options.ranges.content = 300'000;
  options.dryrun = true;
  count_reads();
  const recover::RestoreResult foreseen = restore(options);
  EXPECT_EQ(reads_, 0);
  EXPECT_TRUE(files().empty() && !std::filesystem::exists(out_));
  EXPECT_EQ(fates_[RestoreFate::restored], rows_.size());
  options.dryrun = false;
  const recover::RestoreResult done = restore(options);
  EXPECT_EQ(foreseen.requests, done.requests);
  EXPECT_EQ(foreseen.bytes_read, done.bytes_read);
  EXPECT_EQ(foreseen.archives, 2u);
}

/// Archives of an archive class that take five hours to become readable.
class AskedArchives : public RestoreTest {
 protected:
  AskedArchives() {
    odd_.head_ = [this](const ObjectAddress& address) {
      auto info = store->head(address);
      if (info && !info->restore.empty() && world.clock.now() < ready_at(address))
        info->restore = "ongoing-request=\"true\"";
      return info;
    };
    odd_.get_ = [this](const ObjectAddress& address, const std::optional<store::ByteRange>& range,
                       const store::ReadConditions& conditions) {
      const auto info = store->head(address);
      if (info && !info->restore.empty() && world.clock.now() < ready_at(address))
        throw Error(ErrorKind::denied, "the object is archived", to_uri(address)).with_code("InvalidObjectState");
      return store->get(address, range, conditions);
    };
    archives_ = &odd_;
  }
  TimePoint ready_at(const ObjectAddress& address) {
    const std::scoped_lock lock(mutex_);
    return ready_.try_emplace(address, world.clock.now() + std::chrono::hours(5)).first->second;
  }

  OddStore odd_{*store};
  std::mutex mutex_;
  std::map<ObjectAddress, TimePoint> ready_;
};

TEST_F(AskedArchives, AreAskedForAndAwaitedWhileTheOthersAreRead) {
  const ObjectKey asleep = back_up(many(20, "a")), other = back_up(many(20, "b"));
  back_up(many(20, "c"));
  change_class(in_vault(asleep), "GLACIER");
  change_class(in_vault(other), "DEEP_ARCHIVE");
  const TimePoint before = world.clock.now();
  const recover::RestoreResult result = restore();
  EXPECT_EQ(files(), expected_);
  EXPECT_EQ(fates_[RestoreFate::restored], 60u);
  EXPECT_THAT(asked_, ::testing::UnorderedElementsAre(to_uri(in_vault(asleep)), to_uri(in_vault(other))));
  EXPECT_EQ(result.archives_asked, 2u);
  EXPECT_EQ(result.archives_waiting, 0u);
  ASSERT_FALSE(waits_.empty());
  EXPECT_EQ(waits_.front(), 2u);
  EXPECT_EQ(waits_.back(), 0u);
  EXPECT_LT(waits_.size(), 500u) << "a look a minute";
  EXPECT_LT(world.clock.now() - before, std::chrono::hours(5) + std::chrono::minutes(5));
}

TEST_F(AskedArchives, AreLeftToAnotherRunWithoutAWait) {
  const ObjectKey asleep = back_up(many(20, "a"));
  back_up(many(20, "b"));
  change_class(in_vault(asleep), "GLACIER");
  recover::RestoreOptions options;
  options.archives.wait = false;
  const TimePoint before = world.clock.now();
  for (int run = 0; run < 2; ++run) {
    const recover::RestoreResult result = restore(options);
    EXPECT_EQ(fates_[RestoreFate::waiting], 20u);
    EXPECT_EQ(fates_[run == 0 ? RestoreFate::restored : RestoreFate::same], 20u);
    EXPECT_EQ(result.archives_waiting, 1u);
    EXPECT_EQ(result.archives_asked, run == 0 ? 1u : 0u) << "it is on its way";
  }
  EXPECT_EQ(world.clock.now(), before);
  outside.clock.advance(std::chrono::hours(6));
  restore(options);
  EXPECT_EQ(fates_[RestoreFate::restored], 20u);
  EXPECT_EQ(files(), expected_);
}

TEST_F(AskedArchives, ACopyThatCanBeReadIsRatherRead) {
  const ObjectKey archive = back_up(many(20, "a"));
  copy_to_second(archive);
  change_class(in_vault(archive), "DEEP_ARCHIVE");
  const recover::RestoreResult result = restore();
  EXPECT_EQ(files(), expected_);
  EXPECT_EQ(result.archives_asked, 0u);
  EXPECT_TRUE(waits_.empty());
}

TEST_F(AskedArchives, OfTwoCopiesTheOneThatCanBeHadSoonerIsAskedFor) {
  const ObjectKey archive = back_up(many(5, "a"));
  copy_to_second(archive);
  change_class(in_vault(archive), "DEEP_ARCHIVE");
  change_class({second, archive}, "GLACIER");
  recover::RestoreOptions options;
  options.archives.tier = "Expedited";
  restore(options);
  EXPECT_THAT(asked_, ::testing::ElementsAre(to_uri(ObjectAddress{second, archive})));
  EXPECT_EQ(files(), expected_);
}

TEST_F(AskedArchives, ExpeditedIsRefusedForDeepArchive) {
  const ObjectKey archive = back_up(many(5, "a"));
  change_class(in_vault(archive), "DEEP_ARCHIVE");
  recover::RestoreOptions options;
  options.archives.tier = "Expedited";
  restore(options);
  EXPECT_EQ(fates_[RestoreFate::failed], 5u);
  EXPECT_THAT(objects_.begin()->second.error->hint(), ::testing::HasSubstr("--tier Standard"));
}

TEST_F(AskedArchives, GlacierInstantRetrievalIsReadAtOnce) {
  const ObjectKey archive = back_up(many(5, "a"));
  change_class(in_vault(archive), "GLACIER_IR");
  EXPECT_EQ(restore().archives_asked, 0u);
  EXPECT_EQ(files(), expected_);
}

TEST_F(AskedArchives, ADryRunSaysWhichWouldBeAskedFor) {
  const ObjectKey asleep = back_up(many(5, "a"));
  back_up(many(5, "b"));
  change_class(in_vault(asleep), "GLACIER");
  recover::RestoreOptions options;
  options.dryrun = true;
  const recover::RestoreResult result = restore(options);
  EXPECT_THAT(asked_, ::testing::ElementsAre(to_uri(in_vault(asleep))));
  EXPECT_EQ(result.archives_waiting, 1u);
  EXPECT_TRUE(store->head(in_vault(asleep))->restore.empty()) << "nothing was asked";
}

TEST_F(AskedArchives, AWaitEndsWithAStop) {
  const ObjectKey archive = back_up(many(5, "a"));
  change_class(in_vault(archive), "GLACIER");
  odd_.head_ = [this](const ObjectAddress& address) {
    auto info = store->head(address);
    if (info && !info->restore.empty()) {
      info->restore = "ongoing-request=\"true\"";
      outside.stop.request_stop();
    }
    return info;
  };
  try {
    restore();
    ADD_FAILURE() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

}  // namespace
}  // namespace bale::testing
