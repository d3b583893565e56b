// Names of files for keys that may be anything.
#include "archive/file_name.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

/// Paths of keys, of which those in `markers` are folder markers.
std::map<std::string, std::string> paths_of(const std::vector<std::string>& keys,
                                            const std::set<std::string>& markers = {}) {
  std::vector<NamedKey> named;
  for (const std::string& key : keys) named.push_back({key, markers.contains(key)});
  const std::vector<std::string> paths = file_paths(named);
  std::map<std::string, std::string> by_key;
  for (std::size_t i = 0; i < keys.size(); ++i) by_key[keys[i]] = paths[i];
  return by_key;
}

std::string path_of(const std::string& key) { return paths_of({key})[key]; }

TEST(FileNameTest, WhatAFileSystemCanHoldStays) {
  for (const std::string& key :
       {std::string("a/b.txt"), std::string("tab\tbed"), std::string("new\nline/x"), std::string("caf\xe9/\xff.txt"),
        std::string("%"), std::string("%/y"), std::string("a%00b"), std::string("..."), std::string("..a/b.."),
        std::string("\x01\x7f"), std::string("\xed\xa0\x80"), std::string(255, 'x') + "/" + std::string(255, '\xe9'),
        std::string(2000, 'd').replace(200, 1, "/").replace(400, 1, "/").substr(0, 600)}) {
    EXPECT_EQ(path_of(key), key) << escape_name(key);
    EXPECT_EQ(change_of(key, key), NameChange::none);
  }
}

TEST(FileNameTest, NamesAreNormalisedAsTarDoes) {
  const std::map<std::string, std::string> expected{{"./a//b", "a/b"},   {"a/./b", "a/b"}, {".//.//c", "c"},
                                                    {"/etc/x", "etc/x"}, {"//x", "x"},     {"a/", "a"}};
  for (const auto& [key, path] : expected) EXPECT_EQ(path_of(key), path) << key;
  EXPECT_EQ(change_of("./a//b", "a/b"), NameChange::none);
  EXPECT_EQ(change_of("/etc/x", "etc/x"), NameChange::leading_slash);
}

TEST(FileNameTest, WhatCannotBeAFileIsEscapedInItsDirectory) {
  EXPECT_EQ(path_of("d/../x"), "d/%2E%2E/x");
  EXPECT_EQ(path_of("../x"), "%2E%2E/x");
  EXPECT_EQ(path_of("d/.."), "d/%2E%2E");
  EXPECT_EQ(path_of(std::string("d/a\0b", 5)), "d/a%00b");
  const std::string cut = path_of("d/" + std::string(256, 'l') + "/x");
  EXPECT_TRUE(cut.starts_with("d/" + std::string(246, 'l') + "%")) << cut;
  EXPECT_TRUE(cut.ends_with("/x"));
  EXPECT_EQ(cut.size(), 2 + 255 + 2);
  EXPECT_EQ(change_of("../x", "%2E%2E/x"), NameChange::escaped);
  EXPECT_NE(path_of(std::string(300, 'l')), path_of(std::string(301, 'l')));
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "ü";
  EXPECT_TRUE(is_utf8(path_of(umlauts))) << "cut between characters";
  EXPECT_TRUE(path_of("").starts_with("%")) << "a file has a name";
}

TEST(FileNameTest, ClashesGetOtherNamesBesideTheOther) {
  const auto paths = paths_of({"d/a", "d/a/b", "d/a!", "x//y", "x/y", "x/./y", "slash", "slash/", "p", "/p"});
  EXPECT_EQ(paths.at("d/a/b"), "d/a/b");
  EXPECT_EQ(paths.at("d/a!"), "d/a!");
  EXPECT_EQ(paths.at("d/a").size(), std::string("d/a%12345678").size());
  EXPECT_TRUE(paths.at("d/a").starts_with("d/a%"));
  EXPECT_EQ(paths.at("x/y"), "x/y");
  EXPECT_TRUE(paths.at("x//y").starts_with("x/y%"));
  EXPECT_TRUE(paths.at("x/./y").starts_with("x/y%"));
  EXPECT_NE(paths.at("x//y"), paths.at("x/./y"));
  EXPECT_EQ(paths.at("slash"), "slash");
  EXPECT_TRUE(paths.at("slash/").starts_with("slash%"));
  EXPECT_EQ(paths.at("p"), "p");
  EXPECT_TRUE(paths.at("/p").starts_with("p%"));
  EXPECT_EQ(change_of("d/a", paths.at("d/a")), NameChange::escaped);
}

TEST(FileNameTest, AnEscapedNameThatAKeyHasIsNotTaken) {
  const std::string escaped = paths_of({"a", "a/b"})["a"];
  const auto paths = paths_of({"a", "a/b", escaped, "../x", "%2E%2E/x"});
  EXPECT_EQ(paths.at(escaped), escaped);
  EXPECT_NE(paths.at("a"), escaped);
  EXPECT_EQ(paths.at("%2E%2E/x"), "%2E%2E/x");
  EXPECT_TRUE(paths.at("../x").starts_with("%2E%2E/x%"));
}

