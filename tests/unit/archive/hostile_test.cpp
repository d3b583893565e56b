// Descriptions of archives that are made to take memory: small to ship, enormous to read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive/compress.hpp"
#include "archive/json_elements.hpp"
#include "archive/layout.hpp"
#include "archive/plan.hpp"
#include "archive/seek_table.hpp"
#include "archive/sidecar.hpp"
#include "archive/trailer.hpp"
#include "support/archive_kit.hpp"
#include "support/foreign_archive.hpp"
#include "support/little_memory.hpp"

namespace bale::archive {
namespace {

using namespace bale::literals;
using test::Machine;
using test::MemorySink;
using test::MemorySource;
using test::TestSource;
using test::with_little_memory;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr ByteCount little = 48_MiB;

/// `head`, then `part` so often that it makes `bytes`, then `tail`: never in memory as a whole.
std::function<std::string_view()> long_text(std::string head, const std::string& part, ByteCount bytes,
                                            std::string tail) {
  std::string block;
  while (block.size() < 64_KiB) block += part;
  const ByteCount blocks = bytes / block.size();
  return [=, at = ByteCount{0}]() mutable -> std::string_view {
    const ByteCount now = at++;
    if (now == 0) return head;
    if (now <= blocks) return block;
    return now == blocks + 1 ? std::string_view(tail) : std::string_view();
  };
}

struct Hostile {
  const char* name;
  std::string head, part, tail;
  const char* answer;  ///< the beginning of what is said; "" where the manifest is taken
};

const std::string object = R"({"relative_key":"a","size":1)";

std::vector<Hostile> hostile_manifests() {
  return {
      {"NestedArraysInTags", R"({"version":1,"objects":[)" + object + R"(,"tags":[)", "[[[[]]]],", "[]]}]}",
       "corrupt: objects[0] "},
      {"NestedArraysInAnUnknownMember", R"({"version":1,"objects":[],"x":[)", "[[[[[1]]]]],", "1]}", ""},
      {"NestedArraysWithoutNumbers", R"({"version":1,"objects":[],"x":[)", "[[[[]]]],", "1]}",
       "corrupt: the text has a string"},
      {"DeepNesting", R"({"version":1,"objects":[],"x":)", "[", "", "corrupt: the text nests deeper than 32"},
      {"DeepObjects", R"({"version":1,"objects":[{"relative_key":)", R"({"a":)", "",
       "corrupt: objects[0] nests deeper"},
      {"Spaces", R"({"version":1,"objects":[)", "    ", "]}", "corrupt: objects[0] has a string"},
      {"OneString", R"({"version":1,"objects":[{"relative_key":")", "abcdefgh", "\"}]}",
       "corrupt: objects[0] has a string"},
      {"OneUnknownString", R"({"version":1,"x":")", "abcdefgh", R"(","objects":[]})", "corrupt: the text has a string"},
      {"OneNumber", R"({"version":1,"objects":[{"size":)", "12345678", "}]}", "corrupt: objects[0] has a string"},
      {"Literals", R"({"version":1,"objects":[)" + object + R"(,"tags":[)", "null,", "1]}]}", "corrupt: objects[0] "},
      {"DuplicateMembers", R"({"version":1,"objects":[{"relative_key":"a")", R"(,"size":1)", "}]}",
       "corrupt: objects[0] takes more than"},
      {"DuplicateUnknownMembers", R"({"version":1,"objects":[{"relative_key":"a","size":1)", R"(,"x":{"y":1})", "}]}",
       ""},
      {"DuplicateRootMembers", R"({"objects":[])", R"(,"level":7)", "}", "corrupt: the text takes more than"},
      {"ManyTags", R"({"version":1,"objects":[)" + object + R"(,"tags":[)", R"({"k":"v"},)", R"({"k":"v"}]}]})",
       "corrupt: objects[0] takes more than"},
      {"ManyTargets", R"({"version":1,"objects":[],"targets":[)", R"({"region":"r","bucket":"b"},)",
       R"({"region":"r","bucket":"b"}]})", "unsupported: the targets of the manifest take more than"},
      {"ManyDeletions", R"({"version":1,"objects":[],"deletions":[)", R"({"key":"k","time":1},)",
       R"({"key":"k","time":1}]})", "unsupported: the deletions of the manifest take more than"},
      {"ManyObjects", R"({"objects":[)", object + "},", object + "}]}",
       "unsupported: the objects of the manifest take more than"},
      {"TheListTwice", R"({"objects":[],"objects":[)", object + "},", object + "}]}",
       "corrupt: the text has objects twice"},
  };
}

class HostileManifest : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileManifest, IsReadInLittleMemory) {
  const Hostile& hostile = GetParam();
  const std::string told = with_little_memory(little, [&] {
    MemoryShare memory(4_MiB);
    parse_manifest(long_text(hostile.head, hostile.part, 256_MiB, hostile.tail), memory);
    if (memory.taken() > 4_MiB) throw Error(ErrorKind::internal, "more was taken than may be");
  });
  EXPECT_THAT(told, StartsWith(hostile.answer));
  if (*hostile.answer == '\0') {
    EXPECT_EQ(told, "");
  }
}

