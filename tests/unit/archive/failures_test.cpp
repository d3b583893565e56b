// What goes wrong while an archive is written or read, and what is left then.
#include <thread>

#include "archive/deliver.hpp"
#include "archive/layout.hpp"
#include "archive/seek_table.hpp"
#include "support/archive_kit.hpp"
#include "support/fake_world.hpp"

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
using ::testing::HasSubstr;

constexpr ByteCount small_frame = 64 << 10;
const WriterOptions small_options{.level = 2, .frame_size = small_frame};

std::vector<TestMember> many_members(std::size_t count, std::size_t size = 20'000) {
  std::vector<TestMember> members;
  for (std::size_t i = 0; i < count; ++i)
    members.push_back({"m" + std::to_string(i),
                       i % 2 == 0 ? words(size, static_cast<unsigned>(i)) : noise(size, static_cast<unsigned>(i))});
  return members;
}

std::optional<std::string> empty_manifest(const WriteResult&) { return to_json(Manifest{}); }

TEST(WriterFailureTest, ASmallMemberThatFailsIsLeftOutAndTheOthersCloseTheGap) {
  for (const std::set<std::size_t>& lost : {std::set<std::size_t>{0}, {3, 4}, {9}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
    Machine machine;
    TestSource source(many_members(10));
    int fired = 0;
    std::mutex mutex;
    source.on_fetch = [&](std::size_t index, ByteCount) {
      if (!lost.contains(index)) return;
      const std::scoped_lock lock(mutex);
      ++fired;
      throw Error(ErrorKind::not_found, "gone");
    };
    const TestArchive archive = write(source, machine, small_options);
    EXPECT_EQ(fired, static_cast<int>(lost.size()));
    std::size_t object = 0;
    MemorySource file(archive.bytes);
    const auto reader = open_archive(file);
    EXPECT_EQ(reader->manifest().objects.size(), 10 - lost.size());
    Collector collector;
    reader->read({}, collector, machine.pools(), machine.budget, {});
    EXPECT_TRUE(collector.damages.empty());
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(archive.result.members[i].failure.has_value(), lost.contains(i));
      if (lost.contains(i)) {
        EXPECT_EQ(archive.result.members[i].failure->kind(), ErrorKind::not_found);
        continue;
      }
      EXPECT_TRUE(collector.objects[object++] == source.members()[i].content);
    }
  }
}

