#include "os/target.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "contract/errors.hpp"
#include "os/linux_file.hpp"
#include "support/fake_world.hpp"

namespace bale::os {
namespace {

using testing::FakeWorld;

class TargetTest : public ::testing::Test {
 protected:
  FakeWorld world;
  Files& files = system_files();
};

TEST(WholeTarget, IsWhatNoOtherWriteCanPass) {
  for (const int code : {ENOSPC, EDQUOT, EROFS}) EXPECT_TRUE(is_of_whole_target(system_error("write", "f", code)));
  for (const int code : {EACCES, EPERM, EIO, EFBIG, ENAMETOOLONG, EISDIR})
    EXPECT_FALSE(is_of_whole_target(system_error("write", "f", code))) << code;
  EXPECT_FALSE(is_of_whole_target(Error(ErrorKind::denied, "no", "", "")));
}

TEST(WholeTarget, AFileThatIsTooLargeIsOfThatFileAlone) {
  const Error error = system_error("write", "f", EFBIG);
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_NE(error.hint().find("ulimit -f"), std::string::npos);
}

TEST_F(TargetTest, ATrialLeavesNothing) {
  try_target(files, world.path());
  try_target(files, world.path("not/there/yet"));
  EXPECT_TRUE(files.list(world.path()).empty());
}

TEST_F(TargetTest, OnlyWhatConcernsAllIsThrown) {
  world.write("file", "x");
  try_target(files, world.path("file/below"));  // a file is in the way: the write of it tells
  try_target(files, "/proc/self/none");         // no files can be made here
  EXPECT_EQ(world.read("file"), "x");
}

/// Files of a file system that takes nothing.
class FullFiles final : public Files {
 public:
  explicit FullFiles(int code) : code_(code) {}
  std::unique_ptr<ReadableFile> open_if_exists(const fs::path&) override { return nullptr; }
  std::unique_ptr<WritableFile> create(const fs::path& path) override { throw system_error("create", path, code_); }
  void rename(const fs::path&, const fs::path&) override {}
  bool remove(const fs::path&) override { return false; }
  std::vector<fs::path> make_directories(const fs::path&) override { return {}; }
  std::optional<FileInfo> info(const fs::path&) override { return std::nullopt; }
  std::optional<FileInfo> info_followed(const fs::path& path) override {
    if (path != "/disk") return std::nullopt;
    return FileInfo{.type = FileType::directory};
  }
  std::vector<DirectoryEntry> list(const fs::path&) override { return {}; }
  void sync_directory(const fs::path&) override {}
  void sync_filesystem(const fs::path&) override {}
  void set_modified(const fs::path&, TimePoint) override {}

 private:
  const int code_;
};

TEST(Trial, NamesTheTargetThatTakesNothing) {
  FullFiles full(ENOSPC), read_only(EROFS), denied(EACCES);
  EXPECT_ERROR(ErrorKind::unavailable, "ENOSPC", try_target(full, "/disk/a/b"));
  EXPECT_ERROR(ErrorKind::denied, "EROFS", try_target(read_only, "/disk"));
  EXPECT_NO_THROW(try_target(denied, "/disk"));
  EXPECT_EQ(testing::error_of([&] { try_target(full, "/disk/a/b"); }).where(), "/disk/a/b");
}

}  // namespace
}  // namespace bale::os
