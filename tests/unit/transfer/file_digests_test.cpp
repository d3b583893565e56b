#include "transfer/file_digests.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "support/fake_world.hpp"
#include "transfer/etag_builder.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

class FileDigestsTest : public ::testing::Test {
 protected:
  std::string bytes_of(std::size_t size) {
    std::string bytes(size, '\0');
    outside.entropy.fill({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
    return bytes;
  }
  testing::FakeWorld outside;
  flow::ThreadPool connections{2, "connection"}, cores{2, "core"};
  flow::MemoryBudget budget{64_MiB};
};

TEST_F(FileDigestsTest, AreThoseOfTheBytesAtEachSize) {
  constexpr ByteCount part = 5_MiB;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{part - 1}, std::size_t{part},
                                 std::size_t{part + 1}, std::size_t{3 * part + 1}}) {
    const std::string bytes = bytes_of(size);
    const auto file = os::system_files().open(outside.write("file", bytes));
    std::string taken;
    const FileDigests digests = read_digests(*file,
                                             {.part_bytes = part,
                                              .take =
                                                  [&](ByteCount offset, ByteView piece) {
                                                    EXPECT_EQ(offset, taken.size());
                                                    taken += as_text(piece);
                                                  }},
                                             {connections, cores}, budget);
    EtagBuilder etag(part);
    etag.update(as_bytes(bytes));
    EXPECT_EQ(digests.etag, etag.finish()) << size;
    EXPECT_EQ(digests.md5, Md5::of(as_bytes(bytes))) << size;
    EXPECT_EQ(digests.crc64nvme, crc_of(crc64nvme, as_bytes(bytes))) << size;
    EXPECT_EQ(taken, bytes);
    EXPECT_EQ(read_crc64nvme(*file, size, cores, budget), digests.crc64nvme) << size;
  }
}

TEST_F(FileDigestsTest, FollowsWhatWasTakenInOrder) {
  const std::string bytes = bytes_of(33_MiB + 1);
  const auto file = os::system_files().open(outside.write("file", bytes));
  std::atomic<ByteCount> taken{0}, followed{0};
  FileReading reading{.part_bytes = 5_MiB};
  reading.take = [&](ByteCount, ByteView piece) { taken += piece.size(); };
  reading.follow = [&](ByteCount offset, ByteCount size) {
    EXPECT_EQ(offset, followed);
    EXPECT_GE(taken, offset + size);
    followed += size;
  };
  EXPECT_EQ(read_digests(*file, reading, {connections, cores}, budget).md5, Md5::of(as_bytes(bytes)));
  EXPECT_EQ(followed, bytes.size());
  reading.follow = [](ByteCount offset, ByteCount) {
    if (offset > 0) throw Error(ErrorKind::corrupt, "no");
  };
  EXPECT_THROW(read_digests(*file, reading, {connections, cores}, budget), Error);
}

TEST_F(FileDigestsTest, OneThreadOfEachKindSuffices) {
  const std::string bytes = bytes_of(33_MiB + 1);
  const auto file = os::system_files().open(outside.write("file", bytes));
  flow::ThreadPool one_connection{1, "connection"}, one_core{1, "core"};
  FileReading reading{.part_bytes = 5_MiB};
  reading.take = [](ByteCount, ByteView) {};
  reading.follow = [](ByteCount, ByteCount) {};
  EXPECT_EQ(read_digests(*file, reading, {one_connection, one_core}, budget).md5, Md5::of(as_bytes(bytes)));
}

TEST_F(FileDigestsTest, AFileThatGrowsIsAnError) {
  // More than is read ahead of the taker.
  const auto path = outside.write("file", bytes_of(40_MiB));
  const auto file = os::system_files().open(path);
  bool is_grown = false;
  const auto grow = [&](ByteCount, ByteView) {
    if (!std::exchange(is_grown, true)) std::ofstream(path, std::ios::app) << "more";
  };
  EXPECT_THROW(read_digests(*file, {.part_bytes = 5_MiB, .take = grow}, {connections, cores}, budget), Error);
  EXPECT_TRUE(is_grown);
}

TEST_F(FileDigestsTest, WhatTheTakerThrowsEndsTheReading) {
  const auto file = os::system_files().open(outside.write("file", bytes_of(9_MiB)));
  const auto refuse = [](ByteCount, ByteView) { throw Error(ErrorKind::corrupt, "no"); };
  EXPECT_THROW(read_digests(*file, {.part_bytes = 5_MiB, .take = refuse}, {connections, cores}, budget), Error);
}

TEST_F(FileDigestsTest, AFileOfAnotherSizeIsCorrupt) {
  const auto file = os::system_files().open(outside.write("file", "abc"));
  EXPECT_THROW(read_crc64nvme(*file, 4, cores, budget), Error);
  EXPECT_THROW(read_crc64nvme(*file, 2, cores, budget), Error);
}

TEST(EtagBuilder, AnObjectOfExactlyOnePartIsAnUploadOfOnePart) {
  EtagBuilder one(3);
  one.update(as_bytes("abc"));
  EXPECT_TRUE(one.finish().str().ends_with("-1"));
  EXPECT_EQ(count_parts(2, 3), 0U);
  EXPECT_EQ(count_parts(3, 3), 1U);
  EXPECT_EQ(count_parts(4, 3), 2U);
}

}  // namespace
}  // namespace bale::transfer
