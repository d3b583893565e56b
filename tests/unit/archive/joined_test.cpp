// Concatenated archives, bytes behind an archive, and hard links: each is read, or reported as not read.
#include "archive/frame_reader.hpp"
#include "archive/stream_reader.hpp"
#include "support/foreign_archive.hpp"

namespace bale::archive {
namespace {

using test::Collector;
using test::frames_of;
using test::index_of;
using test::Machine;
using test::MemorySource;
using test::noise;
using test::reference_tar;
using test::tar_header;
using test::tar_member;
using test::tar_of;
using test::TestMember;
using test::TestSource;
using test::words;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const std::string tar_end(1024, '\0');

using Contents = std::map<std::string, std::string>;

/// The objects of a reader by their keys, all read at once.
Contents contents_of(Reader& reader) {
  Machine machine;
  Collector all;
  reader.read({}, all, machine.pools(), machine.budget, {});
  for (const Damage& damage : all.damages) ADD_FAILURE() << damage.error.what();
  Contents found;
  for (const auto& [i, content] : all.objects) found[reader.manifest().objects[i].relative_key] = content;
  return found;
}

/// By an index, which is written and read: all objects at once, and each by itself.
Contents by_index(const std::string& archive) {
  MemorySource file(archive);
  const BuiltSidecar built = index_of(file);
  const Sidecar decoded = decode_sidecar(encode_sidecar(built.sidecar).view());
  EXPECT_EQ(decoded, built.sidecar);
  const auto reader = open_with_sidecar(file, decoded);
  Contents all = contents_of(*reader);
  Machine machine;
  for (std::size_t i = 0; i < reader->manifest().objects.size(); ++i) {
    Collector one;
    reader->read({i}, one, machine.pools(), machine.budget, {});
    EXPECT_TRUE(one.damages.empty()) << one.damages[0].error.what();
    EXPECT_EQ(one.objects[i], all[reader->manifest().objects[i].relative_key]);
  }
  return all;
}

std::vector<std::string> unread(const std::vector<Remark>& remarks) {
  std::vector<std::string> texts;
  for (const Remark& remark : remarks) {
    if (remark.is_unread) texts.push_back(remark.text);
  }
  return texts;
}

BuiltSidecar built_of(const std::string& archive) {
  MemorySource file(archive);
  return index_of(file);
}

std::string tar_padded(const std::string& data) { return data + std::string((512 - data.size() % 512) % 512, '\0'); }

std::string bale_archive(const std::vector<TestMember>& members) {
  Machine machine;
  TestSource source(members);
  return test::write(source, machine, {.level = 3, .frame_size = 64 << 10}).bytes;
}

// ---- Tars that follow one another

TEST(JoinedTars, AreReadOn) {
  const std::string first = tar_of({{"a", "one"}, {"b", words(300'000, 1)}});
  const std::string second = tar_of({{"c", words(70'001, 2)}, {"a", "newer"}}), empty = tar_end;
  const Contents expected{{"a", "newer"}, {"b", words(300'000, 1)}, {"c", words(70'001, 2)}};
  const std::string padded = first + std::string(9 * 512, '\0');
  for (const std::string& archive :
       {frames_of(first) + frames_of(second), frames_of(first + second), frames_of(padded + second, 1000),
        frames_of(first + second, 77), frames_of(empty + first + empty + second + empty),
        frames_of(first, 513) + frames_of(std::string(3 << 20, '\0')) + frames_of(second)}) {
    const BuiltSidecar built = built_of(archive);
    EXPECT_THAT(built.remarks, IsEmpty());
    EXPECT_TRUE(by_index(archive) == expected);
    const std::string bytes(as_text(encode_sidecar(built.sidecar).view()));
    EXPECT_EQ(bytes[8], 1) << "readers of the first version understand it";
  }
}

TEST(JoinedTars, ALoneZeroBlockIsSaidAndWhatFollowsIsRead) {
  const std::string block(512, '\0');
  const std::string archive = frames_of(
      tar_member({"a", "one"}) + block + tar_member({"b", "two"}) + tar_member({"c", "three"}) + tar_end, 700);
  const BuiltSidecar built = built_of(archive);
  ASSERT_EQ(built.remarks.size(), 1U);
  EXPECT_THAT(built.remarks[0].text, HasSubstr("a lone zero block at byte 1024"));
  EXPECT_FALSE(built.remarks[0].is_unread);
  EXPECT_EQ(by_index(archive), (Contents{{"a", "one"}, {"b", "two"}, {"c", "three"}}));
}

TEST(JoinedTars, WhatFollowsTheEndAndIsNoTarIsSaid) {
  const std::string tar = tar_of({{"a", "one"}, {"b", words(2000, 1)}});
  for (const std::string& rest : {std::string("x"), std::string(700, '\0') + "x", noise(300'000, 1), words(512, 1)}) {
    for (const std::size_t frame_bytes : {0, 100, 1024}) {
      const std::string archive = frames_of(tar + rest, frame_bytes);
      const BuiltSidecar built = built_of(archive);
      EXPECT_THAT(unread(built.remarks), ElementsAre(HasSubstr("what follows the end of the tar")));
      EXPECT_EQ(by_index(archive), (Contents{{"a", "one"}, {"b", words(2000, 1)}}));
      MemorySource file(archive);
      EXPECT_EQ(unread(open_with_sidecar(file, built.sidecar)->remarks()).size(), 1U);
    }
  }
}

TEST(JoinedTars, ManifestsOfSeveralAreTakenTogether) {
  const std::string archive = frames_of(reference_tar({{"a", "one"}, {"b", words(50'000, 1)}}), 4096) +
                              frames_of(reference_tar({{"b", "newer"}, {"c", "three"}})) +
                              frames_of(reference_tar({{"d", ""}, {"a", "newest"}}));
  const Contents expected{{"a", "newest"}, {"b", "newer"}, {"c", "three"}, {"d", ""}};
  MemorySource file(archive);
  const auto reader = open_archive(file);
  EXPECT_FALSE(reader->flaw());
  EXPECT_THAT(reader->remarks(), IsEmpty());
  EXPECT_EQ(contents_of(*reader), expected);
  EXPECT_EQ(by_index(archive), expected);
}

TEST(JoinedTars, ArchivesOfBaleAreTakenTogether) {
  const std::vector<TestMember> first{{"a", "one"}, {"big", noise(200'000, 1)}, {"a/b", "below"}};
  const std::vector<TestMember> second{{"a", "newer"}, {"z", words(90'000, 2)}};
  const std::string archive = bale_archive(first) + bale_archive(second);
  const Contents expected{{"a", "newer"}, {"a/b", "below"}, {"big", noise(200'000, 1)}, {"z", words(90'000, 2)}};
  MemorySource file(archive);
  const auto reader = open_archive(file);
  EXPECT_FALSE(reader->flaw());
  EXPECT_TRUE(contents_of(*reader) == expected);
  EXPECT_TRUE(by_index(archive) == expected);
  const auto with_other_way = open_archive(file, {}, [](ByteView) { return nullptr; });
  EXPECT_EQ(with_other_way->manifest().objects.size(), 4U);
}

TEST(JoinedTars, FilesThatNoManifestListsAreSaid) {
  const std::string archive = frames_of(reference_tar({{"a", "one"}})) + frames_of(tar_of({{"x", "1"}, {"y", "2"}}));
  MemorySource file(archive);
  const auto reader = open_archive(file);
  EXPECT_THAT(unread(reader->remarks()), ElementsAre(HasSubstr("a tar whose 2 files no manifest lists")));
  EXPECT_EQ(contents_of(*reader), (Contents{{"a", "one"}}));
  EXPECT_EQ(unread(built_of(archive).remarks).size(), 1U);
}

TEST(JoinedTars, ObjectsOfOneNameAndDifferentSourcesAreSaid) {
  const auto manifest = [](const std::string& prefix) {
    return R"({"objects": [{"source_prefix": ")" + prefix + R"(", "relative_key": "x", "size": 1}]})";
  };
  const std::string archive = frames_of(tar_of({{"objects/x", "1"}, {"manifest.json", manifest("p")}}) +
                                        tar_of({{"objects/x", "2"}, {"manifest.json", manifest("q")}}));
  MemorySource file(archive);
  const auto reader = open_archive(file);
  EXPECT_EQ(unread(reader->remarks()).size(), 1U);
  EXPECT_EQ(contents_of(*reader), (Contents{{"x", "2"}}));
}

// ---- Bytes behind the last frame

const std::vector<std::string> trailing{
    "\n", "xyz", "garbage, and not little of it", words(5000, 3), std::string(600, '\0') + "x", noise(400'000, 9)};

TEST(TrailingBytes, OfForeignArchivesAreSaid) {
  for (const std::string& rest : trailing) {
    for (const std::string& tar :
         {tar_of({{"a", "one"}, {"b", words(90'000, 1)}}), reference_tar({{"a", "one"}, {"b", words(90'000, 1)}})}) {
      const std::string archive = frames_of(tar, 20'000) + rest;
      const BuiltSidecar built = built_of(archive);
      ASSERT_EQ(unread(built.remarks).size(), 1U);
      EXPECT_THAT(built.remarks[0].text, HasSubstr(std::to_string(rest.size()) + " bytes at the end of the file"));
      EXPECT_EQ(by_index(archive), (Contents{{"a", "one"}, {"b", words(90'000, 1)}}));
      MemorySource file(archive);
      EXPECT_EQ(open_with_sidecar(file, built.sidecar)->remarks(), built.remarks);
      if (!built.has_manifest) continue;
      const auto reader = open_archive(file);
      EXPECT_EQ(unread(reader->remarks()).size(), 1U);
      EXPECT_EQ(contents_of(*reader).size(), 2U);
    }
  }
}

TEST(TrailingBytes, OfBalesArchivesAreSaidAndItsSeekTableIsUsed) {
  const std::vector<TestMember> members{{"a", "one"}, {"b", words(90'000, 1)}};
  const std::string sound = bale_archive(members);
  for (const std::string& rest : trailing) {
    MemorySource file(sound + rest);
    const auto reader = open_archive(file);
    EXPECT_TRUE(reader->random_access()) << rest.size();
    EXPECT_FALSE(reader->flaw());
    EXPECT_EQ(reader->archive_bytes(), sound.size() + rest.size());
    EXPECT_EQ(unread(reader->remarks()).size(), 1U);
    EXPECT_EQ(contents_of(*reader), (Contents{{"a", "one"}, {"b", words(90'000, 1)}}));
    EXPECT_EQ(reader->locate(1).frame_offset, open_archive(file)->locate(1).frame_offset);
  }
  MemorySource file(sound + "\n"), whole(sound);
  EXPECT_TRUE(has_own_index(file));
  EXPECT_EQ(read_frame_index(file).frames().size(), read_frame_index(whole).frames().size());
}

TEST(TrailingBytes, ZerosArePadding) {
  for (const std::string& sound : {frames_of(reference_tar({{"a", "one"}})), bale_archive({{"a", "one"}})}) {
    for (const std::size_t zeros : {1, 3, 512, 300'000, 5'000'000}) {
      MemorySource file(sound + std::string(zeros, '\0'));
      const auto reader = open_archive(file);
      EXPECT_THAT(reader->remarks(), IsEmpty());
      EXPECT_FALSE(reader->flaw());
      EXPECT_EQ(contents_of(*reader), (Contents{{"a", "one"}}));
    }
    EXPECT_EQ(by_index(sound + std::string(7, '\0')), (Contents{{"a", "one"}}));
  }
}

TEST(TrailingBytes, ADamagedFrameIsNoTrailingByte) {
  const std::string tar = tar_of({{"a", words(3000, 1)}, {"b", words(3000, 2)}});
  for (const std::size_t frame_bytes : {std::size_t{1000}, tar_member({"a", words(3000, 1)}).size()}) {
    const std::string sound = frames_of(tar, frame_bytes);
    const std::size_t second = frames_of(tar.substr(0, frame_bytes)).size();
    for (const std::size_t byte : {0, 1, 2, 3}) {
      std::string damaged = sound;
      damaged[second + byte] = static_cast<char>(damaged[second + byte] ^ 0x40);
      MemorySource file(damaged);
      EXPECT_THROW(index_of(file), Error) << frame_bytes << " " << byte;
    }
  }
}

// ---- Hard links

TEST(HardLinks, HaveTheContentAndPlaceOfTheirTarget) {
  const std::string big = noise(9'000'000, 4);
  const std::string tar = tar_member({"./dir/one", "content"}) + tar_header("./dir/two", '1', "./dir/one") +
                          tar_member({"./big", big}) + tar_header("link-to-link", '1', "dir/two") +
                          tar_header("./big-2", '1', "./big") + tar_header("./big-3", '1', "./big-2") +
                          tar_member({"./empty", ""}) + tar_header("./empty-2", '1', "./empty") + tar_end;
  for (const std::size_t frame_bytes : {std::size_t{0}, std::size_t{1} << 20}) {
    const std::string archive = frames_of(tar, frame_bytes);
    const BuiltSidecar built = built_of(archive);
    EXPECT_THAT(built.left_out, IsEmpty());
    EXPECT_EQ(built.not_regular, 0U);
    EXPECT_TRUE(by_index(archive) == (Contents{{"dir/one", "content"},
                                               {"dir/two", "content"},
                                               {"link-to-link", "content"},
                                               {"big", big},
                                               {"big-2", big},
                                               {"big-3", big},
                                               {"empty", ""},
                                               {"empty-2", ""}}));
    const ObjectList& objects = built.sidecar.manifest.objects;
    EXPECT_EQ(objects[0].data_offset, objects[1].data_offset);
    EXPECT_EQ(objects[1].member, "./dir/two");
    EXPECT_EQ(objects[1].content_member, "./dir/one");
  }
}

TEST(HardLinks, LeadToTheSamePathInAnotherSpelling) {
  const std::string archive =
      frames_of(tar_member({"x/./a", "1"}) + tar_header("b", '1', "x/a") + tar_header("c", '1', "/x/a") +
                tar_header("d", '1', "./x//a") + tar_member({"//q", "2"}) + tar_header("e", '1', "q") + tar_end);
  EXPECT_THAT(built_of(archive).left_out, IsEmpty());
  EXPECT_EQ(by_index(archive),
            (Contents{{"x/./a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}, {"//q", "2"}, {"e", "2"}}));
}

/// As for tar: a link leads to what had the name when it was made.
TEST(HardLinks, LeadToTheMemberInFrontOfThem) {
  const std::string archive =
      frames_of(tar_member({"a", "old"}) + tar_header("b", '1', "a") + tar_member({"a", "newer"}) +
                tar_header("c", '1', "a") + tar_header("a", '1', "b") + tar_end);
  EXPECT_EQ(by_index(archive), (Contents{{"a", "old"}, {"b", "old"}, {"c", "newer"}}));
}

TEST(HardLinks, ToWhatIsNotThereAreNamed) {
  const std::string archive =
      frames_of(tar_header("x", '1', "gone") + tar_header("y", '1', "y") + tar_header("sym", '2', "a") +
                tar_header("z", '1', "sym") + tar_member({"a", "1"}) + tar_header("dir/", '5') + tar_end);
  const BuiltSidecar built = built_of(archive);
  const auto lost = [](const char* name) { return LeftOut{name, WhyLeftOut::no_link_target}; };
  EXPECT_THAT(built.left_out, ElementsAre(lost("x"), lost("y")));
  EXPECT_EQ(built.not_regular, 3U) << "a link to a symlink has no data";
  EXPECT_EQ(by_index(archive), (Contents{{"a", "1"}}));
}

/// The part of a file that begins on another volume.
TEST(HardLinks, AndMembersOfUnknownTypesWithDataAreNamed) {
  const std::string archive =
      frames_of(tar_header("rest-of-file", 'M', {}, 512) + std::string(512, 'x') + tar_member({"a", "1"}) + tar_end);
  const BuiltSidecar built = built_of(archive);
  EXPECT_THAT(built.left_out, ElementsAre(LeftOut{"rest-of-file", WhyLeftOut::unknown_type}));
  EXPECT_EQ(by_index(archive), (Contents{{"a", "1"}}));
}

/// Whoever reads through the index is told what it leaves out.
TEST(LeftOut, IsNamedByEveryReaderOfTheIndex) {
  const std::string archive = frames_of(tar_header("li\nnk", '1', "gone") + tar_member({"a", "1"}) +
                                        tar_header("dir/", '0', {}, 3) + tar_padded("xyz") + tar_end);
  BuiltSidecar built = built_of(archive);
  const Buffer index = encode_sidecar(built.sidecar);
  const Sidecar read = decode_sidecar(index.view());
  EXPECT_EQ(read, built.sidecar);
  EXPECT_EQ(read.left_out, 2U);
  MemorySource file(archive);
  const auto remarks = open_with_sidecar(file, read)->remarks();
  ASSERT_EQ(unread(remarks).size(), 2U);
  EXPECT_THAT(remarks[0].text, HasSubstr("li\\x0ank: it is a hard link"));
  EXPECT_THAT(remarks[1].text, HasSubstr("dir/: it is a directory"));
}

TEST(LeftOut, IsCountedWhereNamesHaveNoRoom) {
  std::string tar;
  for (int i = 0; i < 300; ++i) tar += tar_header("l" + std::to_string(i), '1', "gone");
  Sidecar sidecar = built_of(frames_of(tar + tar_member({"a", "1"}) + tar_end)).sidecar;
  ASSERT_EQ(sidecar.left_out_members.size(), 300U);
  sidecar.left_out_members[200].member = std::string(max_left_out_bytes, 'n');
  const Sidecar read = decode_sidecar(encode_sidecar(sidecar).view());
  EXPECT_EQ(read.left_out, 300U);
  EXPECT_EQ(read.left_out_members.size(), 200U);
}

TEST(LeftOut, AListThatIsDamagedIsRefused) {
  const Sidecar sound = built_of(frames_of(tar_header("x", '1', "gone") + tar_member({"a", "1"}) + tar_end)).sidecar;
  Sidecar sidecar = sound;
  sidecar.left_out_members = {{"x"}, {"y"}};  // more than there are
  EXPECT_THROW(decode_sidecar(encode_sidecar(sidecar).view()), Error);
  sidecar.left_out_members = {{std::string("x\0y", 3)}};  // a name that ends too early
  EXPECT_THROW(decode_sidecar(encode_sidecar(sidecar).view()), Error);
}

/// Old tars have no type for directories: the name ends with '/'.
TEST(Directories, ByTheirNameMayHaveDataWhichAreSkippedAndNamed) {
  const std::string huge = noise(700'000, 6);
  for (const char type : {'0', '\0', '7'}) {
    for (const std::string& data :
         {std::string("x"), std::string(512, 'y'), tar_member({"inner", "no member"}), huge}) {
      const std::string directory = tar_header("dir/", type, {}, data.size()) + tar_padded(data);
      const std::string tar = tar_member({"a", "1"}) + directory + tar_member({"dir/b", "2"}) + directory +
                              tar_header("link", '1', "dir/b") + directory + tar_end;
      for (const std::size_t frame_bytes : {std::size_t{0}, std::size_t{700}, std::size_t{100'000}}) {
        const std::string archive = frames_of(tar, frame_bytes);
        const BuiltSidecar built = built_of(archive);
        const LeftOut left_out{"dir/", WhyLeftOut::directory_data};
        EXPECT_THAT(built.left_out, ElementsAre(left_out, left_out, left_out)) << data.size();
        EXPECT_THAT(built.remarks, IsEmpty());
        EXPECT_EQ(by_index(archive), (Contents{{"a", "1"}, {"dir/b", "2"}, {"link", "2"}})) << data.size();
      }
    }
  }
}

TEST(Directories, OfIncrementalArchivesHaveNamesAsData) {
  const std::string archive = frames_of(tar_header("dir/", 'D', {}, 6) + tar_padded(std::string("Yb\0\0\0", 6)) +
                                        tar_member({"dir/b", "2"}) + tar_end);
  const BuiltSidecar built = built_of(archive);
  EXPECT_THAT(built.left_out, IsEmpty());
  EXPECT_EQ(by_index(archive), (Contents{{"dir/b", "2"}}));
}

TEST(Directories, WithDataThatTheTarDoesNotHoldAreDamage) {
  MemorySource file(frames_of(tar_member({"a", "1"}) + tar_header("dir/", '0', {}, 5000) + std::string(512, 'x')));
  EXPECT_THROW(index_of(file), Error);
}

TEST(LeftOut, AreFilesThatTheManifestOfTheirTarDoesNotList) {
  const std::string manifest = test::reference_manifest({{"a", "content"}, {"b", "content"}});
  const std::string listed = tar_member({"objects/a", "content"}) + tar_header("objects/b", '1', "objects/a");
  const std::string ending = tar_member({"manifest.json", manifest}) + tar_end;
  for (const auto& [more, expected] : std::vector<std::pair<std::string, std::size_t>>{
           {"", 0},
           {tar_header("objects/", '5'), 0},
           {tar_member({"notes.txt", "unlisted"}), 1},
           {tar_header("objects/c", '1', "objects/a") + tar_header("objects/d", '1', "gone"), 1}}) {
    const std::string archive = frames_of(listed + more + ending);
    MemorySource file(archive);
    EXPECT_EQ(unread(open_archive(file)->remarks()).size(), expected);
    const BuiltSidecar built = built_of(archive);
    EXPECT_EQ(unread(built.remarks).size(), expected);
    EXPECT_EQ(unread(open_with_sidecar(file, built.sidecar)->remarks()).size(), expected);
    EXPECT_EQ(by_index(archive), (Contents{{"a", "content"}, {"b", "content"}}));
  }
}

TEST(HardLinks, AreReadWhereAManifestListsThem) {
  const std::string manifest = test::reference_manifest({{"a", "content"}, {"b", "content"}, {"c", "content"}});
  const std::string archive =
      frames_of(tar_member({"objects/a", "content"}) + tar_header("objects/b", '1', "objects/a") +
                tar_header("objects/c", '1', "objects/b") + tar_member({"manifest.json", manifest}) + tar_end);
  const Contents expected{{"a", "content"}, {"b", "content"}, {"c", "content"}};
  MemorySource file(archive);
  EXPECT_EQ(contents_of(*open_archive(file)), expected);
  EXPECT_EQ(by_index(archive), expected);
  EXPECT_EQ(built_of(archive).missing, 0U);
}

TEST(HardLinks, OfAnIndexMustBeTheNameThatIsInFrontOfThem) {
  const std::string archive =
      frames_of(tar_member({"a", "1"}) + tar_header("b", '1', "a") + tar_member({"c", "2"}) + tar_end);
  MemorySource file(archive);
  BuiltSidecar built = index_of(file);
  test::change(built.sidecar.manifest.objects, 1, [](ManifestObject& object) { object.content_member = "c"; });
  const auto reader = open_with_sidecar(file, built.sidecar);
  Machine machine;
  Collector all;
  reader->read({}, all, machine.pools(), machine.budget, {});
  EXPECT_EQ(all.damaged_objects(), std::set<std::size_t>{1});
}

}  // namespace
}  // namespace bale::archive
