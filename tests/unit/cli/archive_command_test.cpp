// bale archive, from arguments to exit status.
#include <sys/stat.h>

#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/text.hpp"
#include "cli/app.hpp"
#include "cli/context.hpp"
#include "crash/crash_files.hpp"
#include "os/directory.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

using ::testing::HasSubstr;

class ArchiveCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.write("in/a.txt", "hello");
    world_.write("in/empty", "");
    std::string large;
    for (int i = 0; i < 60'000; ++i) large += std::to_string(i * 7919 % 10007);
    world_.write("in/dir/large", large);
    archive_ = world_.path("x.tar.zst").string();
  }
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "archive");
    world_.terminal.take_output();
    world_.terminal.take_errors();
    return cli::run(arguments, world_.world());
  }
  int create() {
    return run({"create", archive_, world_.path("in").string(), "--level", "3", "--frame-size", "64KiB"});
  }
  /// The key of a file below in/: paths are kept as given, without the leading '/'.
  std::string key(const std::string& name) const { return world_.path("in").string().substr(1) + "/" + name; }
  std::string out() { return world_.terminal.output(); }
  std::string err() { return world_.terminal.errors(); }

  bale::testing::FakeWorld world_;
  std::string archive_;
};

TEST_F(ArchiveCommandTest, CreatesListsVerifiesAndExtracts) {
  ASSERT_EQ(create(), 0) << err();
  EXPECT_THAT(out(), HasSubstr("3 objects"));
  ASSERT_EQ(run({"list", archive_}), 0);
  EXPECT_THAT(out(), HasSubstr(key("dir/large")));
  ASSERT_EQ(run({"list", archive_, "--long", "--output", "json"}), 0);
  std::istringstream lines(out());
  std::string line;
  int objects = 0;
  while (std::getline(lines, line)) objects += nlohmann::json::parse(line).at("type") == "object" ? 1 : 0;
  EXPECT_EQ(objects, 3);
  ASSERT_EQ(run({"info", archive_}), 0);
  EXPECT_THAT(out(), HasSubstr("Bale, seekable"));
  ASSERT_EQ(run({"verify", archive_}), 0) << err();
  ASSERT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 0) << err();
  for (const char* name : {"a.txt", "empty", "dir/large"})
    EXPECT_TRUE(world_.read("out/" + key(name)) == world_.read(std::string("in/") + name)) << name;
  const auto in = world_.files->info(world_.path("in/a.txt"));
  const auto extracted = world_.files->info(world_.path("out/" + key("a.txt")));
  EXPECT_EQ(in->modified, extracted->modified);
}

TEST_F(ArchiveCommandTest, ExtractsWhatIsAskedFor) {
  ASSERT_EQ(create(), 0);
  ASSERT_EQ(run({"extract", archive_, key("dir"), "--to", world_.path("out").string()}), 0);
  EXPECT_TRUE(std::filesystem::exists(world_.path("out/" + key("dir/large"))));
  EXPECT_FALSE(std::filesystem::exists(world_.path("out/" + key("a.txt"))));
  EXPECT_EQ(run({"extract", archive_, "missing", "--to", world_.path("out").string()}), 3);
  EXPECT_THAT(err(), HasSubstr("missing"));
}

TEST_F(ArchiveCommandTest, DryrunChangesNothing) {
  ASSERT_EQ(run({"create", archive_, world_.path("in").string(), "--dryrun"}), 0);
  EXPECT_THAT(out(), HasSubstr("(dryrun)"));
  EXPECT_FALSE(std::filesystem::exists(archive_));
  ASSERT_EQ(create(), 0);
  ASSERT_EQ(run({"extract", archive_, "--to", world_.path("out").string(), "--dry-run"}), 0);
  EXPECT_FALSE(std::filesystem::exists(world_.path("out")));
}

TEST_F(ArchiveCommandTest, LinksAreLeftOutAndNamed) {
  std::filesystem::create_symlink("/etc/passwd", world_.path("in/link"));
  ASSERT_EQ(create(), 0);
  EXPECT_THAT(err(), HasSubstr("in/link: a symbolic link"));
  EXPECT_THAT(out(), HasSubstr("3 objects"));
}