INSTANTIATE_TEST_SUITE_P(All, HostileManifest, ::testing::ValuesIn(hostile_manifests()),
                         [](const auto& test) { return std::string(test.param.name); });

/// An archive of one object whose manifest is any text.
std::string archive_with_manifest(const std::string& manifest) {
  Machine machine(4, 2, 1_GiB);
  TestSource source(std::vector<test::TestMember>{{"a", "x"}});
  MemorySink sink;
  write_archive(source.plan(), source, [&](const WriteResult&) { return std::optional(manifest); }, sink,
                machine.pools(), machine.budget, {.level = 3});
  return sink.bytes;
}

std::string repeated(const std::string& head, const std::string& part, ByteCount bytes, const std::string& tail) {
  std::string text = head;
  while (text.size() < bytes) text += part;
  return text += tail;
}

TEST(HostileArchive, ASmallOneOfNestedArraysIsRefusedInLittleMemory) {
  const std::string bytes = archive_with_manifest(
      repeated(R"({"version":1,"objects":[{"relative_key":"a","size":1,"tags":[)", "[[[[]]]],", 100_MiB, "[]]}]}"));
  EXPECT_LT(bytes.size(), 64_KiB);
  // The frames are of 16 MiB: they are not decompressed as a whole either.
  const std::string told = with_little_memory(little, [&] {
    MemorySource file(bytes);
    open_archive(file, {.memory = 4_MiB});
  });
  EXPECT_THAT(told, StartsWith("corrupt: objects[0] "));
  EXPECT_THAT(told, HasSubstr("memory.tar.zst"));
}

/// Decompressing takes as much memory as the window that a frame names.
TEST(HostileArchive, AWindowThatIsLargerThanTheMemoryIsRefusedWithAHint) {
  const CompressedFrame frame =
      compress_frame_at(as_bytes(test::tar_of({{"a", std::string(40 << 20, 'x')}})), 19, 64_MiB);
  MemorySource file(std::string(as_text(frame.bytes.view())));
  try {
    open_archive(file, {.memory = 1_MiB});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("window"));
    EXPECT_THAT(error.hint(), HasSubstr("--memory-limit"));
  }
}

