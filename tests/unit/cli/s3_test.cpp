// bale s3 on the embedded store, in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "archive/file_name.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "cli/app.hpp"
#include "cli/context.hpp"
#include "cli/s3_transfer.hpp"
#include "crash/crash_files.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class S3Test : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(bale({"mb", "s3://bucket"}), exit_ok) << world.terminal.errors(); }

  int bale(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--local", world.path("store"), "s3"});
    world.terminal.take_output();
    world.terminal.take_errors();
    return run(arguments, world.world());
  }
  void must(std::vector<std::string> arguments) {
    EXPECT_EQ(bale(std::move(arguments)), exit_ok) << world.terminal.errors();
  }
  std::vector<json> lines(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--output", "json"});
    must(std::move(arguments));
    std::vector<json> parsed;
    std::istringstream output(world.terminal.output());
    for (std::string line; std::getline(output, line);) parsed.push_back(json::parse(line));
    return parsed;
  }
  std::vector<std::string> keys(const std::string& bucket = "bucket") {
    std::vector<std::string> all;
    for (const json& line : lines({"ls", "--recursive", "s3://" + bucket})) all.push_back(line["key"]);
    return all;
  }
  json stat(const std::string& key) { return lines({"stat", "s3://bucket/" + key})[0]; }
  void put(const std::string& key, const std::string& content) {
    must({"cp", "--exact-key", world.write("to-put", content), "s3://bucket/" + key});
  }
  std::string get(const std::string& key) {
    must({"cp", "s3://bucket/" + key, "-"});
    return world.terminal.output();
  }
  std::string path(const fs::path& relative) { return world.path(relative).string(); }
  std::vector<std::string> tree(const fs::path& relative) {
    std::vector<std::string> files;
    if (!fs::exists(world.path(relative))) return files;
    for (const auto& entry : fs::recursive_directory_iterator(world.path(relative))) {
      if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), world.path(relative)));
    }
    return files;
  }

  testing::FakeWorld world;
};

TEST_F(S3Test, BucketsAreMadeListedAndRemoved) {
  must({"mb", "s3://other", "--region", "eu-central-1"});
  const std::vector<json> buckets = lines({"ls"});
  ASSERT_EQ(buckets.size(), 2u);
  EXPECT_EQ(buckets[1]["name"], "other");
  EXPECT_EQ(buckets[1]["region"], "eu-central-1");
  EXPECT_EQ(bale({"mb", "s3://bucket"}), exit_refused);
  EXPECT_EQ(bale({"mb", "s3://bucket/key"}), exit_usage);
  EXPECT_EQ(bale({"mb", "s3://UPPER"}), exit_usage);
  put("key", "x");
  EXPECT_EQ(bale({"rb", "s3://bucket"}), exit_refused);
  must({"rb", "s3://other"});
  EXPECT_EQ(world.terminal.output(), "remove_bucket: other\n");
  EXPECT_EQ(bale({"rb", "s3://other"}), exit_not_found);
}

TEST_F(S3Test, ListingLooksLikeDirectories) {
  for (const char* key : {"a", "dir/b", "dir/sub/c", "dir2"}) put(key, "12345");
  must({"ls", "s3://bucket"});
  EXPECT_EQ(world.terminal.output(),
            "                           PRE dir/\n"
            "2025-01-23 09:05:07          5 a\n"
            "2025-01-23 09:05:07          5 dir2\n");
  must({"ls", "s3://bucket/dir"});
  EXPECT_THAT(world.terminal.output(), HasSubstr("PRE dir/")) << "a prefix is no directory";
  must({"ls", "s3://bucket/dir/", "--human-readable", "--summarize"});
  EXPECT_EQ(world.terminal.output(),
            "                           PRE sub/\n"
            "2025-01-23 09:05:07        5 B b\n"
            "\nTotal Objects: 1\n   Total Size: 5 B\n");
  EXPECT_THAT(keys(), ElementsAre("a", "dir/b", "dir/sub/c", "dir2"));
  EXPECT_EQ(bale({"ls", "s3://nowhere"}), exit_not_found);
  EXPECT_EQ(bale({"ls", "s3://bucket/none"}), exit_not_found) << "nothing begins so";
  must({"mb", "s3://empty"});
  must({"ls", "s3://empty"});
}

TEST_F(S3Test, AFileGoesUnderAKeyOrIntoAPrefix) {
  const std::string file = world.write("in.txt", "content");
  must({"cp", file, "s3://bucket/key"});
  EXPECT_EQ(world.terminal.output(), "upload: " + file + " to s3://bucket/key\n");
  must({"cp", file, "s3://bucket/dir/"});
  must({"cp", file, "s3://bucket"});
  must({"cp", file, "s3://bucket/exact/", "--exact-key"});
  EXPECT_THAT(keys(), ElementsAre("dir/in.txt", "exact/", "in.txt", "key"));
  EXPECT_EQ(get("exact/"), "content");
}

TEST_F(S3Test, AnObjectGoesToAFileOrIntoADirectory) {
  put("dir/object", "content");
  must({"cp", "s3://bucket/dir/object", path("new/deep/file")});
  EXPECT_EQ(world.read("new/deep/file"), "content");
  must({"cp", "s3://bucket/dir/object", path("new")});
  EXPECT_EQ(world.read("new/object"), "content");
  must({"cp", "s3://bucket/dir/object", path("other/")});
  EXPECT_EQ(world.read("other/object"), "content");
  EXPECT_EQ(to_epoch_ms(world.files->info(world.path("new/object"))->modified), to_epoch_ms(world.clock.now()));
}