TEST_F(ArchiveCommandTest, DamageHasItsStatusAndTheOthersAreExtracted) {
  ASSERT_EQ(create(), 0);
  std::string bytes = world_.read("x.tar.zst");
  bytes[bytes.size() / 3] ^= 1;
  world_.write("x.tar.zst", bytes);
  EXPECT_EQ(run({"verify", archive_}), 5);
  EXPECT_THAT(err(), HasSubstr("frame"));
  EXPECT_THAT(err(), HasSubstr("dir/large"));
  EXPECT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 5);
  EXPECT_EQ(world_.read("out/" + key("a.txt")), "hello");
  EXPECT_FALSE(std::filesystem::exists(world_.path("out/" + key("dir/large"))));
  world_.write("x.tar.zst", bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(run({"list", archive_}), 5);
  world_.write("x.tar.zst", "no archive");
  EXPECT_EQ(run({"list", archive_}), 5);
}

TEST_F(ArchiveCommandTest, NothingIsNoArchive) {
  std::filesystem::create_directories(world_.path("hollow/inner"));
  std::filesystem::create_symlink("in", world_.path("link"));
  EXPECT_EQ(run({"create", archive_, world_.path("hollow").string()}), 1);
  EXPECT_THAT(err(), HasSubstr("left out " + world_.path("hollow").string() + ": no file is in it"));
  EXPECT_THAT(err(), HasSubstr("nothing to archive"));
  EXPECT_FALSE(std::filesystem::exists(archive_));
  EXPECT_EQ(run({"create", archive_, world_.path("hollow").string(), "--dryrun"}), 1);
  EXPECT_EQ(run({"create", archive_, world_.path("in").string(), world_.path("link").string()}), 1);
  EXPECT_THAT(err(), HasSubstr("left out " + world_.path("link").string()));
  EXPECT_THAT(err(), HasSubstr("hint: name what the link leads to"));
  EXPECT_THAT(out(), HasSubstr("3 objects")) << "the others are archived";
}

TEST_F(ArchiveCommandTest, EmptyDirectoriesAreCounted) {
  std::filesystem::create_directories(world_.path("in/hollow"));
  EXPECT_EQ(create(), 0);
  EXPECT_THAT(err(), HasSubstr("warning: left out 1 empty directory:"));
  std::filesystem::create_directories(world_.path("in/dir/another"));
  EXPECT_EQ(create(), 0);
  EXPECT_THAT(err(), HasSubstr("warning: left out 2 empty directories:"));
}

TEST_F(ArchiveCommandTest, TheArchiveItselfMayBeNamed) {
  ASSERT_EQ(create(), 0);
  EXPECT_EQ(run({"create", archive_, archive_, world_.path("in").string()}), 0) << "as `create x.tar.zst *` does";
  EXPECT_THAT(err(), HasSubstr("the archive itself"));
  EXPECT_EQ(run({"create", archive_, archive_}), 1);
  EXPECT_EQ(run({"verify", archive_}), 0) << "what was there is there";
}

TEST_F(ArchiveCommandTest, OnlyFilesAreReplaced) {
  std::filesystem::create_symlink("x.tar.zst", world_.path("link"));
  std::filesystem::create_symlink("nowhere", world_.path("dangling"));
  world_.write("x.tar.zst", "old");
  EXPECT_EQ(run({"create", world_.path("link").string(), world_.path("in").string()}), 0) << err();
  EXPECT_TRUE(std::filesystem::is_symlink(world_.path("link")));
  EXPECT_EQ(run({"verify", archive_}), 0) << "the file behind the link was replaced";
  for (const char* name : {"dangling", "in"}) {
    EXPECT_EQ(run({"create", world_.path(name).string(), world_.path("in").string()}), 2) << name;
    EXPECT_THAT(err(), HasSubstr(world_.path(name).string()));
    EXPECT_EQ(run({"create", world_.path(name).string(), world_.path("in").string(), "--dryrun"}), 2) << name;
  }
  EXPECT_TRUE(std::filesystem::is_symlink(world_.path("dangling")));
}

