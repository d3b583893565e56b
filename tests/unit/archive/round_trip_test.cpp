#include <map>
#include <mutex>
#include <set>

#include "archive/compress.hpp"
#include "support/archive_kit.hpp"

namespace bale::archive {
namespace {

using test::Collector;
using test::Machine;
using test::MemorySink;
using test::MemorySource;
using test::noise;
using test::TestArchive;
using test::TestMember;
using test::TestSource;
using test::words;

constexpr ByteCount small_frame = 64 << 10;

/// Sizes round every boundary of a frame of 64 KiB, content of both kinds.
std::vector<TestMember> boundary_members() {
  std::vector<TestMember> members;
  unsigned seed = 0;
  for (const std::size_t size : {0UL, 1UL, 511UL, 512UL, 513UL, 4096UL, small_frame - 1025, small_frame - 1024,
                                 small_frame - 513, small_frame - 512, small_frame - 511, small_frame - 1, small_frame,
                                 small_frame + 1, 2 * small_frame - 512, 3 * small_frame + 7, 0UL, 20 * small_frame}) {
    ++seed;
    members.push_back({"dir" + std::to_string(seed % 3) + "/m" + std::to_string(seed),
                       seed % 4 == 0 ? noise(size, seed) : words(size, seed)});
  }
  return members;
}

void expect_equal(const Collector& collector, const Manifest& manifest, const std::vector<TestMember>& members) {
  ASSERT_TRUE(collector.damages.empty()) << collector.damages[0].error.what();
  ASSERT_EQ(manifest.objects.size(), members.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    EXPECT_EQ(manifest.objects[i].relative_key, members[i].name);
    ASSERT_TRUE(collector.objects.contains(i)) << members[i].name;
    EXPECT_TRUE(collector.objects.at(i) == members[i].content) << members[i].name;
    EXPECT_EQ(manifest.objects[i].sha256, to_hex_digest(Sha256::of(as_bytes(members[i].content))));
  }
}

struct Shape {
  int level;
  ByteCount frame_size;
  std::size_t connections, cores;
  ByteCount memory;
};
class RoundTrip : public testing::TestWithParam<Shape> {};

TEST_P(RoundTrip, GivesBackWhatWentIn) {
  const Shape shape = GetParam();
  Machine machine(shape.connections, shape.cores, shape.memory);
  TestSource source(boundary_members());
  const TestArchive archive = write(source, machine, {.level = shape.level, .frame_size = shape.frame_size});
  EXPECT_LE(machine.budget.peak(), std::max<ByteCount>(shape.memory, 3 * shape.frame_size));
  MemorySource file(archive.bytes);
  const auto reader = open_archive(file);
  EXPECT_TRUE(reader->random_access());
  EXPECT_EQ(reader->tar_bytes(), archive.result.tar_bytes);
  EXPECT_EQ(reader->frames(), archive.result.frames);
  EXPECT_EQ(archive.bytes.size(), archive.result.archive_bytes);
  Collector collector;
  reader->read({}, collector, machine.pools(), machine.budget, {});
  expect_equal(collector, reader->manifest(), source.members());
  for (std::size_t i = 0; i < source.members().size(); ++i) {
    const MemberLocation location = reader->locate(i);
    EXPECT_EQ(location.frame_offset, archive.result.members[i].frame_offset);
    EXPECT_EQ(location.frame_length, archive.result.members[i].frame_length);
    EXPECT_EQ(location.frame_skip, archive.result.members[i].frame_skip);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RoundTrip,
                         testing::Values(Shape{3, small_frame, 4, 2, 64 << 20}, Shape{1, small_frame, 1, 1, 1},
                                         Shape{12, 1 << 20, 3, 3, 8 << 20}, Shape{19, 128 << 10, 8, 2, 600 << 10},
                                         Shape{12, default_frame_size, 4, 2, 256 << 20}));

TEST(RoundTripTest, NothingAtAllIsAnArchiveToo) {
  Machine machine;
  TestSource source({});
  MemorySource file(write(source, machine).bytes);
  const auto reader = open_archive(file);
  EXPECT_TRUE(reader->manifest().objects.empty());
  Collector collector;
  reader->read({}, collector, machine.pools(), machine.budget, {});
  EXPECT_EQ(collector.frames, 0);
}

TEST(RoundTripTest, TenThousandTinyMembers) {
  Machine machine;
  std::vector<TestMember> members;
  for (int i = 0; i < 10'000; ++i) members.push_back({"k/" + std::to_string(i), words(1024, static_cast<unsigned>(i))});
  TestSource source(members);
  MemorySource file(write(source, machine).bytes);
  const auto reader = open_archive(file);
  Collector collector;
  reader->read({}, collector, machine.pools(), machine.budget, {});
  expect_equal(collector, reader->manifest(), source.members());
}

TEST(RoundTripTest, RandomSizesAndOrders) {
  std::mt19937 random(7);
  for (int round = 0; round < 10; ++round) {
    std::vector<TestMember> members;
    const std::size_t count = 1 + random() % 60;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t size = random() % 5 == 0 ? random() % 400'000 : random() % 3'000;
      members.push_back({"r" + std::to_string(i), random() % 3 == 0 ? noise(size, i) : words(size, i)});
    }
    Machine machine(1 + random() % 6, 1 + random() % 3, 300'000 + random() % 4'000'000);
    TestSource source(members);
    MemorySource file(
        write(source, machine, {.level = 1 + static_cast<int>(random() % 9), .frame_size = small_frame}).bytes);
    const auto reader = open_archive(file);
    Collector collector;
    reader->read({}, collector, machine.pools(), machine.budget, {});
    expect_equal(collector, reader->manifest(), source.members());
  }
}

TEST(RoundTripTest, TheBytesDoNotDependOnThreadsTimingOrMemory) {
  std::string first;
  for (const auto& [connections, cores, memory] :
       {std::tuple{1, 1, 1ULL << 20}, std::tuple{8, 3, 64ULL << 20}, std::tuple{3, 2, 512ULL << 10}}) {
    Machine machine(static_cast<std::size_t>(connections), static_cast<std::size_t>(cores), memory);
    TestSource source(boundary_members());
    source.on_fetch = [&](std::size_t index, ByteCount) {
      std::this_thread::sleep_for(std::chrono::microseconds(index * 7919 % 900));
    };
    const TestArchive archive = write(source, machine, {.level = 5, .frame_size = small_frame});
    if (first.empty()) first = archive.bytes;
    EXPECT_TRUE(first == archive.bytes);
  }
}

TEST(RoundTripTest, OneMemberIsReadFromTheTailAndItsFramesAlone) {
  Machine machine;
  std::vector<TestMember> members;
  for (unsigned i = 0; i < 64; ++i) members.push_back({"n" + std::to_string(i), noise(300'000, i)});
  TestSource source(members);
  const TestArchive archive = write(source, machine, {.level = 3, .frame_size = 1 << 20});
  MemorySource file(archive.bytes);
  const auto reader = open_archive(file);
  EXPECT_EQ(file.requests, 1U);  // the tail tells everything
  file.bytes_read = 0;
  Collector collector;
  reader->read({20}, collector, machine.pools(), machine.budget, {});
  EXPECT_EQ(file.bytes_read, reader->locate(20).frame_length);
  EXPECT_LT(file.bytes_read, 1'100'000U);
  EXPECT_EQ(collector.objects.size(), 1U);
  EXPECT_TRUE(collector.objects[20] == members[20].content);
}

TEST(RoundTripTest, FramesOutliveTheReadThatGaveThem) {
  Machine machine;  // the budget outlives the frames
  Collector collector;
  collector.keep_frames = true;
  TestSource source({{"a", words(200'000, 1)}, {"b", words(200'000, 2)}});
  MemorySource file(write(source, machine, {.level = 3, .frame_size = small_frame}).bytes);
  {
    const auto reader = open_archive(file);
    reader->read({}, collector, machine.pools(), machine.budget, {});
  }
  std::string all;
  for (const auto& frame : collector.kept) all.append(as_text(frame->bytes.view()));
  EXPECT_NE(all.find(words(1000, 1)), std::string::npos);
}

/// Every level in turn, and what it was told.
class LevelsInTurn final : public FrameLevels {
 public:
  int choose(const FrameContent& frame) override {
    const std::scoped_lock lock(mutex_);
    EXPECT_FALSE(frame.members.empty());
    for (const PlannedMember* member : frame.members) names_.insert(member->name);
    const int level = levels_[next_++ % std::size(levels_)];
    chosen_[frame.bytes.data()] = level;
    return level;
  }
  void compressed(const FrameContent& frame, int level, ByteCount stored, double core_seconds) override {
    const std::scoped_lock lock(mutex_);
    EXPECT_EQ(chosen_.at(frame.bytes.data()), level);
    EXPECT_GE(core_seconds, 0);
    if (level == store_level) {
      EXPECT_GT(stored, frame.bytes.size());
    }
    content += frame.bytes.size();
    at_level[level] += frame.bytes.size();
    seconds += core_seconds;
  }
  std::size_t names() const { return names_.size(); }
  ByteCount content = 0;
  std::map<int, ByteCount> at_level;
  double seconds = 0;

 private:
  static constexpr int levels_[] = {0, 1, 7, 19};
  std::mutex mutex_;
  std::size_t next_ = 0;
  std::map<const std::byte*, int> chosen_;
  std::set<std::string> names_;
};

TEST(RoundTripTest, EachFrameMayHaveALevelOfItsOwn) {
  Machine machine;
  TestSource source(boundary_members());
  LevelsInTurn levels;
  WriterOptions options{.level = 3, .frame_size = small_frame};
  options.levels = &levels;
  const TestArchive archive = write(source, machine, options);
  MemorySource file(archive.bytes);
  const auto reader = open_archive(file);
  Collector collector;
  reader->read({}, collector, machine.pools(), machine.budget, {});
  expect_equal(collector, reader->manifest(), source.members());
  EXPECT_EQ(levels.names(), source.members().size());
  EXPECT_LE(levels.content, archive.result.tar_bytes);  // which has the manifest, too
  EXPECT_EQ(levels.at_level.size(), 4u);
  for (const auto& [level, bytes] : levels.at_level) EXPECT_LE(bytes, levels.at_level[archive.result.level]);
  constexpr double rounding = 1e-9;  // the same numbers, added in another order
  EXPECT_GE(archive.result.core_seconds, levels.seconds - rounding);
}

}  // namespace
}  // namespace bale::archive
