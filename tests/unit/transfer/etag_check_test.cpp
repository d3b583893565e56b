#include "transfer/etag_check.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::transfer {
namespace {

const ObjectAddress where{BucketName("b"), ObjectKey("k")};

std::string md5(std::string_view text) { return to_hex_digest(Md5::of(as_bytes(text))); }

store::ObjectInfo info_of(ByteCount size, const std::string& etag, ByteCount part_bytes = 0) {
  store::ObjectInfo info;
  info.size = size;
  info.etag = ETag(etag);
  info.part_bytes = part_bytes;
  return info;
}

/// "abc", "def", "g" as three parts.
store::ObjectInfo three_parts() {
  return info_of(7, md5(from_hex(md5("abc")) + from_hex(md5("def")) + from_hex(md5("g"))) + "-3", 3);
}

/// Whether the bytes, in pieces of `piece`, are found to be those of the ETag.
bool agrees(const store::ObjectInfo& info, std::string_view bytes, std::size_t piece) {
  EtagCheck check(info);
  EXPECT_TRUE(check.is_possible());
  for (std::size_t i = 0; i < bytes.size(); i += piece) check.update(as_bytes(bytes.substr(i, piece)));
  try {
    check.finish(where);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_EQ(error.where(), "s3://b/k");
    return false;
  }
}

TEST(EtagCheck, OneRequestIsTheMd5OfTheBytes) {
  for (const std::size_t piece : {1, 2, 5, 100}) {
    EXPECT_TRUE(agrees(info_of(5, md5("hello")), "hello", piece));
    EXPECT_FALSE(agrees(info_of(5, md5("hello")), "hallo", piece));
    EXPECT_FALSE(agrees(info_of(5, md5("hello")), "hell", piece));
    EXPECT_FALSE(agrees(info_of(5, md5("hello")), "hello!", piece));
  }
  EXPECT_FALSE(agrees(info_of(5, md5("hello")), "", 1));
  EXPECT_TRUE(agrees(info_of(0, md5("")), "", 1));
  EXPECT_FALSE(agrees(info_of(0, md5("")), "x", 1));
}

TEST(EtagCheck, PartsAreTheMd5OfTheirMd5s) {
  for (const std::size_t piece : {1, 2, 3, 4, 7}) {
    EXPECT_TRUE(agrees(three_parts(), "abcdefg", piece)) << piece;
    for (const char* wrong : {"Abcdefg", "abcdeFg", "abcdefG", "abcdef", "abcdefgh", "abc", ""})
      EXPECT_FALSE(agrees(three_parts(), wrong, piece)) << wrong << " " << piece;
  }
}

TEST(EtagCheck, PartsComeInAnyOrder) {
  const auto check = [](const char* second) {
    EtagCheck etag(three_parts());
    EXPECT_EQ(etag.part_bytes(), 3U);
    etag.set_part(2, as_bytes("g"));
    etag.set_part(0, as_bytes("abc"));
    if (second != nullptr) etag.set_part(1, as_bytes(second));
    etag.finish(where);
  };
  EXPECT_NO_THROW(check("def"));
  EXPECT_THROW(check("deF"), Error);
  EXPECT_THROW(check(nullptr), Error) << "a part that was not read";
}

TEST(EtagCheck, WhatDoesNotTellTheBytesIsNotHeldAgainstThem) {
  const std::string digest = md5("x");
  store::ObjectInfo encrypted = info_of(1, digest);
  encrypted.kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/1";
  for (const store::ObjectInfo& info :
       {encrypted, info_of(1, ""), info_of(1, "not-an-md5"), info_of(1, digest + "x"), info_of(1, digest + "-"),
        info_of(7, digest + "-3"), info_of(7, digest + "-2", 3), info_of(7, digest + "-3x", 3),
        info_of(7, digest + "-0", 3), info_of(7, digest + "-99999999999999999999", 3)}) {
    EtagCheck check(info);
    EXPECT_FALSE(check.is_possible()) << info.etag.str();
    check.update(as_bytes("anything"));
    check.set_part(5, as_bytes("anything"));
    EXPECT_NO_THROW(check.finish(where));
  }
}

}  // namespace
}  // namespace bale::transfer