TEST_F(ArchiveCommandTest, APipeAndStandardOutputTakeTheArchive) {
  ASSERT_EQ(create(), 0);
  const std::string expected = world_.read("x.tar.zst");
  const std::string pipe = world_.path("pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  archive_ = pipe;
  std::string got;
  {
    const std::jthread reader([&] {
      std::ifstream stream(pipe, std::ios::binary);
      got.assign(std::istreambuf_iterator<char>(stream), {});
    });
    EXPECT_EQ(create(), 0) << err();
  }
  EXPECT_TRUE(got == expected);
  EXPECT_EQ(world_.files->info(pipe)->type, os::FileType::other) << "still a pipe";
  for (const char* name : {"-", "/dev/stdout"}) {
    archive_ = name;
    EXPECT_EQ(create(), 0) << err();
    EXPECT_TRUE(out() == expected) << "nothing but the archive: " << name;
  }
}

TEST_F(ArchiveCommandTest, ExtractingNeverReplacesALinkOrPipe) {
  ASSERT_EQ(create(), 0);
  const auto at = [&](const std::string& name) { return world_.path("out/" + key(name)); };
  world_.write("secret", "kept");
  std::filesystem::create_directories(at("a.txt").parent_path());
  std::filesystem::create_symlink(world_.path("secret"), at("a.txt"));
  ASSERT_EQ(::mkfifo(at("empty").c_str(), 0600), 0);
  EXPECT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 1);
  EXPECT_THAT(err(), HasSubstr("a symbolic link has the file's name"));
  EXPECT_THAT(err(), HasSubstr("would be replaced"));
  EXPECT_EQ(world_.read("secret"), "kept");
  EXPECT_TRUE(std::filesystem::is_symlink(at("a.txt")));
  EXPECT_TRUE(std::filesystem::is_fifo(at("empty")));
  EXPECT_TRUE(std::filesystem::exists(at("dir/large"))) << "the others are extracted";
}

TEST_F(ArchiveCommandTest, WhatIsNoFileIsNoArchive) {
  for (const char* command : {"list", "verify", "info"}) {
    EXPECT_EQ(run({command, world_.path("in").string()}), 2);
    EXPECT_THAT(err(), HasSubstr("this is a directory")) << command;
  }
}

TEST_F(ArchiveCommandTest, NamesAreFoundAsTheyAreDisplayed) {
  for (const char* name : {"odd/tab\t", "odd/tab\\x09", "odd/\xff"}) world_.write(name, name);
  ASSERT_EQ(run({"create", archive_, world_.path("odd").string()}), 0) << err();
  const std::string odd = world_.path("odd").string().substr(1) + "/";
  ASSERT_EQ(run({"list", archive_}), 0);
  for (const char* shown : {"tab\\x09\n", "tab\\\\x09\n", "\\xff\n"}) EXPECT_THAT(out() + "\n", HasSubstr(odd + shown));
  ASSERT_EQ(run({"list", archive_, "--output", "json"}), 0);
  EXPECT_THAT(out(), HasSubstr("\"key_base64\":\"" + to_base64(as_bytes(odd + "\xff")) + "\""));
  const auto extracted = [&](const std::string& member) {
    std::filesystem::remove_all(world_.path("out"));
    EXPECT_EQ(run({"extract", archive_, member, "--to", world_.path("out").string(), "--output", "json"}), 0) << err();
    std::vector<std::string> contents;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(world_.path("out")))
      if (entry.is_regular_file()) contents.push_back(world_.read(entry.path().lexically_relative(world_.path())));
    return contents;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(extracted(odd + "\\xff"), ElementsAre("odd/\xff"));
  EXPECT_THAT(extracted(odd + "tab\\\\x09"), ElementsAre("odd/tab\\x09"));
  EXPECT_THAT(extracted(odd + "tab\\x09"), ElementsAre("odd/tab\\x09")) << "a key that is so comes first";
  EXPECT_THAT(extracted(odd + "tab\t"), ElementsAre("odd/tab\t"));
}

