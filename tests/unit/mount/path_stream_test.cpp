// Paths one by one are those that a restore of all keys at once gives.
#include "mount/path_stream.hpp"

#include <map>
#include <random>

#include "archive/member_name.hpp"
#include "base/error.hpp"

namespace bale::mount {
namespace {

/// Path of every key, and the order in which the plain ones came.
struct Streamed {
  std::vector<std::string> paths;  ///< by key
  std::vector<std::string> plain;
};

Streamed stream(const std::vector<std::string>& sorted) {
  Streamed result;
  result.paths.resize(sorted.size());
  PathStream paths(
      [&](std::string_view path, std::int64_t number) {
        result.paths.at(static_cast<std::size_t>(number)) = path;
        result.plain.emplace_back(path);
      },
      [&](std::string_view path, std::int64_t number) { result.paths.at(static_cast<std::size_t>(number)) = path; });
  for (std::size_t i = 0; i < sorted.size(); ++i) paths.add(sorted[i], static_cast<std::int64_t>(i));
  paths.finish();
  return result;
}

void expect_paths_of_restore(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  EXPECT_EQ(stream(keys).paths, archive::safe_paths(views));
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

TEST(PathStreamTest, OddKeys) {
  expect_paths_of_restore({"a",
                           "a!",
                           "a.b/c",
                           "a/b",
                           "a/b/c",
                           "a/b/c!",
                           "a0",
                           "..",
                           "../x",
                           "a//b",
                           "/",
                           "",
                           "x/",
                           "x",
                           "%",
                           "%/y",
                           "%a",
                           std::string(300, 'n'),
                           std::string(1024, 'm'),
                           "caf\xe9",
                           "tab\tbed",
                           "long/" + std::string(256, 'l') + "/z",
                           ".",
                           "./a",
                           "ü"});
}

TEST(PathStreamTest, RandomKeysOfAFewBytes) {
  std::mt19937 random(7);
  const std::string bytes = "a/!0.%\xff";
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> keys(1 + random() % 12);
    for (std::string& key : keys) {
      for (std::size_t length = random() % 8; length > 0; --length) key += bytes[random() % bytes.size()];
    }
    expect_paths_of_restore(keys);
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    EXPECT_TRUE(are_directories_whole(stream(keys).plain)) << ::testing::PrintToString(keys);
  }
}

TEST(PathStreamTest, RefusesAnotherOrder) {
  const auto nothing = [](std::string_view, std::int64_t) {};
  PathStream paths(nothing, nothing);
  paths.add("b", 1);
  EXPECT_THROW(paths.add("a", 2), Error);
  EXPECT_THROW(paths.add("b", 2), Error);
  paths.finish();
  EXPECT_NO_THROW(paths.add("a", 1)) << "another bucket begins anew";
}

}  // namespace
}  // namespace bale::mount
