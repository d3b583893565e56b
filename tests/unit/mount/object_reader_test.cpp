// Bytes of objects out of archives in a store, and how many requests they take.
#include "mount/object_reader.hpp"

#include <thread>

#include "archive/writer.hpp"
#include "base/error.hpp"
#include "embedded/backend.hpp"
#include "mount/open_object.hpp"
#include "support/archive_kit.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"

namespace bale::mount {
namespace {

using namespace bale::literals;
using test::noise;
using test::words;

class ObjectReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    inner_ = backend_->store(Region("eu-west-1"));
    for (const char* bucket : {"backup", "second"}) inner_->create_bucket(BucketName(bucket));
    store_.emplace(*inner_);
    store_->before = [this](const std::string& method, const std::string&) {
      if (method == "get") ++requests_;
    };
    put("backup", archive_.bytes);
  }
  void put(const std::string& bucket, const std::string& bytes) {
    store::MemoryBody body(as_bytes(bytes));
    inner_->put({BucketName(bucket), key_}, body, {});
  }
  StoredObject object(std::size_t i) const {
    const archive::WrittenMember& member = archive_.result.members[i];
    StoredObject object{static_cast<NodeId>(i + 2), 1, {}};
    object.record.source_bucket = BucketName("source");
    object.record.object_path = ObjectKey(source_.members()[i].name);
    object.record.object_size = source_.members()[i].content.size();
    object.record.archive_bucket = BucketName("backup");
    object.record.archive_key = key_;
    object.record.target_buckets = {BucketName("backup"), BucketName("second")};
    object.record.sha256 = to_hex_digest(member.sha256);
    object.record.location = archive::MemberLocation{member.frame_offset, member.frame_length, member.frame_skip};
    return object;
  }
  const std::string& content(std::size_t i) const { return source_.members()[i].content; }
  std::string read(const StoredObject& object, ByteCount offset, ByteCount length) {
    std::string bytes(length, '\0');
    reader().read(object, offset, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}, {});
    return bytes;
  }
  std::string read(OpenObject& open, ByteCount offset, ByteCount length) {
    std::string bytes(length, '\0');
    bytes.resize(open.read(offset, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}, {}));
    return bytes;
  }
  ObjectReader& reader() {
    if (!reader_) reader_.emplace(*store_, cache_, machine_.budget);
    return *reader_;
  }
  void expect_failure(ErrorKind kind, const std::string& part, const std::function<void()>& work) {
    try {
      work();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_THAT(error.what(), ::testing::HasSubstr(part));
    }
  }

  bale::testing::FakeWorld fake_;
  os::World world_ = fake_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(fake_.path("store"), world_);
  std::unique_ptr<store::ObjectStore> inner_;
  std::optional<bale::testing::FaultyStore> store_;
  std::atomic<int> requests_{0};
  const ObjectKey key_{"source/archive.tar.zst"};
  test::Machine machine_;
  /// 0 to 2 share a frame; 3 and 4 are in frames of their own, 4 in ten that are read one by one.
  test::TestSource source_{{{"a", words(3000, 1)},
                            {"b", words(9000, 2)},
                            {"empty", ""},
                            {"middle", noise(5'000'000, 3)},
                            {"large", noise(40'000'000, 4)}}};
  const test::TestArchive archive_ = write(source_, machine_, {.level = 1, .frame_size = 4 << 20});
  FrameCache cache_{64_MiB};
  std::optional<ObjectReader> reader_;
};

TEST_F(ObjectReaderTest, NeighboursTakeOneRequest) {
  EXPECT_EQ(read(object(0), 0, 3000), content(0));
  EXPECT_EQ(requests_, 1);
  EXPECT_EQ(read(object(1), 100, 5000), content(1).substr(100, 5000));
  EXPECT_EQ(read(object(0), 2999, 1), content(0).substr(2999));
  EXPECT_EQ(requests_, 1);
  EXPECT_EQ(read(object(2), 0, 0), "");
  EXPECT_EQ(requests_, 1) << "an empty object takes no request";
}

TEST_F(ObjectReaderTest, AnObjectOfTwoFramesTakesOneRequest) {
  EXPECT_EQ(read(object(3), 0, 5'000'000), content(3));
  EXPECT_EQ(requests_, 1);
  EXPECT_EQ(read(object(3), 4'100'000, 200'000), content(3).substr(4'100'000, 200'000));
  EXPECT_EQ(requests_, 1);
}

