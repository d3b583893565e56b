// Files below a directory that others change meanwhile: nothing outside of it is touched, nothing is replaced unasked.
#include "os/directory_tree.hpp"

#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/error.hpp"
#include "support/fake_world.hpp"

namespace bale::os {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DirectoryTreeTest : public ::testing::Test {
 protected:
  DirectoryTreeTest() { fs::create_directory(outside_); }
  std::unique_ptr<TreeFile> begin(const std::string& name, Existing existing = Existing::keep) {
    auto file = tree_.create(name, existing);
    file->file().write(as_bytes("new"));
    return file;
  }
  void write(const std::string& name, Existing existing = Existing::keep) { begin(name, existing)->commit(modified_); }
  template <typename Step>
  static std::optional<ErrorKind> kind_of(const Step& step) {
    try {
      step();
    } catch (const Error& error) {
      return error.kind();
    }
    return std::nullopt;
  }
  /// All names below a directory, but for directories.
  std::vector<std::string> files_below(const fs::path& directory) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      if (!entry.is_directory() || entry.is_symlink()) found.push_back(entry.path().lexically_relative(directory));
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  /// What an attacker does: the directory goes away, and a link to another one has its name.
  void replace_by_link(const std::string& name) {
    fs::rename(root_ / name, world_.path("moved"));
    fs::create_directory_symlink(outside_, root_ / name);
  }

