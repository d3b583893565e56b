#include "cli/s3_names.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale::cli {
namespace {

TEST(ContentTypes, FollowTheExtension) {
  EXPECT_EQ(guess_content_type("a.txt"), "text/plain");
  EXPECT_EQ(guess_content_type("dir.html/photo.JPG"), "image/jpeg");
  EXPECT_EQ(guess_content_type("a.tar.zst"), "application/zstd");
  EXPECT_EQ(guess_content_type("archive.7z"), "application/x-7z-compressed");
  EXPECT_EQ(guess_content_type("a.zip"), "application/zip");
  for (const char* name : {"", "README", ".txt", "a.unknown", "a.", "dir.txt/x"})
    EXPECT_EQ(guess_content_type(name), "");
}

TEST(Locations, AreTold) {
  EXPECT_EQ(parse_location("-").kind, Location::Kind::stream);
  EXPECT_EQ(parse_location("./-").kind, Location::Kind::local);
  EXPECT_EQ(parse_location("dir/file").path, "dir/file");
  EXPECT_EQ(parse_location("s3file").kind, Location::Kind::local);
  const Location remote = parse_location("s3://bucket/a//b/");
  EXPECT_EQ(remote.kind, Location::Kind::remote);
  EXPECT_EQ(remote.object.key, ObjectKey("a//b/"));
  for (const char* text : {"", "s3:/bucket/key", "s3://", "s3:///key", "s3://UPPER/key"})
    EXPECT_THROW(parse_location(text), Error) << text;
}

TEST(Directories, EndWithASlashUnlessEmpty) {
  EXPECT_EQ(as_directory(""), "");
  EXPECT_EQ(as_directory("a"), "a/");
  EXPECT_EQ(as_directory("a/"), "a/");
}

TEST(LocalPaths, StayInTheirDirectory) {
  EXPECT_EQ(local_path_for("out", "a/b.txt"), "out/a/b.txt");
  EXPECT_EQ(local_path_for("out", "..a/b..c/..."), "out/..a/b..c/...");
  EXPECT_EQ(local_path_for("out", "-rf ~ *\n"), "out/-rf ~ *\n");
  const std::string with_nul("a\0b", 3);
  for (const std::string& key : {std::string("../x"), std::string("a/../x"), std::string("a/.."), std::string(".."),
                                 std::string("."), std::string("./a"), std::string("a/./b"), std::string("/etc/passwd"),
                                 std::string("//x"), std::string("a//b"), std::string("a/"), std::string(), with_nul}) {
    try {
      const auto path = local_path_for("out", key);
      ADD_FAILURE() << key << " became " << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

store::UserMetadata metadata(std::string_view text) {
  store::UserMetadata read;
  add_metadata(text, read);
  return read;
}

TEST(Metadata, IsReadInEveryForm) {
  using Map = store::UserMetadata;
  EXPECT_EQ(metadata("a=1"), (Map{{"a", "1"}}));
  EXPECT_EQ(metadata("a=1,b=2"), (Map{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(metadata("A-Name=x=y"), (Map{{"a-name", "x=y"}}));
  EXPECT_EQ(metadata("a=one, two,b=2"), (Map{{"a", "one, two"}, {"b", "2"}}));
  EXPECT_EQ(metadata("a="), (Map{{"a", ""}}));
  EXPECT_EQ(metadata(R"({"A": "x,b=2"})"), (Map{{"a", "x,b=2"}}));
  for (const char* text : {"a", "=1", "{", R"({"a": 1})", "[]"}) EXPECT_THROW(metadata(text), Error) << text;
}

TEST(Metadata, HasNamesThatAHeaderCanHave) {
  for (const char* text : {"n\xc3\xb6me=x", "a b=x", "a:b=x", "a\tb=x", R"({"": "x"})", R"({"a b": "x"})"})
    EXPECT_THROW(metadata(text), Error) << text;
  EXPECT_EQ(metadata("A_b.c-1=\xc3\xb6"), (store::UserMetadata{{"a_b.c-1", "\xc3\xb6"}}));
}

TEST(Metadata, TakesEachNameOnce) {
  for (const char* text : {"a=1,a=1", "a=1,b=2,A=3", R"({"a": "1", "a": "2"})", R"({"a": "1", "A": "2"})"})
    EXPECT_THROW(metadata(text), Error) << text;
  store::UserMetadata read = metadata("a=1");
  EXPECT_THROW(add_metadata("a=2", read), Error);
}

TEST(Tags, AreTakenOnce) {
  store::Tags tags;
  add_tag("a=1", tags);
  EXPECT_THROW(add_tag("a=2", tags), Error);
  EXPECT_THROW(add_tagging("b=1&%61=2", tags), Error);
  EXPECT_THROW(add_tagging("c=1&c=1", tags), Error);
  add_tag("A=2", tags);
  EXPECT_EQ(tags.at("a"), "1");
}

TEST(Tags, AreReadInBothForms) {
  store::Tags tags;
  add_tagging("a=1&b%20c=d%26+e&empty=", tags);
  EXPECT_EQ(tags, (store::Tags{{"a", "1"}, {"b c", "d& e"}, {"empty", ""}}));
  add_tagging("", tags);
  add_tag("x y=1=2&3", tags);
  EXPECT_EQ(tags.at("x y"), "1=2&3");
  EXPECT_THROW(add_tagging("a=1&b", tags), Error);
  EXPECT_THROW(add_tag("=1", tags), Error);
}

}  // namespace
}  // namespace bale::cli