TEST_F(S3Test, AttributesAreStoredAndShown) {
  must({"cp",
        world.write("page.html", "x"),
        "s3://bucket/page",
        "--metadata",
        "Owner=m,b=2",
        "--tag",
        "k=v=w",
        "--tagging",
        "t=a%20b",
        "--storage-class",
        "STANDARD_IA",
        "--cache-control",
        "no-cache",
        "--content-disposition",
        "inline",
        "--content-encoding",
        "identity",
        "--content-language",
        "de",
        "--expires",
        "Thu, 01 Dec 2033 16:00:00 GMT"});
  const json shown = stat("page");
  EXPECT_EQ(shown["content_type"], "text/html");
  EXPECT_EQ(shown["cache_control"], "no-cache");
  EXPECT_EQ(shown["content_disposition"], "inline");
  EXPECT_EQ(shown["content_encoding"], "identity");
  EXPECT_EQ(shown["content_language"], "de");
  EXPECT_EQ(shown["expires"], "Thu, 01 Dec 2033 16:00:00 GMT");
  EXPECT_EQ(shown["storage_class"], "STANDARD_IA");
  EXPECT_EQ(shown["metadata"], (json{{"owner", "m"}, {"b", "2"}}));
  EXPECT_EQ(shown["tags"], (json{{"k", "v=w"}, {"t", "a b"}}));
  EXPECT_EQ(shown["size"], 1);
  EXPECT_EQ(shown["etag"], to_hex_digest(Md5::of(as_bytes("x"))));
  must({"stat", "s3://bucket/page"});
  EXPECT_THAT(world.terminal.output(), HasSubstr("metadata.owner"));
  EXPECT_EQ(bale({"cp", world.path("page.html"), "s3://bucket/x", "--storage-class", "WARM"}), exit_usage);
}

TEST_F(S3Test, ACopyKeepsEverythingThatIsNotReplaced) {
  must({"cp", world.write("a.txt", "content"), "s3://bucket/from", "--metadata", "a=1", "--tag", "t=1",
        "--cache-control", "no-cache", "--storage-class", "ONEZONE_IA"});
  must({"cp", "s3://bucket/from", "s3://bucket/same"});
  json before = stat("from"), after = stat("same");
  for (const char* name : {"content_type", "cache_control", "storage_class", "metadata", "tags", "size", "etag"})
    EXPECT_EQ(after[name], before[name]) << name;
  must({"cp", "s3://bucket/from", "s3://bucket/other", "--content-type", "text/x", "--metadata", "b=2"});
  after = stat("other");
  EXPECT_EQ(after["content_type"], "text/x");
  EXPECT_EQ(after["cache_control"], "no-cache");
  EXPECT_EQ(after["metadata"], (json{{"b", "2"}}));
  EXPECT_EQ(after["tags"], before["tags"]);
}

TEST_F(S3Test, LargeFilesGoInPartsBothWays) {
  std::string content(3 * part_bytes + 12345, '\0');
  world.entropy.fill(std::as_writable_bytes(std::span(content)));
  must({"cp", world.write("large", content), "s3://bucket/large"});
  EXPECT_THAT(stat("large")["etag"].get<std::string>(), HasSubstr("-4"));
  must({"cp", "s3://bucket/large", path("back")});
  EXPECT_EQ(Sha256::of(as_bytes(world.read("back"))), Sha256::of(as_bytes(content)));
  // The size at which parts begin.
  must({"cp", world.write("edge", content.substr(0, part_bytes)), "s3://bucket/edge"});
  EXPECT_THAT(stat("edge")["etag"].get<std::string>(), HasSubstr("-1"));
  must({"cp", world.write("below", content.substr(1, part_bytes - 1)), "s3://bucket/below"});
  EXPECT_THAT(stat("below")["etag"].get<std::string>(), Not(HasSubstr("-")));
}

TEST_F(S3Test, StandardStreamsAreBothSides) {
  world.terminal.input.assign(part_bytes + 7, 'x');
  must({"cp", "-", "s3://bucket/stream.txt"});
  EXPECT_EQ(stat("stream.txt")["size"], part_bytes + 7);
  EXPECT_EQ(stat("stream.txt")["content_type"], "text/plain");
  EXPECT_EQ(get("stream.txt"), std::string(part_bytes + 7, 'x')) << "nothing but the object on stdout";
  world.terminal.input = "";
  must({"cp", "-", "s3://bucket/empty"});
  EXPECT_EQ(stat("empty")["size"], 0);
  world.terminal.input = "longer than said";
  EXPECT_EQ(bale({"cp", "-", "s3://bucket/no", "--expected-size", "5"}), exit_usage);
  EXPECT_EQ(bale({"cp", "-", "-"}), exit_usage);
  EXPECT_EQ(bale({"cp", "--recursive", "-", "s3://bucket/x"}), exit_usage);
}