TEST(WriterFailureTest, ALargeMemberThatFailsEndsTheArchive) {
  for (const ByteCount failing_offset : {ByteCount{0}, ByteCount{1}, ByteCount{900'000}}) {
    Machine machine;
    std::vector<TestMember> members = many_members(5);
    members.insert(members.begin() + 2, {"large", noise(1'000'000, 9)});
    TestSource source(members);
    source.on_fetch = [&](std::size_t index, ByteCount offset) {
      if (index == 2 && offset >= failing_offset) throw Error(ErrorKind::unavailable, "lost");
    };
    MemorySink sink;
    try {
      write_archive(source.plan(), source, empty_manifest, sink, machine.pools(), machine.budget, small_options);
      FAIL();
    } catch (const MemberLost& error) {
      EXPECT_EQ(error.index(), 2U);
      EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    }
    EXPECT_FALSE(sink.finished);
  }
}

TEST(WriterFailureTest, ASinkThatFailsEndsTheArchivePromptlyWithLittleMemory) {
  for (const std::size_t after : {std::size_t{0}, std::size_t{200'000}}) {
    Machine machine(4, 2, 4 * small_frame);  // the pipeline waits for memory when the sink fails
    TestSource source(many_members(100));
    MemorySink sink;
    int fired = 0;
    sink.on_append = [&](std::size_t written) {
      if (written < after) return;
      ++fired;
      throw Error(ErrorKind::unavailable, "disk full");
    };
    try {
      write_archive(source.plan(), source, empty_manifest, sink, machine.pools(), machine.budget, small_options);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("disk full"));
    }
    EXPECT_EQ(fired, 1);
    EXPECT_LT(source.fetches, 100);  // prompt
    EXPECT_TRUE(machine.budget.try_acquire(machine.budget.limit()).has_value()) << "memory was not given back";
  }
}

TEST(WriterFailureTest, AFailureInTheManifestOrAtTheEndIsThrown) {
  Machine machine;
  TestSource source(many_members(3));
  MemorySink sink;
  EXPECT_THROW(write_archive(
                   source.plan(), source,
                   [](const auto&) -> std::optional<std::string> { throw Error(ErrorKind::internal, "no manifest"); },
                   sink, machine.pools(), machine.budget, small_options),
               Error);
  MemorySink failing;
  failing.on_finish = [] { throw Error(ErrorKind::unavailable, "not durable"); };
  EXPECT_THROW(
      write_archive(source.plan(), source, empty_manifest, failing, machine.pools(), machine.budget, small_options),
      Error);
}

TEST(WriterFailureTest, WithoutAManifestTheArchiveIsGivenUp) {
  Machine machine;
  TestSource source(many_members(3));
  MemorySink sink;
  const WriteResult result = write_archive(
      source.plan(), source, [](const auto&) { return std::nullopt; }, sink, machine.pools(), machine.budget,
      small_options);
  EXPECT_EQ(result.frames, 0U);
  EXPECT_FALSE(sink.finished);
}

TEST(WriterFailureTest, AStopEndsItAtOnce) {
  Machine machine(2, 1, 4 * small_frame);
  TestSource source(many_members(200));
  std::stop_source stop;
  std::atomic<int> seen{0};
  source.on_fetch = [&](std::size_t, ByteCount) {
    if (++seen == 20) stop.request_stop();
  };
  MemorySink sink;
  WriterOptions options = small_options;
  options.stop = stop.get_token();
  try {
    write_archive(source.plan(), source, empty_manifest, sink, machine.pools(), machine.budget, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
  EXPECT_LT(source.fetches, 60);
  EXPECT_FALSE(sink.finished);
}

TEST(WriterFailureTest, BadOptionsAndNamesAreRefusedBeforeAnything) {
  Machine machine;
  TestSource source(many_members(1));
  MemorySink sink;
  const auto attempt = [&](std::vector<PlannedMember> members, WriterOptions options) {
    try {
      write_archive(members, source, empty_manifest, sink, machine.pools(), machine.budget, options);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::invalid;
    }
    return false;
  };
  EXPECT_TRUE(attempt(source.plan(), {.level = -1}));
  EXPECT_TRUE(attempt(source.plan(), {.level = 23}));
  EXPECT_TRUE(attempt(source.plan(), {.frame_size = small_frame + 1}));
  EXPECT_TRUE(attempt(source.plan(), {.frame_size = 512}));
  EXPECT_TRUE(attempt(source.plan(), {.frame_size = 256 << 20}));
  EXPECT_TRUE(attempt({{"a", 1}, {"a", 1}}, {}));
  EXPECT_TRUE(attempt({{std::string(9000, 'x'), 1}}, {}));
  EXPECT_EQ(source.fetches, 0);
  EXPECT_TRUE(sink.bytes.empty());
}

// ---- Reading

TEST(ReaderFailureTest, AVisitorASourceAndAStopEndTheReading) {
  Machine machine(2, 2, 6 * small_frame);
  TestSource source(many_members(100));
  MemorySource file(write(source, machine, small_options).bytes);
  const auto reader = open_archive(file);
  Collector throwing;
  throwing.on_frame = [] { throw Error(ErrorKind::unavailable, "visitor"); };
  EXPECT_THROW(reader->read({}, throwing, machine.pools(), machine.budget, {}), Error);
  EXPECT_EQ(throwing.frames, 1);
  std::stop_source stop;
  Collector stopping;
  stopping.on_frame = [&] { stop.request_stop(); };
  try {
    reader->read({}, stopping, machine.pools(), machine.budget, stop.get_token());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
  std::atomic<int> fired{0};
  file.on_read = [&](ByteCount offset, std::size_t) {
    if (offset < 500'000) return;
    ++fired;
    throw Error(ErrorKind::unavailable, "source");
  };
  Collector collector;
  EXPECT_THROW(reader->read({}, collector, machine.pools(), machine.budget, {}), Error);
  EXPECT_GE(fired, 1);
  EXPECT_TRUE(machine.budget.try_acquire(machine.budget.limit()).has_value()) << "memory was not given back";
}

TEST(ReaderFailureTest, OneBadFrameCostsItsObjectsAlone) {
  Machine machine;
  std::vector<TestMember> members = many_members(20);
  members.push_back({"large", noise(300'000, 77)});
  TestSource source(members);
  const TestArchive archive = write(source, machine, small_options);
  for (const std::size_t victim : {std::size_t{4}, std::size_t{20}}) {
    MemorySource file(archive.bytes);
    const WrittenMember& member = archive.result.members[victim];
    file.bytes[member.frame_offset + 100] ^= 1;
    const auto reader = open_archive(file);
    Collector collector;
    reader->read({}, collector, machine.pools(), machine.budget, {});
    ASSERT_EQ(collector.damages.size(), 1U);
    EXPECT_EQ(collector.damages[0].error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(collector.damages[0].error.what(), HasSubstr("memory.tar.zst, frame"));
    EXPECT_TRUE(collector.damaged_objects().contains(victim));
    for (std::size_t i = 0; i < members.size(); ++i) {
      const bool shares = archive.result.members[i].frame_offset == member.frame_offset;
      EXPECT_EQ(collector.damaged_objects().contains(i), shares);
      if (!shares) {
        EXPECT_TRUE(collector.objects[i] == members[i].content);
      }
    }
  }
}

/// Collects delivered objects.
struct Shelf {
  std::mutex mutex;
  std::map<std::size_t, std::string> objects;
};
class ShelfReceiver : public ObjectReceiver {
 public:
  ShelfReceiver(Shelf& shelf, std::size_t object) : shelf_(shelf), object_(object) {}
  void write(ByteView bytes) override { content_.append(as_text(bytes)); }
  void finish() override {
    const std::scoped_lock lock(shelf_.mutex);
    shelf_.objects[object_] = content_;
  }

 private:
  Shelf& shelf_;
  std::size_t object_;
  std::string content_;
};

TEST(HostileTest, FlippingAnyByteNeverGivesWrongBytes) {
  Machine machine;
  std::vector<TestMember> members = many_members(6, 9'000);
  members.push_back({"large", words(200'000, 5)});
  members.push_back({"empty", ""});
  TestSource source(members);
  const TestArchive archive = write(source, machine, small_options);
  const std::string& sound = archive.bytes;
  MemorySource sound_file(sound);
  const Manifest sound_manifest = open_archive(sound_file)->manifest();
  std::size_t refused = 0, damaged = 0;
  for (std::size_t at = 0; at<sound.size(); at += at> sound.size() - 400 ? 1 : 97) {
    MemorySource file(sound);
    file.bytes[at] = static_cast<char>(file.bytes[at] ^ (1 << (at % 8)));
    Shelf shelf;
    try {
      const auto reader = open_archive(file);
      const Delivery delivery =
          deliver_objects(*reader, {}, [&](std::size_t i) { return std::make_unique<ShelfReceiver>(shelf, i); },
                          machine.pools(), machine.budget, {});
      EXPECT_EQ(reader->manifest(), sound_manifest);
      const bool noticed = !delivery.failures.empty() || reader->flaw();
      damaged += noticed ? 1 : 0;
      EXPECT_TRUE(noticed) << "byte " << at;
      for (const auto& [object, error] : delivery.failures) EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_EQ(delivery.failures.size() + shelf.objects.size(), members.size());
    } catch (const Error& error) {
      ++refused;
      EXPECT_TRUE(error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported) << error.what();
    }
    for (const auto& [object, content] : shelf.objects) EXPECT_TRUE(content == members[object].content) << at;
  }
  EXPECT_GT(damaged, 0U);
  EXPECT_GT(refused, 0U);
}

TEST(HostileTest, TruncatingAnywhereIsCorrupt) {
  Machine machine;
  TestSource source(many_members(6, 9'000));
  const std::string sound = write(source, machine, small_options).bytes;
  for (std::size_t length = 0; length<sound.size(); length += length> sound.size() - 300 ? 1 : 101) {
    MemorySource file(sound.substr(0, length));
    try {
      // Only what is behind the manifest may be missing; then every object is there.
      const auto reader = open_archive(file);
      EXPECT_TRUE(reader->flaw()) << "opened at " << length;
      Collector collector;
      reader->read({}, collector, machine.pools(), machine.budget, {});
      EXPECT_TRUE(collector.damages.empty());
      EXPECT_EQ(collector.objects.size(), 6U);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("memory.tar.zst"));
    }
  }
}

TEST(DeliverTest, OneObjectsReceiverMayFailWithoutTheOthers) {
  Machine machine;
  std::vector<TestMember> members = many_members(40, 5'000);
  members.push_back({"large", noise(400'000, 7)});
  members.push_back({"large too", noise(400'000, 8)});
  TestSource source(members);
  MemorySource file(write(source, machine, small_options).bytes);
  const auto reader = open_archive(file);
  Shelf shelf;
  const Delivery delivery = deliver_objects(*reader, {},
                                            [&](std::size_t i) -> std::unique_ptr<ObjectReceiver> {
                                              if (i == 3 || i == 40) throw Error(ErrorKind::denied, "not here");
                                              return std::make_unique<ShelfReceiver>(shelf, i);
                                            },
                                            machine.pools(), machine.budget, {});
  EXPECT_EQ(delivery.failures.size(), 2U);
  EXPECT_EQ(delivery.delivered, 40U);
  EXPECT_TRUE(shelf.objects[41] == members[41].content);
  EXPECT_THROW(deliver_objects(*reader, {},
                               [](std::size_t) -> std::unique_ptr<ObjectReceiver> {
                                 throw Error(ErrorKind::unavailable, "disk full");
                               },
                               machine.pools(), machine.budget, {}),
               Error);
}

TEST(DeliverTest, AWrongDigestIsDamage) {
  Machine machine;
  TestSource source({{"a", "hello"}, {"b", "world"}});
  MemorySink sink;
  write_archive(
      source.plan(), source,
      [&](const WriteResult& written) {
        Manifest manifest = test::manifest_of(source.members(), written.members, 2);
        test::change(manifest.objects, 1, [](ManifestObject& object) { object.sha256 = std::string(64, '0'); });
        return std::optional(to_json(manifest));
      },
      sink, machine.pools(), machine.budget, small_options);
  MemorySource file(sink.bytes);
  const auto reader = open_archive(file);
  Shelf shelf;
  const Delivery delivery =
      deliver_objects(*reader, {}, [&](std::size_t i) { return std::make_unique<ShelfReceiver>(shelf, i); },
                      machine.pools(), machine.budget, {});
  ASSERT_EQ(delivery.failures.size(), 1U);
  EXPECT_THAT(delivery.failures.at(1).what(), HasSubstr("SHA-256"));
  EXPECT_EQ(shelf.objects.size(), 1U);
}

TEST(ExtractTest, NothingIsWrittenOutsideOfTheDirectory) {
  bale::testing::FakeWorld world;
  Machine machine;
  std::vector<TestMember> members{{"../escape", "1"}, {"/absolute", "2"}, {"a/../../b", "3"}, {"link/inside", "4"},
                                  {"fine/file", "5"}, {"a", "6"},         {"a/b", "7"},       {"dir/", "8"}};
  TestSource source(members);
  MemorySource file(write(source, machine, small_options).bytes);
  const auto reader = open_archive(file);
  const auto to = world.path("out");
  std::filesystem::create_directories(to);
  std::filesystem::create_directories(world.path("elsewhere"));
  std::filesystem::create_directory_symlink(world.path("elsewhere"), to / "link");
  FileExtractor extractor(*world.files, to, reader->manifest().objects);
  const Delivery delivery =
      deliver_objects(*reader, {},
                      [&](std::size_t i) {
                        return extractor.receive(i, reader->manifest().objects[i].last_modified, extractor.found(i));
                      },
                      machine.pools(), machine.budget, {});
  extractor.sync();
  ASSERT_EQ(delivery.failures.size(), 1U);
  EXPECT_EQ(delivery.failures.at(3).kind(), ErrorKind::denied);
  EXPECT_TRUE(std::filesystem::is_empty(world.path("elsewhere")));
  EXPECT_FALSE(std::filesystem::exists(world.path("escape")));
  EXPECT_FALSE(std::filesystem::exists(world.path("b")));
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i == 3) continue;
    const auto path = extractor.path_of(i).lexically_relative(world.directory.path());
    EXPECT_EQ(world.read(path), members[i].content);
    EXPECT_EQ(world.files->info(extractor.path_of(i))->modified, members[i].modified);
  }
}

}  // namespace
}  // namespace bale::archive
