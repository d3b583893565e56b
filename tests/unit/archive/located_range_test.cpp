// Many objects of an archive by their locations alone: what is read together, and what damage touches.
#include "archive/located_range.hpp"

#include "archive/member_name.hpp"
#include "embedded/backend.hpp"
#include "support/archive_kit.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"

namespace bale::archive {
namespace {

using test::noise;
using test::words;

LocatedObject at(ByteCount offset, ByteCount length, ByteCount size = 10, ByteCount skip = 0) {
  LocatedObject object;
  object.location = {offset, length, skip};
  object.size = size;
  return object;
}

using Groups = std::vector<std::vector<std::size_t>>;
Groups groups_of(const std::vector<LocatedRange>& ranges) {
  Groups groups;
  for (const LocatedRange& range : ranges) groups.push_back(range.objects);
  return groups;
}

constexpr RangeLimits small{.gap = 100, .range = 1000, .content = 5000};

TEST(PlanRanges, NeighboursAreTogetherInTheOrderOfTheirPlaces) {
  const auto ranges = plan_ranges({at(300, 100), at(0, 100), at(100, 100, 10, 7), at(100, 100), at(500, 50)}, small);
  ASSERT_EQ(ranges.size(), 1u) << "the same, adjacent, and 100 bytes apart";
  EXPECT_EQ(ranges[0].objects, (std::vector<std::size_t>{1, 3, 2, 0, 4}));
  EXPECT_EQ(ranges[0].offset, 0u);
  EXPECT_EQ(ranges[0].length, 550u);
  EXPECT_EQ(ranges[0].content, 50u);
  EXPECT_FALSE(ranges[0].has_one_place);
}

TEST(PlanRanges, ALargerGapIsNotRead) {
  EXPECT_EQ(groups_of(plan_ranges({at(0, 100), at(201, 100)}, small)), (Groups{{0}, {1}}));
}

TEST(PlanRanges, ARangeHasALimitButAFrameIsReadOnce) {
  EXPECT_EQ(groups_of(plan_ranges({at(0, 600), at(600, 400), at(1000, 1)}, small)), (Groups{{0, 1}, {2}}));
  const auto large = plan_ranges({at(0, 3000, 10, 0), at(0, 3000, 10, 10), at(0, 3000, 10, 20)}, small);
  EXPECT_EQ(groups_of(large), (Groups{{0, 1, 2}})) << "one frame, larger than a range may be";
  EXPECT_TRUE(large[0].has_one_place);
}

TEST(PlanRanges, ObjectsAreHeldInMemoryUpToALimitAndLargerOnesAreAlone) {
  EXPECT_EQ(groups_of(plan_ranges({at(0, 10, 2500), at(10, 10, 2500), at(20, 10, 1)}, small)), (Groups{{0, 1}, {2}}));
  EXPECT_EQ(groups_of(plan_ranges({at(0, 10, 5), at(10, 10, 5001), at(20, 10, 5)}, small)), (Groups{{0}, {1}, {2}}));
  EXPECT_EQ(groups_of(plan_ranges({at(0, 10, ~ByteCount{0}), at(0, 10, ~ByteCount{0})}, small)), (Groups{{0}, {1}}));
}

TEST(PlanRanges, WhatCannotBeIsAlone) {
  const ByteCount most = ~ByteCount{0};
  EXPECT_EQ(
      plan_ranges({at(0, 10), at(10, 0), at(10, most), at(most, 10), at(10, 10, 10, most), at(11, 10)}, small).size(),
      6u);
}

TEST(PlanRanges, EachObjectCanHaveItsOwnRange) {
  RangeLimits alone = small;
  alone.alone = true;
  EXPECT_EQ(plan_ranges({at(0, 10), at(0, 10, 10, 5), at(10, 10)}, alone).size(), 3u);
}

class Collected final : public RangeReceiver {
 public:
  void object(std::size_t index, ByteView bytes) override {
    EXPECT_TRUE(objects.emplace(index, as_text(bytes)).second);
  }
  void failed(std::size_t index, const Error& error) override {
    EXPECT_TRUE(failures.emplace(index, error.what()).second);
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
  }
  std::map<std::size_t, std::string> objects, failures;
};

class ReadRange : public ::testing::Test {
 protected:
  explicit ReadRange(std::vector<test::TestMember> members_to_write = many(), ByteCount frame_size = 64 << 10)
      : source_(std::move(members_to_write)),
        archive_(write(source_, machine_, {.level = 3, .frame_size = frame_size})) {
    inner_->create_bucket(BucketName("bucket"));
    put(archive_.bytes);
    for (std::size_t i = 0; i < members().size(); ++i) {
      const WrittenMember& written = archive_.result.members[i];
      LocatedObject object;
      object.location = {written.frame_offset, written.frame_length, written.frame_skip};
      object.size = members()[i].content.size();
      object.sha256 = to_hex_digest(written.sha256);
      object.member_names = possible_member_names(members()[i].name);
      objects_.push_back(object);
    }
  }
  void put(const std::string& bytes) {
    store::MemoryBody body(as_bytes(bytes));
    inner_->put(address_, body, {});
  }
  static std::vector<test::TestMember> many() {
    std::vector<test::TestMember> made;
    for (unsigned i = 0; i < 60; ++i) made.push_back({fmt::format("f{:02}", i), words(3000 + 100 * i, i)});
    made.push_back({"large", noise(300'000, 77)});  // five frames
    made.push_back({"tail", words(50, 78)});
    made.push_back({"empty", ""});
    made.push_back({"last", words(9000, 79)});
    return made;
  }
  const std::vector<test::TestMember>& members() const { return source_.members(); }

  /// Reads all ranges of a plan; an error of one is kept, the others go on.
  void read(const std::vector<std::size_t>& wanted, const RangeLimits& limits = {}) {
    collected_ = {};
    errors_.clear();
    ranges_ = plan_ranges(objects_, wanted, limits);
    for (const LocatedRange& range : ranges_) {
      std::string memory(range.content, '?');
      const MutableBytes bytes(reinterpret_cast<std::byte*>(memory.data()), memory.size());
      try {
        read_range(store_, address_, objects_, range, bytes, collected_);
      } catch (const Error& error) {
        errors_.push_back(error);
      }
    }
  }
  void expect_content(std::size_t index) {
    ASSERT_TRUE(collected_.objects.contains(index)) << index;
    EXPECT_TRUE(collected_.objects.at(index) == members()[index].content) << index;
  }
  static std::vector<std::size_t> all(std::size_t count) {
    std::vector<std::size_t> indices(count);
    for (std::size_t i = 0; i < count; ++i) indices[i] = i;
    return indices;
  }

  bale::testing::FakeWorld fake_;
  os::World world_ = fake_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(fake_.path("store"), world_);
  std::unique_ptr<store::ObjectStore> inner_ = backend_->store(Region("eu-west-1"));
  bale::testing::FaultyStore store_{*inner_};
  const ObjectAddress address_{BucketName("bucket"), ObjectKey("archive")};
  test::Machine machine_;
  test::TestSource source_;
  const test::TestArchive archive_;
  std::vector<LocatedObject> objects_;
  Collected collected_;
  std::vector<LocatedRange> ranges_;
  std::vector<Error> errors_;
};

TEST_F(ReadRange, AllObjectsOfAnArchiveInOneRequest) {
  int gets = 0;
  store_.before = [&](const std::string& method, const std::string&) { gets += method == "get"; };
  read(all(objects_.size()));
  EXPECT_EQ(gets, 1);
  EXPECT_TRUE(errors_.empty() && collected_.failures.empty());
  for (std::size_t i = 0; i < objects_.size(); ++i) expect_content(i);
}

TEST_F(ReadRange, AnyOfThemWhateverIsBetween) {
  std::mt19937 chance(7);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::size_t> wanted;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (chance() % (1 + static_cast<unsigned>(round) % 9) == 0) wanted.push_back(i);
    }
    std::shuffle(wanted.begin(), wanted.end(), chance);
    const RangeLimits limits{.gap = chance() % 70'000, .range = 1 + chance() % 500'000, .content = chance() % 400'000};
    read(wanted, limits);
    ASSERT_TRUE(errors_.empty() && collected_.failures.empty()) << round;
    ASSERT_EQ(collected_.objects.size(), wanted.size());
    for (const std::size_t i : wanted) expect_content(i);
  }
}

TEST_F(ReadRange, WithoutAHashTheFramesChecksumIsEnough) {
  for (LocatedObject& object : objects_) object.sha256.clear();
  read(all(objects_.size()));
  EXPECT_EQ(collected_.objects.size(), objects_.size());
  std::string bytes = archive_.bytes;
  bytes[objects_[0].location.frame_length - 1] ^= 1;  // the checksum of the first frame
  put(bytes);
  read({0, 1});
  EXPECT_TRUE(collected_.objects.empty()) << "nobody knows that they are right";
  EXPECT_EQ(errors_.size(), 1u);
}

TEST_F(ReadRange, ARecordThatLiesFailsAndTheOthersComeOut) {
  const std::vector<LocatedObject> sound = objects_;
  const auto try_out = [&](const std::function<void(LocatedObject&)>& lie, const char* says) {
    objects_ = sound;
    lie(objects_[3]);
    read(all(objects_.size()));
    EXPECT_EQ(collected_.failures.size(), 1u) << says;
    EXPECT_THAT(collected_.failures[3], ::testing::HasSubstr(says));
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (i != 3) expect_content(i);
    }
  };
  try_out([](LocatedObject& o) { o.sha256 = std::string(64, '0'); }, "SHA-256");
  try_out([](LocatedObject& o) { o.member_names = {"objects/other"}; }, "another object");
  try_out([](LocatedObject& o) { o.location.frame_skip += 1; }, "another object");
  try_out([](LocatedObject& o) { o.location.frame_offset += 5; }, "no frame begins");
  try_out(
      [](LocatedObject& o) {
        o.location.frame_skip = 100'000'000;
        o.member_names.clear();
      },
      "the frames end before");
}

TEST_F(ReadRange, DamageIsAnErrorThatNamesThePlace) {
  std::string bytes = archive_.bytes;
  const MemberLocation& large = objects_[60].location;
  bytes[large.frame_offset + large.frame_length / 2] ^= 1;
  put(bytes);
  read({0, 60});
  expect_content(0);
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_EQ(errors_[0].kind(), ErrorKind::corrupt);
  EXPECT_THAT(errors_[0].what(), ::testing::HasSubstr("s3://bucket/archive, bytes"));
  put(archive_.bytes.substr(0, large.frame_offset + 10));
  read({0, 60});
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_EQ(errors_[0].kind(), ErrorKind::corrupt) << "the archive is too short";
  read({63});
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_EQ(errors_[0].kind(), ErrorKind::corrupt) << "the archive ends before";
}

TEST_F(ReadRange, AnAnswerThatBreaksOffIsTheStoresError) {
  store_.arm_break("archive", 20'000);
  read(all(objects_.size()));
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_EQ(errors_[0].kind(), ErrorKind::unavailable);
}

/// One frame of many blocks.
class DamagedFrame : public ReadRange {
 protected:
  static std::vector<test::TestMember> noisy() {
    std::vector<test::TestMember> made;
    for (unsigned i = 0; i < 50; ++i) made.push_back({fmt::format("n{:02}", i), noise(40'000, i)});
    return made;
  }
  DamagedFrame() : ReadRange(noisy(), 4 << 20) {
    std::string bytes = archive_.bytes;
    bytes[bytes.size() / 2] ^= 1;
    put(bytes);
  }
};

TEST_F(DamagedFrame, NothingOfItComesOut) {
  read(all(objects_.size()));
  EXPECT_EQ(errors_.size(), 1u);
  EXPECT_TRUE(collected_.objects.empty());
  for (LocatedObject& object : objects_) object.sha256.clear();
  read(all(objects_.size()));
  EXPECT_TRUE(collected_.objects.empty());
}

}  // namespace
}  // namespace bale::archive