TEST(HostileArchive, ATrueOneThatIsTooLargeSaysHowMuchMemoryItNeeds) {
  std::string manifest = R"({"version":1,"objects":[)";
  for (int i = 0; i < 100'000; ++i)
    manifest += fmt::format(R"({}{{"relative_key":"{}","size":1,"data_offset":512}})", i == 0 ? "" : ",", i);
  const std::string bytes = archive_with_manifest(manifest + "]}");
  flow::MemoryBudget budget(16_MiB);
  MemorySource file(bytes);
  try {
    open_archive(file, {.budget = &budget});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_THAT(error.what(),
                HasSubstr("the objects of the manifest take more than 4.0 MiB of memory (memory.tar.zst)"));
    EXPECT_THAT(error.hint(), HasSubstr("--memory-limit"));
  }
  EXPECT_LE(budget.peak(), 4_MiB);
  EXPECT_GT(budget.peak(), 2_MiB);
}

TEST(HostileArchive, WhatAnOpenArchiveTakesIsCountedInTheBudget) {
  Machine machine;
  std::vector<test::TestMember> members;
  for (int i = 0; i < 2000; ++i) members.push_back({std::to_string(i), "x"});
  TestSource source(members);
  MemorySource file(test::write(source, machine).bytes);
  flow::MemoryBudget budget(64_MiB);
  auto reader = open_archive(file, {.budget = &budget});
  EXPECT_GT(budget.peak(), 100_KiB);
  // What is held waits for nobody, and nobody waits for it: a request for all of the budget is granted.
  EXPECT_TRUE(budget.try_acquire(64_MiB));
  reader.reset();
  EXPECT_TRUE(budget.try_acquire(64_MiB));
}

// A seek table may claim what it likes: 2^27 frames are 1.5 GiB of file, which a sparse file has for nothing.
TEST(HostileArchive, AListOfFramesThatIsLargerThanItsShareIsRefused) {
  class Sparse final : public transfer::RandomSource {
   public:
    explicit Sparse(std::uint32_t frames) {
      const std::vector<SeekEntry> none;
      Buffer table = encode_seek_table(none);
      end_ = std::string(as_text(table.view().last(layout::seek_footer_bytes)));
      for (std::size_t i = 0; i < 4; ++i) end_[i] = static_cast<char>(frames >> (8 * i));
    }
    ByteCount size() override { return 8_GiB; }
    void read_at(ByteCount offset, MutableBytes into) override {
      for (std::size_t i = 0; i < into.size(); ++i) {
        const ByteCount at = offset + i;
        const ByteCount from = size() - end_.size();
        into[i] = at < from ? std::byte{0} : static_cast<std::byte>(end_[at - from]);
      }
    }
    Buffer read_tail(ByteCount most) override {
      Buffer tail(most);
      tail.resize(most);
      read_at(size() - most, {tail.data(), tail.size()});
      return tail;
    }
    std::string name() const override { return "sparse"; }

   private:
    std::string end_;
  };
  const std::string told = with_little_memory(little, [] {
    Sparse file(layout::seek_max_frames);
    open_archive(file, {.memory = 8_MiB});
  });
  EXPECT_THAT(told, StartsWith("unsupported: the frames of the archive take more than 8.0 MiB"));
}

TEST(HostileArchive, HeadersOfAMemberAreBounded) {
  // A list of the pieces of a sparse file (old GNU format): 512 bytes of the tar each, for ever.
  std::string header(512, '\0');
  const auto field = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  field(0, "objects/a");
  field(100, "0000644");
  field(124, "00000000001");
  field(136, "00000000000");
  field(156, "S");
  field(257, "ustar  ");
  for (std::size_t i = 0; i < 4; ++i)
    field(386 + 24 * i,
          "00000000001\0"
          "00000000001"),
        header[397 + 24 * i] = '\0';
  header[482] = 1;
  field(483, "00000000001");
  field(148, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  field(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  std::string more(512, '\0');
  for (std::size_t i = 0; i < 42; ++i) more.replace(12 * i, 11, "00000000001");
  more[504] = 1;
  std::string tar = header;
  while (tar.size() < 100_MiB) tar += more;
  const CompressedFrame frame = compress_frame_at(as_bytes(tar), 1, 16_MiB);
  const std::string bytes(as_text(frame.bytes.view()));
  const std::string told = with_little_memory(128_MiB, [&] {
    MemorySource file(bytes);
    open_archive(file);
  });
  EXPECT_THAT(told, StartsWith("corrupt: "));
  EXPECT_THAT(told, ::testing::Not(HasSubstr("out of memory")));
}

TEST(HostileSidecar, AManifestThatExpandsIsRefusedInLittleMemory) {
  Sidecar sidecar;
  sidecar.archive.bytes = 100;
  sidecar.frames = {{0, 100, 0, 10'240}};
  for (int i = 0; i < 200'000; ++i)
    sidecar.manifest.objects.push_back({.relative_key = std::to_string(i), .member = std::to_string(i)});
  sidecar.header_offsets.assign(200'000, 0);
  const Buffer index = encode_sidecar(sidecar);
  EXPECT_LT(index.size(), 4_MiB);
  const std::string told =
      with_little_memory(little, [&] { std::ignore = decode_sidecar(index.view(), ReaderLimits{.memory = 4_MiB}); });
  EXPECT_THAT(told, StartsWith("unsupported: the objects of the manifest take more than 4.0 MiB"));
}

// ---- Writing

TEST(PlanTest, AnObjectOfOneTebibyteIsPlannedWithoutAList) {
  ChunkPlan plan({{512, 1ULL << 40}, {512, 10}}, 64_KiB);
  EXPECT_EQ(plan.count(), (1ULL << 40) / 64_KiB + 1);
  const std::string told = with_little_memory(8_MiB, [&] {
    std::uint64_t chunks = 0;
    ByteCount bytes = 0;
    while (const auto chunk = plan.next()) {
      ++chunks;
      bytes += chunk->bytes;
    }
    if (chunks != plan.count() || bytes != 512 + (1ULL << 40) + 1024) throw Error(ErrorKind::internal, "not all");
  });
  EXPECT_EQ(told, "");
}

TEST(WriterLimits, FramesThatTheirListHasNoRoomForAreRefusedBeforeAnythingIsRead) {
  class Nothing final : public MemberSource {
   public:
    TimePoint fetch(std::size_t, ByteCount, MutableBytes) override { throw Error(ErrorKind::internal, "it was read"); }
  } source;
  const auto refusal = [&](ByteCount size, ByteCount memory) -> Error {
    Machine machine(4, 2, memory);
    MemorySink sink;
    try {
      write_archive({{"large", size}}, source, [](const WriteResult&) { return std::optional(std::string("{}")); },
                    sink, machine.pools(), machine.budget, {.level = 3, .frame_size = 64_KiB});
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::internal, "written");
  };
  const Error of_memory = refusal(1ULL << 40, 64_MiB);
  EXPECT_EQ(of_memory.kind(), ErrorKind::invalid);
  EXPECT_THAT(of_memory.what(), HasSubstr("16777217 frames of 64.0 KiB; their list takes more than 16.0 MiB"));
  EXPECT_THAT(of_memory.hint(), HasSubstr("--frame-size"));
  const Error of_format = refusal(1ULL << 44, 1ULL << 50);
  EXPECT_THAT(of_format.what(), HasSubstr("268435457 frames of 64.0 KiB; the format allows"));
}

// ---- The packed list

TEST(ObjectListTest, ObjectsComeBackWhateverTheyAre) {
  ManifestObject usual;
  usual.source_bucket = BucketName("b");
  usual.source_prefix = "p";
  usual.object_name = "c";
  usual.relative_key = "a/c";
  usual.key = ObjectKey("p/a/c");
  usual.member = "objects/a/c";
  usual.last_modified = from_epoch_ms(-5);
  usual.sha256 = std::string(64, 'f');
  usual.data_offset = 512;
  usual.members_before = 3;
  ManifestObject odd = usual;
  odd.source_prefix = "";
  odd.object_name = "other";
  odd.key = ObjectKey("elsewhere");
  odd.member = "objects/%01";
  odd.sha256 = "not hex";
  odd.storage_class = "";
  odd.data_offset.reset();
  odd.size = ~ByteCount{0};
  odd.metadata = {{"", ""}, {"a", std::string(70'000, 'x')}};
  odd.tags = {{"k", "v"}};
  odd.headers.expires = "never";
  const ObjectList list{usual, odd, ManifestObject{}, usual};
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0], usual);
  EXPECT_EQ(list[1], odd);
  EXPECT_EQ(list[2], ManifestObject{});
  EXPECT_EQ(list[3], usual);
  EXPECT_EQ(list.bytes_of(1), ~ByteCount{0});
  EXPECT_EQ(list.data_offset_of(0), 512U);
  EXPECT_FALSE(list.data_offset_of(1));
  const ObjectList copy = list;
  EXPECT_EQ(copy, list);
  EXPECT_THROW(std::ignore = list.at(4), std::out_of_range);
}

TEST(ObjectListTest, AnObjectTakesAboutItsKey) {
  ObjectList list;
  ManifestObject each;
  each.source_bucket = BucketName("bucket");
  each.sha256 = std::string(64, '0');
  for (int i = 0; i < 100'000; ++i) {
    each.relative_key = each.object_name = std::to_string(i);
    each.key = ObjectKey(each.relative_key);
    each.member = "objects/" + each.relative_key;
    list.push_back(each);
  }
  EXPECT_LT(list.memory() / list.size(), 150U);
}

}  // namespace
}  // namespace bale::archive
