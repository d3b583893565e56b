#include "transfer/byte_io.hpp"

#include <sys/stat.h>

#include <fstream>
#include <random>
#include <thread>
#include <tuple>

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

ErrorKind kind_of(const std::function<void()>& step) {
  try {
    step();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::internal;
}

class ByteIoTest : public ::testing::Test {
 protected:
  void SetUp() override {
    stored_ = backend_->store(Region("eu-west-1"));
    stored_->create_bucket(BucketName("bucket"));
    store_ = std::make_unique<bale::testing::FaultyStore>(*stored_);
  }

  void put(const std::string& content) {
    store::MemoryBody body(as_bytes(content));
    stored_->put(object_, body, {});
  }
  std::string content() {
    const auto stream = stored_->get(object_);
    return store::read_all(*stream, 1_GiB);
  }
  std::size_t uploads() { return stored_->list_uploads(BucketName("bucket")).size(); }

  OutputPiece piece(std::string_view bytes) {
    OutputPiece made{Buffer(bytes.size()), budget_.acquire(bytes.size())};
    made.bytes.append(as_bytes(bytes));
    return made;
  }
  void append_in_pieces(ByteSink& sink, std::string_view bytes, std::size_t length) {
    for (std::size_t at = 0; at < bytes.size(); at += length) sink.append(piece(bytes.substr(at, length)));
  }
  /// All memory was given back.
  void expect_nothing_held() { EXPECT_TRUE(budget_.try_acquire(budget_.limit()).has_value()); }

  bale::testing::FakeWorld fake_;
  os::World world_ = fake_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(fake_.path("store"), world_);
  std::unique_ptr<store::ObjectStore> stored_;
  std::unique_ptr<bale::testing::FaultyStore> store_;
  flow::MemoryBudget budget_{64_MiB};
  flow::ThreadPool connections_{4, "connection"};
  const ObjectAddress object_{BucketName("bucket"), ObjectKey("dir/archive")};
};

TEST(PartSizeTest, FitsTheObjectIntoTenThousandParts) {
  EXPECT_EQ(choose_part_size(0, 0), 5_MiB);
  EXPECT_EQ(choose_part_size(1_GiB, 8_MiB), 8_MiB);
  EXPECT_EQ(choose_part_size(80'000_MiB, 8_MiB), 8_MiB);
  EXPECT_EQ(choose_part_size(80'000_MiB + 1, 8_MiB), 9_MiB);
  EXPECT_EQ(choose_part_size(5_GiB * 1024, 8_MiB), 525_MiB);
  EXPECT_EQ(choose_part_size(5_GiB * 10'000, 8_MiB), 5_GiB);
  EXPECT_EQ(kind_of([] { choose_part_size(5_GiB * 10'000 + 1, 8_MiB); }), ErrorKind::invalid);
}

// ---- Files

TEST_F(ByteIoTest, AFileSourceReadsAnywhere) {
  const std::string content = noise(100'000, 1);
  const auto source = open_file_source(*fake_.files, fake_.write("file", content));
  EXPECT_EQ(source->size(), 100'000U);
  std::string part(500, '\0');
  source->read_at(4321, std::as_writable_bytes(std::span(part)));
  EXPECT_TRUE(part == content.substr(4321, 500));
  EXPECT_TRUE(as_text(source->read_tail(70).view()) == content.substr(99'930));
  EXPECT_EQ(source->read_tail(200'000).size(), 100'000U);
  EXPECT_EQ(kind_of([&] { source->read_at(99'501, std::as_writable_bytes(std::span(part))); }), ErrorKind::corrupt);
  EXPECT_EQ(kind_of([&] { open_file_source(*fake_.files, fake_.path("missing")); }), ErrorKind::not_found);
}

TEST_F(ByteIoTest, AFileSinkGivesTheNameOnlyAtTheEnd) {
  const auto path = fake_.path("out");
  {
    const auto sink = open_file_sink(*fake_.files, path);
    append_in_pieces(*sink, "hello world", 4);
    EXPECT_EQ(sink->written(), 11U);
    EXPECT_FALSE(std::filesystem::exists(path));
    sink->finish();
  }
  EXPECT_EQ(fake_.read("out"), "hello world");
  {
    const auto sink = open_file_sink(*fake_.files, path);
    append_in_pieces(*sink, "other", 4);
  }
  EXPECT_EQ(fake_.read("out"), "hello world");
  const auto entries = fake_.files->list(fake_.path());
  for (const auto& entry : entries) EXPECT_EQ(entry.name.find("bale-tmp"), std::string::npos) << entry.name;
  expect_nothing_held();
}

TEST_F(ByteIoTest, AFileSinkWritesIntoAPipe) {
  const auto pipe = fake_.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string got;
  {
    const std::jthread reader([&] {
      std::ifstream stream(pipe, std::ios::binary);
      got.assign(std::istreambuf_iterator<char>(stream), {});
    });
    const auto sink = open_file_sink(*fake_.files, pipe);
    append_in_pieces(*sink, "hello world", 4);
    sink->finish();
    EXPECT_EQ(sink->written(), 11U);
  }
  EXPECT_EQ(got, "hello world");
  EXPECT_EQ(fake_.files->info(pipe)->type, os::FileType::other) << "it is still a pipe";
}

TEST_F(ByteIoTest, OnlyRegularFilesAreSources) {
  ASSERT_EQ(::mkfifo(fake_.path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { open_file_source(*fake_.files, fake_.path("pipe")); }), ErrorKind::invalid) << "no waiting";
  EXPECT_EQ(kind_of([&] { open_file_source(*fake_.files, fake_.path()); }), ErrorKind::invalid);
}

// ---- Object sources

TEST_F(ByteIoTest, AnObjectSourceReadsAnywhere) {
  const std::string content = noise(100'000, 2);
  put(content);
  const auto source = open_object_source(*store_, object_);
  EXPECT_TRUE(as_text(source->read_tail(70).view()) == content.substr(99'930));
  EXPECT_EQ(source->size(), 100'000U);
  std::string part(500, '\0');
  source->read_at(4321, std::as_writable_bytes(std::span(part)));
  EXPECT_TRUE(part == content.substr(4321, 500));
  EXPECT_EQ(kind_of([&] { source->read_at(99'501, std::as_writable_bytes(std::span(part))); }), ErrorKind::corrupt);
  EXPECT_EQ(open_object_source(*store_, object_)->read_tail(200'000).size(), 100'000U);
}

TEST_F(ByteIoTest, AnEmptyOrMissingObject) {
  put("");
  EXPECT_EQ(open_object_source(*store_, object_)->read_tail(10).size(), 0U);
  EXPECT_EQ(open_object_source(*store_, object_)->size(), 0U);
  const auto missing = open_object_source(*store_, {BucketName("bucket"), ObjectKey("no")});
  EXPECT_EQ(kind_of([&] { missing->size(); }), ErrorKind::not_found);
  EXPECT_EQ(kind_of([&] { missing->read_tail(5); }), ErrorKind::not_found);
}

TEST_F(ByteIoTest, AnObjectThatIsReplacedIsNeverMixed) {
  for (const bool versioned : {false, true}) {
    if (versioned) stored_->set_versioning(BucketName("bucket"), store::Versioning::enabled);
    put("first content");
    const auto source = open_object_source(*store_, object_);
    EXPECT_EQ(source->size(), 13U);
    put("other content");
    std::string part(5, '\0');
    const auto read = [&] { source->read_at(0, std::as_writable_bytes(std::span(part))); };
    if (versioned) {
      read();
      EXPECT_EQ(part, "first");
    } else {
      EXPECT_EQ(kind_of(read), ErrorKind::precondition);
    }
  }
}

// ---- Object sinks

TEST_F(ByteIoTest, ASmallObjectIsOnePut) {
  const auto sink = open_object_sink(*store_, connections_, object_, {});
  append_in_pieces(*sink, "hello world", 3);
  sink->finish();
  EXPECT_EQ(content(), "hello world");
  EXPECT_EQ(sink->result().etag, stored_->head(object_)->etag);
  EXPECT_EQ(sink->result().etag.str().find('-'), std::string::npos);
  EXPECT_EQ(sink->name(), "s3://bucket/dir/archive");
  expect_nothing_held();
}

TEST_F(ByteIoTest, NothingAtAllIsAnEmptyObject) {
  const auto sink = open_object_sink(*store_, connections_, object_, {});
  sink->finish();
  EXPECT_EQ(content(), "");
}

TEST_F(ByteIoTest, ALargeObjectGoesUpInPartsAndCarriesItsAttributes) {
  const std::string bytes = noise(23'000'000, 3);
  ObjectSinkOptions options{.expected_bytes = 30'000'000, .part_bytes = 5_MiB};
  options.attributes.metadata = {{"k", "v"}};
  const auto sink = open_object_sink(*store_, connections_, object_, options);
  append_in_pieces(*sink, bytes, 1'700'000);
  sink->finish();
  EXPECT_TRUE(content() == bytes);
  EXPECT_TRUE(sink->result().etag.str().ends_with("-4")) << sink->result().etag.str();
  EXPECT_EQ(stored_->head(object_)->metadata.at("k"), "v");
  EXPECT_EQ(uploads(), 0U);
  expect_nothing_held();
}

TEST_F(ByteIoTest, ASinkThatIsDroppedLeavesNothing) {
  {
    const auto sink = open_object_sink(*store_, connections_, object_, {.part_bytes = 5_MiB});
    append_in_pieces(*sink, noise(12'000'000, 4), 1'000'000);
  }
  EXPECT_FALSE(stored_->head(object_).has_value());
  EXPECT_EQ(uploads(), 0U);
  expect_nothing_held();
}

TEST_F(ByteIoTest, AStopAbortsTheUploadAndKeepsTheOldObject) {
  put("old");
  for (const std::size_t size : {std::size_t{100}, std::size_t{4'000'000}, std::size_t{12'000'000}}) {
    std::stop_source stop;
    const auto sink = open_object_sink(*store_, connections_, object_, {.part_bytes = 5_MiB, .stop = stop.get_token()});
    append_in_pieces(*sink, noise(size, 6), 1'000'000);
    stop.request_stop();
    EXPECT_EQ(kind_of([&] { sink->finish(); }), ErrorKind::cancelled) << size;
    EXPECT_EQ(content(), "old") << size;
    EXPECT_EQ(uploads(), 0U) << size;
  }
}

TEST_F(ByteIoTest, AStopEndsASinkThatIsBeingFilled) {
  std::stop_source stop;
  const auto sink = open_object_sink(*store_, connections_, object_, {.part_bytes = 5_MiB, .stop = stop.get_token()});
  append_in_pieces(*sink, noise(12'000'000, 6), 1'000'000);
  stop.request_stop();
  EXPECT_EQ(kind_of([&] { sink->append(piece("x")); }), ErrorKind::cancelled);
  EXPECT_EQ(uploads(), 0U);
  expect_nothing_held();
}

TEST_F(ByteIoTest, AStopLeavesTheFileOfAFileSinkAlone) {
  std::stop_source stop;
  const os::fs::path path = fake_.write("file", "old");
  {
    const auto sink = open_file_sink(*fake_.files, path, stop.get_token());
    sink->append(piece("new"));
    stop.request_stop();
    EXPECT_EQ(kind_of([&] { sink->finish(); }), ErrorKind::cancelled);
  }
  EXPECT_EQ(fake_.read("file"), "old");
}

TEST_F(ByteIoTest, EveryFailureAbortsTheUpload) {
  for (const char* method : {"create_upload", "upload_part", "complete_upload"}) {
    store_->arm(method, "archive", Error(ErrorKind::unavailable, "armed"));
    {
      const auto sink = open_object_sink(*store_, connections_, object_, {.part_bytes = 5_MiB});
      EXPECT_EQ(kind_of([&] {
                  append_in_pieces(*sink, noise(23'000'000, 5), 1'000'000);
                  sink->finish();
                }),
                ErrorKind::unavailable)
          << method;
      // A sink that failed stays failed: it must not put the rest as if it were the whole.
      EXPECT_EQ(kind_of([&] { sink->finish(); }), ErrorKind::internal);
      EXPECT_EQ(kind_of([&] { sink->append(piece("x")); }), ErrorKind::internal);
    }
    EXPECT_FALSE(stored_->head(object_).has_value()) << method;
    EXPECT_EQ(uploads(), 0U) << method;
    expect_nothing_held();
  }
}

TEST_F(ByteIoTest, AFailedPutIsThrown) {
  store_->arm("put", "archive", Error(ErrorKind::denied, "armed"));
  const auto sink = open_object_sink(*store_, connections_, object_, {});
  sink->append(piece("hello"));
  EXPECT_EQ(kind_of([&] { sink->finish(); }), ErrorKind::denied);
  EXPECT_FALSE(stored_->head(object_).has_value());
}

TEST_F(ByteIoTest, ConditionsHoldForBothWaysOfWriting) {
  put("already there");
  for (const std::size_t size : {std::size_t{5}, std::size_t{12'000'000}}) {
    ObjectSinkOptions options{.part_bytes = 5_MiB};
    options.conditions.if_none_match = true;
    const auto sink = open_object_sink(*store_, connections_, object_, options);
    EXPECT_EQ(kind_of([&] {
                append_in_pieces(*sink, noise(size, 6), 1'000'000);
                sink->finish();
              }),
              ErrorKind::precondition);
    EXPECT_EQ(content(), "already there");
    EXPECT_EQ(uploads(), 0U);
  }
}

TEST_F(ByteIoTest, AnOwnNameThatIsTakenByTheSameBytesWasWrittenTwice) {
  put("content");
  for (const auto& [bytes, name_is_own, works] :
       {std::tuple("content", true, true), std::tuple("content", false, false), std::tuple("another", true, false)}) {
    ObjectSinkOptions options;
    options.conditions.if_none_match = true;
    options.name_is_own = name_is_own;
    const auto sink = open_object_sink(*store_, connections_, object_, options);
    append_in_pieces(*sink, bytes, 3);
    if (works) {
      sink->finish();
      EXPECT_EQ(sink->result().etag, stored_->head(object_)->etag);
    } else {
      EXPECT_EQ(kind_of([&] { sink->finish(); }), ErrorKind::precondition);
    }
  }
  EXPECT_EQ(content(), "content");
}

TEST_F(ByteIoTest, PartsInFlightAreBounded) {
  std::atomic<int> now{0}, most{0};
  store_->before = [&](const std::string& method, const std::string&) {
    if (method != "upload_part") return;
    const int in_flight = ++now;
    for (int seen = most; in_flight > seen && !most.compare_exchange_weak(seen, in_flight);) {
    }
    // Nobody leaves before eight are in: parts that went up one after the other would end here after a while.
    for (int i = 0; i < 5000 && most < 8; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --now;
  };
  flow::ThreadPool many(32, "connection");
  const auto sink = open_object_sink(*store_, many, object_, {.part_bytes = 5_MiB});
  const std::string bytes = noise(1'000'000, 7);
  for (int i = 0; i < 100; ++i) sink->append(piece(bytes));
  sink->finish();
  EXPECT_EQ(most, 8);
}

TEST_F(ByteIoTest, APartThatFillsUpLeavesTheBudgetToOthers) {
  // A part is larger than the budget: the sink must not wait with all of it in its hands.
  flow::MemoryBudget small(4_MiB);
  const auto sink = open_object_sink(*store_, connections_, object_, {.part_bytes = 5_MiB});
  for (int i = 0; i < 12; ++i) {
    OutputPiece made{Buffer(1_MiB), small.acquire(1_MiB)};  // would wait for ever
    made.bytes.resize(1_MiB);
    std::memset(made.bytes.data(), i, 1_MiB);
    sink->append(std::move(made));
  }
  sink->finish();
  EXPECT_EQ(content().size(), 12_MiB);
}

}  // namespace
}  // namespace bale::transfer