TEST_F(S3Test, ATreeGoesThereAndBack) {
  world.write("in/a.txt", "a");
  world.write("in/sub/b.txt", "b");
  world.write("in/sub/empty", "");
  world.write("in/ünï/c d.txt", "c");
  must({"cp", "--recursive", path("in"), "s3://bucket/data"});
  EXPECT_THAT(world.terminal.output(), HasSubstr("4 objects, 3 B in "));
  EXPECT_THAT(keys(), ElementsAre("data/a.txt", "data/sub/b.txt", "data/sub/empty", "data/ünï/c d.txt"));
  put("database", "not below data/");
  must({"cp", "--recursive", "s3://bucket/data", path("out")});
  EXPECT_THAT(tree("out"), UnorderedElementsAre("a.txt", "sub/b.txt", "sub/empty", "ünï/c d.txt"));
  EXPECT_EQ(world.read("out/ünï/c d.txt"), "c");
  must({"mb", "s3://second"});
  must({"cp", "--recursive", "s3://bucket/data/", "s3://second/copy/"});
  EXPECT_THAT(keys("second"), ElementsAre("copy/a.txt", "copy/sub/b.txt", "copy/sub/empty", "copy/ünï/c d.txt"));
}

TEST_F(S3Test, FiltersApplyInOrder) {
  for (const char* name : {"in/a.txt", "in/b.jpg", "in/sub/c.txt", "in/sub/d.log"}) world.write(name, "x");
  must({"cp", "--recursive", path("in"), "s3://bucket", "--exclude", "*", "--include", "*.txt", "--include", "*.log",
        "--exclude", "sub/c*"});
  EXPECT_THAT(keys(), ElementsAre("a.txt", "sub/d.log"));
  must({"rm", "--recursive", "s3://bucket", "--exclude", "*.log"});
  EXPECT_THAT(keys(), ElementsAre("sub/d.log"));
}

TEST_F(S3Test, FiltersDoNotSwallowArguments) {
  world.write("in/a.txt", "x");
  must({"cp", "--recursive", "--include", "*.txt", path("in"), "s3://bucket"});
  EXPECT_THAT(keys(), ElementsAre("a.txt"));
}

TEST_F(S3Test, KeysThatLeadOutOfTheDirectoryAreEscapedInIt) {
  for (const char* key : {"d/../../out-of-it", "d//abs", "d/./dot", "d/fine", "d/..", "d/also/fine"}) put(key, key);
  put("d/folder/", "");
  put("d/full-folder/", "not empty");
  put("d/x//", "");
  must({"cp", "--recursive", "s3://bucket/d", path("in/out")});
  EXPECT_THAT(tree("in"), UnorderedElementsAre("out/fine", "out/also/fine", "out/%2E%2E", "out/abs", "out/dot",
                                               ::testing::MatchesRegex("out/%2E%2E%[0-9a-f]{8}/%2E%2E/out-of-it"),
                                               "out/full-folder"));
  EXPECT_EQ(world.read("in/out/abs"), "d//abs");
  EXPECT_TRUE(fs::is_directory(world.path("in/out/folder")));
  EXPECT_TRUE(fs::is_directory(world.path("in/out/x")));
  for (const char* key : {"d/../../out-of-it", "d/.."})
    EXPECT_THAT(world.terminal.errors(), HasSubstr(std::string("s3://bucket/") + key + " gets the escaped name"))
        << key;
  EXPECT_THAT(world.terminal.errors(), HasSubstr("the '/' at the beginning of names is left out"));
  EXPECT_THAT(world.terminal.errors(), Not(HasSubstr("dot")));
  EXPECT_EQ(bale({"cp", "s3://bucket/d/..", path("in")}), exit_usage);
  must({"cp", "s3://bucket/d/../../out-of-it", path("chosen")});
  EXPECT_EQ(world.read("chosen"), "d/../../out-of-it");
}

TEST_F(S3Test, OneFailureDoesNotStopTheOthers) {
  world.write("in/a", "x");
  world.write("in/b", "x");
  world.write("in/\xff", "no UTF-8");
  EXPECT_EQ(bale({"cp", "--recursive", path("in"), "s3://bucket"}), exit_some_failed);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("upload failed: "));
  EXPECT_THAT(world.terminal.errors(), HasSubstr("\\xff"));
  EXPECT_THAT(world.terminal.output(), HasSubstr(", 1 failed"));
  EXPECT_THAT(keys(), ElementsAre("a", "b"));
}

TEST_F(S3Test, AKeyThatIsFileAndDirectoryGetsAnEscapedName) {
  const std::vector<std::string> names{"a", "a!", "a/b", "a/b/c", "e", "e/", "x//y", "x/y"};
  for (const std::string& name : names) put("d/" + name, name == "e/" ? "" : "of " + name);
  std::vector<archive::NamedKey> named;
  for (const std::string& name : names) named.push_back({name, name == "e/"});
  const std::vector<std::string> paths = archive::file_paths(named);
  for (int round = 0; round < 2; ++round) {
    must({"cp", "--recursive", "s3://bucket/d", path("out")});
    EXPECT_EQ(tree("out").size(), names.size() - 1);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (named[i].is_directory) {
        EXPECT_TRUE(fs::is_directory(world.path("out/" + paths[i])));
      } else {
        EXPECT_EQ(world.read("out/" + paths[i]), "of " + names[i]) << "as in a restore";
      }
    }
    for (const char* name : {"a", "a/b", "e", "x//y"})
      EXPECT_THAT(world.terminal.errors(), HasSubstr(std::string("s3://bucket/d/") + name + " gets the escaped name"));
  }
  must({"cp", "--recursive", "s3://bucket/d", path("only"), "--exclude", "*", "--include", "a"});
  EXPECT_THAT(tree("only"), ElementsAre("a")) << "what is not wanted is in nobody's way";
}

