// One directory, several users at once.
#include "embedded/backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "embedded/database.hpp"
#include "support/fake_world.hpp"

namespace bale::embedded {
namespace {

namespace fs = std::filesystem;

const Region here("eu-west-1"), there("us-east-1");
const BucketName bucket("shared-bucket");

ObjectAddress at(const std::string& key) { return {bucket, ObjectKey(key)}; }

void put(store::ObjectStore& store, const std::string& key, const std::string& content) {
  store::MemoryBody body(as_bytes(content));
  store.put(at(key), body, {});
}
std::string get(store::ObjectStore& store, const std::string& key) {
  return store::read_all(*store.get(at(key)), 1 << 20);
}

std::vector<std::string> files_below(const fs::path& directory) {
  std::vector<std::string> files;
  std::error_code missing;
  for (const auto& entry : fs::recursive_directory_iterator(directory, missing)) {
    if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), directory).native());
  }
  return files;
}

class BackendTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory directory_;
  os::World world_ = os::system_world();
  const fs::path local_ = directory_.path() / "local";
  std::unique_ptr<Backend> backend_ = Backend::open(local_, world_);
};

TEST_F(BackendTest, KeepsDataWhereAPersonFindsThem) {
  const auto store = backend_->store(here);
  store->create_bucket(bucket);
  put(*store, "reports/2025/may.txt", "content");
  const auto files = files_below(local_ / "s3");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_THAT(files[0], ::testing::StartsWith("shared-bucket/reports/2025/may.txt@"));
  put(*store, "reports/2025/may.txt", "other content");
  EXPECT_EQ(files_below(local_ / "s3").size(), 1u);
  store->remove(at("reports/2025/may.txt"));
  EXPECT_FALSE(fs::exists(local_ / "s3" / bucket.str() / "reports")) << "an empty directory stays";
}

TEST_F(BackendTest, ReachesBucketsOfAllRegionsAndQueuesOfItsOwn) {
  backend_->store(here)->create_bucket(bucket);
  put(*backend_->store(there), "k", "x");
  EXPECT_EQ(backend_->store(there)->head_bucket(bucket)->region, here);
  backend_->queues(here)->create(QueueName("q"), {});
  EXPECT_FALSE(backend_->queues(there)->exists(QueueName("q")));
  backend_->records(here)->create_table(TableName("table"), {{"id", records::KeyType::string}, std::nullopt});
  EXPECT_FALSE(backend_->records(there)->describe_table(TableName("table")));
  // The queue of a rule must be in the bucket's region, whoever sets the rule.
  backend_->queues(there)->create(QueueName("other"), {});
  EXPECT_THROW(backend_->store(there)->set_notifications(bucket, {{"r", "other", {"s3:ObjectCreated:*"}, "", ""}}),
               Error);
  backend_->store(there)->set_notifications(
      bucket, {{"r", "arn:aws:sqs:eu-west-1:000000000000:q", {"s3:ObjectCreated:*"}, "", ""}});
  EXPECT_EQ(backend_->queues(here)->depth(QueueName("q")).visible, 1u);
}

TEST_F(BackendTest, KeepsEverythingWhenOpenedAgain) {
  backend_->store(here)->create_bucket(bucket);
  put(*backend_->store(here), "k", "x");
  backend_->queues(here)->create(QueueName("q"), {});
  backend_->queues(here)->send(QueueName("q"), {"message"});
  backend_.reset();
  EXPECT_EQ(files_below(local_ / "writers").size(), 0u);
  backend_ = Backend::open(local_, world_);
  EXPECT_EQ(get(*backend_->store(here), "k"), "x");
  EXPECT_EQ(backend_->queues(here)->receive(QueueName("q"), 1, Milliseconds(0), {}).size(), 1u);
}

