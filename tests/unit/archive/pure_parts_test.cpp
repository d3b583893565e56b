// The pure parts: names, tar headers, the planner, seek table, trailer, the probe.
#include <random>

#include "archive/compress.hpp"
#include "archive/frame_index.hpp"
#include "archive/layout.hpp"
#include "archive/member_name.hpp"
#include "archive/plan.hpp"
#include "archive/seek_table.hpp"
#include "archive/tar.hpp"
#include "archive/trailer.hpp"
#include "base/hash.hpp"
#include "support/archive_kit.hpp"

namespace bale::archive {
namespace {

using testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Step>
std::string corrupt_message(Step step) {
  try {
    step();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

// ---- Names

TEST(MemberNameTest, KeysThatAreSafePathsStayAsTheyAre) {
  for (const char* key : {"a", "a/b.txt", "100%", "%", "a b+c", "übung/日本.txt", "...", "a/..b", ".hidden",
                          "tab\there", "line\nend", "\x01\x7f", "\xff/\xc3\x28"}) {
    if (std::string_view(key) == "%") continue;  // would be the directory of the escaped ones
    EXPECT_EQ(safe_path(key), key);
    EXPECT_TRUE(is_safe_path(safe_path(key)));
  }
}

TEST(MemberNameTest, OtherKeysAreEscaped) {
  EXPECT_EQ(safe_path("../x"), "%/..%2Fx=");
  EXPECT_EQ(safe_path("/etc/passwd"), "%/%2Fetc%2Fpasswd=");
  EXPECT_EQ(safe_path("a//b"), "%/a%2F%2Fb=");
  EXPECT_EQ(safe_path("a/"), "%/a%2F=");
  EXPECT_EQ(safe_path(""), "%/=");
  EXPECT_EQ(safe_path("."), "%/.=");
  EXPECT_EQ(safe_path("%"), "%/%25=");
  EXPECT_EQ(safe_path("%/a"), "%/%25%2Fa=");
  EXPECT_EQ(safe_path(std::string_view("a\0b", 3)), "%/a%00b=");
  EXPECT_EQ(safe_path(std::string(256, 'x')), "%/" + std::string(200, 'x') + "+/" + std::string(56, 'x') + "=");
}

TEST(MemberNameTest, EveryKeyGetsASafePathOfItsOwn) {
  std::mt19937 random(1);
  const std::string alphabet("ab/.%+=-\n\0\xc3\xa4\xff ~", 15);
  std::map<std::string, std::string> key_of;
  for (int i = 0; i < 20'000; ++i) {
    std::string key(random() % 7, '\0');
    for (char& c : key) c = alphabet[random() % alphabet.size()];
    if (random() % 50 == 0) key.insert(0, std::string(300, 'x'));
    const std::string path = safe_path(key);
    EXPECT_TRUE(is_safe_path(path)) << escape_for_terminal(path);
    const auto [known, is_new] = key_of.emplace(path, key);
    EXPECT_EQ(known->second, key) << "two keys, one path";
  }
}

TEST(MemberNameTest, NoPathIsADirectoryOfAnother) {
  const std::vector<std::string_view> keys{"a", "a/b", "a/", "a/b/c", "%/a", "a//", "%", "b", "b-", "b/x"};
  const std::vector<std::string> paths = safe_paths(keys);
  std::set<std::string> all(paths.begin(), paths.end());
  EXPECT_EQ(all.size(), keys.size());
  for (const std::string& a : paths) {
    for (const std::string& b : paths) EXPECT_FALSE(b.starts_with(a + "/")) << a << " and " << b;
  }
  EXPECT_EQ(paths[3], "a/b/c");  // escaped only where another key needs the name as a directory
  EXPECT_EQ(paths[9], "b/x");
  EXPECT_EQ(paths[8], "b-");
}

TEST(MemberNameTest, AKeyThatComesTwiceIsRefused) { EXPECT_THROW(safe_paths({"a", "b", "a"}), Error); }

TEST(MemberNameTest, MembersOfEarlierVersionsAreFoundByTheirEscapedNames) {
  EXPECT_THAT(possible_member_names("a\nb"), ::testing::ElementsAre("objects/a\nb", "objects/%/a%0Ab="));
  EXPECT_THAT(possible_member_names("\xff"), ::testing::ElementsAre("objects/\xff", "objects/%/%FF="));
}

// ---- Tar headers

std::string header_of(const std::string& name, ByteCount size, TimePoint modified) {
  std::string header(tar_header_bytes(name, size), '?');
  encode_tar_header(std::as_writable_bytes(std::span(header)), name, size, modified);
  return header;
}

TEST(TarTest, ShortNamesTakeOneBlock) {
  const std::string header = header_of("objects/a.txt", 5, from_epoch_ms(1'700'000'000'999));
  ASSERT_EQ(header.size(), 512U);
  EXPECT_EQ(header.substr(0, 14), std::string("objects/a.txt\0", 14));
  EXPECT_EQ(header.substr(100, 8), std::string("0000644\0", 8));
  EXPECT_EQ(header.substr(124, 12), std::string("00000000005\0", 12));
  EXPECT_EQ(header.substr(136, 12), std::string("14524770400\0", 12));
  EXPECT_EQ(header[156], '0');
  EXPECT_EQ(header.substr(257, 8), std::string("ustar\00000", 8));
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  EXPECT_EQ(std::stoul(header.substr(148, 6), nullptr, 8), sum);
}

TEST(TarTest, LongAsciiNamesAreSplitAndOthersGetAPaxHeader) {
  EXPECT_EQ(tar_header_bytes(std::string(100, 'x'), 0), 512U);
  EXPECT_EQ(tar_header_bytes(std::string(101, 'x'), 0), 3 * 512U);
  EXPECT_EQ(tar_header_bytes(std::string(150, 'd') + "/" + std::string(100, 'x'), 0), 512U);
  EXPECT_EQ(tar_header_bytes(std::string(156, 'd') + "/" + std::string(99, 'x'), 0), 3 * 512U);
  EXPECT_EQ(tar_header_bytes("ü", 0), 3 * 512U);
  EXPECT_EQ(tar_header_bytes("a", (8ULL << 30) - 1), 512U);
  EXPECT_EQ(tar_header_bytes("a", 8ULL << 30), 3 * 512U);
  EXPECT_THAT(header_of("ü", 0, {}), HasSubstr("11 path=ü\n"));
  EXPECT_THAT(header_of("a", 8ULL << 30, {}), HasSubstr("19 size=8589934592\n"));
}

TEST(TarTest, AHeaderIsKnownByNameAndSizeWhateverTheTime) {
  for (const std::string& name : {std::string("objects/a"), std::string("objects/ü"), std::string(300, 'x')}) {
    const std::string header = header_of(name, 5, from_epoch_ms(1'700'000'000'999));
    EXPECT_TRUE(is_tar_header_of(as_bytes(header), name, 5)) << name;
    EXPECT_FALSE(is_tar_header_of(as_bytes(header), name, 6)) << name;
    EXPECT_FALSE(is_tar_header_of(as_bytes(header), name.substr(0, name.size() - 1) + "b", 5)) << name;
    EXPECT_FALSE(is_tar_header_of(as_bytes(header).first(header.size() - 1), name, 5)) << name;
    EXPECT_FALSE(is_tar_header_of(as_bytes(std::string(header.size(), '\0')), name, 5)) << name;
    const std::string large = header_of(name, 8ULL << 30, from_epoch_ms(1'700'000'000'999));
    EXPECT_TRUE(is_tar_header_of(as_bytes(large), name, 8ULL << 30)) << name;
    EXPECT_FALSE(is_tar_header_of(as_bytes(large), name, (8ULL << 30) + 1)) << name;
  }
}

TEST(TarTest, TheLengthOfAPaxRecordCountsItself) {
  for (std::size_t length = 101; length < 1100; ++length) {
    const std::string name = std::string(length, 'x') + "\xc3\xa4";
    const std::string header = header_of(name, 0, {});
    const std::string record = header.substr(512, header.find('\n', 512) + 1 - 512);
    EXPECT_EQ(std::stoul(record), record.size());
  }
}

TEST(TarTest, TimesOutsideOfWhatTarHoldsAreClamped) {
  EXPECT_EQ(header_of("a", 0, from_epoch_ms(-5000)).substr(136, 11), "00000000000");
  EXPECT_EQ(header_of("a", 0, from_epoch_ms(1LL << 50)).substr(136, 11), "77777777777");
}

// ---- The planner

std::vector<Chunk> plan_chunks(const std::vector<PlanItem>& items, ByteCount frame_size) {
  ChunkPlan plan(items, frame_size);
  std::vector<Chunk> chunks;
  while (auto chunk = plan.next()) chunks.push_back(std::move(*chunk));
  EXPECT_EQ(plan.count(), chunks.size());
  return chunks;
}

std::vector<std::string> describe(const std::vector<PlanItem>& items, ByteCount frame_size) {
  std::vector<std::string> lines;
  for (const Chunk& chunk : plan_chunks(items, frame_size)) {
    std::string line = std::to_string(chunk.bytes) + ":";
    for (const Piece& piece : chunk.pieces) {
      line += " " + std::to_string(piece.member) + (piece.header > 0 ? "h" : "") + "[" + std::to_string(piece.offset) +
              "+" + std::to_string(piece.size) + "]" + (piece.last ? "." : "");
    }
    lines.push_back(line);
  }
  return lines;
}

TEST(PlanTest, Golden) {
  EXPECT_THAT(describe({}, 4096), ElementsAre());
  EXPECT_THAT(describe({{512, 0}}, 4096), ElementsAre("512: 0h[0+0]."));
  // Members share a frame until one does not fit into the rest.
  EXPECT_THAT(describe({{512, 1000}, {512, 1000}, {512, 1024}, {512, 1}}, 4096),
              ElementsAre("3072: 0h[0+1000]. 1h[0+1000].", "2560: 2h[0+1024]. 3h[0+1]."));
  // Exactly a frame, one byte more, and a follower in the last frame of a large one.
  EXPECT_THAT(describe({{512, 3584}, {512, 3585}, {512, 10}}, 4096),
              ElementsAre("4096: 0h[0+3584].", "4096: 1h[0+3584]", "1536: 1[3584+1]. 2h[0+10]."));
  // A large member starts a frame of its own; cut every frame_size bytes of tar.
  EXPECT_THAT(describe({{512, 1}, {1536, 9000}, {512, 3000}}, 4096),
              ElementsAre("1024: 0h[0+1].", "4096: 1h[0+2560]", "4096: 1[2560+4096]", "2560: 1[6656+2344].",
                          "3584: 2h[0+3000]."));
}

TEST(PlanTest, EveryByteIsPlannedOnceAndNothingThatFitsIsSplit) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const ByteCount frame_size = 4096 * (1 + random() % 4);
    std::vector<PlanItem> items(random() % 40);
    for (PlanItem& item : items)
      item = {512 * (1 + 2 * (random() % 2)), random() % 4 == 0 ? random() % 60'000 : random() % 5'000};
    std::vector<ByteCount> planned(items.size());
    std::vector<std::size_t> pieces(items.size());
    std::size_t previous = 0;
    for (const Chunk& chunk : plan_chunks(items, frame_size)) {
      EXPECT_GT(chunk.bytes, 0U);
      EXPECT_LE(chunk.bytes, frame_size);
      EXPECT_EQ(chunk.bytes % 512, 0U);
      for (const Piece& piece : chunk.pieces) {
        EXPECT_GE(piece.member, previous);
        previous = piece.member;
        EXPECT_EQ(piece.offset, planned[piece.member]);
        EXPECT_EQ(piece.number, pieces[piece.member]++);
        planned[piece.member] += piece.size;
        EXPECT_EQ(piece.last, planned[piece.member] == items[piece.member].size);
      }
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(planned[i], items[i].size);
      EXPECT_GE(pieces[i], 1U);
      if (items[i].header + tar_padded(items[i].size) <= frame_size) {
        EXPECT_EQ(pieces[i], 1U);
      }
    }
  }
}

TEST(PlanTest, LikeLiesBesideLike) {
  const std::vector<PlannedMember> members{{"b/x.txt", 1}, {"a.c", 1},     {"v1/io.c", 1},  {"z.txt", 1},
                                           {"v2/a.c", 1},  {"v2/io.c", 1}, {".profile", 1}, {"README", 1}};
  std::vector<std::string> names;
  for (const std::size_t i : like_beside_like(members)) names.push_back(members[i].name);
  EXPECT_THAT(names, ElementsAre(".profile", "README", "a.c", "v2/a.c", "v1/io.c", "v2/io.c", "b/x.txt", "z.txt"));
}

// ---- Seek table and trailer

TEST(SeekTableTest, RoundTripAndLayout) {
  const std::vector<SeekEntry> entries{{100, 200, 0x01020304}, {0xFFFFFFFF, 1, 5}};
  const Buffer table = encode_seek_table(entries);
  EXPECT_EQ(to_hex(table.view()),
            "5e2a4d1821000000"
            "64000000c800000004030201"
            "ffffffff0100000005000000"
            "0200000080b1ea928f");
  SeekFooter footer;
  ASSERT_TRUE(find_seek_footer(table.view(), 10, footer));
  EXPECT_EQ(footer.table_bytes(), table.size());
  EXPECT_EQ(decode_seek_table(table.view(), footer), entries);
}

TEST(SeekTableTest, TablesWithoutChecksumsAreReadToo) {
  std::string table = from_hex("5e2a4d181100000064000000c80000000100000000b1ea928f");
  SeekFooter footer;
  ASSERT_TRUE(find_seek_footer(as_bytes(table), 10, footer));
  EXPECT_FALSE(footer.checksums);
  EXPECT_THAT(decode_seek_table(as_bytes(table), footer), ElementsAre(SeekEntry{100, 200, 0}));
}

TEST(SeekTableTest, WhatCannotBeIsCorrupt) {
  SeekFooter footer;
  EXPECT_FALSE(find_seek_footer(as_bytes("short"), 10, footer));
  EXPECT_FALSE(find_seek_footer(as_bytes("no footer at all"), 10, footer));
  const auto find = [&](const char* hex) {
    return corrupt_message([&] { find_seek_footer(as_bytes(from_hex(hex)), 10, footer); });
  };
  EXPECT_THAT(find("0b00000080b1ea928f"), HasSubstr("claims 11 frames"));
  EXPECT_THAT(find("ffffffff80b1ea928f"), HasSubstr("claims 4294967295 frames"));
  EXPECT_THAT(find("0100000084b1ea928f"), HasSubstr("reserved bits"));
  std::string table = from_hex("5e2a4d181100000064000000c80000000100000000b1ea928f");
  ASSERT_TRUE(find_seek_footer(as_bytes(table), 10, footer));
  table[4] = 12;
  EXPECT_THAT(corrupt_message([&] { decode_seek_table(as_bytes(table), footer); }), HasSubstr("header"));
}

const Trailer some_trailer{.manifest_offset = 1,
                           .manifest_bytes = 2,
                           .objects = 3,
                           .tar_bytes = 4,
                           .frame_bytes = 1ULL << 40,
                           .seek_table_hash = 0x0807060504030201,
                           .frame_hashes = {0x1817161514131211, 0x2827262524232221}};

ErrorKind refusal_of(std::string_view trailer) {
  try {
    decode_trailer(as_bytes(trailer));
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::internal;
}

/// The trailer with a checksum that fits whatever else was changed.
std::string with_checksum(std::string frame) {
  const std::size_t at = frame.size() - 8;
  const std::uint64_t sum = xxh64(as_bytes(frame).subspan(8, at - 8));
  for (std::size_t i = 0; i < 8; ++i) frame[at + i] = static_cast<char>(sum >> (8 * i));
  return frame;
}

TEST(TrailerTest, RoundTripAndLayout) {
  const Buffer frame = encode_trailer(some_trailer);
  ASSERT_EQ(frame.size(), layout::trailer_bytes(2));
  EXPECT_EQ(to_hex(frame.view().first(frame.size() - 8)),
            "5b2a4d1850000000"
            "42414c4502000000"
            "01000000000000000200000000000000030000000000000004000000000000000000000000010000"
            "0102030405060708"
            "11121314151617182122232425262728");
  EXPECT_TRUE(looks_like_trailer(frame.view()));
  EXPECT_EQ(decode_trailer(frame.view()), some_trailer);
}

TEST(TrailerTest, EveryFlippedBitIsDamageAndEveryOtherLengthToo) {
  const std::string frame(as_text(encode_trailer(some_trailer).view()));
  for (std::size_t at = 0; at < frame.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string copy = frame;
      copy[at] = static_cast<char>(copy[at] ^ (1 << bit));
      // Of a damaged length nobody knows where the checksum is; readers compare it with the seek table's before.
      if (at >= 4 && at < 8) continue;
      EXPECT_EQ(refusal_of(copy), ErrorKind::corrupt) << "byte " << at << ", bit " << bit;
    }
  }
  for (std::size_t length = 0; length < frame.size(); ++length)
    EXPECT_EQ(refusal_of(frame.substr(0, length)), ErrorKind::corrupt) << length;
  EXPECT_EQ(refusal_of(frame + "x"), ErrorKind::corrupt);
}

TEST(TrailerTest, WhatItsVersionDoesNotHaveIsDamage) {
  std::string frame(as_text(encode_trailer(some_trailer).view()));
  frame[14] = 1;  // reserved
  EXPECT_EQ(refusal_of(with_checksum(frame)), ErrorKind::corrupt);
  frame = as_text(encode_trailer(some_trailer).view());
  frame[12] = 1;  // version 1 has no hashes
  EXPECT_EQ(refusal_of(with_checksum(frame)), ErrorKind::corrupt);
  frame[12] = 0;
  EXPECT_EQ(refusal_of(with_checksum(frame)), ErrorKind::corrupt);
  frame = as_text(encode_trailer(some_trailer).view()).substr(0, layout::trailer_v1_bytes);
  frame[4] = layout::trailer_v1_bytes - layout::skippable_header_bytes;
  EXPECT_EQ(refusal_of(with_checksum(frame)), ErrorKind::corrupt);
  frame.insert(60, "1234");  // no whole number of hashes
  frame[4] = static_cast<char>(frame.size() - layout::skippable_header_bytes);
  EXPECT_EQ(refusal_of(with_checksum(frame)), ErrorKind::corrupt);
}

TEST(TrailerTest, VersionOneIsRead) {
  std::string frame(as_text(encode_trailer(some_trailer).view()).substr(0, layout::trailer_v1_bytes));
  frame[4] = layout::trailer_v1_bytes - layout::skippable_header_bytes;
  frame[12] = 1;
  const Trailer trailer = decode_trailer(as_bytes(with_checksum(frame)));
  EXPECT_EQ(trailer.version, 1);
  EXPECT_EQ(trailer.frame_bytes, 1ULL << 40);
  EXPECT_TRUE(trailer.frame_hashes.empty());
}

TEST(TrailerTest, ANewerVersionIsUnsupportedNotDamaged) {
  std::string frame(as_text(encode_trailer(some_trailer).view()));
  frame[12] = 3;
  EXPECT_EQ(refusal_of(frame), ErrorKind::corrupt) << "its checksum does not fit: it is no version";
  EXPECT_EQ(refusal_of(with_checksum(frame)), ErrorKind::unsupported);
  // Of another length: its beginning is all that is read.
  EXPECT_EQ(refusal_of(frame.substr(0, layout::trailer_head_bytes)), ErrorKind::unsupported);
}

TEST(FrameIndexTest, FramesMustFillTheFile) {
  const std::vector<SeekEntry> entries{{10, 100, 0}, {20, 0, 0}, {30, 50, 0}};
  const FrameIndex index(entries, 60, 1000);
  EXPECT_EQ(index.frames().size(), 2U);
  EXPECT_EQ(index.frames()[1].file_offset, 30U);
  EXPECT_EQ(index.frame_of(99), 0U);
  EXPECT_EQ(index.frame_of(100), 1U);
  EXPECT_THAT(corrupt_message([&] { FrameIndex(entries, 59, 1000); }), HasSubstr("outside the file"));
  EXPECT_THAT(corrupt_message([&] { FrameIndex(entries, 61, 1000); }), HasSubstr("the file has 61"));
  EXPECT_THAT(corrupt_message([&] { FrameIndex(entries, 60, 99); }), HasSubstr("frame 0 claims"));
}

TEST(FrameIndexTest, AFrameWithAHashHasContent) {
  const std::vector<SeekEntry> entries{{10, 100, 0}, {20, 0, 0}};
  const FrameIndex index(entries, 30, 1000, {7});
  EXPECT_EQ(index.frames()[0].hash, 7U);
  EXPECT_THAT(corrupt_message([&] { FrameIndex(entries, 30, 1000, {7, 8}); }), HasSubstr("without content"));
}

TEST(FrameIndexTest, ObjectsMustLieBehindEachOtherAndInTheArchive) {
  const auto check = [](std::vector<std::pair<std::optional<ByteCount>, ByteCount>> places) {
    ObjectList objects;
    for (const auto& [offset, size] : places) {
      objects.push_back({.relative_key = "k" + std::to_string(objects.size()), .size = size, .data_offset = offset});
    }
    check_places(objects, 10'000);
  };
  check({{512, 100}, {1536, 0}, {2048, 7952}});
  EXPECT_THAT(corrupt_message([&] { check({{std::nullopt, 1}}); }), HasSubstr("objects[0] (k0) has no data_offset"));
  EXPECT_THAT(corrupt_message([&] { check({{0, 1}}); }), HasSubstr("before the first header"));
  EXPECT_THAT(corrupt_message([&] { check({{512, 9'489}}); }), HasSubstr("outside"));
  EXPECT_THAT(corrupt_message([&] { check({{1ULL << 63, 1}}); }), HasSubstr("outside"));
  EXPECT_THAT(corrupt_message([&] { check({{2048, 1}, {512, 1025}}); }), HasSubstr("objects[0] (k0) overlaps"));
  EXPECT_THAT(corrupt_message([&] { check({{512, 1}, {512, 1}}); }), HasSubstr("overlaps"));
}

// ---- Compression

TEST(CompressTest, TheProbeTellsTextFromNoise) {
  EXPECT_TRUE(is_compressible(as_bytes(test::words(1 << 20, 1))));
  EXPECT_FALSE(is_compressible(as_bytes(test::noise(1 << 20, 1))));
  EXPECT_TRUE(is_compressible(as_bytes(test::noise(1000, 1))));  // too small to matter
}

TEST(CompressTest, NoiseGoesInAtLevelOne) {
  const std::string content = test::noise(1 << 20, 2);
  const CompressedFrame slow = compress_frame(as_bytes(content), 19, 1 << 20);
  const CompressedFrame fast = compress_frame(as_bytes(content), 1, 1 << 20);
  EXPECT_EQ(as_text(slow.bytes.view()), as_text(fast.bytes.view()));
}

TEST(CompressTest, TheProbeForeseesTheRatio) {
  EXPECT_EQ(probe_ratio({}), 1);
  EXPECT_EQ(probe_ratio(as_bytes(test::noise(1 << 20, 1))), 1);
  EXPECT_LT(probe_ratio(as_bytes(std::string(1 << 20, 'z'))), 0.01);
  const double whole = probe_ratio(as_bytes(test::words(1 << 20, 1)));
  EXPECT_GT(whole, 0.2);
  EXPECT_LT(whole, 0.6);
  // Little content is sampled as a whole, or in fewer samples.
  for (const std::size_t size : {100UL, 4096UL, 5000UL, 20'000UL, 65'536UL})
    EXPECT_NEAR(probe_ratio(as_bytes(test::words(size, 1))), whole, size < 4096 ? 0.6 : 0.05) << size;
}

TEST(CompressTest, LevelZeroStores) {
  for (const std::size_t size : {0UL, 1UL, (128UL << 10) - 1, 128UL << 10, (128UL << 10) + 1, (1UL << 20) + 7}) {
    const std::string content = test::words(size, 5);
    const CompressedFrame frame = compress_frame(as_bytes(content), store_level, 1 << 20);
    EXPECT_GE(frame.bytes.size(), size);
    EXPECT_LE(frame.bytes.size(), compressed_bound(size));
    EXPECT_LE(frame.bytes.size(), size + 20 + 3 * (size >> 17));
    EXPECT_EQ(frame.checksum, static_cast<std::uint32_t>(xxh64(as_bytes(content))));
    std::string back(size, '\0');
    decompress_frame(frame.bytes.view(), std::as_writable_bytes(std::span(back)));
    EXPECT_TRUE(back == content);
  }
  EXPECT_EQ(compressor_bytes(store_level, 1 << 20), 0u);
}

TEST(CompressTest, DamageOfAStoredFrameIsNoticed) {
  const std::string content = test::words(300'000, 5);
  std::string frame(as_text(compress_frame(as_bytes(content), store_level, 1 << 20).bytes.view()));
  frame[200'000] = static_cast<char>(frame[200'000] ^ 1);
  std::string back(content.size(), '\0');
  EXPECT_THAT(corrupt_message([&] { decompress_frame(as_bytes(frame), std::as_writable_bytes(std::span(back))); }),
              HasSubstr("damaged"));
}

TEST(CompressTest, TheFrameEndsInTheChecksumOfItsContent) {
  const std::string content = test::words(100'000, 3);
  const CompressedFrame frame = compress_frame(as_bytes(content), 5, 1 << 20);
  EXPECT_EQ(frame.checksum, static_cast<std::uint32_t>(xxh64(as_bytes(content))));
  EXPECT_EQ(static_cast<std::uint32_t>(xxh64({})), layout::checksum_of_nothing);
  std::string back(content.size(), '\0');
  decompress_frame(frame.bytes.view(), std::as_writable_bytes(std::span(back)));
  EXPECT_TRUE(back == content);
}

TEST(CompressTest, AFrameThatIsNotWhatWasSaidIsCorrupt) {
  const CompressedFrame frame = compress_frame(as_bytes(test::words(100'000, 3)), 5, 1 << 20);
  const auto decompress = [](ByteView bytes, std::size_t size) {
    std::string out(size, '\0');
    return corrupt_message([&] { decompress_frame(bytes, std::as_writable_bytes(std::span(out))); });
  };
  EXPECT_THAT(decompress(frame.bytes.view(), 99'999), HasSubstr("claims 100000 bytes"));
  EXPECT_THAT(decompress(frame.bytes.view(), 100'001), HasSubstr("claims 100000 bytes"));
  EXPECT_THAT(decompress(frame.bytes.view().first(100), 100'000), HasSubstr("damaged"));
  EXPECT_THAT(decompress(as_bytes("not zstd at all"), 10), HasSubstr("not a zstd frame"));
  std::string two(as_text(frame.bytes.view()));
  two += two;
  EXPECT_THAT(decompress(as_bytes(two), 100'000), HasSubstr("shorter"));
}

TEST(CompressTest, AFrameMayBeFullyRepetitiveOrEmpty) {
  for (const std::size_t size : {0UL, 1UL, 1UL << 20}) {
    const std::string content(size, 'z');
    const CompressedFrame frame = compress_frame(as_bytes(content), 12, 1 << 20);
    std::string back(size, '\0');
    decompress_frame(frame.bytes.view(), std::as_writable_bytes(std::span(back)));
    EXPECT_TRUE(back == content);
  }
}

}  // namespace
}  // namespace bale::archive