TEST_F(S3Test, PrivateFilesStayPrivate) {
  put("secret", "new");
  put("d/script", "new");
  world.write("out/secret", "old");
  world.write("out/d/script", "old");
  fs::permissions(world.path("out/secret"), fs::perms(0600));
  fs::permissions(world.path("out/d/script"), fs::perms(0750));
  must({"cp", "s3://bucket/secret", path("out/secret")});
  must({"cp", "--recursive", "s3://bucket/d", path("out/d")});
  EXPECT_EQ(world.files->info(world.path("out/secret"))->mode, 0600U);
  EXPECT_EQ(world.files->info(world.path("out/d/script"))->mode, 0750U);
  EXPECT_EQ(world.read("out/d/script"), "new");
}

TEST_F(S3Test, RunsOfZerosBecomeHoles) {
  std::string content(20 << 20, '\0');
  content.replace(3 << 20, 4, "data");
  put("large", content);
  put("small", content.substr(0, 4 << 20));
  must({"cp", "--recursive", "s3://bucket", path("out")});
  EXPECT_TRUE(world.read("out/large") == content);
  EXPECT_TRUE(world.read("out/small") == content.substr(0, 4 << 20));
  for (const char* name : {"out/large", "out/small"}) {
    struct stat status {};
    ASSERT_EQ(::stat(world.path(name).c_str(), &status), 0);
    EXPECT_LE(status.st_blocks * 512, 256 << 10) << name;
  }
}

/// As many files of /proc do, each says that it is empty.
class SizelessFiles final : public testing::ForwardingFiles {
 public:
  explicit SizelessFiles(ByteCount less) : less_(less) {}
  std::unique_ptr<os::ReadableFile> open_if_exists(const os::fs::path& path) override {
    auto file = real_.open_if_exists(path);
    if (!file || path.native().find("/sizeless") == std::string::npos) return file;
    return std::make_unique<File>(std::move(file), less_);
  }

 private:
  class File final : public os::ReadableFile {
   public:
    File(std::unique_ptr<os::ReadableFile> real, ByteCount less) : real_(std::move(real)), less_(less) {}
    ByteCount size() const override { return real_->size() - std::min(less_, real_->size()); }
    std::size_t read_at(ByteCount offset, MutableBytes bytes) override { return real_->read_at(offset, bytes); }

   private:
    const std::unique_ptr<os::ReadableFile> real_;
    const ByteCount less_;
  };
  const ByteCount less_;
};

TEST_F(S3Test, FilesThatSayTooSmallASizeAreReadToTheirEnd) {
  const std::string large(9 << 20, 'l');
  world.write("in/sizeless-small", "content");
  world.write("in/sizeless-large", large);
  world.write("in/sizeless-empty", "");
  for (const ByteCount less : {ByteCount{1}, ByteCount{100} << 20}) {
    SizelessFiles files(less);
    world.files = &files;
    must({"cp", "--recursive", path("in"), "s3://bucket"});
    must({"cp", path("in/sizeless-small"), "s3://bucket/single"});
    world.files = &os::system_files();
    EXPECT_EQ(get("sizeless-small"), "content");
    EXPECT_EQ(get("single"), "content");
    EXPECT_TRUE(get("sizeless-large") == large);
    EXPECT_EQ(get("sizeless-empty"), "");
  }
}

TEST_F(S3Test, FilesOfProcAreNotEmpty) {
  must({"cp", "/proc/version", "s3://bucket/version"});
  EXPECT_THAT(get("version"), HasSubstr("Linux"));
}

TEST_F(S3Test, LinksAreFollowedAndLoopsAreNot) {
  world.write("in/file", "x");
  world.write("elsewhere/inside", "y");
  fs::create_symlink("file", world.path("in/link"));
  fs::create_symlink(world.path("elsewhere"), world.path("in/dir"));
  fs::create_symlink(world.path("in"), world.path("elsewhere/back"));
  fs::create_symlink("nowhere", world.path("in/dangling"));
  ASSERT_EQ(::mkfifo(world.path("in/pipe").c_str(), 0600), 0);
  must({"cp", "--recursive", path("in"), "s3://bucket"});
  for (const char* name : {"in/dir/back", "in/dangling", "in/pipe"})
    EXPECT_THAT(world.terminal.errors(), HasSubstr("skipped " + path(name))) << "with a reason";
  EXPECT_THAT(keys(), ElementsAre("dir/inside", "file", "link"));
}

TEST_F(S3Test, WhatIsNoRegularFileIsNotCopiedByItself) {
  fs::create_directories(world.path("in"));
  ASSERT_EQ(::mkfifo(world.path("in/pipe").c_str(), 0600), 0);
  EXPECT_EQ(bale({"cp", path("in/pipe"), "s3://bucket/x"}), exit_usage);
  EXPECT_EQ(bale({"cp", path("in"), "s3://bucket/x"}), exit_usage);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("--recursive"));
}

TEST_F(S3Test, WhatIsMissingIsNotFound) {
  EXPECT_EQ(bale({"cp", path("none"), "s3://bucket/x"}), exit_not_found);
  EXPECT_EQ(bale({"cp", "s3://bucket/none", path("out")}), exit_not_found);
  EXPECT_FALSE(fs::exists(world.path("out")));
  EXPECT_EQ(bale({"cp", "s3://bucket/none", "-"}), exit_not_found);
  EXPECT_EQ(bale({"cp", "s3://bucket/none", "s3://bucket/x"}), exit_not_found);
  EXPECT_EQ(bale({"stat", "s3://bucket/none"}), exit_not_found);
  EXPECT_EQ(bale({"stat", "s3://nowhere/none"}), exit_not_found);
  EXPECT_EQ(bale({"cp", "--recursive", path("none"), "s3://bucket/x"}), exit_not_found);
  EXPECT_EQ(bale({"cp", "--recursive", world.write("in/a", "").parent_path(), "s3://nowhere/x"}), exit_not_found);
  EXPECT_EQ(bale({"cp", "--recursive", "s3://nowhere", path("out")}), exit_not_found);
}

