#include "jobs/raw/local_copy.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "crash/crash_files.hpp"
#include "os/clock.hpp"
#include "support/fake_world.hpp"
#include "transfer/etag_builder.hpp"

namespace bale::raw {
namespace {

namespace fs = std::filesystem;

/// Counts what is read of the instrument, and damages what is written to the pool.
class OddFiles final : public testing::ForwardingFiles {
 public:
  std::unique_ptr<os::ReadableFile> open_if_exists(const fs::path& path) override {
    auto file = ForwardingFiles::open_if_exists(path);
    if (!file || path.native().find("/instrument/") == std::string::npos) return file;
    return std::make_unique<Counted>(*this, std::move(file));
  }
  std::unique_ptr<os::WritableFile> create(const fs::path& path) override {
    auto file = ForwardingFiles::create(path);
    if (!flips_bit) return file;
    return std::make_unique<Flipping>(*this, std::move(file));
  }
  ByteCount free_bytes(const fs::path&) override { return free; }

  std::function<void()> after_read;  ///< called once, when the first bytes of a file of the instrument were read
  std::function<void()> after_flip;
  ByteCount read = 0;  ///< bytes of files of the instrument
  ByteCount free = 1ULL << 40;
  bool flips_bit = false;
  std::size_t flipped = 0;

 private:
  class Counted final : public os::ReadableFile {
   public:
    Counted(OddFiles& files, std::unique_ptr<os::ReadableFile> inner) : files_(files), inner_(std::move(inner)) {}
    ByteCount size() const override { return inner_->size(); }
    std::size_t read_at(ByteCount offset, MutableBytes bytes) override {
      const std::size_t got = inner_->read_at(offset, bytes);
      files_.read += got;
      if (got > 0 && files_.after_read) std::exchange(files_.after_read, {})();
      return got;
    }

   private:
    OddFiles& files_;
    std::unique_ptr<os::ReadableFile> inner_;
  };
  class Flipping final : public os::WritableFile {
   public:
    Flipping(OddFiles& files, std::unique_ptr<os::WritableFile> inner) : files_(files), inner_(std::move(inner)) {}
    void write(ByteView bytes) override { inner_->write(bytes); }
    void write_at(ByteCount offset, ByteView bytes) override {
      std::vector<std::byte> changed(bytes.begin(), bytes.end());
      if (!changed.empty()) {
        changed.back() ^= std::byte{1};
        ++files_.flipped;
      }
      inner_->write_at(offset, changed);
    }
    void extend_to(ByteCount size) override { inner_->extend_to(size); }
    void sync() override { inner_->sync(); }

   private:
    OddFiles& files_;
    std::unique_ptr<os::WritableFile> inner_;
  };
};

class LocalCopy : public ::testing::Test {
 protected:
  LocalCopy() {
    outside.files = &files;
    world.emplace(outside.world());
    log.emplace(*world, telemetry::Level::off, telemetry::Format::text);
    tools.emplace(Tools{*world, {connections, cores}, budget, *log, progress});
  }
  CopyRequest request(std::initializer_list<const char*> names) {
    CopyRequest copying{.id = "x", .directory = outside.path("pool"), .part_bytes = [](ByteCount) { return 4; }};
    for (const char* name : names) {
      const fs::path path = outside.path("instrument") / name;
      copying.files.push_back({name, path, files.info(path).value()});
    }
    return copying;
  }
  /// Returns the code of the error that copying ends with; empty where it succeeds.
  std::string code_of_copy(const CopyRequest& copying) {
    try {
      copy_files(copying, *tools);
      return {};
    } catch (const Error& error) {
      return error.code();
    }
  }
  /// Names in the pool, hidden ones included.
  std::vector<std::string> pool() {
    std::vector<std::string> names;
    if (!fs::exists(outside.path("pool"))) return names;
    for (const auto& entry : fs::recursive_directory_iterator(outside.path("pool")))
      names.push_back(fs::relative(entry.path(), outside.path("pool")).native());
    std::sort(names.begin(), names.end());
    return names;
  }

