// Indexes beside archives: what is in them, what of them is believed, and how much is read by them.
#include "archive/sidecar.hpp"

#include "archive/deliver.hpp"
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
using test::sealed;
using test::tar_of;
using test::TestMember;
using test::words;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::size_t MiB = 1 << 20;

std::string text_of(const Buffer& bytes) { return std::string(as_text(bytes.view())); }

/// A file, its index, and a machine to read it with.
struct Indexed {
  explicit Indexed(std::string bytes) : file(std::move(bytes)), built(index_of(file)) {
    file.requests = file.bytes_read = 0;
  }
  std::unique_ptr<Reader> open() { return open_with_sidecar(file, built.sidecar); }
  Collector read(const std::vector<std::size_t>& objects) {
    Collector found;
    open()->read(objects, found, machine.pools(), machine.budget, {});
    return found;
  }
  std::size_t object(const std::string& key) const {
    const auto& objects = built.sidecar.manifest.objects;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      if (objects[i].relative_key == key) return i;
    }
    throw std::out_of_range(key);
  }
  ManifestObject described(const std::string& key) { return built.sidecar.manifest.objects[object(key)]; }
  MemorySource file;
  BuiltSidecar built;
  Machine machine;
};

std::vector<TestMember> some_members() {
  return {{"a.txt", "hello"},
          {"empty", ""},
          {"dir/words", words(300'000, 1)},
          {"dir/noise", noise(700'000, 2)},
          {std::string(120, 'd') + "/" + std::string(180, 'n'), words(3000, 3)},
          {"z", "last"}};
}

std::vector<TestMember> large_members(std::size_t count, std::size_t bytes) {
  std::vector<TestMember> members;
  for (std::size_t i = 0; i < count; ++i)
    members.push_back({"m" + std::to_string(i), noise(bytes, static_cast<unsigned>(i))});
  return members;
}

void expect_all(const Collector& found, const std::vector<TestMember>& members) {
  ASSERT_TRUE(found.damages.empty()) << found.damages[0].error.what();
  ASSERT_EQ(found.objects.size(), members.size());
  for (std::size_t i = 0; i < members.size(); ++i) EXPECT_TRUE(found.objects.at(i) == members[i].content) << i;
}

void expect_corrupt(const std::string& index, std::string_view what) {
  try {
    std::ignore = decode_sidecar(as_bytes(index));
    FAIL() << "read, though " << what;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(std::string(what)));
  }
}

// ---- What is in an index

TEST(Sidecar, HoldsFramesObjectsAndIdentityAndIsDeterministic) {
  const auto members = some_members();
  const std::string tar = reference_tar(members);
  Indexed one(frames_of(tar, 100'000));
  const Sidecar& sidecar = one.built.sidecar;
  EXPECT_TRUE(one.built.has_manifest);
  EXPECT_EQ(one.built.missing, 0U);
  EXPECT_EQ(sidecar.archive.bytes, one.file.bytes.size());
  EXPECT_EQ(sidecar.tar_bytes(), tar.size());
  ASSERT_EQ(sidecar.frames.size(), (tar.size() + 99'999) / 100'000);
  EXPECT_EQ(sidecar.frames.back().file_end(), one.file.bytes.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    const ManifestObject& object = sidecar.manifest.objects.at(i);
    EXPECT_EQ(object.relative_key, members[i].name);
    EXPECT_TRUE(tar.substr(*object.data_offset, object.size) == members[i].content) << i;
    EXPECT_EQ(sidecar.header_offsets[i], *object.data_offset - tar_header_bytes(object.member, object.size));
  }
  const std::string bytes = text_of(encode_sidecar(sidecar));
  EXPECT_EQ(bytes, text_of(encode_sidecar(Indexed(one.file.bytes).built.sidecar)));
  EXPECT_EQ(decode_sidecar(as_bytes(bytes)), sidecar);
}

TEST(Sidecar, WithoutManifestTheMembersOfTheTarAreTheObjects) {
  const std::vector<TestMember> members{{"./a", "first"}, {"b", "older"}, {"c/", ""},          {"b", "newer"},
                                        {"\xff", "raw"},  {"/d", "root"}, {"../e", "outside"}, {"a", "again"}};
  Indexed one(frames_of(tar_of(members)));
  EXPECT_FALSE(one.built.has_manifest);
  std::map<std::string, std::string> found;
  const Collector all = one.read({});
  for (const auto& [i, content] : all.objects) found[one.built.sidecar.manifest.objects[i].relative_key] = content;
  found.erase("c/");  // a regular file of that name, or a directory: old tars say it so
  EXPECT_EQ(found, (std::map<std::string, std::string>{
                       {"a", "again"}, {"b", "newer"}, {"\xff", "raw"}, {"/d", "root"}, {"../e", "outside"}}));
  EXPECT_EQ(decode_sidecar(encode_sidecar(one.built.sidecar).view()), one.built.sidecar);
  EXPECT_EQ(one.described("b").last_modified, from_epoch_ms(1'700'000'000'000));
}

TEST(Sidecar, AManifestOfAnotherProgramIsAMemberLikeOthers) {
  Indexed docker(frames_of(tar_of({{"manifest.json", R"([{"Layers": []}])"}, {"layer.tar", "x"}})));
  EXPECT_FALSE(docker.built.has_manifest);
  EXPECT_EQ(docker.read({}).objects.size(), 2U);
  // But one that has objects/ beside it was meant as one.
  MemorySource torn(frames_of(tar_of({{"objects/a", "x"}, {"manifest.json", "{"}})));
  EXPECT_THROW(index_of(torn), Error);
}

TEST(Sidecar, OfAnObjectThatIsThereSeveralTimesTheNewestIsPlaced) {
  const auto entry = [](const char* time) {
    return std::string(R"({"relative_key": "a", "size": 5, "creation_time": "2025-01-23 09:05:0)") + time + "\"}";
  };
  const std::string manifest = R"({"targets": [], "objects": [)" + entry("2") + "," + entry("1") + "]}";
  Indexed one(frames_of(tar_of({{"objects/a", "newer"}, {"objects/a", "older"}, {"manifest.json", manifest}})));
  EXPECT_EQ(one.read({0}).objects.at(0), "newer");
}

TEST(Sidecar, WhatTheTarDoesNotHoldHasNoPlaceAndIsDamage) {
  const std::string manifest = R"({"targets": [], "objects": [{"relative_key": "a", "size": 5},
                                   {"relative_key": "b", "size": 6}, {"relative_key": "c", "size": 1}]})";
  Indexed one(frames_of(tar_of({{"objects/a", "hello"}, {"objects/b", "world"}, {"manifest.json", manifest}})));
  EXPECT_EQ(one.built.missing, 2U);
  one.built.sidecar = decode_sidecar(encode_sidecar(one.built.sidecar).view());
  const Collector all = one.read({});
  EXPECT_EQ(all.objects.at(0), "hello");
  EXPECT_EQ(all.damaged_objects(), (std::set<std::size_t>{1, 2}));
  EXPECT_THROW(one.open()->locate(1), Error);
}

TEST(Sidecar, AnArchiveOfBaleWhoseSeekTableIsGoneGetsItsPlacesBack) {
  Machine machine;
  const auto members = some_members();
  test::TestSource source(members);
  const std::string bytes = write(source, machine, {.level = 3, .frame_size = 64 << 10}).bytes;
  MemorySource whole(bytes);
  EXPECT_TRUE(has_own_index(whole));
  Indexed cut(bytes.substr(0, bytes.size() - 1) + "?");
  EXPECT_FALSE(has_own_index(cut.file));
  const auto reader = open_archive(cut.file, {}, [&](ByteView) { return cut.open(); });
  EXPECT_TRUE(reader->random_access());
  EXPECT_TRUE(reader->flaw());
  const auto original = open_archive(whole);
  for (std::size_t i = 0; i < members.size(); ++i)
    EXPECT_EQ(reader->locate(i).frame_offset, original->locate(i).frame_offset) << i;
  expect_all(cut.read({}), members);
}

TEST(Sidecar, TellsOneArchiveFromAnother) {
  const std::string tail = noise(identity_tail_bytes + 5, 1);
  const ArchiveIdentity own = identity_of(1000'000, as_bytes(tail), ETag("e"));
  EXPECT_THAT(difference(own, identity_of(1000'000, as_bytes(tail).subspan(5), ETag("e"))), IsEmpty());
  EXPECT_THAT(difference(own, identity_of(1000'000, as_bytes(tail), ETag())), IsEmpty());
  EXPECT_THAT(difference(own, identity_of(1000'001, as_bytes(tail), ETag("e"))), HasSubstr("1000001"));
  EXPECT_THAT(difference(own, identity_of(1000'000, as_bytes(tail).first(70'000 - 5000), ETag("e"))),
              HasSubstr("ends otherwise"));
  EXPECT_THAT(difference(own, identity_of(1000'000, as_bytes(tail), ETag("f"))), HasSubstr("ETag"));
}

// ---- How much is read

/// One frame: from its beginning to the end of the member, in requests of 4 MiB.
TEST(Sidecar, OfOneFrameNothingBehindTheMemberIsRead) {
  const auto members = large_members(12, 3 * MiB);
  Indexed one(frames_of(reference_tar(members)));
  ASSERT_EQ(one.built.sidecar.frames.size(), 1U);
  const Collector found = one.read({3});
  EXPECT_TRUE(found.objects.at(3) == members[3].content);
  const ByteCount end = *one.described("m3").data_offset + 3 * MiB;
  EXPECT_LE(one.file.bytes_read, end + end / 30 + (256 << 10));
  EXPECT_EQ(one.file.requests, end / (4 * MiB) + 1);
  EXPECT_LE(one.machine.budget.peak(), 32 * MiB);
}

/// Where the beginning compresses well and the rest does not, the ratio of the whole says little.
TEST(Sidecar, WhatIsReadFollowsTheRatioOnTheWay) {
  std::vector<TestMember> members;
  for (unsigned i = 0; i < 16; ++i) members.push_back({"m" + std::to_string(i), words(6 * MiB, i)});
  for (unsigned i = 16; i < 26; ++i) members.push_back({"m" + std::to_string(i), noise(6 * MiB, i)});
  Indexed one(frames_of(tar_of(members)));
  const ByteCount end = *one.described("m14").data_offset + 6 * MiB;
  const ByteCount needed = frames_of(tar_of({members.begin(), members.begin() + 15})).size();
  ASSERT_GT(one.file.bytes.size() * end / one.built.sidecar.tar_bytes(), needed + needed / 8 + 8 * MiB);
  EXPECT_TRUE(one.read({14}).objects.at(14) == members[14].content);
  EXPECT_LE(one.file.bytes_read, needed + needed / 8 + (256 << 10));
}

/// Several frames: those that hold the member, from its header on, and of the last one no more than is needed.
TEST(Sidecar, OfSeveralFramesThoseOfTheMemberAreRead) {
  const auto members = large_members(40, 700'000);
  Indexed one(frames_of(reference_tar(members), 1 << 20));
  for (const std::size_t i : {0, 7, 20, 39}) {
    one.file.requests = one.file.bytes_read = 0;
    const Collector found = one.read({i});
    EXPECT_TRUE(found.objects.at(i) == members[i].content) << i;
    const MemberLocation place = one.open()->locate(i);
    EXPECT_LE(one.file.bytes_read, place.frame_length + 1100) << i;  // a frame more where the header is in it
    EXPECT_LE(one.file.requests, 2U) << i;
  }
}

TEST(Sidecar, NeighboursShareAPassAndOthersAreSkipped) {
  const auto members = large_members(40, 700'000);
  Indexed one(frames_of(reference_tar(members), 1 << 20));
  const Collector found = one.read({30, 3, 4, 5, 31});
  EXPECT_THAT(found.damages, IsEmpty());
  for (const std::size_t i : {3, 4, 5, 30, 31}) EXPECT_TRUE(found.objects.at(i) == members[i].content) << i;
  EXPECT_EQ(one.file.requests, 2U);
  EXPECT_LE(one.file.bytes_read, 7U << 20);
}

TEST(Sidecar, SkippableFramesBetweenAreReadAlong) {
  const auto members = some_members();
  const std::string tar = tar_of(members);
  std::string bytes;
  for (std::size_t at = 0; at < tar.size(); at += 50'000)  // as pzstd does: each frame's size in front of it
    bytes += std::string("\x50\x2a\x4d\x18\x04\0\0\0size", 12) + frames_of(tar.substr(at, 50'000));
  bytes += std::string("\x5e\x2a\x4d\x18\x00\0\0\0", 8);
  Indexed one(bytes);
  EXPECT_EQ(one.built.sidecar.frames.size(), 2 * ((tar.size() + 49'999) / 50'000) + 1);
  expect_all(one.read({}), members);
  for (std::size_t i = 0; i < members.size(); ++i) EXPECT_TRUE(one.read({i}).objects.at(i) == members[i].content) << i;
}

TEST(Sidecar, EveryObjectComesBackWhateverTheFrames) {
  const auto members = some_members();
  for (const std::size_t frame : {0, 700, 4096, 65'537, 1 << 20}) {
    Indexed one(frames_of(reference_tar(members), frame));
    expect_all(one.read({}), members);
    std::vector<std::size_t> backwards;
    for (std::size_t i = members.size(); i-- > 0;) backwards.push_back(i);
    expect_all(one.read(backwards), members);
    for (std::size_t i = 0; i < members.size(); ++i)
      EXPECT_TRUE(one.read({i}).objects.at(i) == members[i].content) << frame << " " << i;
  }
}

// ---- Damage of the archive

TEST(Sidecar, ADamagedFrameConcernsItsObjectsAlone) {
  const auto members = large_members(10, 100'000);
  Indexed one(frames_of(reference_tar(members), 50'000));
  const SidecarFrame frame = one.built.sidecar.frames[9];
  one.file.bytes[frame.file_offset + frame.file_bytes / 2] ^= 1;
  const Collector all = one.read({});
  EXPECT_THAT(all.damages.at(0).error.what(), HasSubstr("frame 9"));
  const std::set<std::size_t> lost = all.damaged_objects();
  EXPECT_FALSE(lost.empty());
  EXPECT_LE(lost.size(), 3U);
  for (std::size_t i = 0; i < members.size(); ++i) {
    EXPECT_TRUE(lost.contains(i) || all.objects.at(i) == members[i].content) << i;
  }
}

TEST(Sidecar, DamageThatConcernsNoObjectIsNoticedByReadingAll) {
  const std::string manifest = R"({"targets": [], "objects": [{"relative_key": "a", "size": 5}]})";
  Indexed one(frames_of(tar_of({{"objects/a", "hello"}, {"manifest.json", manifest}, {"more", noise(1'000'000, 1)}})));
  one.file.bytes.back() ^= 1;  // the frame's checksum
  EXPECT_EQ(one.read({0}).objects.at(0), "hello");
  EXPECT_THROW(one.read({}), Error);
}

TEST(Sidecar, EveryFlippedByteOfTheArchiveIsNoticed) {
  const std::vector<TestMember> members{{"a", noise(3000, 1)}, {"b", noise(3000, 2)}};
  for (const std::size_t frame : {0, 2048}) {
    Indexed one(frames_of(reference_tar(members), frame));
    const std::string sound = one.file.bytes;
    for (std::size_t at = 0; at < sound.size(); at += 7) {
      one.file.bytes = sound;
      one.file.bytes[at] ^= 0x10;
      try {
        EXPECT_FALSE(one.read({}).damages.empty()) << at;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
      }
    }
  }
}

// ---- Damaged and hostile indexes

TEST(Sidecar, EveryFlippedByteAndEveryCutOfAnIndexIsNoticed) {
  Indexed one(frames_of(reference_tar(some_members()), 10'000));
  const std::string sound = text_of(encode_sidecar(one.built.sidecar));
  for (std::size_t at = 0; at < sound.size(); ++at) {
    std::string flipped = sound;
    flipped[at] ^= 0x10;
    EXPECT_THROW(std::ignore = decode_sidecar(as_bytes(flipped)), Error) << at;
    EXPECT_THROW(std::ignore = decode_sidecar(as_bytes(sound).first(at)), Error) << at;
  }
  expect_corrupt("", "not an index");
  std::string later = sound;
  later[8] = 3;
  try {
    std::ignore = decode_sidecar(as_bytes(sealed(later)));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  }
}

/// Whatever its numbers claim, no memory is taken for it: the limit of the address space would end the test.
TEST(Sidecar, HugeCountsAreRefused) {
  Indexed one(frames_of(reference_tar(some_members()), 10'000));
  const std::string sound = text_of(encode_sidecar(one.built.sidecar));
  for (const std::size_t at : {16, 32, 40, 48, 56, 64, 72}) {
    for (const std::size_t byte : {2, 4, 6, 7}) {
      std::string huge = sound;
      huge[at + byte] = '\x7f';
      EXPECT_THROW(std::ignore = decode_sidecar(as_bytes(sealed(huge))), Error) << at << " " << byte;
    }
  }
  std::string etag = sound;
  etag[11] = '\x7f';
  expect_corrupt(sealed(etag), "ETag");
}

TEST(Sidecar, FramesThatDoNotFillTheArchiveAreRefused) {
  Indexed one(frames_of(reference_tar(some_members()), 10'000));
  const Sidecar sound = one.built.sidecar;
  const auto refuse = [&](auto change, std::string_view what) {
    Sidecar wrong = sound;
    change(wrong);
    expect_corrupt(text_of(encode_sidecar(wrong)), what);
  };
  refuse([](Sidecar& s) { s.frames[3].file_bytes += 1'000'000'000; }, "outside of the archive");
  refuse([](Sidecar& s) { s.frames.back().file_bytes += 1; }, "outside of the archive");
  refuse([](Sidecar& s) { s.frames.back().file_bytes -= 1; }, "do not fill");
  refuse([](Sidecar& s) { s.frames.pop_back(); }, "do not fill");
  refuse([](Sidecar& s) { s.frames[1].tar_bytes = ~ByteCount{0}; }, "larger than anything");
  refuse([](Sidecar& s) { s.frames[0].file_bytes = 0; }, "outside of the archive");
}

TEST(Sidecar, ObjectsInImpossiblePlacesAreRefused) {
  Indexed one(frames_of(reference_tar(some_members()), 10'000));
  const Sidecar sound = one.built.sidecar;
  const auto refuse = [&](auto change, std::string_view what) {
    Sidecar wrong = sound;
    test::change(wrong.manifest.objects, 3, [&](ManifestObject& object) { change(wrong, object); });
    expect_corrupt(text_of(encode_sidecar(wrong)), what);
  };
  refuse([](Sidecar& s, ManifestObject& o) { s.header_offsets[3] = *o.data_offset; }, "no header");
  refuse([](Sidecar& s, ManifestObject& o) { s.header_offsets[3] = *(o.data_offset = 100) - 100; }, "no header");
  refuse([](Sidecar&, ManifestObject& o) { o.size = 1'000'000'000; }, "outside of the archive");
  refuse([](Sidecar& s,
            ManifestObject& o) { s.header_offsets[3] += *(o.data_offset = 1ULL << 40) - s.header_offsets[3] - 512; },
         "outside of the archive");
  refuse(
      [](Sidecar& s, ManifestObject& o) {
        o.data_offset = s.manifest.objects.data_offset_of(2);
        s.header_offsets[3] = s.header_offsets[2];
      },
      "overlaps");
  refuse([](Sidecar&, ManifestObject& o) { o.sha256 = "x"; }, "sha256");
}

/// Possible, but wrong: what is there has another name or size.
TEST(Sidecar, ObjectsInWrongPlacesAreDamageOfTheseObjects) {
  const std::vector<TestMember> members{
      {"a", words(5000, 1)}, {"b", words(5000, 2)}, {"c", words(5000, 3)}, {"d", words(70'000, 4)}};
  for (const std::size_t frame : {0, 3000}) {
    Indexed one(frames_of(tar_of(members), frame));
    auto& objects = one.built.sidecar.manifest.objects;
    auto& headers = one.built.sidecar.header_offsets;
    const auto first = objects.data_offset_of(0);
    objects.set_place(0, objects.data_offset_of(1));  // another's bytes
    objects.set_place(1, first);
    std::swap(headers[0], headers[1]);
    headers[2] += 512;  // not a header
    test::change(objects, 2, [](ManifestObject& object) {
      object.data_offset = *object.data_offset + 512;
      object.size -= 1024;
    });
    const Collector all = one.read({});
    EXPECT_EQ(all.damaged_objects(), (std::set<std::size_t>{0, 1, 2})) << frame;
    EXPECT_TRUE(all.objects.at(3) == members[3].content);
    EXPECT_THAT(all.damages[0].error.hint(), HasSubstr("bale archive index"));
    EXPECT_EQ(one.read({1}).objects.size(), 0U);
  }
}

TEST(Sidecar, FramesInWrongPlacesAreDamage) {
  const auto members = large_members(10, 100'000);
  Indexed one(frames_of(tar_of(members), 50'000));
  auto& frames = one.built.sidecar.frames;
  frames[4].file_bytes -= 16;
  frames[5].file_offset -= 16;
  frames[5].file_bytes += 16;
  frames[8].tar_bytes += 10;  // and what follows is elsewhere than it says
  frames[9].tar_offset += 10;
  frames[9].tar_bytes -= 10;
  const Collector all = one.read({});
  EXPECT_FALSE(all.damages.empty());
  EXPECT_FALSE(all.objects.empty());
  const std::set<std::size_t> lost = all.damaged_objects();
  for (const auto& [i, content] : all.objects) {
    EXPECT_TRUE(lost.contains(i) || content == members[i].content) << i;
  }
}

TEST(Sidecar, StopsWhenAsked) {
  Indexed one(frames_of(tar_of(large_members(4, 1 << 20))));
  std::stop_source stop;
  stop.request_stop();
  Collector found;
  for (const bool building : {false, true}) {
    try {
      if (building)
        std::ignore = build_sidecar(one.file, {.stop = stop.get_token()});
      else
        one.open()->read({}, found, one.machine.pools(), one.machine.budget, stop.get_token());
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::cancelled);
    }
  }
}

TEST(Sidecar, DamagedAndForeignFilesGetNoIndex) {
  const std::string sound = frames_of(reference_tar(some_members()), 100'000);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{3}, std::size_t{500}, sound.size() / 2, sound.size() - 1}) {
    MemorySource cut(sound.substr(0, length));
    EXPECT_THROW(index_of(cut), Error) << length;
  }
  for (const std::string& content : {std::string("no zstd"), frames_of(words(100'000, 1))}) {
    MemorySource foreign(content);
    try {
      index_of(foreign);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_EQ(error.where(), "memory.tar.zst");
    }
  }
}

}  // namespace
}  // namespace bale::archive
