// A store whose database, write-ahead log, journals or data are older than the rest, or gone: no object's bytes are
// removed because a database does not know them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "crash/crash_files.hpp"
#include "embedded/backend.hpp"
#include "embedded/core.hpp"
#include "support/fake_world.hpp"

namespace bale::embedded {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const Region here("eu-west-1");
const BucketName bucket("bucket");

ObjectAddress at(const std::string& key) { return {bucket, ObjectKey(key)}; }

/// Real files, as another run of the machine sees them.
class RestartedFiles final : public testing::ForwardingFiles {
 public:
  std::unique_ptr<os::ReadableFile> open_if_exists(const os::fs::path& path) override {
    if (path == "/proc/sys/kernel/random/boot_id") return nullptr;
    return real_.open_if_exists(path);
  }
};

class LostFilesTest : public ::testing::Test {
 protected:
  LostFilesTest() {
    open();
    backend_->store(here)->create_bucket(bucket);
    put("old", "old");
  }
  void open() { backend_ = Backend::open(local_, world_); }
  void open_restarted() { backend_ = Backend::open(local_, restarted_world_); }
  void close() { backend_.reset(); }
  void put(const std::string& key, const std::string& content) {
    store::MemoryBody body(as_bytes(content));
    backend_->store(here)->put(at(key), body, {});
  }
  std::string get(const std::string& key) { return store::read_all(*backend_->store(here)->get(at(key)), 1 << 20); }
  /// Runs `step` in a process that is killed after it.
  template <typename Step>
  void in_killed_process(const Step& step) {
    close();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      open();
      step();
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  /// Copies what `names` name of the closed store; restore_copy() puts that in the place of what is there then.
  void make_copy(const std::vector<std::string>& names) {
    close();
    copied_ = names;
    for (const std::string& name : names)
      if (fs::exists(local_ / name)) fs::copy(local_ / name, copy_ / name, fs::copy_options::recursive);
  }
  void restore_copy() {
    close();
    for (const std::string& name : copied_) {
      fs::remove_all(local_ / name);
      if (fs::exists(copy_ / name)) fs::copy(copy_ / name, local_ / name, fs::copy_options::recursive);
    }
  }
  /// The content of all files below a directory of the store.
  std::vector<std::string> contents(const fs::path& relative) const {
    std::vector<std::string> found;
    std::error_code missing;
    for (const auto& entry : fs::recursive_directory_iterator(local_ / relative, missing)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      found.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
    return found;
  }

  testing::TemporaryDirectory directory_;
  os::World world_ = os::system_world();
  RestartedFiles restarted_files_;
  os::World restarted_world_{world_.clock, world_.entropy, world_.environment, restarted_files_, world_.terminal, {}};
  const fs::path local_ = directory_.path() / "local", copy_ = [this] {
    fs::create_directory(directory_.path() / "copy");
    return directory_.path() / "copy";
  }();
  std::vector<std::string> copied_;
  std::unique_ptr<Backend> backend_;
};

TEST_F(LostFilesTest, AnOlderDatabaseLosesNoNewerFile) {
  make_copy({"bale.sqlite"});
  open();
  put("new", "new");
  put("deep/er/new", "deep");
  restore_copy();
  open();
  EXPECT_TRUE(backend_->lost().is_database_older);
  EXPECT_EQ(backend_->lost().count, 2u);
  EXPECT_THAT(backend_->lost().first, SizeIs(2));
  for (const auto& file : backend_->lost().first) EXPECT_TRUE(fs::exists(local_ / file)) << file;
  EXPECT_THAT(contents("lost+found"), UnorderedElementsAre("new", "deep"));
  EXPECT_THAT(contents("s3"), ElementsAre("old"));
  EXPECT_EQ(get("old"), "old");
  open();
  EXPECT_EQ(backend_->lost().count, 0u) << "told once";
  EXPECT_FALSE(backend_->lost().is_database_older);
  EXPECT_THAT(contents("lost+found"), SizeIs(2));
}

TEST_F(LostFilesTest, AKilledProcessesJournalIsNotBelievedAgainstAnOlderDatabase) {
  make_copy({"bale.sqlite"});
  in_killed_process([&] {
    put("new", "new");
    put("newer", "newer");
  });
  for (const char* name : {"bale.sqlite-wal", "bale.sqlite-shm"}) fs::remove(local_ / name);
  restore_copy();
  open();
  EXPECT_THAT(contents("lost+found"), UnorderedElementsAre("new", "newer"));
}

TEST_F(LostFilesTest, ALostLogLosesNoFile) {
  in_killed_process([&] {
    put("new", "new");
    put("old", "changed");
  });
  for (const char* name : {"bale.sqlite-wal", "bale.sqlite-shm"}) fs::remove(local_ / name);
  open();
  EXPECT_TRUE(backend_->lost().is_database_older);
  EXPECT_THAT(contents("lost+found"), UnorderedElementsAre("new", "changed"));
}

TEST_F(LostFilesTest, OfAStoreOfAnEarlierBaleNothingIsRemovedAtFirst) {
  make_copy({"bale.sqlite"});
  in_killed_process([&] { put("new", "new"); });
  for (const char* name : {"bale.sqlite-wal", "bale.sqlite-shm", "newest-number"}) fs::remove(local_ / name);
  restore_copy();
  open();
  EXPECT_THAT(contents("lost+found"), ElementsAre("new"));
}

TEST_F(LostFilesTest, WhatAKilledProcessWasWritingIsSweptAsBefore) {
  in_killed_process([&] {
    put("new", "new");
    // As if killed before the row of another object.
    const auto found = fs::directory_iterator(local_ / "writers")->path();
    std::ofstream(found, std::ios::app) << "s3/bucket/torn@000000000000000000\n";
    std::ofstream(local_ / "s3/bucket/torn@000000000000000000") << "half";
  });
  open();
  EXPECT_EQ(backend_->lost().count, 0u);
  EXPECT_THAT(contents("s3"), UnorderedElementsAre("old", "new"));
  EXPECT_EQ(get("new"), "new");
}

TEST_F(LostFilesTest, WithJournalsAsOldAsTheDatabaseNothingIsRemoved) {
  in_killed_process([&] { put("old", "old, again"); });
  make_copy({"bale.sqlite", "bale.sqlite-wal", "bale.sqlite-shm", "writers", "newest-number"});
  open();
  put("new", "new");
  restore_copy();
  open();
  std::vector<std::string> all = contents("s3");
  for (const std::string& content : contents("lost+found")) all.push_back(content);
  EXPECT_THAT(all, UnorderedElementsAre("old, again", "new"));
  restore_copy();
  open_restarted();
  EXPECT_THAT(contents("lost+found"), ElementsAre("new")) << "after a restart of the machine all files are looked at";
  EXPECT_EQ(backend_->lost().count, 1u);
}

TEST_F(LostFilesTest, AnEmptiedDatabaseRemovesNothing) {
  close();
  Database(local_ / "bale.sqlite")
      .run_script("DELETE FROM versions; DELETE FROM buckets; UPDATE counter SET value = 0");
  open();
  EXPECT_THAT(contents("lost+found"), ElementsAre("old"));
  close();
  fs::resize_file(local_ / "bale.sqlite", 0);
  fs::create_directories(local_ / "s3/bucket");
  EXPECT_THROW(open(), Error);
  EXPECT_THAT(contents("lost+found"), ElementsAre("old"));
}

TEST_F(LostFilesTest, PartsOfNewerUploadsAreKept) {
  make_copy({"bale.sqlite"});
  open();
  const auto store = backend_->store(here);
  const UploadId upload = store->create_upload(at("big"), {});
  store::MemoryBody part(as_bytes("part"));
  store->upload_part(at("big"), upload, 1, part);
  restore_copy();
  open();
  EXPECT_EQ(backend_->lost().count, 1u);
  EXPECT_THAT(contents("lost+found/uploads"), ElementsAre("part"));
  EXPECT_THAT(contents("uploads"), IsEmpty());
}

TEST_F(LostFilesTest, AnUploadWhoseEndWasInterruptedIsSwept) {
  const auto store = backend_->store(here);
  const UploadId upload = store->create_upload(at("big"), {});
  store::MemoryBody part(as_bytes("part"));
  store->upload_part(at("big"), upload, 1, part);
  in_killed_process([&] {
    backend_->store(here)->abort_upload(at("big"), upload);
    // As if killed before the parts were removed.
    fs::create_directories(local_ / "uploads" / upload.str());
    std::ofstream(local_ / "uploads" / upload.str() / "parts") << "part";
    std::ofstream(fs::directory_iterator(local_ / "writers")->path(), std::ios::app)
        << "uploads/" << upload.str() << "\n";
  });
  open();
  EXPECT_EQ(backend_->lost().count, 0u);
  EXPECT_THAT(contents("uploads"), IsEmpty());
}

TEST_F(LostFilesTest, NumbersOfAnOlderDatabaseAreNotGivenAgain) {
  backend_->queues(here)->create(QueueName("events"), {});
  backend_->store(here)->set_notifications(
      bucket, {{.id = "all", .queue = "events", .events = {"s3:ObjectCreated:*"}, .prefix = {}, .suffix = {}}});
  backend_->queues(here)->purge(QueueName("events"));
  const auto sequencer = [&] {
    put("k", "x");
    const std::string body = backend_->queues(here)->receive(QueueName("events"), 1, Milliseconds(0), {}).at(0).body;
    return body.substr(body.find("\"sequencer\":\""), 29);
  };
  make_copy({"bale.sqlite"});
  open();
  const std::string before = sequencer();
  restore_copy();
  open();
  EXPECT_GT(sequencer(), before);
}

TEST_F(LostFilesTest, DataThatAreOlderThanTheDatabaseAreNamed) {
  make_copy({"s3"});
  open();
  put("new", "new");
  restore_copy();
  open();
  EXPECT_EQ(backend_->lost().count, 0u);
  EXPECT_EQ(get("old"), "old");
  EXPECT_THROW(get("new"), Error);
}

}  // namespace
}  // namespace bale::embedded