TEST_F(ArchiveCommandTest, NumbersAgreeWithTheirNouns) {
  world_.write("one/empty", "");
  ASSERT_EQ(run({"create", archive_, world_.path("one").string()}), 0);
  EXPECT_THAT(out(), HasSubstr(": 1 object, 0 B in "));
  EXPECT_THAT(out(), HasSubstr("(ratio -), 2 frames"));
  ASSERT_EQ(run({"info", archive_}), 0);
  EXPECT_THAT(out(), HasSubstr(", ratio -"));
}

TEST_F(ArchiveCommandTest, UsageAndMissingFiles) {
  EXPECT_EQ(run({"create", archive_}), 2);
  EXPECT_EQ(run({"create", archive_, world_.path("in").string(), "--level", "23"}), 2);
  EXPECT_EQ(run({"create", archive_, world_.path("in").string(), "--frame-size", "1000"}), 2);
  EXPECT_EQ(run({"create", archive_, world_.path("nothing").string()}), 3);
  EXPECT_EQ(run({"extract", archive_}), 2);
  EXPECT_EQ(run({"list", archive_}), 3);
  EXPECT_FALSE(std::filesystem::exists(archive_));
}

TEST_F(ArchiveCommandTest, ModesAndTimesAreRecordedAndNothingBecomesWider) {
  const std::map<std::string, std::uint32_t> modes{
      {"a.txt", 0600}, {"empty", 0755}, {"dir/large", 0440}, {"dir/set", 0104755}};
  world_.write("in/dir/set", "s");
  for (const auto& [name, mode] : modes) ASSERT_EQ(::chmod(world_.path("in/" + name).c_str(), mode & 07777), 0);
  ASSERT_EQ(create(), 0) << err();
  const mode_t before = ::umask(022);
  ASSERT_EQ(run({"extract", archive_, "-C", world_.path("out").string()}), 0) << err();
  for (const auto& [name, mode] : modes) {
    const auto info = world_.files->info(world_.path("out/" + key(name)));
    EXPECT_EQ(info->mode, mode & 0777) << name;
    EXPECT_EQ(info->modified, world_.files->info(world_.path("in/" + name))->modified);
  }
  ::umask(077);
  ASSERT_EQ(run({"extract", archive_, "--to", world_.path("narrow").string()}), 0) << err();
  EXPECT_EQ(world_.files->info(world_.path("narrow/" + key("empty")))->mode, 0700U);
  ::umask(022);
  world_.write("out/" + key("empty"), "private");
  ASSERT_EQ(::chmod(world_.path("out/" + key("empty")).c_str(), 0600), 0);
  ASSERT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 0) << err();
  EXPECT_EQ(world_.files->info(world_.path("out/" + key("empty")))->mode, 0600U) << "what is replaced was private";
  ASSERT_EQ(::chmod(archive_.c_str(), 0640), 0);
  ASSERT_EQ(create(), 0) << err();
  EXPECT_EQ(world_.files->info(archive_)->mode, 0640U);
  ::umask(before);
}

TEST_F(ArchiveCommandTest, NamesThatAFileSystemCanHoldStay) {
  const std::vector<std::string> names{"tab\tbed",    "new\nline",          "caf\xe9", "%", "d/\x01\x7f",
                                       "back\\slash", std::string(255, 'n')};
  for (const std::string& name : names) world_.write("in/odd/" + name, "of " + name);
  ASSERT_EQ(create(), 0) << err();
  ASSERT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 0) << err();
  EXPECT_THAT(err(), ::testing::Not(HasSubstr("escaped")));
  for (const std::string& name : names) EXPECT_EQ(world_.read("out/" + key("odd/" + name)), "of " + name) << name;
}

TEST_F(ArchiveCommandTest, HolesStayHoles) {
  std::string content(3 << 20, '\0');
  content.replace(1 << 20, 4, "data");
  world_.write("in/sparse", content);
  world_.write("in/zeros", std::string(1 << 20, '\0'));
  ASSERT_EQ(create(), 0) << err();
  ASSERT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 0) << err();
  EXPECT_TRUE(world_.read("out/" + key("sparse")) == content);
  EXPECT_EQ(world_.read("out/" + key("zeros")).size(), 1U << 20);
  struct stat status {};
  ASSERT_EQ(::stat(world_.path("out/" + key("sparse")).c_str(), &status), 0);
  EXPECT_LE(status.st_blocks * 512, 64 << 10);
}

