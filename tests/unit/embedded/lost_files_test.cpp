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
  /// As make_copy({"bale.sqlite", "newest-number"}), of the open store.
  void copy_open_database() {
    copied_ = {"bale.sqlite", "newest-number"};
    Database(local_ / "bale.sqlite").execute("VACUUM INTO ?", (copy_ / "bale.sqlite").native());
    fs::copy(local_ / "newest-number", copy_ / "newest-number");
  }
  void restore_copy_without_log() {
    for (const char* name : {"bale.sqlite-wal", "bale.sqlite-shm"}) fs::remove(local_ / name);
    restore_copy();
  }
  /// Takes the second line, which holds a number, out of all journals.
  void make_journals_those_of_an_earlier_bale() {
    for (const auto& entry : fs::directory_iterator(local_ / "writers")) {
      std::string text = os::read_text_file(os::system_files(), entry.path());
      const auto line = text.find("\nnumber ");
      ASSERT_NE(line, std::string::npos);
      text.erase(line, text.find('\n', line + 1) - line);
      std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << text;
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

TEST_F(LostFilesTest, AJournalShowsADatabaseThatIsAsOldAsItsNewestNumber) {
  make_copy({"bale.sqlite", "newest-number"});
  in_killed_process([&] {
    put("new", "new");
    put("deep/er/newer", "newer");
    put("old", "changed");
  });
  restore_copy_without_log();
  open();
  EXPECT_TRUE(backend_->lost().is_database_older);
  EXPECT_THAT(contents("lost+found"), UnorderedElementsAre("new", "newer", "changed"));
  EXPECT_THAT(contents("writers"), SizeIs(1)) << "its own";
  put("new", "new again");
  open();
  EXPECT_FALSE(backend_->lost().is_database_older) << "told once";
  EXPECT_EQ(get("new"), "new again");
}

TEST_F(LostFilesTest, AJournalShowsADatabaseThatWasCopiedWhileItsWriterWorked) {
  copied_ = {"bale.sqlite", "newest-number"};
  in_killed_process([&] {
    put("before", "before");
    copy_open_database();
    put("after", "after");
  });
  restore_copy_without_log();
  open();
  EXPECT_TRUE(backend_->lost().is_database_older);
  EXPECT_THAT(contents("lost+found"), ElementsAre("after"));
  EXPECT_EQ(get("before"), "before");
}

TEST_F(LostFilesTest, TheNumberOfAWriterThatCommittedNothingShowsAnOlderDatabase) {
  make_copy({"bale.sqlite", "newest-number"});
  in_killed_process([&] {
    // The number of the writer is all that is committed.
    std::ofstream(fs::directory_iterator(local_ / "writers")->path(), std::ios::app)
        << "s3/bucket/torn@000000000000000000\n";
    std::ofstream(local_ / "s3/bucket/torn@000000000000000000") << "whose";
  });
  restore_copy_without_log();
  open();
  EXPECT_TRUE(backend_->lost().is_database_older);
  EXPECT_THAT(contents("lost+found"), ElementsAre("whose"));
}

TEST_F(LostFilesTest, AJournalOfAnEarlierBaleShowsItsWriterByTheNameOfItsFile) {
  make_copy({"bale.sqlite", "newest-number"});
  in_killed_process([&] { put("new", "new"); });
  make_journals_those_of_an_earlier_bale();
  restore_copy_without_log();
  open();
  EXPECT_TRUE(backend_->lost().is_database_older);
  EXPECT_THAT(contents("lost+found"), ElementsAre("new"));
}

TEST_F(LostFilesTest, AJournalOfAnEarlierBaleIsSweptAsBefore) {
  in_killed_process([&] {
    put("new", "new");
    std::ofstream(fs::directory_iterator(local_ / "writers")->path(), std::ios::app)
        << "s3/bucket/torn@000000000000000000\n";
    std::ofstream(local_ / "s3/bucket/torn@000000000000000000") << "half";
  });
  make_journals_those_of_an_earlier_bale();
  open();
  EXPECT_EQ(backend_->lost().count, 0u);
  EXPECT_THAT(contents("s3"), UnorderedElementsAre("old", "new"));
}

TEST_F(LostFilesTest, NumbersThatAJournalShowsAreNotGivenAgain) {
  make_copy({"bale.sqlite", "newest-number"});
  in_killed_process([&] {
    for (int i = 0; i < 20; ++i) put("k", std::to_string(i));
  });
  const std::int64_t newest = newest_number_in_journals(os::system_files(), local_ / "writers");
  EXPECT_GE(newest, 20);
  restore_copy_without_log();
  open();
  close();
  Database database(local_ / "bale.sqlite");
  Query counter = database.query("SELECT value FROM counter");
  ASSERT_TRUE(counter.step());
  EXPECT_GT(counter.integer(0), newest);
}

TEST_F(LostFilesTest, WithoutItsNewestNumberAStoreIsSearchedOnce) {
  make_copy({"bale.sqlite"});
  open();
  put("new", "new");
  restore_copy();
  fs::remove(local_ / "newest-number");
  open();
  EXPECT_EQ(backend_->lost().count, 1u);
  EXPECT_THAT(contents("lost+found"), ElementsAre("new"));
  EXPECT_EQ(get("old"), "old");
  close();
  EXPECT_TRUE(fs::exists(local_ / "newest-number"));
  std::ofstream(local_ / "s3/bucket/unknown@000000000000000000") << "unknown";
  open();
  EXPECT_EQ(backend_->lost().count, 0u) << "searched again";
}

TEST_F(LostFilesTest, WithoutItsNewestNumberACompleteStoreStaysAsItIs) {
  put("new", "new");
  close();
  fs::remove(local_ / "newest-number");
  open();
  EXPECT_EQ(backend_->lost().count, 0u);
  EXPECT_THAT(contents("s3"), UnorderedElementsAre("old", "new"));
}

TEST_F(LostFilesTest, AJournalThatIsKeptShowsTheNewestNumberOfItsWriter) {
  const fs::path journals = directory_.path() / "journals";
  fs::create_directory(journals);
  {
    WriterJournal journal(world_, journals, 7);
    EXPECT_EQ(newest_number_in_journals(world_.files, journals), 7);
    auto doubtful = journal.announce("s3/bucket/k@000000000000000000");
    doubtful.leave_to_sweep();
    journal.note(40);
    EXPECT_EQ(newest_number_in_journals(world_.files, journals), 40);
    for (int i = 0; i < 600; ++i) journal.announce("s3/bucket/" + std::string(1000, 'k'));  // a new chapter begins
    EXPECT_EQ(std::distance(fs::directory_iterator(journals), fs::directory_iterator()), 2);
    journal.note(50);
    journal.note(45);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(journals), fs::directory_iterator()), 1);
  EXPECT_EQ(newest_number_in_journals(world_.files, journals), 50);
}

TEST_F(LostFilesTest, WhatIsNoJournalShowsNoNumber) {
  const fs::path journals = directory_.path() / "journals";
  const std::string boot(36, 'b');
  const auto number_of = [&](const std::string& name, const std::string& text) {
    fs::remove_all(journals);
    fs::create_directories(journals / "0009-directory");
    std::ofstream(journals / name) << text;
    return newest_number_in_journals(world_.files, journals);
  };
  const std::string head = "bale-writer 1 " + boot + "\n", number = "number 0000000000000000123\n";
  EXPECT_EQ(number_of("0001-00000000", head + number), 123);
  EXPECT_EQ(number_of("0fff-00000000", head + number), 15 * 1024 + 15 * 32 + 15) << "the writer's own is newer";
  EXPECT_EQ(number_of("0001-00000000", "bale-writer 1 \n" + number), 123) << "a system without boot ids";
  EXPECT_EQ(number_of("0001-00000000", head + number.substr(0, 26)), 1) << "torn";
  EXPECT_EQ(number_of("0001-00000000", head + "number 00000000000000001x3\n"), 1);
  EXPECT_EQ(number_of("0001-00000000", head + "number 9999999999999999999\n"), 1) << "too large";
  EXPECT_EQ(number_of("0001-00000000", head + "s3/bucket/k@000000000000000000\n"), 1);
  EXPECT_EQ(number_of("0001-00000000", "zeros or another program's"), 0);
  EXPECT_EQ(number_of("0001-00000000", ""), 0);
  EXPECT_EQ(number_of("dead-1", head), 0);
  EXPECT_EQ(number_of("iiii-00000000", head), 0) << "no digits";
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
