#include "os/tree_walk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "support/fake_world.hpp"

namespace bale::os {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TreeWalkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"tree/b", "tree/a/z", "tree/a/b/deep", "tree/a-", "outside/secret"}) {
      fs::create_directories(world.path(name).parent_path());
      world.write(name, "content");
    }
    fs::create_directories(world.path("tree/a/empty"));
  }

  /// What a walk tells, by kind.
  struct Found {
    std::vector<std::string> files, skipped, failed, empty;
  };
  Found walk(const WalkPolicy& policy) {
    Found found;
    const auto name_of = [&](const fs::path& path) { return path.lexically_relative(world.path("tree")).string(); };
    walk_tree(files, world.path("tree"), policy,
              {.file =
                   [&](const WalkedFile& file) {
                     EXPECT_EQ(file.info.type, FileType::regular);
                     EXPECT_EQ(file.info.size, policy.describes_files ? 7U : 0U);
                     found.files.push_back(file.name);
                   },
               .skipped = [&](const fs::path& path, const std::string&) { found.skipped.push_back(name_of(path)); },
               .failed = [&](const fs::path& path, const Error&) { found.failed.push_back(name_of(path)); },
               .empty_directory = [&](const std::string& name) { found.empty.push_back(name); }});
    return found;
  }
  void link(const std::string& name, const std::string& target) {
    ASSERT_EQ(::symlink(target.c_str(), world.path("tree/" + name).c_str()), 0);
  }

  testing::FakeWorld world;
  Files& files = system_files();
};

TEST_F(TreeWalkTest, FindsFilesInOrderAndEmptyDirectoriesByName) {
  for (const bool describes : {true, false}) {
    const Found found = walk({.describes_files = describes});
    EXPECT_THAT(found.files, ElementsAre("a/b/deep", "a/z", "a-", "b"));
    EXPECT_THAT(found.empty, ElementsAre("a/empty"));
    EXPECT_THAT(found.skipped, IsEmpty());
    EXPECT_THAT(found.failed, IsEmpty());
  }
  fs::create_directories(world.path("empty"));
  std::vector<std::string> empty;
  walk_tree(files, world.path("empty"), {},
            {.file = [](const WalkedFile&) { FAIL(); },
             .skipped = [](const fs::path&, const std::string&) { FAIL(); },
             .empty_directory = [&](const std::string& name) { empty.push_back(name); }});
  EXPECT_THAT(empty, ElementsAre(""));
}

TEST_F(TreeWalkTest, SkipsWhatIsNoFile) {
  ASSERT_EQ(::mkfifo(world.path("tree/pipe").c_str(), 0600), 0);
  for (const bool describes : {true, false})
    EXPECT_THAT(walk({.describes_files = describes}).skipped, ElementsAre("pipe"));
}

TEST_F(TreeWalkTest, TreatsLinksAsThePolicySays) {
  link("circle", "..");
  link("inside", "a/b");
  link("nowhere", "none");
  link("out", "../outside");
  const Found left_out = walk({.links = Links::leave_out});
  EXPECT_THAT(left_out.files, ElementsAre("a/b/deep", "a/z", "a-", "b"));
  EXPECT_THAT(left_out.skipped, ElementsAre("circle", "inside", "nowhere", "out"));
  fs::remove(world.path("tree/circle"));
  link("circle", ".");
  const Found followed = walk({.links = Links::follow});
  EXPECT_THAT(followed.files, ElementsAre("a/b/deep", "a/z", "a-", "b", "inside/deep", "out/secret"));
  EXPECT_THAT(followed.skipped, ElementsAre("circle/", "nowhere"));
  const Found inside = walk({.links = Links::follow_inside});
  EXPECT_THAT(inside.files, ElementsAre("a/b/deep", "a/z", "a-", "b", "inside/deep"));
  EXPECT_THAT(inside.skipped, ElementsAre("circle/"));
  EXPECT_THAT(inside.failed, ElementsAre("nowhere", "out"));
}

TEST_F(TreeWalkTest, RefusesALinkOutOfTheDirectoryByAnyWay) {
  fs::create_directories(world.path("tree-too"));
  world.write("tree-too/f", "content");
  link("a/out", "../../tree-too/f");  // its name begins as that of the tree
  EXPECT_THAT(walk({.links = Links::follow_inside}).failed, ElementsAre("a/out"));
  try {
    walk({.links = Links::follow_inside, .unreadable = Unreadable::fail});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::denied);
    EXPECT_NE(error.where().find("a/out"), std::string::npos);
  }
}

/// Files of which one cannot be inspected, and one directory not be listed: permissions do not hold the superuser back.
class LockedFiles final : public Files {
 public:
  std::vector<DirectoryEntry> list(const fs::path& path) override {
    if (path.filename() == "locked" || path.parent_path().filename() == "locked") throw no(path);
    return real.list(path);
  }
  std::optional<FileInfo> info(const fs::path& path) override {
    if (path.filename() == "z") throw no(path);
    return real.info(path);
  }
  static Error no(const fs::path& path) { return {ErrorKind::denied, "permission denied", path.native()}; }
  std::unique_ptr<ReadableFile> open_if_exists(const fs::path& path) override { return real.open_if_exists(path); }
  std::unique_ptr<WritableFile> create(const fs::path& path) override { return real.create(path); }
  void rename(const fs::path& from, const fs::path& to) override { real.rename(from, to); }
  bool remove(const fs::path& path) override { return real.remove(path); }
  std::vector<fs::path> make_directories(const fs::path& path) override { return real.make_directories(path); }
  std::optional<FileInfo> info_followed(const fs::path& path) override { return real.info_followed(path); }
  void sync_directory(const fs::path& path) override { real.sync_directory(path); }
  void sync_filesystem(const fs::path& path) override { real.sync_filesystem(path); }
  void set_modified(const fs::path& path, TimePoint time) override { real.set_modified(path, time); }
  Files& real = system_files();
};

TEST_F(TreeWalkTest, GoesOnWithoutWhatCannotBeReadOrFails) {
  fs::create_directories(world.path("tree/locked/more"));
  LockedFiles locked;
  std::vector<std::string> found, failed;
  const TreeVisitor visitor{
      .file = [&](const WalkedFile& file) { found.push_back(file.name); },
      .skipped = [](const fs::path&, const std::string&) { FAIL(); },
      .failed = [&](const fs::path&, const Error& error) { failed.push_back(error.summary()); },
  };
  walk_tree(locked, world.path("tree"), {}, visitor);
  EXPECT_THAT(found, ElementsAre("a/b/deep", "a-", "b"));
  EXPECT_THAT(failed, ElementsAre("permission denied", "permission denied"));
  EXPECT_THROW(walk_tree(locked, world.path("tree"), {.unreadable = Unreadable::fail}, visitor), Error);
}

TEST_F(TreeWalkTest, WalksDirectoriesOnly) {
  for (const char* name : {"none", "tree/b"}) {
    try {
      walk_tree(files, world.path(name), {}, {.file = {}, .skipped = {}});
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::not_found);
    }
  }
}

}  // namespace
}  // namespace bale::os