TEST_F(S3Test, ADryRunChangesNothing) {
  const std::string file = world.write("in/a", "x");
  put("kept", "x");
  must({"cp", file, "s3://bucket/b", "--dryrun"});
  EXPECT_EQ(world.terminal.output(), "(dryrun) upload: " + file + " to s3://bucket/b\n");
  must({"cp", "s3://bucket/kept", path("out/file"), "--dry-run"});
  must({"cp", "--recursive", "s3://bucket", path("out"), "--dryrun"});
  EXPECT_THAT(world.terminal.output(), HasSubstr("(dryrun) download: s3://bucket/kept to "));
  must({"cp", "s3://bucket/kept", "s3://bucket/copy", "--dryrun"});
  EXPECT_EQ(world.terminal.output(), "(dryrun) copy: s3://bucket/kept to s3://bucket/copy\n");
  must({"rm", "s3://bucket/kept", "--dryrun"});
  must({"rm", "--recursive", "s3://bucket", "--dryrun"});
  EXPECT_EQ(world.terminal.output(), "(dryrun) delete: s3://bucket/kept\n");
  must({"mb", "s3://another", "--dryrun"});
  must({"rb", "s3://bucket", "--dryrun"});
  EXPECT_THAT(keys(), ElementsAre("kept"));
  EXPECT_FALSE(fs::exists(world.path("out")));
  EXPECT_EQ(lines({"ls"}).size(), 1u);
}

TEST_F(S3Test, IfNoneMatchKeepsWhatIsThere) {
  put("key", "old");
  EXPECT_EQ(bale({"cp", world.write("new", "new"), "s3://bucket/key", "--if-none-match"}), exit_refused);
  EXPECT_EQ(get("key"), "old");
  must({"cp", world.write("new", "new"), "s3://bucket/key"});
  EXPECT_EQ(get("key"), "new");
}

TEST_F(S3Test, VersionsAreKeptReadAndRemoved) {
  must({"mb", "s3://versioned", "--versioning"});
  const std::string file = world.write("f", "one");
  must({"cp", file, "s3://versioned/key"});
  const std::string first = lines({"stat", "s3://versioned/key"})[0]["version_id"];
  world.write("f", "two");
  must({"cp", file, "s3://versioned/key"});
  must({"cp", "s3://versioned/key", "-", "--version-id", first});
  EXPECT_EQ(world.terminal.output(), "one");
  must({"cp", "s3://versioned/key", "s3://bucket/old", "--version-id", first});
  EXPECT_EQ(get("old"), "one");
  must({"rm", "s3://versioned/key"});
  EXPECT_EQ(bale({"stat", "s3://versioned/key"}), exit_not_found);
  EXPECT_EQ(lines({"ls", "--versions", "s3://versioned"}).size(), 3u);
  must({"rm", "s3://versioned/key", "--version-id", first});
  EXPECT_EQ(lines({"ls", "--versions", "s3://versioned"}).size(), 2u);
  must({"rm", "--recursive", "--all-versions", "s3://versioned"});
  must({"rb", "s3://versioned"});
  EXPECT_EQ(bale({"rm", "--all-versions", "s3://bucket/x"}), exit_usage) << "only with --recursive";
}

TEST_F(S3Test, RemovingBelowAPrefixSparesItsNeighbours) {
  for (const char* key : {"logs/a", "logs/b/c", "logs-x", "logs"}) put(key, "x");
  must({"rm", "--recursive", "s3://bucket/logs"});
  EXPECT_THAT(keys(), ElementsAre("logs", "logs-x"));
  EXPECT_EQ(bale({"rm", "s3://bucket"}), exit_usage);
  must({"rm", "s3://bucket/never-was"});
}

TEST_F(S3Test, ACopyIntoItselfIsRefused) {
  put("a/x", "x");
  EXPECT_EQ(bale({"cp", "--recursive", "s3://bucket/a", "s3://bucket/a/b"}), exit_usage);
  EXPECT_EQ(bale({"cp", "--recursive", "s3://bucket", "s3://bucket/a"}), exit_usage);
  must({"cp", "--recursive", "s3://bucket/a", "s3://bucket/ab"});
  EXPECT_THAT(keys(), ElementsAre("a/x", "ab/x"));
}

TEST_F(S3Test, JsonTellsEveryItemAndTheSum) {
  world.write("in/a", "12");
  world.write("in/b", "345");
  const std::vector<json> told = lines({"cp", "--recursive", path("in"), "s3://bucket"});
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0]["type"], "copied");
  EXPECT_EQ(told[0]["operation"], "upload");
  EXPECT_EQ(told[2]["type"], "summary");
  EXPECT_EQ(told[2]["objects"], 2);
  EXPECT_EQ(told[2]["bytes"], 5);
  EXPECT_EQ(told[2]["failed"], 0);
}