  testing::FakeWorld outside;
  OddFiles files;
  flow::ThreadPool connections{2, "connection"}, cores{2, "core"};
  flow::MemoryBudget budget{64 << 20};
  flow::Progress progress;
  std::optional<os::World> world;
  std::optional<telemetry::Log> log;
  std::optional<Tools> tools;
};

TEST_F(LocalCopy, ReadsTheInstrumentOnceAndComputesAllDigests) {
  outside.write("instrument/x.raw", "abcdefghij");
  const auto copied = copy_files(request({"x.raw"}), *tools);
  EXPECT_EQ(outside.read("pool/x.raw"), "abcdefghij");
  EXPECT_EQ(files.read, 10U);
  ASSERT_EQ(copied.size(), 1U);
  EXPECT_EQ(copied[0].digests.md5, Md5::of(as_bytes("abcdefghij")));
  EXPECT_EQ(copied[0].digests.crc64nvme, crc_of(crc64nvme, as_bytes("abcdefghij")));
  transfer::EtagBuilder etag(4);
  etag.update(as_bytes("abcdefghij"));
  EXPECT_EQ(copied[0].digests.etag, etag.finish());
  EXPECT_EQ(pool(), (std::vector<std::string>{"x.raw"}));
}

TEST_F(LocalCopy, KeepsTimesFoldersAndEmptyFiles) {
  outside.write("instrument/x.d/sub/a", "a");
  outside.write("instrument/x.d/zero", "");
  files.set_modified(outside.path("instrument/x.d/sub/a"), from_epoch_ms(1'700'000'000'000));
  CopyRequest copying = request({"x.d/sub/a", "x.d/zero"});
  copying.empty_folders = {"x.d/empty"};
  copy_files(copying, *tools);
  EXPECT_EQ(pool(), (std::vector<std::string>{"x.d", "x.d/empty", "x.d/sub", "x.d/sub/a", "x.d/zero"}));
  EXPECT_EQ(files.info(outside.path("pool/x.d/sub/a"))->modified, from_epoch_ms(1'700'000'000'000));
}

TEST_F(LocalCopy, ABitThatFlipsOnTheWayToTheDiskIsFound) {
  outside.write("instrument/x.raw", "abcdefghij");
  files.flips_bit = true;
  EXPECT_EQ(code_of_copy(request({"x.raw"})), copy_differs);
  EXPECT_GT(files.flipped, 0U);
  EXPECT_EQ(pool(), std::vector<std::string>{});
}

TEST_F(LocalCopy, ALargeFileIsReadBackWhileItIsCopied) {
  std::string bytes((40 << 20) + 77, '\0');
  outside.entropy.fill({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
  outside.write("instrument/x.raw", bytes);
  CopyRequest copying = request({"x.raw"});
  copying.part_bytes = [](ByteCount) { return 5 << 20; };
  const auto copied = copy_files(copying, *tools);
  EXPECT_EQ(files.read, bytes.size());
  EXPECT_EQ(copied[0].digests.md5, Md5::of(as_bytes(bytes)));
  EXPECT_TRUE(outside.read("pool/x.raw") == bytes);
  fs::remove(outside.path("pool/x.raw"));
  files.flips_bit = true;
  EXPECT_EQ(code_of_copy(copying), copy_differs);
  EXPECT_GT(files.flipped, 0U);
  EXPECT_EQ(pool(), std::vector<std::string>{});
}

TEST_F(LocalCopy, GivesNoNameWhereTheCallerMayNot) {
  outside.write("instrument/x.raw", "abcdefghij");
  CopyRequest copying = request({"x.raw"});
  copying.before_names = [] { throw Error(ErrorKind::precondition, "lost").with_code("LeaseLost"); };
  EXPECT_EQ(code_of_copy(copying), "LeaseLost");
  EXPECT_EQ(pool(), std::vector<std::string>{});
}

TEST_F(LocalCopy, LeavesTheStagingDirectoryOfALaterRunAlone) {
  outside.write("instrument/x.raw", "abcdefghij");
  CopyRequest copying = request({"x.raw"});
  copying.before_names = [&] {  // this run stood still, and another one began
    // Renamed, not removed: a new directory may get the inode number of one that was removed.
    fs::rename(outside.path("pool/.bale-raw-x.partial"), outside.path("pool/removed"));
    outside.write("pool/.bale-raw-x.partial/x.raw", "of the other run");
    throw Error(ErrorKind::precondition, "lost").with_code("LeaseLost");
  };
  EXPECT_EQ(code_of_copy(copying), "LeaseLost");
  EXPECT_EQ(outside.read("pool/.bale-raw-x.partial/x.raw"), "of the other run");
}

TEST_F(LocalCopy, LinksBelowThePoolAreRefused) {
  outside.write("instrument/x.d/a", "a");
  CopyRequest copying = request({"x.d/a"});
  copying.pool = outside.path("pool");
  copying.directory = outside.path("pool/i/2026_11");
  fs::create_directories(outside.path("elsewhere"));
  fs::create_directories(outside.path("pool/i"));
  fs::create_directory_symlink(outside.path("elsewhere"), outside.path("pool/i/2026_11"));
  EXPECT_EQ(code_of_copy(copying), link_in_pool);
  fs::remove(outside.path("pool/i/2026_11"));
  fs::create_directories(outside.path("pool/i/2026_11"));
  fs::create_directory_symlink(outside.path("elsewhere"), outside.path("pool/i/2026_11/x.d"));
  EXPECT_EQ(code_of_copy(copying), link_in_pool);
  EXPECT_TRUE(fs::is_empty(outside.path("elsewhere")));
  fs::remove(outside.path("pool/i/2026_11/x.d"));
  EXPECT_EQ(code_of_copy(copying), "");
  EXPECT_EQ(outside.read("pool/i/2026_11/x.d/a"), "a");
}

TEST_F(LocalCopy, AFileThatGrowsWhileItIsReadFails) {
  const fs::path path = outside.write("instrument/x.raw", "abcdefghij");
  const CopyRequest copying = request({"x.raw"});
  files.after_read = [&] { std::ofstream(path, std::ios::app) << "k"; };
  EXPECT_EQ(code_of_copy(copying), source_changed);
  EXPECT_FALSE(files.after_read);
  EXPECT_EQ(pool(), std::vector<std::string>{});
}

TEST_F(LocalCopy, AWriterThatSetsTheTimeBackIsFound) {
  const fs::path path = outside.write("instrument/x.raw", "abcdefghij");
  const CopyRequest copying = request({"x.raw"});
  const TimePoint before = files.info(path)->modified;
  // File systems tell times to a few milliseconds: the write below has to get another time than the file has.
  while (files.info(outside.write("clock", "x"))->changed == files.info(path)->changed) std::this_thread::yield();
  files.after_read = [&] {
    std::fstream(path, std::ios::in | std::ios::out) << "B";
    files.set_modified(path, before);
  };
  EXPECT_EQ(code_of_copy(copying), source_changed);
  EXPECT_FALSE(files.after_read);
}

TEST_F(LocalCopy, ANewTimeOfChangeWithTheSameBytesIsNoChange) {
  const fs::path path = outside.write("instrument/x.raw", "abcdefghij");
  const CopyRequest copying = request({"x.raw"});
  files.after_read = [&] { fs::permissions(path, fs::perms::owner_all); };
  EXPECT_EQ(code_of_copy(copying), "");
  EXPECT_EQ(outside.read("pool/x.raw"), "abcdefghij");
}

TEST_F(LocalCopy, AFileThatIsRenamedMeanwhileIsGone) {
  const fs::path path = outside.write("instrument/x.raw", "abcdefghij");
  const CopyRequest copying = request({"x.raw"});
  files.after_read = [&] { fs::rename(path, outside.path("instrument/x_CORRUPTED.raw")); };
  EXPECT_EQ(code_of_copy(copying), source_gone);
  EXPECT_EQ(pool(), std::vector<std::string>{});
}

TEST_F(LocalCopy, AnIdenticalCopyStays) {
  outside.write("instrument/x.raw", "abcdefghij");
  outside.write("pool/x.raw", "abcdefghij");
  const std::uint64_t inode = files.info(outside.path("pool/x.raw"))->inode;
  EXPECT_TRUE(copy_files(request({"x.raw"}), *tools)[0].was_there);
  EXPECT_EQ(files.info(outside.path("pool/x.raw"))->inode, inode);
}

TEST_F(LocalCopy, AnotherFileIsNeverReplaced) {
  outside.write("instrument/x.raw", "abcdefghij");
  for (const char* other : {"abcdefghiJ", "abc", ""}) {
    outside.write("pool/x.raw", other);
    EXPECT_EQ(code_of_copy(request({"x.raw"})), name_is_taken);
    EXPECT_EQ(outside.read("pool/x.raw"), other);
  }
}

TEST_F(LocalCopy, ASetThatIsThereInPartIsCompleted) {
  outside.write("instrument/x.d/a", "a");
  outside.write("instrument/x.d/b", "b");
  outside.write("pool/x.d/a", "a");
  copy_files(request({"x.d/a", "x.d/b"}), *tools);
  EXPECT_EQ(pool(), (std::vector<std::string>{"x.d", "x.d/a", "x.d/b"}));
}

TEST_F(LocalCopy, AFullPoolFailsBeforeTheFirstByte) {
  outside.write("instrument/x.raw", "abcdefghij");
  files.free = 9;
  EXPECT_EQ(code_of_copy(request({"x.raw"})), no_space);
  EXPECT_EQ(files.read, 0U);
}

TEST_F(LocalCopy, WhatAKilledRunLeftIsRemoved) {
  outside.write("instrument/x.raw", "abcdefghij");
  outside.write("pool/.bale-raw-x.partial/x.raw", "abc");
  copy_files(request({"x.raw"}), *tools);
  EXPECT_EQ(pool(), (std::vector<std::string>{"x.raw"}));
}

}  // namespace
}  // namespace bale::raw
