// bale archive, from arguments to exit status.
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app.hpp"
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

TEST_F(ArchiveCommandTest, UsageAndMissingFiles) {
  EXPECT_EQ(run({"create", archive_}), 2);
  EXPECT_EQ(run({"create", archive_, world_.path("in").string(), "--level", "23"}), 2);
  EXPECT_EQ(run({"create", archive_, world_.path("in").string(), "--frame-size", "1000"}), 2);
  EXPECT_EQ(run({"create", archive_, world_.path("nothing").string()}), 3);
  EXPECT_EQ(run({"extract", archive_}), 2);
  EXPECT_EQ(run({"list", archive_}), 3);
  EXPECT_FALSE(std::filesystem::exists(archive_));
}

}  // namespace
}  // namespace bale::cli
