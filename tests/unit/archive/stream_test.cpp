// Archives without a seek table, as the reference writes them, and what stock tools make of Bale's. Made and read with
// zstd, tar and python3 where these are installed.
#include <fstream>

#include "archive/deliver.hpp"
#include "support/archive_kit.hpp"
#include "support/fake_world.hpp"

namespace bale::archive {
namespace {

using test::Collector;
using test::Machine;
using test::MemorySource;
using test::noise;
using test::TestMember;
using test::TestSource;
using test::words;
using ::testing::HasSubstr;

bool run(const std::string& command) { return std::system(command.c_str()) == 0; }
bool have(const std::string& tool) { return run("command -v " + tool + " >/dev/null 2>&1"); }

class StreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!have("zstd") || !have("tar") || !have("python3")) GTEST_SKIP() << "zstd, tar or python3 is not installed";
  }

  /// An archive as the reference makes it: Python's tarfile, manifest.json last, one zstd stream.
  std::string reference_archive(const std::vector<TestMember>& members, const std::string& manifest,
                                const std::string& format = "PAX_FORMAT") {
    world_.write("manifest.json", manifest);
    std::string script = "import tarfile\nt=tarfile.open('a.tar','w',format=tarfile." + format + ")\n";
    for (std::size_t i = 0; i < members.size(); ++i) {
      world_.write("in/" + std::to_string(i), members[i].content);
      script += "t.add('in/" + std::to_string(i) + "', arcname='objects/" + members[i].name + "')\n";
    }
    script += "t.add('manifest.json')\nt.close()\n";
    world_.write("make.py", script);
    EXPECT_TRUE(run("cd " + world_.path().string() + " && python3 make.py && zstd -q -f a.tar"));
    return world_.read("a.tar.zst");
  }

  static std::string manifest_for(const std::vector<TestMember>& members) {
    std::string json = R"({"targets": [], "objects": [)";
    for (std::size_t i = 0; i < members.size(); ++i) {
      json += (i == 0 ? "" : ", ");
      json += R"({"source_bucket": "s", "relative_key": ")" + members[i].name + R"(", "size": )" +
              std::to_string(members[i].content.size()) + "}";
    }
    return json + "]}";
  }

  bale::testing::FakeWorld world_;
  Machine machine_;
};

