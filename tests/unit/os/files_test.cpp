#include "os/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/error.hpp"
#include "crash/crash_files.hpp"
#include "os/directory.hpp"
#include "support/fake_world.hpp"

namespace bale::os {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FilesTest : public ::testing::Test {
 protected:
  std::vector<std::string> names(const fs::path& relative = {}) {
    std::vector<std::string> found;
    for (const DirectoryEntry& entry : files.list(world.path(relative))) found.push_back(entry.name);
    return found;
  }
  template <typename Step>
  static ErrorKind kind_of(Step step) {
    try {
      step();
    } catch (const Error& error) {
      EXPECT_FALSE(error.where().empty()) << "an error names the path";
      return error.kind();
    }
    ADD_FAILURE() << "no error";
    return ErrorKind::internal;
  }

  testing::FakeWorld world;
  Files& files = system_files();
};

TEST_F(FilesTest, ReadsAnywhereAndStopsAtTheEnd) {
  const auto file = files.open(world.write("f", "0123456789"));
  EXPECT_EQ(file->size(), 10u);
  std::string bytes(4, ' ');
  EXPECT_EQ(file->read_at(3, std::as_writable_bytes(std::span(bytes))), 4u);
  EXPECT_EQ(bytes, "3456");
  EXPECT_EQ(file->read_at(8, std::as_writable_bytes(std::span(bytes))), 2u);
  EXPECT_EQ(file->read_at(10, std::as_writable_bytes(std::span(bytes))), 0u);
  EXPECT_EQ(file->read_at(1000, std::as_writable_bytes(std::span(bytes))), 0u);
}

TEST_F(FilesTest, AnOpenFileOutlivesItsName) {
  const auto file = files.open(world.write("f", "kept"));
  EXPECT_TRUE(files.remove(world.path("f")));
  std::string bytes(4, ' ');
  EXPECT_EQ(file->read_at(0, std::as_writable_bytes(std::span(bytes))), 4u);
  EXPECT_EQ(bytes, "kept");
}

TEST_F(FilesTest, SaysWhatIsNotThere) {
  EXPECT_EQ(files.open_if_exists(world.path("none")), nullptr);
  EXPECT_EQ(files.open_if_exists(world.write("file", "") / "below"), nullptr);
  EXPECT_EQ(files.info(world.path("none")), std::nullopt);
  EXPECT_EQ(kind_of([&] { files.open(world.path("none")); }), ErrorKind::not_found);
  EXPECT_EQ(kind_of([&] { files.list(world.path("none")); }), ErrorKind::not_found);
  EXPECT_FALSE(files.remove(world.path("none")));
}

TEST_F(FilesTest, ADirectoryIsNoFile) {
  EXPECT_EQ(kind_of([&] { files.open(world.path()); }), ErrorKind::invalid);
}

TEST_F(FilesTest, ANameThatIsTakenIsNotOverwritten) {
  const fs::path path = world.write("f", "old");
  EXPECT_EQ(kind_of([&] { files.create(path); }), ErrorKind::precondition);
  EXPECT_EQ(world.read("f"), "old");
}

TEST_F(FilesTest, WritesInOrderAndAnywhere) {
  const auto file = files.create(world.path("f"));
  file->write(as_bytes("ab"));
  file->write_at(6, as_bytes("gh"));
  file->write(as_bytes("cd"));
  file->sync();
  EXPECT_EQ(world.read("f"), std::string("abcd\0\0gh", 8));
}

TEST_F(FilesTest, ReadsPastTheCacheWhateverTheAlignment) {
  for (const fs::path& path : {world.path("past"), fs::path("/dev/shm") / world.path("past").filename()}) {
    if (!fs::is_directory(path.parent_path())) continue;
    std::string content(Buffer::large_bytes + page_bytes + 100, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + i / page_bytes);
    fs::remove(path);
    const auto written = files.create(path);
    written->write(as_bytes(content));
    written->write_out(0, content.size());
    written->write_out(content.size(), 10);
    const auto file = files.open(path);
    Buffer bytes(2 * Buffer::large_bytes);
    for (const std::size_t shift : {std::size_t{0}, std::size_t{1}}) {  // in memory
      for (const ByteCount offset : {ByteCount{0}, ByteCount{page_bytes}, ByteCount{5}, content.size() - 3}) {
        const std::size_t got = file->read_past_cache(offset, {bytes.data() + shift, bytes.capacity() - page_bytes});
        ASSERT_EQ(got, content.size() - offset) << path << " " << offset;
        EXPECT_TRUE(as_text({bytes.data() + shift, got}) == content.substr(offset)) << path << " " << offset;
      }
    }
    EXPECT_EQ(file->read_past_cache(content.size(), {bytes.data(), page_bytes}), 0u);
    EXPECT_EQ(file->read_past_cache(page_bytes, {bytes.data(), 100}), 100u);
    fs::remove(path);
  }
}

TEST_F(FilesTest, WritesPastTheCacheWhateverTheAlignment) {
  // The directory of the tests, and a file system without direct writes.
  for (const fs::path& path : {world.path("past"), fs::path("/dev/shm") / world.path("past").filename()}) {
    if (!fs::is_directory(path.parent_path())) continue;
    Buffer bytes(Buffer::large_bytes + 3);
    bytes.resize(bytes.capacity());
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % page_bytes, 0u);
    std::string expected;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes.data()[i] = static_cast<std::byte>(i * 7 + i / page_bytes);
      expected += static_cast<char>(bytes.data()[i]);
    }
    fs::remove(path);
    {
      const auto file = files.create(path);
      file->write_past_cache(0, bytes.view());                                               // pages, and a rest
      file->write_past_cache(2 * Buffer::large_bytes, bytes.view());                         // a hole before it
      file->write_past_cache(expected.size(), bytes.view().first(page_bytes));               // not on a page
      file->write_past_cache(4 * Buffer::large_bytes, bytes.view().subspan(1).first(9000));  // not on a page in memory
      file->write_past_cache(4 * Buffer::large_bytes + 9000, {});
    }
    std::string wanted(4 * Buffer::large_bytes + 9000, '\0');
    wanted.replace(0, expected.size(), expected);
    wanted.replace(2 * Buffer::large_bytes, expected.size(), expected);
    wanted.replace(expected.size(), page_bytes, expected, 0, page_bytes);
    wanted.replace(4 * Buffer::large_bytes, 9000, expected, 1, 9000);
    EXPECT_TRUE(read_text_file(files, path) == wanted) << path;
    fs::remove(path);
  }
}

