#include "base/names.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale {
namespace {

TEST(S3Uri, KeepsTheKeyByteForByte) {
  for (const char* key : {"", "k", "a//b", "../x", "a/", "/", "/leading", "a?b#c%20", "ä", "new\nline", "s3://x"}) {
    const ObjectAddress address = parse_s3_uri(std::string("s3://bucket/") + key);
    EXPECT_EQ(address.bucket, BucketName("bucket"));
    EXPECT_EQ(address.key, ObjectKey(key));
    EXPECT_EQ(to_uri(address), std::string("s3://bucket/") + key);
  }
  EXPECT_EQ(parse_s3_uri("s3://bucket").key, ObjectKey(""));
}

TEST(S3Uri, RefusesWhatHasNoSchemeOrBucket) {
  for (const char* uri : {"", "bucket/key", "s3:/bucket", "s3://", "s3:///key", "S3://bucket/key", "http://bucket"})
    EXPECT_THROW(parse_s3_uri(uri), Error) << uri;
}

TEST(S3Uri, IsShownWithoutWhatMovesACursor) {
  for (const char* uri : {"\x1b[31mred", "s3:\x1b]0;title\a", "\n\r"}) {
    try {
      parse_s3_uri(uri);
      ADD_FAILURE() << uri;
    } catch (const Error& error) {
      EXPECT_EQ(error.summary().find_first_of("\x1b\a\n\r"), std::string::npos) << error.summary();
    }
  }
}

TEST(BucketNames, AreShownWithoutWhatMovesACursor) {
  for (const char* name : {"abc\x1b[31m", "\x9b 31mabc", "abc\ndef", "\x1b\x1b"}) {
    try {
      check_bucket_name(BucketName(name));
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.summary().find_first_of("\x1b\x9b\n"), std::string::npos) << error.summary();
    }
  }
}

TEST(BucketNames, FollowTheRulesOfS3) {
  for (const char* name : {"abc", "a.b", "0-9", "my-bucket.with.dots", "1.2.3", "1.2.3.4.5", "1.2.3.4a"})
    EXPECT_NO_THROW(check_bucket_name(BucketName(name))) << name;
  EXPECT_NO_THROW(check_bucket_name(BucketName(std::string(63, 'a'))));
  for (const char* name : {"", "ab", "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "192.168.1.1", "a/b", "äbc"}) {
    try {
      check_bucket_name(BucketName(name));
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      EXPECT_EQ(error.code(), "InvalidBucketName");
    }
  }
  EXPECT_THROW(check_bucket_name(BucketName(std::string(64, 'a'))), Error);
}

TEST(ObjectKeys, Are1To1024BytesOfUtf8) {
  EXPECT_NO_THROW(check_object_key(ObjectKey("../a//b/\n")));
  EXPECT_NO_THROW(check_object_key(ObjectKey(std::string(1024, 'k'))));
  EXPECT_THROW(check_object_key(ObjectKey("")), Error);
  EXPECT_THROW(check_object_key(ObjectKey(std::string(1025, 'k'))), Error);
  EXPECT_THROW(check_object_key(ObjectKey("\xff")), Error);
}

TEST(ObjectKeys, AKeyThatIsTooLongIsShownAsText) {
  try {
    check_object_key(ObjectKey(std::string(79, 'k') + std::string(600, '\xc3') + std::string(600, '\n')));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "KeyTooLongError");
    EXPECT_EQ(error.where().find('\xc3'), std::string::npos) << "half a character would spoil JSON and terminals";
  }
}

TEST(Basename, IsWhatFollowsTheLastSlash) {
  EXPECT_EQ(basename("a/b/c"), "c");
  EXPECT_EQ(basename("c"), "c");
  EXPECT_EQ(basename("a/b/"), "");
  EXPECT_EQ(basename(""), "");
}

TEST(Named, ComparesBytewiseAsS3OrdersKeys) {
  EXPECT_LT(ObjectKey("a"), ObjectKey("a/"));
  EXPECT_LT(ObjectKey("Z"), ObjectKey("a"));
  EXPECT_LT(ObjectKey("z"), ObjectKey("ä")) << "bytes are unsigned";
}

}  // namespace
}  // namespace bale