TEST_F(BackendTest, IsSeenByAnotherBackendAtOnce) {
  const auto other = Backend::open(local_, world_);
  backend_->store(here)->create_bucket(bucket);
  put(*backend_->store(here), "k", "1");
  EXPECT_EQ(get(*other->store(here), "k"), "1");
  put(*other->store(here), "k", "2");
  EXPECT_EQ(get(*backend_->store(here), "k"), "2");
  other->queues(here)->create(QueueName("q"), {});
  std::jthread sender([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    other->queues(here)->send(QueueName("q"), {"from the other"});
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(backend_->queues(here)->receive(QueueName("q"), 1, std::chrono::seconds(20), {}).size(), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(BackendTest, ServesTwoProcessesThatWriteTheSameKeys) {
  backend_->store(here)->create_bucket(bucket);
  backend_.reset();
  std::vector<pid_t> children;
  for (int process = 0; process < 2; ++process) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    try {
      const auto backend = Backend::open(local_, world_);
      const auto store = backend->store(here);
      for (int i = 0; i < 60; ++i) {
        const std::string key = "d" + std::to_string(i % 3) + "/k";
        if (i % 7 == 6) {
          store->remove(at(key));
        } else {
          put(*store, key, std::string(1000, static_cast<char>('a' + i % 26)));
        }
      }
      ::_exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
    ::_exit(1);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  backend_ = Backend::open(local_, world_);
  const auto objects = backend_->store(here)->list(bucket, {}).objects;
  for (const auto& object : objects) EXPECT_EQ(get(*backend_->store(here), object.key.str()).size(), 1000u);
  EXPECT_EQ(files_below(local_ / "s3").size(), objects.size());
}

TEST_F(BackendTest, ReadsWholeObjectsDuringOverwrites) {
  const auto store = backend_->store(here);
  store->create_bucket(bucket);
  put(*store, "k", std::string(200'000, 'a'));
  std::atomic<bool> done{false};
  std::atomic<int> reads{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const std::string content = get(*store, "k");
        EXPECT_EQ(content.size(), 200'000u);
        EXPECT_EQ(content.find_first_not_of(content[0]), std::string::npos) << "two versions in one";
        ++reads;
      }
    });
  }
  for (int i = 0; i < 100; ++i) put(*store, "k", std::string(200'000, static_cast<char>('a' + i % 26)));
  done = true;
  readers.clear();
  EXPECT_GT(reads, 0);
}

TEST_F(BackendTest, StoresSparseDataAsHoles) {
  const auto store = backend_->store(here);
  store->create_bucket(bucket);
  constexpr std::size_t part_bytes = 8 << 20;
  const std::string zeros(part_bytes, '\0');
  const UploadId upload = store->create_upload(at("sparse"), {});
  std::vector<store::UploadedPart> parts;
  for (std::uint32_t number = 1; number <= 8; ++number) {
    store::MemoryBody body(as_bytes(zeros));
    parts.push_back({number, store->upload_part(at("sparse"), upload, number, body), part_bytes});
  }
  store->complete_upload(at("sparse"), upload, parts);
  store->copy({at("sparse"), {}, {}}, at("copy"));
  EXPECT_EQ(store->head(at("copy"))->size, 8 * part_bytes);
  std::uint64_t blocks = 0;
  for (const std::string& name : files_below(local_ / "s3")) {
    struct stat status {};
    ASSERT_EQ(::stat((local_ / "s3" / name).c_str(), &status), 0);
    EXPECT_EQ(static_cast<std::size_t>(status.st_size), 8 * part_bytes);
    blocks += static_cast<std::uint64_t>(status.st_blocks);
  }
  EXPECT_LT(blocks * 512, 1u << 20);
}

TEST_F(BackendTest, NeverTurnsLastModifiedBack) {
  testing::FakeWorld outside;
  os::World world = outside.world();
  const auto backend = Backend::open(outside.path("local"), world);
  const auto store = backend->store(here);
  store->create_bucket(bucket);
  put(*store, "k", "1");
  const TimePoint first = store->head(at("k"))->last_modified;
  outside.clock.set(first - std::chrono::hours(1));
  put(*store, "k", "2");
  EXPECT_EQ(store->head(at("k"))->last_modified, first);
}

TEST_F(BackendTest, SweepsOnlyWhatDeadProcessesLeft) {
  backend_->store(here)->create_bucket(bucket);
  put(*backend_->store(here), "kept", "x");
  // As left by a process that died after it had written the data, and by one that is alive and not done.
  const std::string dead = "s3/shared-bucket/dead@0000000000dead0000",
                    alive = "s3/shared-bucket/alive@00000000a1ive00000";
  for (const std::string& file : {dead, alive})
    os::write_file_atomically(os::system_files(), local_ / file, as_bytes("data"));
  const auto journal = [&](const std::string& name, const std::string& path) {
    const std::string boot = os::read_text_file(os::system_files(), "/proc/sys/kernel/random/boot_id").substr(0, 36);
    os::write_file_atomically(os::system_files(), local_ / "writers" / name,
                              as_bytes("bale-writer 1 " + boot + "\n" + path + "\n"));
  };
  const auto kept = files_below(local_ / "s3/shared-bucket");
  journal("dead-1", dead);
  for (const std::string& file : kept) {
    if (file.starts_with("kept")) journal("dead-2", "s3/shared-bucket/" + file);
  }
  journal("a1iv-1", alive);
  const auto lock = os::system_files().try_lock(local_ / "writers/a1iv-1");
  const auto other = Backend::open(local_, world_);
  EXPECT_FALSE(fs::exists(local_ / dead));
  EXPECT_TRUE(fs::exists(local_ / alive));
  EXPECT_EQ(get(*other->store(here), "kept"), "x");
}

TEST_F(BackendTest, BelongsToItsOwner) {
  const mode_t umask_before = ::umask(0);
  const fs::path mine = directory_.path() / "made/mine";
  {
    const auto backend = Backend::open(mine, world_);
    const auto store = backend->store(here);
    store->create_bucket(bucket);
    put(*store, "a/b", "x");
    const UploadId upload = store->create_upload(at("big"), {});
    store::MemoryBody part(as_bytes("part"));
    store->upload_part(at("big"), upload, 1, part);
    std::size_t entries = 0;
    for (const auto& entry : fs::recursive_directory_iterator(mine)) {
      const auto mode = static_cast<unsigned>(entry.status().permissions());
      EXPECT_EQ(mode, entry.is_directory() ? 0700u : 0600u) << entry.path();
      ++entries;
    }
    EXPECT_GT(entries, 8u);
  }
  ::umask(umask_before);
  const auto mode_after_opening = [&](unsigned mode) {
    fs::permissions(mine, static_cast<fs::perms>(mode));
    Backend::open(mine, world_);
    return static_cast<unsigned>(fs::status(mine).permissions());
  };
  EXPECT_EQ(mode_after_opening(0755), 0700u);
  EXPECT_EQ(mode_after_opening(0777), 0770u) << "what a group may write to is shared on purpose";
  EXPECT_EQ(mode_after_opening(0700), 0700u);
}

TEST_F(BackendTest, RefusesADirectoryOfANewerFormat) {
  backend_.reset();
  Database(local_ / "bale.sqlite").run_script("PRAGMA user_version=99");
  try {
    Backend::open(local_, world_);
    ADD_FAILURE() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST_F(BackendTest, SaysWhenDataAreMissing) {
  const auto store = backend_->store(here);
  store->create_bucket(bucket);
  put(*store, "k", "content");
  const fs::path file = local_ / "s3" / files_below(local_ / "s3").at(0);
  fs::resize_file(file, 3);
  EXPECT_THROW(get(*store, "k"), Error);  // never a short success
  fs::remove(file);
  try {
    get(*store, "k");
    ADD_FAILURE() << "read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
  }
}

}  // namespace
}  // namespace bale::embedded
