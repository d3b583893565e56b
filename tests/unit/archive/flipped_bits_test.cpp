// Every bit of an archive counts: none can be flipped without a full read noticing it, and saying where.
#include <algorithm>

#include "archive/compress.hpp"
#include "archive/deliver.hpp"
#include "archive/layout.hpp"
#include "archive/seek_table.hpp"
#include "support/archive_kit.hpp"

namespace bale::archive {
namespace {

using test::Machine;
using test::manifest_of;
using test::MemorySink;
using test::MemorySource;
using test::TestMember;
using test::TestSource;

constexpr ByteCount frame_size = min_frame_size;

/// Text that repeats itself, so that a match may be found at many offsets: what a flipped bit may change unseen.
std::string repetitive(std::size_t bytes, std::string_view line) {
  std::string text;
  while (text.size() < bytes) text.append(line).append("\n");
  text.resize(bytes);
  return text;
}

class Nobody final : public ObjectReceiver {
 public:
  void write(ByteView) override {}
  void finish() override {}
};

/// An archive, and which of its objects are in which frame.
struct Subject {
  std::string bytes;
  std::vector<SeekEntry> frames;
  std::vector<ByteCount> offsets;  ///< of the frames, the trailer's behind them last
  std::vector<std::set<std::size_t>> objects;
  std::size_t first_of_manifest = 0;
  std::size_t frame_at(ByteCount at) const {
    return static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), at) - offsets.begin()) - 1;
  }
};

std::vector<SeekEntry> seek_table_of(const std::string& bytes) {
  SeekFooter footer;
  EXPECT_TRUE(find_seek_footer(as_bytes(bytes), layout::seek_max_frames, footer));
  return decode_seek_table(as_bytes(bytes).last(footer.table_bytes()), footer);
}

/// `manifest_bytes`: what the manifest is filled up to with spaces.
Subject subject(const std::vector<TestMember>& members, int level, std::size_t manifest_bytes = 0) {
  Machine machine;
  TestSource source(members);
  MemorySink sink;
  const WriteResult result =
      write_archive(source.plan(), source,
                    [&](const WriteResult& written) {
                      std::string text = to_json(manifest_of(members, written.members, level));
                      text.resize(std::max(text.size(), manifest_bytes), ' ');
                      return std::optional(text);
                    },
                    sink, machine.pools(), machine.budget, {.level = level, .frame_size = frame_size});
  Subject made{.bytes = sink.bytes, .frames = seek_table_of(sink.bytes)};
  made.frames.pop_back();  // the trailer
  ByteCount end = 0, objects_end = 0;
  for (const SeekEntry& entry : made.frames) {
    made.offsets.push_back(end);
    end += entry.compressed;
  }
  made.offsets.push_back(end);
  made.objects.resize(made.frames.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    const WrittenMember& member = result.members[i];
    objects_end = std::max(objects_end, member.frame_offset + member.frame_length);
    for (ByteCount at = member.frame_offset; at < member.frame_offset + member.frame_length;) {
      const std::size_t frame = made.frame_at(at);
      made.objects[frame].insert(i);
      at += made.frames[frame].compressed;
    }
  }
  made.first_of_manifest = made.frame_at(objects_end);
  return made;
}

/// What a full read says of an archive; empty where it says nothing.
struct Findings {
  std::string refusal;  ///< nothing could be read
  std::string flaw;
  std::map<std::size_t, std::string> objects;
  bool none() const { return refusal.empty() && flaw.empty() && objects.empty(); }
};

Findings read_all(MemorySource& file, Machine& machine) {
  Findings findings;
  try {
    const auto reader = open_archive(file);
    if (reader->flaw()) findings.flaw = reader->flaw()->what();
    const Delivery delivery = deliver_objects(*reader, {}, [](std::size_t) { return std::make_unique<Nobody>(); },
                                              machine.pools(), machine.budget, {});
    for (const auto& [object, error] : delivery.failures) findings.objects[object] = error.what();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
    findings.refusal = error.what();
  }
  return findings;
}

void expect_that_frame_is_named(const Subject& subject, std::size_t frame, const Findings& findings) {
  const std::string name = "frame " + std::to_string(frame);
  if (frame >= subject.first_of_manifest) {
    EXPECT_THAT(findings.refusal, ::testing::HasSubstr(name + ", which holds manifest.json"));
    return;
  }
  std::set<std::size_t> objects;
  for (const auto& [object, what] : findings.objects) {
    objects.insert(object);
    EXPECT_TRUE(what.find(name) != std::string::npos || what.find("beginning of the object") != std::string::npos)
        << what;
  }
  EXPECT_EQ(objects, subject.objects[frame]);
}

/// Flips the bits of bytes [first, first + count), one after the other.
void expect_every_flip_noticed(const Subject& subject, ByteCount first, ByteCount count) {
  Machine machine(1, 1);
  MemorySource file(subject.bytes);
  EXPECT_TRUE(read_all(file, machine).none());
  std::vector<std::string> unnoticed;
  for (ByteCount at = first; at < first + count; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      file.bytes[at] = static_cast<char>(file.bytes[at] ^ (1 << bit));
      const Findings findings = read_all(file, machine);
      file.bytes[at] = subject.bytes[at];
      const std::size_t frame = subject.frame_at(at);
      if (findings.none()) unnoticed.push_back(fmt::format("byte {}, bit {}, frame {}", at, bit, frame));
      if (!findings.none() && frame < subject.frames.size()) expect_that_frame_is_named(subject, frame, findings);
    }
  }
  EXPECT_THAT(unnoticed, ::testing::IsEmpty()) << unnoticed.size() << " of " << count * 8 << " flips";
}

std::vector<TestMember> members_of_three_frames() {
  return {{"a.txt", repetitive(60'000, "to be or not to be")},
          {"b.txt", repetitive(40'000, "that is the question")},
          {"c.txt", "short"},
          {"empty", ""},
          {"large.txt", repetitive(100'000, "whether it is nobler in the mind to suffer")}};
}

class FlippedBitsTest : public ::testing::TestWithParam<int> {};

TEST_P(FlippedBitsTest, EachIsNoticedAndNamesItsFrameAndObjects) {
  const Subject archive = subject(members_of_three_frames(), GetParam());
  ASSERT_GE(archive.first_of_manifest, 3U);
  ASSERT_LT(archive.bytes.size(), 4096U);
  expect_every_flip_noticed(archive, 0, archive.bytes.size());
}

INSTANTIATE_TEST_SUITE_P(Levels, FlippedBitsTest, ::testing::Values(1, 12, 19));

TEST(FlippedBitsOfAShapeTest, StoredContent) {
  const Subject archive = subject({{"a.txt", "to be"}, {"b.txt", "or not to be"}}, store_level);
  expect_every_flip_noticed(archive, 0, archive.bytes.size());
}

TEST(FlippedBitsOfAShapeTest, NoObjects) {
  const Subject archive = subject({}, 3);
  expect_every_flip_noticed(archive, 0, archive.bytes.size());
}

TEST(FlippedBitsOfAShapeTest, TheEndOfTheTarInAFrameOfItsOwn) {
  // The manifest and its header fill a frame: the zero blocks that end the tar are in the next one.
  const Subject archive = subject({{"a.txt", "to be or not to be"}}, 3, frame_size - layout::tar_block);
  ASSERT_EQ(archive.frames.back().decompressed, layout::tar_end_bytes);
  const ByteCount last = archive.offsets[archive.frames.size() - 1];
  expect_every_flip_noticed(archive, last, archive.bytes.size() - last);
}

}  // namespace
}  // namespace bale::archive
