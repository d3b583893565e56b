#include "store/content_check.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::store {
namespace {

const ObjectAddress where{BucketName("b"), ObjectKey("k")};

std::string md5(std::string_view text) { return to_hex_digest(Md5::of(as_bytes(text))); }

ObjectInfo info_of(ByteCount size, const std::string& etag, ByteCount part_bytes = 0) {
  ObjectInfo info;
  info.size = size;
  info.etag = ETag(etag);
  info.part_bytes = part_bytes;
  return info;
}

/// "abc", "def", "g" as three parts.
ObjectInfo three_parts() {
  return info_of(7, md5(from_hex(md5("abc")) + from_hex(md5("def")) + from_hex(md5("g"))) + "-3", 3);
}

/// Whether the bytes, in pieces of `piece`, are found to be those of the ETag.
bool agrees(const ObjectInfo& info, std::string_view bytes, std::size_t piece) {
  ContentCheck check(info);
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

TEST(ContentCheck, OneRequestIsTheMd5OfTheBytes) {
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

TEST(ContentCheck, PartsAreTheMd5OfTheirMd5s) {
  for (const std::size_t piece : {1, 2, 3, 4, 7}) {
    EXPECT_TRUE(agrees(three_parts(), "abcdefg", piece)) << piece;
    for (const char* wrong : {"Abcdefg", "abcdeFg", "abcdefG", "abcdef", "abcdefgh", "abc", ""})
      EXPECT_FALSE(agrees(three_parts(), wrong, piece)) << wrong << " " << piece;
  }
}

TEST(ContentCheck, PartsComeInAnyOrder) {
  const auto check = [](const char* second) {
    ContentCheck etag(three_parts());
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

TEST(ContentCheck, WhatDoesNotTellTheBytesIsNotHeldAgainstThem) {
  const std::string digest = md5("x");
  ObjectInfo encrypted = info_of(1, digest);
  encrypted.kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/1";
  for (const ObjectInfo& info :
       {encrypted, info_of(1, ""), info_of(1, "not-an-md5"), info_of(1, digest + "x"), info_of(1, digest + "-"),
        info_of(7, digest + "-3"), info_of(7, digest + "-2", 3), info_of(7, digest + "-3x", 3),
        info_of(7, digest + "-0", 3), info_of(7, digest + "-99999999999999999999", 3)}) {
    ContentCheck check(info);
    EXPECT_FALSE(check.is_possible()) << info.etag.str();
    check.update(as_bytes("anything"));
    check.add(0, as_bytes("anything"));
    check.set_part(5, as_bytes("anything"));
    EXPECT_NO_THROW(check.finish(where));
  }
}

ObjectInfo with_checksum(Checksum::Algorithm algorithm, const std::string& hex) {
  ObjectInfo info = info_of(9, md5("of other bytes"));
  info.kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/1";  // a checksum tells all the same
  info.checksum = Checksum{algorithm, from_hex(hex)};
  return info;
}

using Algorithm = Checksum::Algorithm;

TEST(ContentCheck, AChecksumOfTheWholeComesFirst) {
  // The check values of the CRC catalogue, and FIPS 180-4's digests, of "123456789".
  const ObjectInfo all[] = {
      with_checksum(Algorithm::crc64nvme, "ae8b14860a799888"),
      with_checksum(Algorithm::crc32c, "e3069283"),
      with_checksum(Algorithm::crc32, "cbf43926"),
      with_checksum(Algorithm::sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
      with_checksum(Algorithm::sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
  };
  for (const ObjectInfo& info : all) {
    for (const std::size_t piece : {1, 4, 9}) {
      EXPECT_TRUE(agrees(info, "123456789", piece));
      for (const char* wrong : {"123456780", "12345678", "1234567890", ""}) EXPECT_FALSE(agrees(info, wrong, piece));
    }
  }
}

TEST(ContentCheck, ACrcTakesRangesInAnyOrder) {
  for (const ObjectInfo& info :
       {with_checksum(Algorithm::crc64nvme, "ae8b14860a799888"), with_checksum(Algorithm::crc32c, "e3069283")}) {
    const auto finish = [&](std::string_view last) {
      ContentCheck check(info);
      EXPECT_TRUE(check.takes_ranges());
      if (!last.empty()) check.add(7, as_bytes(last));
      check.add(0, as_bytes("123"));
      check.add(3, as_bytes("4567"));
      check.finish(where);
    };
    EXPECT_NO_THROW(finish("89"));
    EXPECT_THROW(finish("88"), Error);
    EXPECT_THROW(finish(""), Error) << "a range that was not read";
  }
  EXPECT_FALSE(ContentCheck(info_of(5, md5("hello"))).takes_ranges());
  EXPECT_FALSE(ContentCheck(with_checksum(Algorithm::sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441")).takes_ranges());
}

class TextStream final : public GetStream {
 public:
  TextStream(ObjectInfo info, std::string text, ByteCount offset)
      : info_(std::move(info)), text_(std::move(text)), offset_(offset) {}
  const ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return text_.size(); }
  ByteCount offset() const override { return offset_; }
  std::size_t read(MutableBytes bytes) override {
    const std::size_t got = std::min<std::size_t>({bytes.size(), text_.size() - done_, 2});
    std::copy_n(as_bytes(text_).begin() + static_cast<std::ptrdiff_t>(done_), got, bytes.begin());
    done_ += got;
    return got;
  }

 private:
  const ObjectInfo info_;
  const std::string text_;
  const ByteCount offset_;
  std::size_t done_ = 0;
};

std::string read_checked(const ObjectInfo& info, const std::string& text, ByteCount offset = 0) {
  const auto stream = checked(std::make_unique<TextStream>(info, text, offset), where);
  std::string all;
  std::byte bytes[3];
  while (const std::size_t got = stream->read(bytes)) all += as_text({bytes, got});
  return all;
}

TEST(ContentCheck, AStreamThrowsInPlaceOfItsEnd) {
  const ObjectInfo info = info_of(5, md5("hello"));
  EXPECT_EQ(read_checked(info, "hello"), "hello");
  EXPECT_THROW(read_checked(info, "hellO"), Error);
  const auto stream = checked(std::make_unique<TextStream>(info, "hellO", 0), where);
  std::byte bytes[2];
  EXPECT_EQ(stream->read(bytes), 2U);
  EXPECT_EQ(stream->read(bytes), 2U);
  EXPECT_EQ(stream->read(bytes), 1U);
  EXPECT_THROW(stream->read(bytes), Error);
  EXPECT_EQ(read_checked(info_of(0, md5("")), ""), "");
  EXPECT_THROW(read_checked(info_of(0, md5("x")), ""), Error);
  EXPECT_EQ(read_checked(info, "xyz", 2), "xyz") << "a range is not the whole";
  EXPECT_EQ(read_checked(info_of(5, "opaque"), "hellO"), "hellO") << "without evidence";
}

}  // namespace
}  // namespace bale::store
