#include "embedded/object_path.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace bale::embedded {
namespace {

const FileId file("0123456789abcdefgh");

std::string path_of(const std::string& key) { return object_path(ObjectKey(key), file).native(); }

TEST(ObjectPath, IsWhatAPersonLooksFor) {
  EXPECT_EQ(path_of("a"), "a@0123456789abcdefgh");
  EXPECT_EQ(path_of("data/2025/report v2.txt"), "data/2025/report v2.txt@0123456789abcdefgh");
  EXPECT_EQ(path_of("grüße/日本.txt"), "grüße/日本.txt@0123456789abcdefgh");
}

TEST(ObjectPath, EscapesWhatCannotBeAName) {
  EXPECT_EQ(path_of("a@b"), "a%40b@0123456789abcdefgh");
  EXPECT_EQ(path_of("100%"), "100%25@0123456789abcdefgh");
  EXPECT_EQ(path_of("."), "%2E@0123456789abcdefgh");
  EXPECT_EQ(path_of("../x"), "%2E./x@0123456789abcdefgh");
  EXPECT_EQ(path_of("a/"), "a/%@0123456789abcdefgh");
  EXPECT_EQ(path_of("/a"), "%/a@0123456789abcdefgh");
  EXPECT_EQ(path_of("a//b"), "a/%/b@0123456789abcdefgh");
  EXPECT_EQ(path_of("a\nb\x7f"), "a%0Ab%7F@0123456789abcdefgh");
  EXPECT_EQ(path_of(std::string("a\0b", 3)), "a%00b@0123456789abcdefgh");
}

TEST(ObjectPath, SplitsLongPieces) {
  std::string expected(200, 'k');
  expected.append("%+/").append(200, 'k').append("%+/").append(50, 'k').append("@").append(file.str());
  EXPECT_EQ(path_of(std::string(450, 'k')), expected);
  std::string key(200, 'k');
  key += "./x";
  expected.assign(200, 'k').append("%+/%2E/x@").append(file.str());
  EXPECT_EQ(path_of(key), expected);
}

TEST(ObjectPath, ComesBackAsTheSameKeyAndFitsIntoNames) {
  std::mt19937 random(1);
  const std::vector<std::string> pieces = {"/", "%", "+", "@", ".", "..", "a", "ü", "日", "\n", "%2E", "%+", "bcdefgh"};
  std::set<std::string> keys, paths;
  for (int i = 0; i < 3000; ++i) {
    std::string key;
    const auto length = 1 + random() % (i % 10 == 0 ? 1000 : 8);
    while (key.size() < length) key += pieces[random() % pieces.size()];
    const auto path = object_path(ObjectKey(key), file);
    for (const auto& component : path) {
      EXPECT_LE(component.native().size(), 255u);
      EXPECT_NE(component, "..");
      EXPECT_NE(component, ".");
    }
    const auto located = parse_object_path(path);
    ASSERT_TRUE(located) << path;
    EXPECT_EQ(located->key.str(), key);
    EXPECT_EQ(located->file, file);
    keys.insert(key);
    paths.insert(path.native());
  }
  EXPECT_EQ(keys.size(), paths.size());
}

TEST(ObjectPath, KnowsWhatIsNotItsOwn) {
  for (const char* other : {"a", "a@short", "a%zz@0123456789abcdefgh", "./a@0123456789abcdefgh",
                            "a%2e@0123456789abcdefgh", "@0123456789abcdefgh", "a//b@0123456789abcdefgh"})
    EXPECT_FALSE(parse_object_path(other)) << other;
}

}  // namespace
}  // namespace bale::embedded