TEST_F(S3Test, AnInputThatEndsAfterAnInterruptReplacesNothing) {
  put("key", "old");
  // Before the first byte, before the end, and when all parts but the last are on their way.
  for (const auto& [bytes, reads] :
       std::vector<std::pair<std::size_t, int>>{{10, 1}, {10, 2}, {2 * part_bytes + 10, 4}}) {
    world.stop = {};
    world.terminal.input = std::string(bytes, 'x');
    world.terminal.before_in = [this, left = reads]() mutable {
      if (--left == 0) world.stop.request_stop();
    };
    EXPECT_EQ(bale({"cp", "-", "s3://bucket/key"}), exit_interrupted) << bytes << " " << reads;
    world.terminal.before_in = {};
    world.stop = {};
    must({"cp", "s3://bucket/key", "-"});
    EXPECT_EQ(world.terminal.output(), "old");
  }
}

TEST_F(S3Test, ARecursiveCommandThatFindsNothingSaysSo) {
  put("logs/a", "x");
  fs::create_directories(path("empty/below"));
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"rm", "--recursive", "s3://bucket/log"},
                                             {"rm", "--recursive", "--dryrun", "s3://bucket/log"},
                                             {"rm", "--recursive", "--all-versions", "s3://bucket/none"},
                                             {"rm", "--recursive", "s3://bucket/logs", "--exclude", "*"},
                                             {"cp", "--recursive", "s3://bucket/log", path("out")},
                                             {"cp", "--recursive", "s3://bucket/log", "s3://bucket/copy"},
                                             {"cp", "--recursive", "s3://bucket/logs", path("out"), "--exclude", "a"},
                                             {"cp", "--recursive", path("empty"), "s3://bucket/x"}}) {
    EXPECT_EQ(bale(arguments), exit_not_found) << arguments[0] << " " << arguments[2];
    EXPECT_THAT(world.terminal.errors(), HasSubstr("nothing below it"));
  }
  EXPECT_THAT(keys(), ElementsAre("logs/a"));
}

TEST_F(S3Test, ATagOrNameThatIsGivenTwiceIsRefused) {
  world.write("f", "x");
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{"--metadata", "a=1,A=2"},
                                             {"--metadata", R"({"a": "1", "a": "2"})"},
                                             {"--tag", "a=1", "--tag", "a=2"},
                                             {"--tagging", "a=1&a=1"},
                                             {"--tagging", "a=1", "--tag", "a=2"}}) {
    std::vector<std::string> arguments{"cp", path("f"), "s3://bucket/f"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    EXPECT_EQ(bale(arguments), exit_usage) << options[1];
    EXPECT_THAT(world.terminal.errors(), HasSubstr("is given twice"));
  }
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_F(S3Test, AnInterruptLeavesNothingHalfDone) {
  world.write("in/large", std::string(3 * part_bytes, 'x'));
  put("object", std::string(3 * part_bytes, 'x'));
  world.stop.request_stop();
  EXPECT_EQ(bale({"cp", path("in/large"), "s3://bucket/large"}), exit_interrupted);
  EXPECT_EQ(bale({"cp", "--recursive", path("in"), "s3://bucket/many"}), exit_interrupted);
  EXPECT_EQ(bale({"cp", "s3://bucket/object", path("out/file")}), exit_interrupted);
  EXPECT_EQ(bale({"rm", "--recursive", "s3://bucket"}), exit_interrupted);
  EXPECT_THAT(tree("out"), IsEmpty()) << "no temporary file either";
  world.stop = {};
  EXPECT_THAT(keys(), ElementsAre("object"));
  GlobalOptions options;
  options.local = world.path("store");
  Context context(world.world(), resolve(options, world.environment));
  EXPECT_THAT(context.store(context.region()).list_uploads(BucketName("bucket")), IsEmpty());
}

TEST_F(S3Test, PresigningNeedsAServer) {
  put("key", "x");
  EXPECT_EQ(bale({"presign", "s3://bucket/key"}), exit_usage);
  EXPECT_EQ(bale({"presign", "s3://bucket/key", "--expires-in", "0"}), exit_usage);
}

TEST_F(S3Test, MemoryStaysWithinTheLimit) {
  std::string content(5 * part_bytes, 'x');
  world.write("large", content);
  GlobalOptions options;
  options.local = world.path("store");
  options.memory_limit = 64 << 20;
  Context context(world.world(), resolve(options, world.environment));
  flow::Progress progress;
  transfer::ObjectMover mover(move_tools(context, progress));
  mover.upload(world.path("large"), {BucketName("bucket"), ObjectKey("large")}, {}, {});
  mover.download({BucketName("bucket"), ObjectKey("large")}, {}, std::nullopt, world.path("back"),
                 os::Existing::replace);
  EXPECT_EQ(world.read("back"), content);
  EXPECT_LE(context.budget().peak(), context.budget().limit());
  EXPECT_EQ(progress.bytes_done, 2 * content.size());
}

/// Files that get shorter once they are open, and a disk that is full below one directory.
class UnluckyFiles final : public testing::ForwardingFiles {
 public:
  std::unique_ptr<os::ReadableFile> open_if_exists(const fs::path& path) override {
    auto file = ForwardingFiles::open_if_exists(path);
    return path.extension() == ".shrinking" ? std::make_unique<Shrinking>(std::move(file)) : std::move(file);
  }
  std::unique_ptr<os::WritableFile> create(const fs::path& path) override {
    if (path.native().find("/out/full/") != std::string::npos)
      throw Error(ErrorKind::unavailable, "cannot create: No space left on device", path.native(), "free some space");
    return ForwardingFiles::create(path);
  }

 private:
  class Shrinking final : public os::ReadableFile {
   public:
    explicit Shrinking(std::unique_ptr<os::ReadableFile> inner) : inner_(std::move(inner)) {}
    ByteCount size() const override { return inner_->size() + 1; }
    std::size_t read_at(ByteCount offset, MutableBytes bytes) override { return inner_->read_at(offset, bytes); }

   private:
    std::unique_ptr<os::ReadableFile> inner_;
  };
};

TEST_F(S3Test, AFileThatGetsShorterBecomesNoObject) {
  UnluckyFiles unlucky;
  world.files = &unlucky;
  world.write("in/small.shrinking", "x");
  world.write("in/large.shrinking", std::string(part_bytes + 1, 'x'));
  world.write("in/other", "x");
  EXPECT_EQ(bale({"cp", path("in/small.shrinking"), "s3://bucket/small"}), exit_refused);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("got shorter"));
  EXPECT_THAT(world.terminal.errors(), HasSubstr("small.shrinking"));
  EXPECT_EQ(bale({"cp", "--recursive", path("in"), "s3://bucket"}), exit_some_failed);
  EXPECT_THAT(keys(), ElementsAre("other"));
}

