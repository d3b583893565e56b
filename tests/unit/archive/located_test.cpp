// One object by its location alone, as a catalog record gives it.
#include "archive/member_name.hpp"
#include "embedded/backend.hpp"
#include "support/archive_kit.hpp"
#include "support/fake_world.hpp"

namespace bale::archive {
namespace {

using test::noise;
using test::words;

class LocatedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = backend_->store(Region("eu-west-1"));
    store_->create_bucket(BucketName("bucket"));
    put(archive_.bytes);
  }
  void put(const std::string& bytes) {
    store::MemoryBody body(as_bytes(bytes));
    store_->put(address_, body, {});
  }
  MemberLocation location(std::size_t i) const {
    const WrittenMember& member = archive_.result.members[i];
    return {member.frame_offset, member.frame_length, member.frame_skip};
  }
  std::string sha256(std::size_t i) const { return to_hex_digest(archive_.result.members[i].sha256); }
  std::string read(const MemberLocation& location, ByteCount size, const std::string& digest) {
    std::string content;
    read_located(*store_, address_, location, size, digest, [&](ByteView bytes) { content.append(as_text(bytes)); });
    return content;
  }
  void expect_corrupt(const MemberLocation& location, ByteCount size, const std::string& digest) {
    try {
      read(location, size, digest);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
      EXPECT_THAT(error.what(), ::testing::HasSubstr("s3://bucket/archive"));
    }
  }

  bale::testing::FakeWorld fake_;
  os::World world_ = fake_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(fake_.path("store"), world_);
  std::unique_ptr<store::ObjectStore> store_;
  const ObjectAddress address_{BucketName("bucket"), ObjectKey("archive")};
  test::Machine machine_;
  test::TestSource source_{{{"a", words(3000, 1)}, {"large", noise(700'000, 2)}, {"b", words(9000, 3)}, {"empty", ""}}};
  const test::TestArchive archive_ = write(source_, machine_, {.level = 3, .frame_size = 64 << 10});
};

TEST_F(LocatedTest, GivesTheObjectAndNothingElse) {
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(read(location(i), source_.members()[i].content.size(), sha256(i)) == source_.members()[i].content);
  EXPECT_TRUE(read(location(0), 3000, "") == source_.members()[0].content);
}

TEST_F(LocatedTest, TheHeaderInFrontSaysWhoseBytesTheyAre) {
  for (std::size_t i = 0; i < 4; ++i) {
    const test::TestMember& member = source_.members()[i];
    for (const std::string& name : {member.name, std::string("other"), std::string(300, 'n')}) {
      std::string content;
      const auto read = [&] {
        read_located(
            *store_, address_, location(i), member.content.size(), sha256(i),
            [&](ByteView bytes) { content.append(as_text(bytes)); }, possible_member_names(name));
      };
      // The header of an empty object may end the frame before.
      const bool is_seen = !member.content.empty() || location(i).frame_skip > 0;
      if (name == member.name) {
        EXPECT_NO_THROW(read()) << name;
      } else if (is_seen) {
        EXPECT_THROW(read(), Error) << name;
      }
      EXPECT_EQ(content, name == member.name ? member.content : "") << "no byte goes out under a wrong name";
    }
  }
}

TEST_F(LocatedTest, WhatIsNotTheRecordedObjectIsCorrupt) {
  expect_corrupt(location(0), 3000, sha256(2));
  expect_corrupt(location(0), 3001, sha256(0));
  MemberLocation shifted = location(0);
  shifted.frame_skip += 1;
  expect_corrupt(shifted, 3000, sha256(0));
  shifted = location(1);
  shifted.frame_offset += 1;
  expect_corrupt(shifted, 700'000, sha256(1));
  shifted = location(1);
  shifted.frame_length -= 1;  // the last frame is cut
  expect_corrupt(shifted, 700'000, sha256(1));
  shifted.frame_offset = archive_.bytes.size() + 5;
  expect_corrupt(shifted, 700'000, sha256(1));
  shifted.frame_offset = archive_.bytes.size() - 5;  // the range reaches past the end
  expect_corrupt(shifted, 700'000, sha256(1));
  expect_corrupt({0, 0, 0}, 1, "");
  expect_corrupt({~ByteCount{0}, 10, 0}, 1, "");
  expect_corrupt({0, 1000, ~ByteCount{0}}, 1, "");
}

TEST_F(LocatedTest, AFlippedBitIsCorruptEvenWithoutADigest) {
  std::string bytes = archive_.bytes;
  bytes[location(1).frame_offset + 5000] ^= 1;
  put(bytes);
  expect_corrupt(location(1), 700'000, "");
  EXPECT_TRUE(read(location(0), 3000, sha256(0)) == source_.members()[0].content);
}

}  // namespace
}  // namespace bale::archive
