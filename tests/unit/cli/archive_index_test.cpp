// bale archive index, and the commands that read by an index, from arguments to exit status.
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app.hpp"
#include "support/fake_world.hpp"
#include "support/foreign_archive.hpp"

namespace bale::cli {
namespace {

using test::frames_of;
using test::noise;
using test::reference_tar;
using test::tar_of;
using test::TestMember;
using test::words;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ArchiveIndexTest : public ::testing::Test {
 protected:
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "archive");
    world_.terminal.take_output();
    world_.terminal.take_errors();
    return cli::run(arguments, world_.world());
  }
  /// Writes an archive and its index.
  void make(const std::string& bytes) {
    world_.write("x.tar.zst", bytes);
    ASSERT_EQ(run({"index", archive_}), 0) << err();
  }
  int extract(std::vector<std::string> members = {}) {
    std::filesystem::remove_all(world_.path("out"));
    members.insert(members.begin(), {"extract", archive_, "--to", world_.path("out").string()});
    return run(members);
  }
  std::vector<nlohmann::json> lines() {
    std::istringstream text(out());
    std::vector<nlohmann::json> found;
    for (std::string line; std::getline(text, line);) found.push_back(nlohmann::json::parse(line));
    return found;
  }
  std::string out() { return world_.terminal.output(); }
  std::string err() { return world_.terminal.errors(); }
  bool exists(const std::string& name) { return std::filesystem::exists(world_.path(name)); }

  bale::testing::FakeWorld world_;
  const std::string archive_ = world_.path("x.tar.zst").string();
  const std::vector<TestMember> members_{
      {"a.txt", "hello"}, {"dir/words", words(100'000, 1)}, {"dir/noise", noise(50'000, 2)}, {"empty", ""}};
};

