// Archives of every release, and of the reference, stay readable, and so do indexes. A release adds a file and its
// listing; none is taken away. The contents: a.txt, dir/header.h (the numbers 1 to 700), dir/ü.txt, empty; all of
// 2024-05-06 07:08:09.
#include "archive/deliver.hpp"
#include "archive/reader.hpp"
#include "archive/sidecar_builder.hpp"
#include "archive/sidecar_reader.hpp"
#include "base/hash.hpp"
#include "os/files.hpp"

namespace bale {
namespace {

class KeepAll final : public archive::ObjectReceiver {
 public:
  KeepAll(std::map<std::string, std::string>& kept, std::mutex& mutex, std::string key)
      : kept_(kept), mutex_(mutex), key_(std::move(key)) {}
  void write(ByteView bytes) override { content_.append(as_text(bytes)); }
  void finish() override {
    const std::scoped_lock lock(mutex_);
    kept_[key_] = content_;
  }

 private:
  std::map<std::string, std::string>& kept_;
  std::mutex& mutex_;
  const std::string key_;
  std::string content_;
};

std::map<std::string, std::string> expected_content() {
  std::string numbers;
  for (int i = 1; i <= 700; ++i) numbers += std::to_string(i) + "\n";
  std::map<std::string, std::string> content;
  content["a.txt"] = "hello world\n";
  content["dir/header.h"] = numbers;
  content["dir/ü.txt"] = "umlaut";
  content["empty"] = "";
  return content;
}

std::unique_ptr<archive::Reader> open(std::unique_ptr<transfer::RandomSource>& source, const std::string& file) {
  const os::fs::path data = os::fs::path(BALE_TEST_DATA) / "compat" / "data";
  source = transfer::open_file_source(os::system_files(), data / file);
  return archive::open_archive(*source);
}

class CompatTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CompatTest, EveryObjectComesBack) {
  std::unique_ptr<transfer::RandomSource> source;
  const auto reader = open(source, GetParam());
  flow::ThreadPool connections(2, "connection"), cores(2, "core");
  flow::MemoryBudget budget(64 << 20);
  std::map<std::string, std::string> kept;
  std::mutex mutex;
  const auto& objects = reader->manifest().objects;
  const archive::Delivery delivery = archive::deliver_objects(
      *reader, {}, [&](std::size_t i) { return std::make_unique<KeepAll>(kept, mutex, objects[i].relative_key); },
      {connections, cores}, budget, {});
  EXPECT_TRUE(delivery.failures.empty());
  EXPECT_EQ(kept, expected_content());
  for (const auto& object : objects) EXPECT_EQ(to_timestamp(object.last_modified), "2024-05-06 07:08:09");
}

INSTANTIATE_TEST_SUITE_P(Files, CompatTest,
                         ::testing::Values("bale-0.1.0.tar.zst", "bale-format-1.tar.zst", "bale-format-2.tar.zst",
                                           "reference.tar.zst"),
                         [](const auto& test) {
                           std::string name(test.param);
                           name.resize(name.find(".tar"));
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
                           return name;
                         });

class CompatListingTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CompatListingTest, Bale) {
  std::unique_ptr<transfer::RandomSource> source;
  const auto reader = open(source, GetParam());
  EXPECT_TRUE(reader->random_access());
  EXPECT_FALSE(reader->flaw());
  EXPECT_EQ(reader->manifest().version, 1);
  EXPECT_EQ(reader->manifest().level, 12);
  std::string listing;
  for (const auto& object : reader->manifest().objects)
    listing += fmt::format("{} {}\n", *object.data_offset, object.member);
  EXPECT_EQ(listing, "512 objects/empty\n1024 objects/dir/header.h\n4608 objects/a.txt\n6656 objects/dir/ü.txt\n");
}

INSTANTIATE_TEST_SUITE_P(Formats, CompatListingTest,
                         ::testing::Values("bale-0.1.0.tar.zst", "bale-format-1.tar.zst", "bale-format-2.tar.zst"));

TEST(CompatReferenceTest, Listing) {
  std::unique_ptr<transfer::RandomSource> source;
  const auto reader = open(source, "reference.tar.zst");
  EXPECT_FALSE(reader->random_access());
  const archive::Manifest& manifest = reader->manifest();
  EXPECT_EQ(manifest.version, 0);
  EXPECT_EQ(manifest.source_region.str(), "eu-west-1");
  ASSERT_EQ(manifest.targets.size(), 1U);
  EXPECT_EQ(manifest.targets[0].storage_class, "STANDARD_IA");
  ASSERT_EQ(manifest.objects.size(), 4U);
  EXPECT_EQ(manifest.objects[0].key.str(), "data/a.txt");
  EXPECT_EQ(manifest.objects[0].tags, (store::Tags{{"team", "x"}}));
  EXPECT_EQ(manifest.objects[1].tags, (store::Tags{{"team", "y"}}));
}

/// An index of an earlier version says of the reference's archive what one of today says.
TEST(CompatIndexTest, Index_0_1_0) {
  const os::fs::path data = os::fs::path(BALE_TEST_DATA) / "compat" / "data";
  const auto file = transfer::open_file_source(os::system_files(), data / "reference-0.1.0.index");
  archive::Sidecar sidecar = archive::decode_sidecar(file->read_tail(archive::max_sidecar_bytes).view());
  const auto source = transfer::open_file_source(os::system_files(), data / "reference.tar.zst");
  EXPECT_EQ(sidecar, archive::build_sidecar(*source, {}).sidecar);
  const auto reader = archive::open_with_sidecar(*source, std::move(sidecar));
  EXPECT_TRUE(reader->random_access());
  flow::ThreadPool connections(2, "connection"), cores(2, "core");
  flow::MemoryBudget budget(64 << 20);
  std::map<std::string, std::string> kept;
  std::mutex mutex;
  const auto& objects = reader->manifest().objects;
  std::ignore = archive::deliver_objects(
      *reader, {}, [&](std::size_t i) { return std::make_unique<KeepAll>(kept, mutex, objects[i].relative_key); },
      {connections, cores}, budget, {});
  EXPECT_EQ(kept, expected_content());
}

}  // namespace
}  // namespace bale