/// Real files, some of which cannot be listed, inspected or believed, whoever asks.
class HiddenFiles final : public bale::testing::ForwardingFiles {
 public:
  std::vector<os::DirectoryEntry> list(const os::fs::path& path) override {
    if (path.filename() == "locked" || path.parent_path().filename() == "locked")
      throw Error(ErrorKind::denied, "cannot list: Permission denied", path.native());
    return real_.list(path);
  }
  std::optional<os::FileInfo> info(const os::fs::path& path) override {
    if (path.filename() == "deep") throw Error(ErrorKind::invalid, "cannot inspect: File name too long", path.native());
    auto found = real_.info(path);
    if (found && path.filename() == "sizeless") found->size = 0;
    return found;
  }
};

TEST_F(ArchiveCommandTest, WhatCannotBeReadIsNamedAndLeftOut) {
  world_.write("in/locked/x", "x");
  world_.write("in/dir/locked/x", "x");
  world_.write("in/dir/deep", "x");
  world_.write("in/sizeless", "not empty");
  HiddenFiles hidden;
  world_.files = &hidden;
  EXPECT_EQ(create(), exit_some_failed);
  for (const char* name : {"in/locked", "in/dir/locked", "in/dir/deep", "in/sizeless"})
    EXPECT_THAT(err(), HasSubstr(name)) << name;
  EXPECT_THAT(err(), HasSubstr("more than the 0 B that its size says"));
  EXPECT_EQ(run({"create", world_.path("only.tar.zst").string(), world_.path("in/locked").string()}), exit_some_failed);
  EXPECT_THAT(err(), HasSubstr("nothing to archive"));
  EXPECT_EQ(run({"create", world_.path("named.tar.zst").string(), world_.path("in/dir/deep").string(),
                 world_.path("in/a.txt").string()}),
            exit_some_failed);
  world_.files = &os::system_files();
  ASSERT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 0) << err();
  for (const char* name : {"a.txt", "empty", "dir/large"})
    EXPECT_TRUE(world_.read("out/" + key(name)) == world_.read(std::string("in/") + name)) << name;
  EXPECT_FALSE(std::filesystem::exists(world_.path("out/" + key("sizeless"))));
  ASSERT_EQ(run({"list", world_.path("named.tar.zst").string()}), 0);
  EXPECT_THAT(out(), HasSubstr("a.txt"));
}

TEST_F(ArchiveCommandTest, FilesOfProcAreNotArchivedAsEmpty) {
  EXPECT_EQ(run({"create", archive_, "/proc/version", world_.path("in").string()}), exit_some_failed);
  EXPECT_THAT(err(), HasSubstr("proc/version"));
  ASSERT_EQ(run({"list", archive_}), 0);
  EXPECT_THAT(out(), ::testing::Not(HasSubstr("proc/version")));
}

/// Real files, and somebody else who does something when the destination has just been made.
class SharedFiles final : public bale::testing::ForwardingFiles {
 public:
  std::vector<os::fs::path> make_directories(const os::fs::path& path) override {
    const std::scoped_lock lock(mutex_);  // other threads make the destination too, and go on below it
    auto made = real_.make_directories(path);
    if (!made.empty() && meddle) std::exchange(meddle, nullptr)();
    return made;
  }
  std::unique_ptr<os::Directory> open_directory(const os::fs::path& path) override {
    const std::scoped_lock lock(mutex_);
    return real_.open_directory(path);
  }
  std::function<void()> meddle;

 private:
  std::mutex mutex_;
};