TEST_F(S3Test, AFullDiskFailsTheFilesOnItByName) {
  UnluckyFiles unlucky;
  world.files = &unlucky;
  put("d/full/a", "x");
  put("d/roomy/b", "x");
  EXPECT_EQ(bale({"cp", "--recursive", "s3://bucket/d", path("out")}), exit_some_failed);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("download failed: s3://bucket/d/full/a"));
  EXPECT_THAT(world.terminal.errors(), HasSubstr("No space left"));
  EXPECT_THAT(tree("out"), ElementsAre("roomy/b"));
}

// Where downloads go

TEST_F(S3Test, ADownloadKeepsLinksAndReplacesNothingButFiles) {
  put("key", "new");
  world.write("elsewhere/file", "old");
  fs::create_symlink("elsewhere/file", world.path("link"));
  fs::create_symlink("nowhere", world.path("dangling"));
  must({"cp", "s3://bucket/key", path("link")});
  EXPECT_TRUE(fs::is_symlink(world.path("link")));
  EXPECT_EQ(world.read("elsewhere/file"), "new");
  EXPECT_EQ(world.files->info(world.path("elsewhere/file"))->modified.time_since_epoch().count(),
            world.clock.now().time_since_epoch().count())
      << "the object's time is the file's, not the link's";
  EXPECT_EQ(bale({"cp", "s3://bucket/key", path("dangling")}), exit_usage);
  EXPECT_EQ(bale({"cp", "s3://bucket/key", path("dangling"), "--dryrun"}), exit_usage);
  EXPECT_TRUE(fs::is_symlink(world.path("dangling")));
}

TEST_F(S3Test, OneObjectGoesIntoAPipeAndManyDoNot) {
  const std::string content(100'000, 'x');
  put("d/pipe", content);
  fs::create_directories(world.path("out"));
  ASSERT_EQ(::mkfifo(world.path("out/pipe").c_str(), 0600), 0);
  std::string got;
  {
    const std::jthread reader([&] {
      std::ifstream stream(world.path("out/pipe"), std::ios::binary);
      got.assign(std::istreambuf_iterator<char>(stream), {});
    });
    must({"cp", "s3://bucket/d/pipe", path("out/pipe")});
  }
  EXPECT_EQ(got, content);
  EXPECT_EQ(bale({"cp", "s3://bucket/none", path("out/pipe")}), exit_not_found) << "without waiting for a reader";
  EXPECT_EQ(bale({"cp", "--recursive", "s3://bucket/d", path("out")}), exit_some_failed);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("would be replaced"));
  EXPECT_TRUE(fs::is_fifo(world.path("out/pipe")));
}

TEST_F(S3Test, StandardStreamsHaveTheirNamesOfLinux) {
  world.terminal.input = "from input";
  must({"cp", "/dev/stdin", "s3://bucket/key"});
  EXPECT_EQ(get("key"), "from input");
  must({"cp", "s3://bucket/key", "/dev/stdout"});
  EXPECT_EQ(world.terminal.output(), "from input") << "and nothing else";
}

// What was damaged in the store

class DamagedS3Test : public S3Test {
 protected:
  /// Changes a byte of the only object of the bucket, in the store's own file.
  void damage() {
    for (const std::string& name : tree("store/s3/bucket")) {
      const fs::path file = world.path("store/s3/bucket") / name;
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
      stream.put('!');
    }
  }
  void expect_damaged_downloads() {
    damage();
    world.write("out/file", "old");
    EXPECT_EQ(bale({"cp", "s3://bucket/key", path("out/file")}), exit_damaged);
    EXPECT_THAT(world.terminal.errors(), HasSubstr("s3://bucket/key"));
    EXPECT_EQ(world.read("out/file"), "old");
    EXPECT_EQ(bale({"cp", "--recursive", "s3://bucket", path("out")}), exit_some_failed);
    EXPECT_THAT(tree("out"), ElementsAre("file")) << "nor a temporary file";
    EXPECT_EQ(bale({"cp", "s3://bucket/key", "-"}), exit_damaged);
  }
};

TEST_F(DamagedS3Test, ASmallObject) {
  put("key", "the bytes of it");
  expect_damaged_downloads();
}

TEST_F(DamagedS3Test, AnObjectInTwoParts) {
  put("key", std::string(part_bytes + 100, 'x'));
  expect_damaged_downloads();
}

TEST_F(DamagedS3Test, AnObjectInManyParts) {
  put("key", std::string(3 * part_bytes, 'x'));
  expect_damaged_downloads();
}