  bale::testing::FakeWorld world_;
  const fs::path root_ = world_.path("root"), outside_ = world_.path("outside");
  const TimePoint modified_ = from_epoch_ms(1'600'000'000'000);
  DirectoryTree tree_{system_files(), root_, Durability::together};
};

TEST_F(DirectoryTreeTest, MakesWhatIsMissing) {
  EXPECT_EQ(tree_.info("a/b/f"), std::nullopt);
  EXPECT_EQ(tree_.open_if_exists("a/b/f"), nullptr);
  tree_.sync();
  EXPECT_FALSE(fs::exists(root_)) << "made when it is needed";
  write("a/b/f");
  write("a/b/g");
  write("top");
  tree_.make_directories("a/c/d");
  tree_.sync();
  EXPECT_THAT(files_below(root_), ElementsAre("a/b/f", "a/b/g", "top"));
  EXPECT_TRUE(fs::is_directory(root_ / "a/c/d"));
  EXPECT_EQ(tree_.info("a/b/f")->modified, modified_);
  EXPECT_EQ(tree_.info("a/b/f")->mode, system_files().info(world_.write("ordinary", ""))->mode & 0644);
  EXPECT_EQ(tree_.open_if_exists("a/b/f")->size(), 3u);
  EXPECT_THAT(tree_.top_names(), ElementsAre("a", "top"));
}

TEST_F(DirectoryTreeTest, AFileThatAppearsIsKept) {
  const auto file = begin("d/f");
  world_.write("root/d/f", "theirs");
  EXPECT_EQ(kind_of([&] { file->commit(modified_); }), ErrorKind::precondition);
  EXPECT_EQ(world_.read("root/d/f"), "theirs");
  EXPECT_EQ(kind_of([&] { write("d/f"); }), ErrorKind::precondition);
  write("d/f", Existing::replace);
  EXPECT_EQ(world_.read("root/d/f"), "new");
}

TEST_F(DirectoryTreeTest, ALinkThatAppearsUnderTheNameIsKeptAndNotFollowed) {
  world_.write("outside/f", "theirs");
  const auto file = begin("d/f");
  fs::create_symlink(outside_ / "f", root_ / "d/f");
  EXPECT_EQ(kind_of([&] { file->commit(modified_); }), ErrorKind::precondition);
  EXPECT_EQ(kind_of([&] { write("d/f", Existing::replace); }), ErrorKind::denied);
  EXPECT_EQ(world_.read("outside/f"), "theirs");
}

TEST_F(DirectoryTreeTest, LinksOnTheWayAreRefusedWhereverTheyAre) {
  world_.write("outside/sub/f", "theirs");
  fs::create_directories(root_ / "a/b");
  fs::create_directory_symlink(outside_, root_ / "top");
  fs::create_directory_symlink("../../outside", root_ / "a/relative");
  fs::create_directory_symlink(outside_ / "sub", root_ / "a/b/deep");
  fs::create_symlink("nowhere", root_ / "dangling");
  world_.write("root/file", "");
  for (const char* name : {"top/f", "top/sub/f", "a/relative/x", "a/b/deep/f", "a/b/deep/new/f", "dangling/f"}) {
    EXPECT_EQ(kind_of([&] { write(name, Existing::replace); }), ErrorKind::denied) << name;
    EXPECT_EQ(kind_of([&] { tree_.info(name); }), ErrorKind::denied) << name;
    EXPECT_EQ(kind_of([&] { tree_.open_if_exists(name); }), ErrorKind::denied) << name;
    EXPECT_EQ(kind_of([&] { tree_.make_directories(name); }), ErrorKind::denied) << name;
  }
  EXPECT_EQ(kind_of([&] { write("file/f"); }), ErrorKind::precondition);
  EXPECT_EQ(kind_of([&] { tree_.open_if_exists("top"); }), ErrorKind::denied);
  EXPECT_THAT(files_below(outside_), ElementsAre("sub/f"));
  EXPECT_EQ(world_.read("outside/sub/f"), "theirs");
}

TEST_F(DirectoryTreeTest, NamesThatLeadUpwardsAreRefused) {
  fs::create_directories(root_ / "a/b");
  for (const char* name : {"../f", "a/../../f", "a/b/../../../f"})
    EXPECT_TRUE(kind_of([&] { write(name); }).has_value()) << name;
  EXPECT_FALSE(fs::exists(world_.path("f")));
}

TEST_F(DirectoryTreeTest, ADirectoryReplacedByALinkBetweenTwoFilesIsRefused) {
  write("d/sub/first");
  replace_by_link("d");
  EXPECT_EQ(kind_of([&] { write("d/sub/second"); }), ErrorKind::denied);
  EXPECT_EQ(kind_of([&] { write("d/third"); }), ErrorKind::denied);
  EXPECT_THAT(files_below(outside_), IsEmpty());
}

TEST_F(DirectoryTreeTest, ADirectoryReplacedWhileAFileIsWrittenFailsTheFile) {
  const auto by_link = begin("d/f");
  replace_by_link("d");
  EXPECT_EQ(kind_of([&] { by_link->commit(modified_); }), ErrorKind::denied);
  auto by_directory = begin("e/f");
  fs::rename(root_ / "e", world_.path("other"));
  fs::create_directory(root_ / "e");
  EXPECT_EQ(kind_of([&] { by_directory->commit(modified_); }), ErrorKind::precondition);
  by_directory.reset();
  EXPECT_THAT(files_below(outside_), IsEmpty());
  EXPECT_THAT(files_below(world_.path("other")), IsEmpty()) << "the temporary file is removed where it is";
}

TEST_F(DirectoryTreeTest, TheRootMayBeALinkThatTheUserNames) {
  fs::create_directory(world_.path("disk"));
  fs::create_directory_symlink(world_.path("disk"), root_);
  write("a/f");
  EXPECT_THAT(files_below(world_.path("disk")), ElementsAre("a/f"));
}

TEST_F(DirectoryTreeTest, ARootThatIsMovedOrReplacedFailsTheFiles) {
  write("d/first");
  for (const bool by_link : {true, false}) {
    auto file = begin("d/late" + std::to_string(by_link));
    fs::rename(root_, world_.path("moved"));
    by_link ? fs::create_directory_symlink(outside_, root_) : void(fs::create_directories(root_ / "d"));
    EXPECT_EQ(kind_of([&] { file->commit(modified_); }), ErrorKind::precondition);
    file.reset();
    for (const char* name : {"d/second", "third"})
      EXPECT_EQ(kind_of([&] { write(name, Existing::replace); }), ErrorKind::precondition) << name;
    EXPECT_THAT(files_below(by_link ? outside_ : root_), IsEmpty());
    EXPECT_THAT(files_below(world_.path("moved")), ElementsAre("d/first"));
    by_link ? fs::remove(root_) : fs::remove_all(root_);
    fs::rename(world_.path("moved"), root_);
  }
  write("d/second");
  fs::rename(root_, world_.path("moved"));
  EXPECT_EQ(kind_of([&] { write("third"); }), ErrorKind::precondition) << "nothing has its name";
}

TEST_F(DirectoryTreeTest, ARootThatBecomesALinkBeforeTheFirstFileIsNotFollowed) {
  DirectoryTree made_later(system_files(), open_tree_root(system_files(), root_ / ""), Durability::together);
  fs::create_directory_symlink(outside_, root_);
  const auto first_file = [](DirectoryTree& tree) { return kind_of([&] { tree.create("d/f", Existing::keep); }); };
  EXPECT_EQ(first_file(made_later), ErrorKind::denied);
  fs::remove(root_);
  fs::create_directory(root_);
  DirectoryTree opened(system_files(), open_tree_root(system_files(), root_), Durability::together);
  fs::rename(root_, world_.path("moved"));
  fs::create_directory_symlink(outside_, root_);
  EXPECT_EQ(kind_of([&] { opened.create("f", Existing::keep)->commit(modified_); }), ErrorKind::precondition);
  EXPECT_TRUE(fs::is_empty(outside_));
  EXPECT_THAT(files_below(world_.path("moved")), IsEmpty());
  EXPECT_EQ(first_file(made_later), ErrorKind::denied);
}

TEST_F(DirectoryTreeTest, NothingGetsOutOfADirectoryThatIsSwappedAllTheTime) {
  fs::create_directories(root_ / "d");
  std::jthread attacker([&](const std::stop_token& stop) {
    std::error_code ignored;
    while (!stop.stop_requested()) {
      fs::rename(root_ / "d", root_ / "hidden", ignored);
      fs::create_directory_symlink(outside_, root_ / "d", ignored);
      fs::remove(root_ / "d", ignored);
      fs::rename(root_ / "hidden", root_ / "d", ignored);
    }
  });
  int written = 0;
  for (int i = 0; i < 2000; ++i) written += kind_of([&] { write("d/" + std::to_string(i)); }) ? 0 : 1;
  attacker.request_stop();
  attacker.join();
  EXPECT_THAT(files_below(outside_), IsEmpty());
  EXPECT_GT(written, 0);
}

/// Makes two system calls fail as on systems that do not have them, for this process.
void forbid_new_calls() {
  const auto refuse = [](unsigned code) { return sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code); };
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      refuse(ENOSYS),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
      refuse(EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(90);
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(91);
}

TEST_F(DirectoryTreeTest, HoldsWithoutTheNewerSystemCalls) {
  world_.write("outside/f", "theirs");
  fs::create_directories(root_ / "a/b");
  fs::create_directory_symlink(outside_, root_ / "a/link");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    forbid_new_calls();
    write("a/b/c/f");
    const auto late = begin("a/b/late");
    world_.write("root/a/b/late", "theirs");
    if (kind_of([&] { late->commit(modified_); }) != ErrorKind::precondition) ::_exit(1);
    if (kind_of([&] { write("a/link/f", Existing::replace); }) != ErrorKind::denied) ::_exit(2);
    if (!tree_.info("a/b/c/f")) ::_exit(3);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(world_.read("root/a/b/c/f"), "new");
  EXPECT_EQ(world_.read("root/a/b/late"), "theirs");
  EXPECT_THAT(files_below(outside_), ElementsAre("f"));
}

}  // namespace
}  // namespace bale::os
