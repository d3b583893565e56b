// Records in, directories out.
#include "mount/tree.hpp"

#include <random>

#include "archive/file_name.hpp"
#include "base/error.hpp"
#include "mount/tree_builder.hpp"
#include "support/fake_world.hpp"

namespace bale::mount {
namespace {

using ::testing::ElementsAre;

/// Of an object with this key: some of those that end with '/' are empty.
ByteCount size_of(const std::string& key) { return key.ends_with('/') && key.size() % 2 == 0 ? 0 : key.size(); }

catalog::Record record_of(const std::string& bucket, const std::string& key) {
  catalog::Record record;
  record.source_bucket = BucketName(bucket);
  record.object_path = ObjectKey(key);
  record.object_size = size_of(key);
  record.last_modified = from_epoch_ms(1'700'000'000'123);
  record.archive_bucket = BucketName("backup");
  record.archive_key = ObjectKey("source/archive.tar.zst");
  record.target_buckets = {BucketName("backup"), BucketName("other")};
  return record;
}

class TreeTest : public ::testing::Test {
 protected:
  TreeTest() {
    fake_.environment.variables["TMPDIR"] = fake_.path("tmp").native();
    std::filesystem::create_directories(fake_.path("tmp"));
  }
  std::unique_ptr<Tree> tree_of(std::vector<std::string> keys, const std::string& bucket = "source") {
    std::sort(keys.begin(), keys.end());
    TreeBuilder builder(fake_.world());
    for (const std::string& key : keys) builder.add(record_of(bucket, key));
    return builder.finish();
  }
  /// Every path of the tree with the key behind it; directories end with '/' and have none.
  static std::map<std::string, std::string> walk(Tree& tree, NodeId directory, const std::string& prefix = {}) {
    std::map<std::string, std::string> found;
    for (const Entry& entry : tree.list(directory, {}, 100'000)) {
      if (entry.node.is_directory) {
        found[prefix + entry.name + "/"] = "";
        EXPECT_EQ(entry.node.parent, directory);
        found.merge(walk(tree, entry.node.id, prefix + entry.name + "/"));
      } else {
        found[prefix + entry.name] = tree.object(entry.node.id)->record.object_path.str();
      }
    }
    return found;
  }
  static std::vector<std::string> names(const std::vector<Entry>& entries) {
    std::vector<std::string> names;
    for (const Entry& entry : entries) names.push_back(entry.name);
    return names;
  }
  bale::testing::FakeWorld fake_;
};

TEST_F(TreeTest, TheKeysOfOneBucketAreTheTree) {
  const auto tree = tree_of({"a/b", "a/c/d", "e"});
  using Paths = std::map<std::string, std::string>;
  EXPECT_EQ(walk(*tree, tree->root()),
            (Paths{{"a/", ""}, {"a/b", "a/b"}, {"a/c/", ""}, {"a/c/d", "a/c/d"}, {"e", "e"}}));
  EXPECT_EQ(tree->totals().objects, 3U);
  EXPECT_EQ(tree->totals().directories, 2U);
  EXPECT_EQ(tree->totals().bytes, 9U);
  const auto root = tree->node(tree->root());
  ASSERT_TRUE(root);
  EXPECT_TRUE(root->is_directory);
  EXPECT_EQ(root->parent, tree->root());
  EXPECT_EQ(root->directories, 1U);
}

TEST_F(TreeTest, SeveralBucketsAreDirectories) {
  TreeBuilder builder(fake_.world());
  for (const char* bucket : {"%", "../up", "a/b", "one", "two"}) builder.add(record_of(bucket, "k"));
  const auto tree = builder.finish();
  const auto found = walk(*tree, tree->root());
  EXPECT_EQ(found.size(), 10U);
  EXPECT_TRUE(found.contains("one/k") && found.contains("two/k") && found.contains("%..%2Fup=/k") &&
              found.contains("%%25=/k") && found.contains("%a%2Fb=/k"));
  EXPECT_EQ(tree->node(tree->root())->directories, 5U);
  EXPECT_EQ(tree->object(tree->find(tree->find(tree->root(), "two")->id, "k")->id)->record.source_bucket.str(), "two");
}

TEST_F(TreeTest, BucketsAndKeysInAnotherOrderAreRefused) {
  TreeBuilder builder(fake_.world());
  builder.add(record_of("two", "k"));
  EXPECT_THROW(builder.add(record_of("one", "k")), Error);
  EXPECT_THROW(builder.add(record_of("two", "k")), Error);
}

TEST_F(TreeTest, IsTheTreeThatRestoreMakes) {
  std::mt19937 random(11);
  const std::string bytes = "ab/!%.\x01\xff";
  for (int round = 0; round < 30; ++round) {
    std::set<std::string> keys{std::string(300, 'n'), "d/" + std::string(500, 'm') + "/x", "a", "a/b", "a/b/c", "%/y"};
    for (int i = 0; i < 60; ++i) {
      std::string key;
      for (std::size_t length = 1 + random() % 7; length > 0; --length) key += bytes[random() % bytes.size()];
      keys.insert(key);
    }
    const std::vector<std::string> sorted(keys.begin(), keys.end());
    std::vector<archive::NamedKey> named;
    for (const std::string& key : sorted) named.push_back({key, archive::is_folder_marker(key, size_of(key))});
    const std::vector<std::string> paths = archive::file_paths(named);
    std::map<std::string, std::string> expected;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (named[i].is_directory && !paths[i].empty()) expected[paths[i] + "/"] = "";
      if (!named[i].is_directory) expected[paths[i]] = sorted[i];
      for (std::size_t slash = paths[i].find('/'); slash != std::string::npos; slash = paths[i].find('/', slash + 1))
        expected[paths[i].substr(0, slash + 1)] = "";
    }
    const auto tree = tree_of(sorted);
    EXPECT_EQ(walk(*tree, tree->root()), expected);
  }
}

TEST_F(TreeTest, FolderMarkersAreDirectoriesAndNamesStay) {
  const auto tree = tree_of({"d/", "e/f/", "e/f/x", "tab\tbed", "new\nline", "\xff", "a", "a/b", "x//y"});
  const auto found = walk(*tree, tree->root());
  for (const char* name : {"d/", "e/", "e/f/", "e/f/x", "tab\tbed", "new\nline", "\xff", "a/", "a/b", "x/", "x/y"})
    EXPECT_TRUE(found.contains(name)) << name;
  EXPECT_EQ(found.size(), 12U) << "and an escaped name for a";
  EXPECT_EQ(tree->node(tree->root())->directories, 4U);
  EXPECT_EQ(tree->totals().directories, 5U);
  EXPECT_EQ(tree->node(tree->find(tree->root(), "x")->id)->modified, from_epoch_ms(1'700'000'000'123));
}

TEST_F(TreeTest, ALargeDirectoryIsListedInPieces) {
  std::vector<std::string> keys;
  for (int i = 0; i < 3000; ++i) keys.push_back(fmt::format("d/{:05}", i));
  const auto tree = tree_of(keys);
  const NodeId directory = tree->find(tree->root(), "d")->id;
  std::string last;
  std::size_t count = 0;
  for (;;) {
    const auto entries = tree->list(directory, last, 256);
    count += entries.size();
    if (entries.empty()) break;
    EXPECT_GT(entries.front().name, last);
    last = entries.back().name;
  }
  EXPECT_EQ(count, 3000U);
  EXPECT_EQ(tree->name_at(directory, 1), "00000");
  EXPECT_EQ(tree->name_at(directory, 3000), "02999");
  EXPECT_EQ(tree->name_at(directory, 3001), "");
  EXPECT_THAT(names(tree->list(directory, "00010", 2)), ElementsAre("00011", "00012"));
}

TEST_F(TreeTest, LookupsFindWhatIsThereAndNothingElse) {
  const auto tree = tree_of({"a", "b/c"});
  EXPECT_FALSE(tree->find(tree->root(), "c"));
  EXPECT_FALSE(tree->find(tree->root(), ""));
  const auto file = tree->find(tree->root(), "a");
  ASSERT_TRUE(file);
  EXPECT_FALSE(file->is_directory);
  EXPECT_FALSE(tree->find(file->id, "a"));
  EXPECT_FALSE(tree->node(1'000'000));
  EXPECT_FALSE(tree->object(tree->root()));
  EXPECT_TRUE(tree->list(file->id, {}, 10).empty());
  EXPECT_EQ(tree->node(file->id)->size, 1U);
  EXPECT_FALSE(tree->node(file->id)->is_directory);
}

TEST_F(TreeTest, ADirectoryHasTheTimeOfTheNewestObjectBelow) {
  TreeBuilder builder(fake_.world());
  for (const auto& [key, ms] : std::map<std::string, std::int64_t>{{"d/e/new", 3000}, {"d/old", 1000}, {"x", 2000}}) {
    catalog::Record record = record_of("source", key);
    record.last_modified = from_epoch_ms(ms);
    builder.add(record);
  }
  const auto tree = builder.finish();
  EXPECT_EQ(to_epoch_ms(tree->find(tree->root(), "d")->modified), 3000);
  EXPECT_EQ(to_epoch_ms(tree->find(tree->root(), "x")->modified), 2000);
  EXPECT_EQ(to_epoch_ms(tree->node(tree->root())->modified), 3000);
}

TEST_F(TreeTest, ObjectsKeepWhatTheirRecordsSay) {
  catalog::Record record = record_of("source", "prefix/caf\xe9");
  record.source_prefix = "prefix";
  record.sha256 = std::string(64, 'a');
  record.etag = ETag("etag");
  record.version_id = VersionId("v1");
  record.storage_class = "GLACIER";
  record.headers.content_type = "text/plain";
  record.metadata = {{"owner", "me"}};
  record.tags = {{"tag", "value"}};
  record.location = archive::MemberLocation{1, 2, 3};
  catalog::Record bare = record_of("source", "z");
  TreeBuilder builder(fake_.world());
  builder.add(record);
  builder.add(bare);
  const auto tree = builder.finish();
  const auto directory = tree->find(tree->root(), "prefix");
  ASSERT_TRUE(directory);
  const auto object = tree->object(tree->find(directory->id, "caf\xe9")->id);
  ASSERT_TRUE(object);
  const catalog::Record& kept = object->record;
  EXPECT_EQ(kept.object_path, record.object_path);
  EXPECT_EQ(kept.source_prefix, "prefix");
  EXPECT_EQ(kept.object_size, record.object_size);
  EXPECT_EQ(kept.last_modified, record.last_modified);
  EXPECT_EQ(kept.sha256, record.sha256);
  EXPECT_EQ(kept.etag, record.etag);
  EXPECT_EQ(kept.version_id, record.version_id);
  EXPECT_EQ(kept.storage_class, record.storage_class);
  EXPECT_EQ(kept.headers, record.headers);
  EXPECT_EQ(kept.metadata, record.metadata);
  EXPECT_EQ(kept.tags, record.tags);
  EXPECT_EQ(kept.archive_bucket, record.archive_bucket);
  EXPECT_EQ(kept.archive_key, record.archive_key);
  EXPECT_EQ(kept.target_buckets, record.target_buckets);
  ASSERT_TRUE(kept.location);
  EXPECT_EQ(kept.location->frame_offset, 1U);
  EXPECT_EQ(kept.location->frame_length, 2U);
  EXPECT_EQ(kept.location->frame_skip, 3U);
  EXPECT_FALSE(tree->object(tree->find(tree->root(), "z")->id)->record.location);
}

TEST_F(TreeTest, ASizeThatIsNotSaidStaysUnknown) {
  catalog::Record file = record_of("source", "file"), marker = record_of("source", "folder/");
  file.object_size.reset();
  marker.object_size.reset();
  TreeBuilder builder(fake_.world());
  builder.add(file);
  builder.add(marker);
  const auto tree = builder.finish();
  const auto node = tree->find(tree->root(), "file");
  ASSERT_TRUE(node);
  EXPECT_EQ(node->size, 0U);
  EXPECT_FALSE(tree->object(node->id)->record.object_size);
  EXPECT_EQ(tree->totals().objects, 2U) << "nobody knows that the second is empty: it is a file";
  EXPECT_EQ(tree->totals().bytes, 0U);
}

TEST_F(TreeTest, TheDatabaseHasNoNameOnceItIsOpen) {
  TreeBuilder builder(fake_.world());
  EXPECT_TRUE(std::filesystem::is_empty(fake_.path("tmp")));
  for (int i = 0; i < 120'000; ++i) builder.add(record_of("source", fmt::format("{:08}", i)));
  const auto tree = builder.finish();
  EXPECT_TRUE(std::filesystem::is_empty(fake_.path("tmp")));
  EXPECT_EQ(tree->list(tree->root(), {}, 1'000'000).size(), 120'000U);
}

TEST_F(TreeTest, ADirectoryForItThatIsNotThereIsAnError) {
  fake_.environment.variables["TMPDIR"] = fake_.path("missing").native();
  EXPECT_THROW(TreeBuilder(fake_.world()), Error);
}

}  // namespace
}  // namespace bale::mount
