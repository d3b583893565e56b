#include "transfer/file_download.hpp"

#include <fmt/format.h>

#include <optional>

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_store.hpp"
#include "support/odd_store.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

Error failure_of(const std::function<void()>& step) {
  try {
    step();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::internal, "nothing was thrown");
}

class FileDownloadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    stored_ = backend_->store(Region("eu-west-1"));
    stored_->create_bucket(object_.bucket);
    faulty_ = std::make_unique<bale::testing::FaultyStore>(*stored_);
    odd_ = std::make_unique<bale::testing::OddStore>(*faulty_);
    options_.part_bytes = 1_MiB;
    options_.moved = [this](std::int64_t bytes) { moved_ += bytes; };
    options_.sized = [this](ByteCount size) { sized_ = size; };
  }
  void put(const std::string& content) {
    store::MemoryBody body(as_bytes(content));
    stored_->put(object_, body, {});
  }
  /// Downloads to the file "out".
  store::ObjectInfo download() {
    std::optional<os::AtomicFile> file;
    const auto open = [&]() -> os::AtomicFile& { return file.emplace(*fake_.files, fake_.path("out")); };
    const store::ObjectInfo info = download_file(*odd_, connections_, budget_, object_, options_, open);
    file->commit();
    return info;
  }
  bool is_there() { return fake_.files->info(fake_.path("out")).has_value(); }
  int calls(const char* method) { return faulty_->faults.calls(method); }

  bale::testing::FakeWorld fake_;
  os::World world_ = fake_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(fake_.path("store"), world_);
  std::unique_ptr<store::ObjectStore> stored_;
  std::unique_ptr<bale::testing::FaultyStore> faulty_;
  std::unique_ptr<bale::testing::OddStore> odd_;
  flow::MemoryBudget budget_{64_MiB};
  flow::ThreadPool connections_{4, "connection"};
  const ObjectAddress object_{BucketName("bucket"), ObjectKey("dir/object")};
  FileDownload options_;
  std::atomic<std::int64_t> moved_{0};
  std::optional<ByteCount> sized_;
};

TEST_F(FileDownloadTest, WritesObjectsOfEverySize) {
  for (const ByteCount size : {ByteCount{0}, ByteCount{1}, 2_MiB - 1, 2_MiB, 3_MiB + 5}) {
    for (const bool is_known : {false, true}) {
      SCOPED_TRACE(fmt::format("{} {}", size, is_known));
      const std::string content = std::string(size / 2, '\0') + std::string(size - size / 2, 'x');
      put(content);
      options_.known_size.reset();
      if (is_known) options_.known_size = size;
      moved_ = 0;
      sized_.reset();
      const int heads = calls("head");
      EXPECT_EQ(download().size, size);
      EXPECT_TRUE(fake_.read("out") == content);
      EXPECT_EQ(moved_, static_cast<std::int64_t>(size));
      EXPECT_EQ(sized_.has_value(), !is_known);
      EXPECT_EQ(calls("head") - heads, is_known && size < 2_MiB ? 0 : 1) << "a known size saves a request";
    }
  }
}

TEST_F(FileDownloadTest, GoesOnWhereADownloadBeforeItEnded) {
  const std::string content = std::string(2_MiB, 'a') + std::string(2_MiB, 'b') + "c";
  put(content);
  for (const char kept : {'a', 'z'}) {  // what the file has: the first part, as it should be or damaged
    fake_.write("out", std::string(1_MiB, kept));
    const auto file = fake_.files->open_for_writing(fake_.path("out"));
    const auto open = [&] { return DownloadTarget{*file, [&] { return fake_.files->open(fake_.path("out")); }}; };
    options_.has = [](ByteCount first, ByteCount) { return first == 0; };
    std::atomic<ByteCount> received{0};
    options_.received = [&](ByteCount first, ByteView bytes) {
      EXPECT_EQ(as_text(bytes), content.substr(first, bytes.size()));
      received += bytes.size();
    };
    std::optional<ByteCount> found;
    options_.found = [&](const store::ObjectInfo& info) { found = info.size; };
    moved_ = 0;
    const auto go_on = [&] { download_into(*odd_, connections_, budget_, object_, options_, open); };
    if (kept == 'a') {
      go_on();
      EXPECT_TRUE(fake_.read("out") == content);
    } else {
      EXPECT_EQ(failure_of(go_on).kind(), ErrorKind::corrupt);
    }
    EXPECT_EQ(received, content.size() - 1_MiB);
    EXPECT_EQ(moved_, static_cast<std::int64_t>(content.size()));
    EXPECT_EQ(found, content.size());
  }
}