TEST(FileNameTest, FolderMarkersAreDirectories) {
  const auto paths = paths_of({"a", "a/", "b/", "b/c", "d//", "../"}, {"a/", "b/", "d//", "../"});
  EXPECT_EQ(paths.at("a/"), "a");
  EXPECT_TRUE(paths.at("a").starts_with("a%"));
  EXPECT_EQ(paths.at("b/"), "b");
  EXPECT_EQ(paths.at("b/c"), "b/c");
  EXPECT_EQ(paths.at("d//"), "d");
  EXPECT_EQ(paths.at("../"), "%2E%2E");
  EXPECT_EQ(paths_of({""}, {""})[""], "");
  EXPECT_TRUE(is_folder_marker("a/", 0));
  EXPECT_TRUE(is_folder_marker("", 0));
  EXPECT_FALSE(is_folder_marker("a/", 1));
  EXPECT_FALSE(is_folder_marker("a", 0));
}

TEST(FileNameTest, AKeyThatComesTwiceIsRefused) { EXPECT_THROW(paths_of({"a", "b", "a"}), Error); }

/// No two keys have one file, and none is a directory of another; keys that are their own paths and need not be
/// directories keep them.
TEST(FileNameTest, RandomKeysDoNotMeet) {
  std::mt19937 random(7);
  const std::string bytes("a/!0.%\xff\0", 8);
  for (int round = 0; round < 3000; ++round) {
    std::set<std::string> keys, markers;
    for (std::size_t count = 1 + random() % 12; count > 0; --count) {
      std::string key;
      for (std::size_t length = random() % 8; length > 0; --length) key += bytes[random() % bytes.size()];
      keys.insert(key);
      if (is_folder_marker(key, 0) && random() % 2 == 0) markers.insert(key);
    }
    const auto paths = paths_of({keys.begin(), keys.end()}, markers);
    std::set<std::string> files, directories;
    for (const auto& [key, path] : paths) {
      const bool is_directory = markers.contains(key);
      EXPECT_TRUE(is_directory || files.insert(path).second) << ::testing::PrintToString(paths);
      if (is_directory && !path.empty()) directories.insert(path);
      EXPECT_TRUE(path.empty() || is_file_path(path)) << ::testing::PrintToString(paths);
      for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
           slash = path.rfind('/', slash - 1))
        directories.insert(path.substr(0, slash));
    }
    for (const std::string& file : files) EXPECT_FALSE(directories.contains(file)) << ::testing::PrintToString(paths);
  }
}

// ---- PathStream

std::vector<std::string> plain_paths(const std::vector<std::string>& sorted) {
  std::vector<std::string> plain;
  const auto add = [&](std::string_view path, std::int64_t) { plain.emplace_back(path); };
  PathStream paths({.file = add, .directory = add, .odd = [](std::string_view, std::int64_t) {}});
  for (std::size_t i = 0; i < sorted.size(); ++i)
    paths.add({sorted[i], sorted[i].ends_with('/')}, static_cast<std::int64_t>(i));
  paths.finish();
  return plain;
}

/// Whether each directory's files and directories come without others in between.
bool are_directories_whole(const std::vector<std::string>& paths) {
  std::set<std::string> closed;
  std::string before;
  for (const std::string& path : paths) {
    for (std::size_t slash = before.find('/'); slash != std::string::npos; slash = before.find('/', slash + 1)) {
      const std::string directory = before.substr(0, slash + 1);
      if (!path.starts_with(directory)) closed.insert(directory);
    }
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      if (closed.contains(path.substr(0, slash + 1))) return false;
    }
    before = path;
  }
  return true;
}

TEST(PathStreamTest, ADirectoryComesInOnePiece) {
  std::mt19937 random(7);
  const std::string bytes = "a/!0.%\xff";
  for (int round = 0; round < 2000; ++round) {
    std::set<std::string> keys;
    for (std::size_t count = 1 + random() % 12; count > 0; --count) {
      std::string key;
      for (std::size_t length = random() % 8; length > 0; --length) key += bytes[random() % bytes.size()];
      keys.insert(key);
    }
    EXPECT_TRUE(are_directories_whole(plain_paths({keys.begin(), keys.end()}))) << ::testing::PrintToString(keys);
  }
}

TEST(PathStreamTest, RefusesAnotherOrder) {
  const auto nothing = [](std::string_view, std::int64_t) {};
  PathStream paths({nothing, nothing, nothing});
  paths.add({"b"}, 1);
  EXPECT_THROW(paths.add({"a"}, 2), Error);
  EXPECT_THROW(paths.add({"b"}, 2), Error);
  paths.finish();
  EXPECT_NO_THROW(paths.add({"a"}, 1)) << "another bucket begins anew";
}

}  // namespace
}  // namespace bale::archive