TEST_F(ObjectReaderTest, OfALargeObjectOnlyTheFramesAreReadThatAreWanted) {
  EXPECT_EQ(read(object(4), 20'000'000, 1000), content(4).substr(20'000'000, 1000));
  EXPECT_EQ(requests_, 2) << "the seek table, and a frame";
  EXPECT_LE(cache_.bytes(), 4_MiB);
  EXPECT_EQ(read(object(4), 20'001'000, 1000), content(4).substr(20'001'000, 1000));
  EXPECT_EQ(requests_, 2);
  EXPECT_EQ(read(object(4), 0, 5'000'000), content(4).substr(0, 5'000'000));
  EXPECT_EQ(requests_, 4) << "two more frames, and no second seek table";
  EXPECT_EQ(read(object(4), 39'999'999, 1), content(4).substr(39'999'999));
}

TEST_F(ObjectReaderTest, ConcurrentReadersShareTheRequest) {
  reader();  // made before they begin
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { EXPECT_EQ(read(object(4), 9'000'000, 100), content(4).substr(9'000'000, 100)); });
  threads.clear();
  EXPECT_EQ(requests_, 2);
}

TEST_F(ObjectReaderTest, AnotherCopyIsAskedWhereOneIsGone) {
  put("second", archive_.bytes);
  inner_->remove({BucketName("backup"), key_});
  EXPECT_EQ(read(object(0), 0, 3000), content(0));
  EXPECT_EQ(read(object(4), 5'000'000, 10), content(4).substr(5'000'000, 10));
  inner_->remove({BucketName("second"), key_});
  expect_failure(ErrorKind::not_found, "s3://backup/source/archive.tar.zst", [&] { read(object(3), 0, 10); });
}

TEST_F(ObjectReaderTest, AnArchivedArchiveSaysWhatToDo) {
  store_->arm("get", "archive", Error(ErrorKind::denied, "not restored").with_code("InvalidObjectState"), 2);
  try {
    read(object(0), 0, 10);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::denied);
    EXPECT_THAT(error.hint(), ::testing::HasSubstr("RestoreObject"));
  }
  EXPECT_EQ(read(object(0), 0, 10), content(0).substr(0, 10)) << "failures are not kept";
}

TEST_F(ObjectReaderTest, DamageIsFoundBeforeAByteIsGiven) {
  for (const std::size_t i : {0, 3, 4}) {
    const archive::MemberLocation place = *object(i).record.location;
    std::string bytes = archive_.bytes;
    bytes[place.frame_offset + std::min<ByteCount>(place.frame_length, 4000) / 2] ^= 1;
    put("backup", bytes);
    expect_failure(ErrorKind::corrupt, "s3://backup/source/archive.tar.zst", [&] { read(object(i), 0, 10); });
  }
  put("backup", archive_.bytes);
  EXPECT_EQ(read(object(0), 0, 10), content(0).substr(0, 10));
}

TEST_F(ObjectReaderTest, RecordsOfAnotherArchiveAreCorrupt) {
  StoredObject wrong = object(0);
  wrong.record.object_path = ObjectKey("other");
  expect_failure(ErrorKind::corrupt, "another object", [&] { read(wrong, 0, 10); });
  wrong = object(0);
  wrong.record.location->frame_offset += 1;
  expect_failure(ErrorKind::corrupt, "zstd", [&] { read(wrong, 0, 10); });
  wrong = object(0);
  wrong.record.location->frame_offset = archive_.bytes.size() + 100;
  expect_failure(ErrorKind::corrupt, "ends before", [&] { read(wrong, 0, 10); });
  wrong = object(0);
  wrong.record.location->frame_length = 0;
  expect_failure(ErrorKind::corrupt, "impossible", [&] { read(wrong, 0, 10); });
  wrong = object(4);
  wrong.record.location->frame_offset += 1;
  expect_failure(ErrorKind::corrupt, "no frame starts", [&] { read(wrong, 0, 10); });
  wrong = object(0);
  wrong.record.location.reset();
  expect_failure(ErrorKind::unsupported, "where in its archive", [&] { read(wrong, 0, 10); });
  wrong = object(0);
  wrong.record.object_size.reset();
  expect_failure(ErrorKind::unsupported, "how large", [&] { read(wrong, 0, 10); });
  OpenObject open(reader(), wrong);
  expect_failure(ErrorKind::unsupported, "how large", [&] { read(open, 0, 10); });
}