TEST_F(ArchiveIndexTest, AnArchiveOfTheReferenceIsReadByItsIndex) {
  make(frames_of(reference_tar(members_)));
  EXPECT_THAT(out(), HasSubstr("index of 4 objects in 1 frame"));
  EXPECT_THAT(out(), HasSubstr("by its manifest"));
  ASSERT_TRUE(exists("x.tar.zst.index"));
  ASSERT_EQ(run({"info", archive_}), 0);
  EXPECT_THAT(out(), HasSubstr("x.tar.zst.index"));
  ASSERT_EQ(run({"info", archive_, "--output", "json"}), 0);
  EXPECT_EQ(lines().at(0).at("random_access"), true);
  EXPECT_EQ(lines().at(0).at("index"), archive_ + ".index");
  ASSERT_EQ(run({"list", archive_, "--output", "json"}), 0);
  EXPECT_EQ(lines().size(), 4U);
  EXPECT_TRUE(lines().at(0).contains("frame_offset"));
  ASSERT_EQ(run({"verify", archive_}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("4 not verifiable (no SHA-256)"));
  ASSERT_EQ(extract(), 0) << err();
  for (const TestMember& member : members_) EXPECT_TRUE(world_.read("out/" + member.name) == member.content);
  ASSERT_EQ(extract({"dir"}), 0) << err();
  EXPECT_TRUE(exists("out/dir/words"));
  EXPECT_FALSE(exists("out/a.txt"));
  EXPECT_EQ(extract({"missing"}), 3);
}

TEST_F(ArchiveIndexTest, WithoutManifestTheIndexTellsWhatIsInIt) {
  world_.write("x.tar.zst", frames_of(tar_of(members_), 10'000));
  EXPECT_EQ(run({"list", archive_}), 5);
  EXPECT_THAT(err(), HasSubstr("hint: an index tells what is in it: bale archive index"));
  make(frames_of(tar_of(members_), 10'000));
  EXPECT_THAT(out(), HasSubstr("by the names in the tar"));
  ASSERT_EQ(run({"list", archive_}), 0);
  EXPECT_THAT(out(), HasSubstr("dir/noise"));
  ASSERT_EQ(extract({"dir/noise"}), 0) << err();
  EXPECT_TRUE(world_.read("out/dir/noise") == members_[2].content);
}

TEST_F(ArchiveIndexTest, EqualArchivesGetEqualIndexes) {
  make(frames_of(reference_tar(members_)));
  const std::string first = world_.read("x.tar.zst.index");
  ASSERT_EQ(run({"index", archive_, "--to", world_.path("again").string()}), 0);
  EXPECT_EQ(world_.read("again"), first);
}

TEST_F(ArchiveIndexTest, DryrunWritesNothing) {
  world_.write("x.tar.zst", frames_of(reference_tar(members_)));
  ASSERT_EQ(run({"index", archive_, "--dryrun"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("(dryrun) index: " + archive_ + " to " + archive_ + ".index"));
  EXPECT_FALSE(exists("x.tar.zst.index"));
  EXPECT_EQ(run({"index", archive_, "--dryrun", "--to", world_.path("").string()}), 2);
}

TEST_F(ArchiveIndexTest, TheArchiveIsNeverReplaced) {
  const std::string bytes = frames_of(reference_tar(members_));
  world_.write("x.tar.zst", bytes);
  std::filesystem::create_symlink("x.tar.zst", world_.path("link"));
  for (const std::string& to : {archive_, world_.path("link").string()}) {
    EXPECT_EQ(run({"index", archive_, "--to", to}), 2);
    EXPECT_THAT(err(), HasSubstr("the index would take the place of the archive"));
  }
  EXPECT_TRUE(world_.read("x.tar.zst") == bytes);
}

TEST_F(ArchiveIndexTest, AnArchiveOfBaleNeedsNone) {
  world_.write("in/a", "hello");
  ASSERT_EQ(run({"create", archive_, world_.path("in").string()}), 0);
  ASSERT_EQ(run({"index", archive_}), 0);
  EXPECT_THAT(out(), HasSubstr("needs no index"));
  EXPECT_THAT(err(), Not(HasSubstr("warning")));
  EXPECT_FALSE(exists("x.tar.zst.index"));
  const std::string whole = world_.read("x.tar.zst");
  world_.write("x.tar.zst", whole + "garbage");
  EXPECT_EQ(run({"index", archive_}), 1);
  EXPECT_THAT(out(), HasSubstr("needs no index"));
  EXPECT_THAT(err(), HasSubstr("7 bytes at the end of the file"));
  world_.write("x.tar.zst", whole);
  world_.write("other.index", "whatever");
  ASSERT_EQ(run({"list", archive_, "--index", world_.path("other.index").string()}), 0);
  EXPECT_THAT(err(), HasSubstr("is not used: "));
}

TEST_F(ArchiveIndexTest, AnIndexElsewhereIsNamed) {
  world_.write("x.tar.zst", frames_of(tar_of(members_)));
  const std::string index = world_.path("elsewhere").string();
  ASSERT_EQ(run({"index", archive_, "--to", index}), 0);
  EXPECT_EQ(run({"list", archive_, "--index", index}), 0) << err();
  EXPECT_EQ(run({"list", archive_, "--index", index + "x"}), 3);
  EXPECT_THAT(err(), HasSubstr("no such index"));
}

TEST_F(ArchiveIndexTest, AnIndexOfAnotherArchiveIsNotUsedAndItIsSaid) {
  make(frames_of(reference_tar(members_)));
  auto changed = members_;
  changed[0].content = "world";
  world_.write("x.tar.zst", frames_of(reference_tar(changed)));
  ASSERT_EQ(extract({"a.txt"}), 0) << err();
  EXPECT_THAT(err(), HasSubstr("warning: " + archive_ + ".index is not used: it is of an archive"));
  EXPECT_THAT(err(), HasSubstr("bale archive index"));
  EXPECT_EQ(world_.read("out/a.txt"), "world");
}

TEST_F(ArchiveIndexTest, ADamagedIndexIsNotUsedAndItIsSaid) {
  make(frames_of(reference_tar(members_)));
  const std::string sound = world_.read("x.tar.zst.index");
  for (const std::string& bytes : {std::string(), std::string("nonsense"), sound.substr(0, sound.size() / 2),
                                   sound.substr(0, sound.size() - 1) + "x"}) {
    world_.write("x.tar.zst.index", bytes);
    EXPECT_EQ(extract({"a.txt"}), 0) << err();
    EXPECT_THAT(err(), HasSubstr("is not used: "));
    EXPECT_EQ(world_.read("out/a.txt"), "hello");
  }
}

/// The index says so, and its checksum is right: nothing leaves the destination all the same.
TEST_F(ArchiveIndexTest, NamesThatLeadElsewhereStayInTheDestination) {
  const std::vector<TestMember> members{{"../outside", "1"}, {"/etc/absolute", "2"}, {"a/../../up", "3"}, {"ok", "4"}};
  make(frames_of(tar_of(members)));
  ASSERT_EQ(extract(), 0) << err();
  EXPECT_FALSE(exists("outside"));
  EXPECT_FALSE(exists("up"));
  EXPECT_EQ(world_.read("out/%2E%2E/outside"), "1");
  EXPECT_EQ(world_.read("out/etc/absolute"), "2");
  EXPECT_EQ(world_.read("out/a/%2E%2E/%2E%2E/up"), "3");
  EXPECT_THAT(err(), HasSubstr("../outside gets the escaped name "));
  EXPECT_THAT(err(), HasSubstr("the '/' at the beginning of names is left out"));
  EXPECT_EQ(world_.read("out/ok"), "4");
}

TEST_F(ArchiveIndexTest, WrongPlacesAreDamageAndTheOthersAreExtracted) {
  const std::string bytes = frames_of(tar_of(members_));
  world_.write("x.tar.zst", bytes);
  test::MemorySource file(bytes);
  archive::Sidecar wrong = test::index_of(file).sidecar;
  const std::string first = wrong.manifest.objects[1].member, second = wrong.manifest.objects[2].member;
  test::change(wrong.manifest.objects, 1, [&](archive::ManifestObject& object) { object.member = second; });
  test::change(wrong.manifest.objects, 2, [&](archive::ManifestObject& object) { object.member = first; });
  world_.write("x.tar.zst.index", std::string(as_text(archive::encode_sidecar(wrong).view())));
  EXPECT_EQ(extract(), 5);
  EXPECT_THAT(err(), HasSubstr("not extracted: dir/words: another member, or none, is where the index says"));
  EXPECT_THAT(err(), HasSubstr("hint: make the index anew: bale archive index"));
  EXPECT_EQ(world_.read("out/a.txt"), "hello");
  EXPECT_FALSE(exists("out/dir/words"));
  EXPECT_EQ(run({"verify", archive_}), 5);
}

TEST_F(ArchiveIndexTest, DamagedArchivesGetNoIndex) {
  const std::string sound = frames_of(reference_tar(members_));
  for (const std::string& bytes : {std::string(), std::string("nonsense"), sound.substr(0, sound.size() - 1)}) {
    world_.write("x.tar.zst", bytes);
    EXPECT_EQ(run({"index", archive_}), 5);
    EXPECT_THAT(err(), HasSubstr(archive_));
    EXPECT_FALSE(exists("x.tar.zst.index"));
  }
  EXPECT_EQ(run({"index", world_.path("missing").string()}), 3);
}

TEST_F(ArchiveIndexTest, WhatTheTarLacksIsNamed) {
  const std::string manifest = R"({"targets": [], "objects": [{"relative_key": "a", "size": 5},
                                   {"relative_key": "gone", "size": 1}]})";
  world_.write("x.tar.zst", frames_of(tar_of({{"objects/a", "hello"}, {"manifest.json", manifest}})));
  EXPECT_EQ(run({"index", archive_}), 5);
  EXPECT_THAT(err(), HasSubstr("damaged: gone: the tar does not hold"));
  EXPECT_EQ(run({"list", archive_, "--long"}), 0) << err();
  EXPECT_EQ(extract(), 5);
  EXPECT_EQ(world_.read("out/a"), "hello");
}

}  // namespace
}  // namespace bale::cli