TEST_F(FileDownloadTest, NamesNoVersionWhereItMayNot) {
  stored_->set_versioning(object_.bucket, store::Versioning::enabled);
  put(std::string(3_MiB, 'x'));
  std::atomic<int> named{0};
  odd_->get_ = [&](const auto& o, const auto& range, const auto& conditions) {
    named += conditions.version_id.empty() ? 0 : 1;
    EXPECT_FALSE(conditions.if_match.empty());
    return stored_->get(o, range, conditions);
  };
  download();
  EXPECT_EQ(named, 3);
  options_.names_version = false;
  named = 0;
  download();
  EXPECT_EQ(named, 0);
}

TEST_F(FileDownloadTest, LeavesNoFileOfOtherBytes) {
  put(std::string(3_MiB, 'x'));
  odd_->get_ = [&](const auto& o, const auto& range, const auto& conditions) -> std::unique_ptr<store::GetStream> {
    const auto stream = stored_->get(o, range, conditions);
    return std::make_unique<bale::testing::TextStream>(stream->info(), stream->offset(),
                                                       std::string(stream->length(), 'y'));
  };
  EXPECT_EQ(failure_of([&] { download(); }).kind(), ErrorKind::corrupt);
  EXPECT_FALSE(is_there());
}

TEST_F(FileDownloadTest, MixesNoTwoVersions) {
  put(std::string(3_MiB, 'x'));
  faulty_->before = [&](const std::string& method, const std::string&) {
    if (method == "get" && calls("get") == 1) put(std::string(3_MiB, 'y'));
  };
  options_.most_parts_under_way = 1;
  EXPECT_EQ(failure_of([&] { download(); }).kind(), ErrorKind::precondition);
  EXPECT_FALSE(is_there());
}

TEST_F(FileDownloadTest, OpensNoFileForAnObjectThatIsNotThere) {
  const auto open = []() -> os::AtomicFile& { throw std::logic_error("opened"); };
  EXPECT_EQ(failure_of([&] { download_file(*odd_, connections_, budget_, object_, options_, open); }).code(),
            "NoSuchKey");
}

TEST_F(FileDownloadTest, StopsAndHoldsNoMemory) {
  put(std::string(3_MiB, 'x'));
  std::stop_source stop;
  options_.stop = stop.get_token();
  options_.most_parts_under_way = 1;
  faulty_->before = [&](const std::string& method, const std::string&) {
    if (method == "get") stop.request_stop();
  };
  EXPECT_EQ(failure_of([&] { download(); }).kind(), ErrorKind::cancelled);
  EXPECT_FALSE(is_there());
  EXPECT_TRUE(budget_.try_acquire(budget_.limit()).has_value());
}

TEST_F(FileDownloadTest, GivesTheBytesOfAStreamInOrder) {
  std::string content(2_MiB + 3, '\0');
  fake_.entropy.fill({reinterpret_cast<std::byte*>(content.data()), content.size()});
  put(content);
  std::string got;
  const auto stream = odd_->get(object_, std::nullopt, {});
  download_stream(*stream, budget_, options_, [&](ByteView bytes) { got += as_text(bytes); });
  EXPECT_TRUE(got == content);
  EXPECT_EQ(moved_, static_cast<std::int64_t>(content.size()));
}

}  // namespace
}  // namespace bale::transfer