TEST_F(FilesTest, AFullDiskSaysSo) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  const auto file = files.open_for_writing("/dev/full");
  try {
    file->write(as_bytes("x"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_NE(error.hint().find("space"), std::string::npos);
  }
}

TEST_F(FilesTest, DirectoriesAreMadeWithTheirParents) {
  EXPECT_THAT(files.make_directories(world.path("a/b/c")),
              ElementsAre(world.path("a"), world.path("a/b"), world.path("a/b/c")));
  EXPECT_THAT(files.make_directories(world.path("a/b/d")), ElementsAre(world.path("a/b/d")));
  EXPECT_THAT(files.make_directories(world.path("a/b/d")), IsEmpty());
  world.write("file", "");
  EXPECT_EQ(kind_of([&] { files.make_directories(world.path("file")); }), ErrorKind::precondition);
  EXPECT_EQ(kind_of([&] { files.make_directories(world.path("file/below")); }), ErrorKind::not_found);
}

TEST_F(FilesTest, ADirectoryWithContentIsNotRemoved) {
  world.write("d/f", "");
  EXPECT_FALSE(files.remove(world.path("d")));
  EXPECT_TRUE(files.remove(world.path("d/f")));
  EXPECT_TRUE(files.remove(world.path("d")));
}

TEST_F(FilesTest, InfoTellsTypesAndFollowsOnlyWhenAsked) {
  world.write("f", "12345");
  fs::create_symlink("f", world.path("link"));
  fs::create_symlink("nowhere", world.path("dangling"));
  fs::create_symlink("round", world.path("round"));
  ASSERT_EQ(::mkfifo(world.path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(files.info(world.path("f"))->size, 5u);
  EXPECT_EQ(files.info(world.path())->type, FileType::directory);
  EXPECT_EQ(files.info(world.path("link"))->type, FileType::symlink);
  EXPECT_EQ(files.info(world.path("dangling"))->type, FileType::symlink);
  EXPECT_EQ(files.info(world.path("pipe"))->type, FileType::other);
  EXPECT_EQ(files.info_followed(world.path("link"))->type, FileType::regular);
  EXPECT_EQ(files.info_followed(world.path("link"))->inode, files.info(world.path("f"))->inode);
  EXPECT_EQ(files.info_followed(world.path("dangling")), std::nullopt);
  EXPECT_EQ(files.info_followed(world.path("round")), std::nullopt);
}

TEST_F(FilesTest, ListsSortedBytewise) {
  for (const char* name : {"b", "a", "B", "ä", "a-"}) world.write(name, "");
  EXPECT_THAT(names(), ElementsAre("B", "a", "a-", "b", "ä"));
}

TEST_F(FilesTest, SetsModificationTimesToTheMillisecond) {
  const fs::path path = world.write("f", "");
  for (const std::int64_t ms : {1'737'623'107'123ll, 0ll, -1ll}) {
    files.set_modified(path, from_epoch_ms(ms));
    EXPECT_EQ(to_epoch_ms(files.info(path)->modified), ms);
  }
}

TEST_F(FilesTest, ReadsSmallTextFilesOnly) {
  EXPECT_EQ(read_text_file(files, world.write("f", "text")), "text");
  EXPECT_EQ(read_text_file(files, world.write("empty", "")), "");
  EXPECT_EQ(read_text_file(files, world.write("f", "1234"), 4), "1234");
  EXPECT_EQ(kind_of([&] { read_text_file(files, world.write("f", "12345"), 4); }), ErrorKind::invalid);
}

TEST_F(FilesTest, ReadsFilesThatDoNotKnowTheirSize) {
  const std::string status = read_text_file(files, "/proc/self/status");
  EXPECT_NE(status.find("Pid:"), std::string::npos);
  EXPECT_EQ(kind_of([&] { read_text_file(files, "/proc/self/status", 10); }), ErrorKind::invalid);
}

/// The kernel refuses to read a file of /proc/sys into more memory than it allocates in one piece.
TEST_F(FilesTest, ReadsFilesOfTheKernelIntoLargeBuffers) {
  if (::access("/proc/sys/kernel/ostype", R_OK) != 0) GTEST_SKIP() << "no /proc/sys here";
  std::string bytes(32 << 20, ' ');
  const std::size_t got = files.open("/proc/sys/kernel/ostype")->read_at(0, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes.substr(0, got), "Linux\n");
}

TEST_F(FilesTest, AnAtomicFileAppearsWhenCommitted) {
  {
    AtomicFile file(files, world.path("f"));
    file.file().write(as_bytes("new"));
    EXPECT_EQ(files.info(world.path("f")), std::nullopt);
    file.commit();
  }
  EXPECT_EQ(world.read("f"), "new");
  EXPECT_THAT(names(), ElementsAre("f"));
}

TEST_F(FilesTest, AnAtomicFileThatIsGivenUpLeavesNothing) {
  world.write("f", "old");
  {
    AtomicFile file(files, world.path("f"));
    file.file().write(as_bytes("half"));
    EXPECT_EQ(world.read("f"), "old");
  }
  EXPECT_EQ(world.read("f"), "old");
  EXPECT_THAT(names(), ElementsAre("f"));
}

TEST_F(FilesTest, AnAtomicFileThatCannotTakeItsNameLeavesNothing) {
  {
    AtomicFile file(files, world.path("taken"));
    world.write("taken/inside", "");
    EXPECT_THROW(file.commit(), Error);
  }
  EXPECT_THAT(names(), ElementsAre("taken"));
}

TEST_F(FilesTest, AnAtomicFileReplacesWhatALinkLeadsToAndKeepsTheLink) {
  world.write("elsewhere/f", "old");
  fs::create_symlink("elsewhere/f", world.path("link"));
  fs::create_symlink("link", world.path("second"));
  AtomicFile file(files, world.path("second"));
  file.file().write(as_bytes("new"));
  EXPECT_EQ(files.open(world.path("elsewhere") / names("elsewhere").front())->size(), 3u) << "on the same file system";
  file.commit();
  EXPECT_EQ(file.path().filename(), "f");
  EXPECT_EQ(files.info(world.path("second"))->type, FileType::symlink);
  EXPECT_EQ(files.info(world.path("link"))->type, FileType::symlink);
  EXPECT_EQ(world.read("elsewhere/f"), "new");
  EXPECT_THAT(names("elsewhere"), ElementsAre("f"));
}

TEST_F(FilesTest, AnAtomicFileReplacesNothingButFiles) {
  world.write("directory/inside", "");
  ASSERT_EQ(::mkfifo(world.path("pipe").c_str(), 0600), 0);
  fs::create_symlink("nowhere", world.path("dangling"));
  fs::create_symlink("directory", world.path("to-directory"));
  fs::create_symlink("pipe", world.path("to-pipe"));
  const std::vector<std::string> before = names();
  for (const char* name : {"directory", "pipe", "dangling", "to-directory", "to-pipe"})
    EXPECT_EQ(kind_of([&] { AtomicFile(files, world.path(name)).commit(); }), ErrorKind::invalid) << name;
  EXPECT_EQ(names(), before);
  EXPECT_EQ(files.info(world.path("pipe"))->type, FileType::other);
}

TEST_F(FilesTest, AnAtomicFileInAnOpenDirectoryRefusesLinks) {
  world.write("f", "old");
  fs::create_symlink("f", world.path("link"));
  const std::shared_ptr<Directory> directory = files.open_directory(world.path());
  EXPECT_EQ(kind_of([&] { AtomicFile(directory, "link", Existing::replace); }), ErrorKind::denied);
  EXPECT_EQ(world.read("f"), "old");
}

TEST_F(FilesTest, AFileThatAppearsWhileAnotherIsWrittenIsKept) {
  for (const Existing existing : {Existing::keep, Existing::as_found}) {
    AtomicFile file(files, world.path("f"), existing);
    file.file().write(as_bytes("ours"));
    world.write("f", "theirs");
    EXPECT_EQ(kind_of([&] { file.commit(); }), ErrorKind::precondition);
    EXPECT_EQ(world.read("f"), "theirs");
    files.remove(world.path("f"));
  }
  EXPECT_THAT(names(), IsEmpty()) << "no temporary files";
}

TEST_F(FilesTest, AFileThatWasThereIsReplacedUnlessItHasToBeKept) {
  world.write("f", "old");
  EXPECT_EQ(kind_of([&] { AtomicFile(files, world.path("f"), Existing::keep); }), ErrorKind::precondition);
  AtomicFile file(files, world.path("f"), Existing::as_found);
  file.file().write(as_bytes("new"));
  file.commit();
  EXPECT_EQ(world.read("f"), "new");
  EXPECT_THAT(names(), ElementsAre("f"));
}

TEST_F(FilesTest, ARenameToANewNameReplacesNothing) {
  testing::ForwardingFiles by_links;  // the default: link and remove
  for (Files* const some : {&files, static_cast<Files*>(&by_links)}) {
    world.write("from", "new");
    world.write("to", "old");
    EXPECT_EQ(kind_of([&] { some->rename_new(world.path("from"), world.path("to")); }), ErrorKind::precondition);
    EXPECT_EQ(world.read("to"), "old");
    EXPECT_EQ(world.read("from"), "new");
    files.remove(world.path("to"));
    some->rename_new(world.path("from"), world.path("to"));
    EXPECT_EQ(world.read("to"), "new");
    EXPECT_THAT(names(), ElementsAre("to"));
  }
}

TEST_F(FilesTest, PrivateFilesAndDirectoriesAreTheOwnersAlone) {
  const mode_t umask_before = ::umask(0);
  EXPECT_THAT(files.make_private_directories(world.path("a/b")), ElementsAre(world.path("a"), world.path("a/b")));
  files.create_private(world.path("a/f"))->write(as_bytes("x"));
  ::umask(umask_before);
  EXPECT_EQ(files.info(world.path("a"))->mode, 0700u);
  EXPECT_EQ(files.info(world.path("a/b"))->mode, 0700u);
  EXPECT_EQ(files.info(world.path("a/f"))->mode, 0600u);
}

TEST_F(FilesTest, APipeTakesBytesAsTheyCome) {
  const fs::path pipe = world.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(files.is_stream(pipe));
  EXPECT_FALSE(files.is_stream(world.write("f", "")));
  EXPECT_FALSE(files.is_stream(world.path("none")));
  EXPECT_FALSE(files.is_stream(world.path()));
  std::string got;
  {
    const std::jthread reader([&] {
      std::ifstream stream(pipe, std::ios::binary);
      got.assign(std::istreambuf_iterator<char>(stream), {});
    });
    const auto file = files.open_stream(pipe, {});
    file->write(as_bytes(std::string(100'000, 'x')));
    file->sync();
    EXPECT_EQ(kind_of([&] { file->write_at(0, as_bytes("x")); }), ErrorKind::unsupported);
  }
  EXPECT_EQ(got, std::string(100'000, 'x'));
}

TEST_F(FilesTest, AStopEndsTheWaitForTheReaderOfAPipe) {
  const fs::path pipe = world.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::stop_source stop;
  {
    const std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_EQ(kind_of([&] { files.open_stream(pipe, stop.get_token()); }), ErrorKind::cancelled);
  }
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  const auto file = files.open_stream(pipe, stop.get_token());
  file->write(as_bytes("it fits, so that nothing is waited for"));
  EXPECT_EQ(kind_of([&] { file->write(as_bytes(std::string(1 << 20, 'x'))); }), ErrorKind::cancelled);
  ::close(reader);
  const auto before = std::signal(SIGPIPE, SIG_IGN);  // as stop_on_signals() does
  EXPECT_EQ(kind_of([&] { file->write(as_bytes("x")); }), ErrorKind::unavailable) << "the reader has gone";
  std::signal(SIGPIPE, before);
}

TEST_F(FilesTest, APipeIsNoFileToBeRead) {
  const fs::path pipe = world.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { files.open(pipe); }), ErrorKind::invalid) << "and no writer is waited for";
  EXPECT_EQ(kind_of([&] { read_text_file(files, pipe); }), ErrorKind::invalid);
}

TEST_F(FilesTest, ADescriptorOfThisProcessIsWrittenWhereItStands) {
  // Opened anew, "/dev/fd/N" would begin at the start of the file, and write over what is there.
  const int fd = ::open(world.write("f", "head").c_str(), O_WRONLY);
  ASSERT_EQ(::lseek(fd, 0, SEEK_END), 4);
  for (const char* directory : {"/dev/fd/", "/proc/self/fd/"}) {
    const std::string name = fmt::format("{}{}", directory, fd);
    EXPECT_TRUE(files.is_stream(name));
    files.open_stream(name, {})->write(as_bytes("+tail"));
  }
  ::close(fd);
  EXPECT_EQ(world.read("f"), "head+tail+tail");
  EXPECT_FALSE(files.is_stream("/dev/fd/987654"));
}

TEST_F(FilesTest, AnAtomicFileIsNeverWiderThanWhatItReplaces) {
  const mode_t before = ::umask(022);
  const auto directory = std::shared_ptr<Directory>(files.open_directory(world.path()));
  const auto mode_after = [&](std::optional<std::uint32_t> there, std::optional<std::uint32_t> own) {
    files.remove(world.path("f"));
    if (there) {
      world.write("f", "old");
      files.set_mode(world.path("f"), *there);
    }
    AtomicFile file(directory, "f", Existing::replace, own);
    file.file().write(as_bytes("new"));
    file.commit();
    EXPECT_EQ(world.read("f"), "new");
    return files.info(world.path("f"))->mode;
  };
  EXPECT_EQ(mode_after({}, {}), 0644U);
  EXPECT_EQ(mode_after({}, 0777), 0755U) << "the umask counts";
  EXPECT_EQ(mode_after({}, 0400), 0400U);
  EXPECT_EQ(mode_after({}, 04711), 0711U) << "without the bits that give the owner's rights away";
  EXPECT_EQ(mode_after(0600, {}), 0600U);
  EXPECT_EQ(mode_after(0666, {}), 0666U) << "as it was";
  EXPECT_EQ(mode_after(0600, 0755), 0600U);
  EXPECT_EQ(mode_after(0664, 0600), 0600U);
  ::umask(077);
  EXPECT_EQ(mode_after({}, 0755), 0700U);
  EXPECT_EQ(mode_after(0644, {}), 0644U);
  ::umask(before);
}

TEST_F(FilesTest, PagesOfZerosBecomeHoles) {
  const auto blocks_of = [&](const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_blocks * 512;
  };
  std::string content(1 << 20, '\0');
  content[5] = 'a';
  content[500'000] = 'b';
  for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{70'000}, std::size_t{4096}, std::size_t{1000}}) {
    const fs::path path = world.path("f" + std::to_string(piece));
    const auto file = files.create(path);
    ByteCount end = 0;
    for (std::size_t at = 0; at < content.size(); at += piece)
      end = std::max(
          end, write_leaving_holes(*file, at, as_bytes(content).subspan(at, std::min(piece, content.size() - at))));
    if (end < content.size()) file->extend_to(content.size());
    EXPECT_TRUE(world.read(path) == content) << piece;
    EXPECT_LE(blocks_of(path), 64 << 10) << piece;
  }
  const auto file = files.create(world.path("coarse"));
  EXPECT_EQ(write_leaving_holes(*file, 0, as_bytes(content), 2 << 20), content.size());
  EXPECT_TRUE(world.read("coarse") == content);
  EXPECT_EQ(write_leaving_holes(*file, 0, {}), 0U);
}

TEST_F(FilesTest, AnAtomicFileTakesANameOf255Bytes) {
  write_file_atomically(files, world.path(std::string(255, 'n')), as_bytes("x"));
  EXPECT_EQ(world.read(std::string(255, 'n')), "x");
}

TEST_F(FilesTest, WritersOfOneNameDoNotMix) {
  std::vector<std::jthread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n)
        write_file_atomically(files, world.path("f"), as_bytes(std::string(10'000, static_cast<char>('a' + i))));
    });
  }
  writers.clear();
  const std::string content = world.read("f");
  EXPECT_EQ(content, std::string(10'000, content[0]));
  EXPECT_THAT(names(), ElementsAre("f"));
}

TEST_F(FilesTest, ADirectoryThatCannotBeMadeIsRefusedAtOnce) {
  // Its parent is there and still the kernel says "no such directory": this recursed until the stack was gone.
  EXPECT_THROW(files.make_directories("/proc/bale-no-such/inner"), Error);
}

TEST_F(FilesTest, DeniedIsDenied) {
  if (::geteuid() == 0) GTEST_SKIP() << "nothing is denied to root";
  const fs::path path = world.write("f", "");
  ::chmod(path.c_str(), 0);
  EXPECT_EQ(kind_of([&] { files.open(path); }), ErrorKind::denied);
}

}  // namespace
}  // namespace bale::os