TEST_F(ArchiveCommandTest, AFileThatAppearsDuringAnExtractionIsKept) {
  ASSERT_EQ(create(), 0);
  SharedFiles shared;
  shared.meddle = [&] { world_.write("out/" + key("a.txt"), "theirs"); };
  world_.files = &shared;
  EXPECT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), exit_some_failed);
  EXPECT_THAT(err(), HasSubstr("a.txt"));
  EXPECT_THAT(err(), HasSubstr("kept"));
  EXPECT_EQ(world_.read("out/" + key("a.txt")), "theirs");
  EXPECT_TRUE(world_.read("out/" + key("dir/large")) == world_.read("in/dir/large"));
  world_.files = &os::system_files();
  EXPECT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), 0) << "what was there is replaced";
  EXPECT_EQ(world_.read("out/" + key("a.txt")), "hello");
}

/// Real files, and somebody else who does something when the archive is opened.
class FilesWhileReading final : public bale::testing::ForwardingFiles {
 public:
  std::unique_ptr<os::ReadableFile> open_if_exists(const os::fs::path& path) override {
    if (path.filename() == "x.tar.zst" && meddle) std::exchange(meddle, nullptr)();
    return real_.open_if_exists(path);
  }
  std::function<void()> meddle;
};

TEST_F(ArchiveCommandTest, AFileThatAppearsWhileTheListIsReadIsKept) {
  ASSERT_EQ(create(), 0);
  const std::string appears = "out/" + key("a.txt"), replaced = "out/" + key("dir/large"),
                    there = "out/" + key("empty");
  for (const std::string& name : {replaced, there}) world_.write(name, "old");
  FilesWhileReading files;
  files.meddle = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // file systems tell times to a few milliseconds
    world_.write(appears, "theirs");
    world_.write("new", "theirs too");
    std::filesystem::last_write_time(world_.path("new"), std::filesystem::file_time_type(std::chrono::hours(1)));
    std::filesystem::rename(world_.path("new"), world_.path(replaced));  // as `mv` of an old file
  };
  world_.files = &files;
  EXPECT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), exit_some_failed);
  EXPECT_FALSE(files.meddle);
  EXPECT_THAT(err(), HasSubstr("kept"));
  EXPECT_EQ(world_.read(appears), "theirs");
  EXPECT_EQ(world_.read(replaced), "theirs too");
  EXPECT_EQ(world_.read(there), "") << "what was there is replaced";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(world_.path("out")), {}), 1) << "nothing is left over";
}

TEST_F(ArchiveCommandTest, ALinkThatAppearsDuringAnExtractionIsNotFollowed) {
  ASSERT_EQ(create(), 0);
  SharedFiles shared;
  std::filesystem::create_directory(world_.path("elsewhere"));
  shared.meddle = [&] {
    const auto directory = world_.path("out/" + key("dir"));
    std::filesystem::create_directories(directory.parent_path());
    std::filesystem::create_directory_symlink(world_.path("elsewhere"), directory);
  };
  world_.files = &shared;
  EXPECT_EQ(run({"extract", archive_, "--to", world_.path("out").string()}), exit_some_failed);
  EXPECT_THAT(err(), HasSubstr("symbolic link"));
  EXPECT_TRUE(std::filesystem::is_empty(world_.path("elsewhere")));
  EXPECT_EQ(world_.read("out/" + key("a.txt")), "hello");
}

/// Real files, and somebody else who writes a file when the archive is read.
class FilesWithACompetitor final : public bale::testing::ForwardingFiles {
 public:
  std::unique_ptr<os::WritableFile> create(const os::fs::path& path) override {
    auto file = real_.create(path);
    if (meddle) std::exchange(meddle, nullptr)();
    return file;
  }
  std::function<void()> meddle;
};

TEST_F(ArchiveCommandTest, AFileThatAppearsWhileAnArchiveIsWrittenIsKept) {
  FilesWithACompetitor files;
  files.meddle = [&] { world_.write("x.tar.zst", "theirs"); };
  world_.files = &files;
  EXPECT_EQ(create(), exit_refused) << out();
  EXPECT_THAT(err(), HasSubstr("x.tar.zst"));
  EXPECT_EQ(world_.read("x.tar.zst"), "theirs");
  EXPECT_EQ(create(), 0) << "what was there before is replaced";
  EXPECT_EQ(run({"verify", archive_}), 0);
}

}  // namespace
}  // namespace bale::cli