TEST_F(ObjectReaderTest, AStopEndsIt) {
  std::stop_source stop;
  stop.request_stop();
  std::byte out[10];
  expect_failure(ErrorKind::cancelled, "stopped", [&] { reader().read(object(0), 0, out, stop.get_token()); });
  EXPECT_EQ(requests_, 0);
}

TEST_F(ObjectReaderTest, AnOpenFileEndsWhereTheObjectEnds) {
  OpenObject open(reader(), object(0));
  EXPECT_EQ(read(open, 0, 10'000), content(0));
  EXPECT_EQ(read(open, 2990, 100), content(0).substr(2990));
  EXPECT_EQ(read(open, 3000, 100), "");
  EXPECT_EQ(read(open, 5000, 100), "");
}

TEST_F(ObjectReaderTest, ASmallObjectIsHashedBeforeAByteIsGiven) {
  StoredObject wrong = object(1);
  wrong.record.sha256 = std::string(64, '0');
  OpenObject open(reader(), wrong);
  for (int i = 0; i < 2; ++i) expect_failure(ErrorKind::corrupt, "SHA-256", [&] { read(open, 0, 10); });
  EXPECT_TRUE(open.is_first_failure());
  EXPECT_FALSE(open.is_first_failure());
  StoredObject without = object(1);
  without.record.sha256.clear();
  OpenObject unverifiable(reader(), without);
  EXPECT_EQ(read(unverifiable, 0, 10), content(1).substr(0, 10));
}

TEST_F(ObjectReaderTest, ALargeObjectIsHashedWhileItIsReadThrough) {
  for (const bool is_right : {true, false}) {
    StoredObject large = object(4);
    if (!is_right) large.record.sha256 = std::string(64, '0');
    OpenObject open(reader(), large);
    constexpr ByteCount step = 1'000'000;
    for (ByteCount at = 0; at + 2 * step < 40'000'000; at += 2 * step) {
      // Each pair the other way round, as requests may overtake each other.
      EXPECT_EQ(read(open, at + step, step), content(4).substr(at + step, step));
      EXPECT_EQ(read(open, at, step), content(4).substr(at, step));
    }
    EXPECT_EQ(read(open, 38 * step, step), content(4).substr(38 * step, step));
    if (is_right)
      EXPECT_EQ(read(open, 39 * step, step), content(4).substr(39 * step, step));
    else
      expect_failure(ErrorKind::corrupt, "SHA-256", [&] { read(open, 39 * step, step); });
  }
}

TEST_F(ObjectReaderTest, WhoReadsInOrderIsReadAheadFor) {
  OpenObject open(reader(), object(4));
  EXPECT_FALSE(open.next_wanted()) << "nothing was read yet";
  read(open, 0, 100'000);
  const auto next = open.next_wanted();
  ASSERT_TRUE(next);
  EXPECT_LE(*next, 4_MiB);
  EXPECT_GE(*next, 4_MiB - 1024) << "its header stands in front of it";
  EXPECT_FALSE(open.next_wanted()) << "told once";
  open.load(*next, {});
  const int before = requests_;
  for (ByteCount at = 100'000; at + 100'000 < 2 * *next; at += 100'000) read(open, at, 100'000);
  EXPECT_EQ(requests_, before);
  EXPECT_EQ(open.next_wanted(), *next + 4_MiB);
  OpenObject small(reader(), object(3));
  read(small, 0, 100'000);
  EXPECT_FALSE(small.next_wanted());
}

TEST_F(ObjectReaderTest, WhoLeapsAboutIsNotMadeToReadAll) {
  StoredObject large = object(4);
  large.record.sha256 = std::string(64, '0');
  OpenObject open(reader(), large);
  EXPECT_EQ(read(open, 30'000'000, 100), content(4).substr(30'000'000, 100));
  EXPECT_EQ(requests_, 2);
  EXPECT_EQ(read(open, 39'999'000, 1000), content(4).substr(39'999'000));
}

}  // namespace
}  // namespace bale::mount