TEST_F(StreamTest, ArchivesOfTheReferenceAreRead) {
  const std::vector<TestMember> members{{"a.txt", "hello"},
                                        {"empty", ""},
                                        {"dir/\xc3\xbc\xe6\x97\xa5.txt", words(1000, 1)},
                                        {std::string(150, 'd') + "/" + std::string(200, 'n'), words(70'000, 2)},
                                        {"large", noise(20'000'000, 3)}};
  for (const char* format : {"PAX_FORMAT", "GNU_FORMAT"}) {
    MemorySource file(reference_archive(members, manifest_for(members), format));
    const auto reader = open_archive(file);
    EXPECT_FALSE(reader->random_access());
    EXPECT_FALSE(reader->flaw());
    EXPECT_EQ(reader->manifest().version, 0);
    EXPECT_THROW(reader->locate(0), Error);
    Collector all;
    reader->read({}, all, machine_.pools(), machine_.budget, {});
    ASSERT_TRUE(all.damages.empty()) << all.damages[0].error.what();
    for (std::size_t i = 0; i < members.size(); ++i) EXPECT_TRUE(all.objects[i] == members[i].content) << format << i;
    Collector one;
    reader->read({2}, one, machine_.pools(), machine_.budget, {});
    EXPECT_EQ(one.objects.size(), 1U);
    EXPECT_LE(machine_.budget.peak(), 32ULL << 20);
  }
}

TEST_F(StreamTest, WhatTheTarDoesNotHoldIsDamageOfThatObject) {
  const std::vector<TestMember> members{{"a", "hello"}, {"b", "world"}};
  MemorySource file(reference_archive(
      members, R"({"targets": [], "objects": [{"relative_key": "a", "size": 5}, {"relative_key": "b", "size": 6},
                                              {"relative_key": "c", "size": 1}]})"));
  const auto reader = open_archive(file);
  Collector all;
  reader->read({}, all, machine_.pools(), machine_.budget, {});
  EXPECT_EQ(all.objects.at(0), "hello");
  EXPECT_EQ(all.damaged_objects(), (std::set<std::size_t>{1, 2}));
}

/// The reference packs an object once for each of its events in a batch. Which is which only their order tells.
TEST_F(StreamTest, OfAnObjectThatIsThereSeveralTimesTheNewestIsRead) {
  const auto object = [](const char* key, const char* time) {
    return std::string(R"({"relative_key": ")") + key + R"(", "size": 5, "creation_time": "2025-01-23 09:05:0)" + time +
           "\"}";
  };
  const std::vector<TestMember> members{{"a", "older"}, {"b", "newer"}, {"a", "newer"}, {"b", "older"},
                                        {"c", "hello"}, {"d", "older"}, {"d", "newer"}};
  MemorySource file(reference_archive(members, R"({"targets": [], "objects": [)" + object("a", "1") + "," +
                                                   object("b", "2") + "," + object("a", "2") + "," + object("b", "1") +
                                                   "," + object("c", "1") + "," + object("d", "1") + "," +
                                                   object("d", "1") + "]}"));
  const auto reader = open_archive(file);
  std::vector<std::string> keys;
  for (const ManifestObject& read : reader->manifest().objects) keys.push_back(read.relative_key);
  EXPECT_EQ(keys, (std::vector<std::string>{"b", "a", "c", "d"}));
  Collector all;
  reader->read({}, all, machine_.pools(), machine_.budget, {});
  EXPECT_TRUE(all.damages.empty());
  for (const std::size_t i : {0, 1, 3}) EXPECT_EQ(all.objects.at(i), "newer") << keys[i];
  EXPECT_EQ(all.objects.at(2), "hello");
}

TEST_F(StreamTest, LinksAreNotFollowed) {
  world_.write("manifest.json", R"({"targets": [], "objects": [{"relative_key": "link", "size": 0}]})");
  EXPECT_TRUE(run("cd " + world_.path().string() +
                  " && mkdir objects && ln -s /etc/passwd objects/link && tar -cf a.tar objects/link manifest.json "
                  "&& zstd -q a.tar"));
  MemorySource file(world_.read("a.tar.zst"));
  const auto reader = open_archive(file);
  Collector all;
  reader->read({}, all, machine_.pools(), machine_.budget, {});
  EXPECT_TRUE(all.objects.empty());
  EXPECT_EQ(all.damaged_objects(), std::set<std::size_t>{0});
}

TEST_F(StreamTest, TruncatedFlippedOrForeignFilesAreCorrupt) {
  const std::vector<TestMember> members{{"a", noise(3000, 1)}, {"b", noise(3000, 2)}};
  const std::string sound = reference_archive(members, manifest_for(members));
  const auto open = [&](std::string bytes) {
    MemorySource file(std::move(bytes));
    return open_archive(file);
  };
  for (std::size_t length = 0; length < sound.size(); length += 61) {
    EXPECT_THROW(open(sound.substr(0, length)), Error) << length;
  }
  for (std::size_t at = 0; at < sound.size(); at += 37) {
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    try {
      MemorySource file(bytes);
      const auto reader = open_archive(file);
      Collector all;
      reader->read({}, all, machine_.pools(), machine_.budget, {});
      for (const auto& [object, content] : all.objects) EXPECT_TRUE(content == members[object].content) << at;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
    }
  }
  for (const char* text : {"", "x", "not an archive at all", "\x28\xb5\x2f\xfd"}) {
    try {
      open(text);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    }
  }
}

TEST_F(StreamTest, BombsAreBounded) {
  // A manifest of 300 MB of blanks, in a few kilobytes.
  EXPECT_TRUE(run("cd " + world_.path().string() +
                  " && truncate -s 300M manifest.json && tar -cf - manifest.json | zstd -q -o a.tar.zst"));
  MemorySource file(world_.read("a.tar.zst"));
  EXPECT_LT(file.bytes.size(), 100'000U);
  try {
    open_archive(file, {.max_manifest_bytes = 1 << 20});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.what(), HasSubstr("manifest claims 300.0 MiB"));
  }
}

TEST_F(StreamTest, ZstdAndTarReadWhatBaleWrites) {
  const std::vector<TestMember> members{{"plain.txt", "hello"},
                                        {"empty", ""},
                                        {"dir/\xc3\xbc.txt", words(1000, 1)},
                                        {std::string(120, 'd') + "/" + std::string(180, 'n'), words(3000, 2)},
                                        {std::string(140, 'e') + "/" + std::string(90, 'n'), "split"},
                                        {"../escape", "escaped"},
                                        {"a", "file"},
                                        {"a/b", "below"},
                                        {"a/", "slash"},
                                        {"large", noise(1'000'000, 3)}};
  TestSource source(members);
  const std::string bytes = write(source, machine_, {.level = 3, .frame_size = 64 << 10}).bytes;
  world_.write("bale.tar.zst", bytes);
  const std::string at = "cd " + world_.path().string() + " && ";
  ASSERT_TRUE(run(at + "zstd -q -d bale.tar.zst -o bale.tar && mkdir out && tar -xf bale.tar -C out"));
  world_.write("check.py", R"(
import json, tarfile, hashlib
t = tarfile.open('bale.tar')
manifest = json.load(t.extractfile('manifest.json'))
names = [m.name for m in t.getmembers()]
assert names == [o['member'] for o in manifest['objects']] + ['manifest.json'], names
for o in manifest['objects']:
    m = t.getmember(o['member'])
    assert m.isreg() and m.size == o['size'] and m.mtime == o['last_modified'] // 1000, o
    assert m.offset_data == o['data_offset'], o
    data = t.extractfile(m).read()
    assert hashlib.sha256(data).hexdigest() == o['sha256']
    assert open('out/' + o['member'], 'rb').read() == data
)");
  EXPECT_TRUE(run(at + "python3 check.py"));
  EXPECT_TRUE(!have("bsdtar") || run(at + "bsdtar -tf bale.tar > /dev/null"));
}

}  // namespace
}  // namespace bale::archive