TEST_F(DamagedS3Test, ALargeObjectInOnePart) {
  put("original", std::string(3 * part_bytes, 'x'));
  must({"cp", "s3://bucket/original", "s3://bucket/key"});
  ASSERT_EQ(stat("key")["etag"].get<std::string>().size(), 32u) << "a copy has an MD5: it is compared at the end";
  must({"cp", "s3://bucket/key", path("whole")});
  must({"rm", "s3://bucket/original"});
  expect_damaged_downloads();
}

// Dry runs and stores that are not there

TEST_F(S3Test, ADryRunFailsWhereTheRunWould) {
  const std::string file = world.write("in/a", "x");
  put("key", "x");
  const std::vector<std::vector<std::string>> failing = {{"cp", file, "s3://nowhere/b"},
                                                         {"cp", "-", "s3://nowhere/b"},
                                                         {"cp", "s3://nowhere/b", path("out")},
                                                         {"cp", "s3://bucket/none", path("out")},
                                                         {"cp", "s3://bucket/none", "-"},
                                                         {"cp", "s3://bucket/key", "s3://nowhere/b"},
                                                         {"rm", "s3://nowhere/b"},
                                                         {"rb", "s3://nowhere"}};
  for (std::vector<std::string> arguments : failing) {
    EXPECT_EQ(bale(arguments), exit_not_found) << arguments[1] << ' ' << arguments.back();
    arguments.emplace_back("--dryrun");
    EXPECT_EQ(bale(arguments), exit_not_found) << arguments[1] << ' ' << arguments[2];
    EXPECT_EQ(world.terminal.output(), "");
  }
}

TEST_F(S3Test, OnlyANewBucketMakesAStore) {
  const auto in = [&](const std::string& store, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--local", path(store), "s3"});
    world.terminal.take_errors();
    return run(arguments, world.world());
  };
  const std::string file = world.write("in/a", "x");
  const std::vector<std::vector<std::string>> refused = {{"ls"},
                                                         {"ls", "s3://bbb"},
                                                         {"cp", "s3://bbb/k", path("o")},
                                                         {"cp", file, "s3://bbb/k"},
                                                         {"rm", "s3://bbb/k"},
                                                         {"stat", "s3://bbb/k"}};
  for (const std::vector<std::string>& arguments : refused) {
    EXPECT_EQ(in("absent", arguments), exit_not_found) << arguments[0];
    EXPECT_THAT(world.terminal.errors(), HasSubstr("bale s3 mb"));
    EXPECT_FALSE(fs::exists(world.path("absent"))) << arguments[0];
  }
  EXPECT_EQ(in("absent", {"mb", "s3://bucket", "--dryrun"}), exit_ok);
  EXPECT_FALSE(fs::exists(world.path("absent")));
  EXPECT_EQ(in("absent", {"mb", "s3://bucket"}), exit_ok) << world.terminal.errors();
  EXPECT_EQ(in("absent", {"ls", "s3://bucket"}), exit_ok);
  EXPECT_EQ(in("in", {"ls"}), exit_not_found) << "a directory of something else";
  EXPECT_THAT(tree("in"), ElementsAre("a")) << "nothing is put into it";
  EXPECT_EQ(in("in/a", {"ls"}), exit_usage);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("not a directory"));
}

TEST_F(S3Test, ADownloadReplacesNothingWithIfNoneMatch) {
  put("d/k", "new");
  must({"cp", "s3://bucket/d/k", path("file"), "--if-none-match"});
  EXPECT_EQ(world.read("file"), "new");
  world.write("file", "theirs");
  world.write("dir/k", "theirs");
  EXPECT_EQ(bale({"cp", "s3://bucket/d/k", path("file"), "--if-none-match"}), exit_refused);
  EXPECT_EQ(bale({"cp", "s3://bucket/d/k", path("file"), "--if-none-match", "--dryrun"}), exit_refused);
  EXPECT_EQ(bale({"cp", "--recursive", "s3://bucket/d", path("dir"), "--if-none-match"}), exit_some_failed);
  EXPECT_EQ(world.read("file"), "theirs");
  EXPECT_EQ(world.read("dir/k"), "theirs");
  must({"cp", "s3://bucket/d/k", path("file")});
  EXPECT_EQ(world.read("file"), "new");
}

TEST_F(S3Test, ARecursiveDownloadFollowsNoLinks) {
  put("d/link/k", "new");
  put("d/k", "new");
  put("d/fine/k", "new");
  world.write("elsewhere/k", "theirs");
  fs::create_directories(world.path("dir"));
  fs::create_directory_symlink(world.path("elsewhere"), world.path("dir/link"));
  fs::create_symlink(world.path("elsewhere/k"), world.path("dir/k"));
  EXPECT_EQ(bale({"cp", "--recursive", "s3://bucket/d", path("dir")}), exit_some_failed);
  EXPECT_THAT(world.terminal.errors(), HasSubstr("d/link/k"));
  EXPECT_THAT(world.terminal.errors(), HasSubstr("symbolic link"));
  EXPECT_EQ(world.read("elsewhere/k"), "theirs");
  EXPECT_EQ(world.read("dir/fine/k"), "new");
  // The destination itself may be a link: the user named it.
  fs::create_directory_symlink(world.path("dir/fine"), world.path("named"));
  must({"cp", "--recursive", "s3://bucket/d/fine", path("named")});
}

}  // namespace
}  // namespace bale::cli
