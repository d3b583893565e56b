// Which files make up a raw file, and the names and keys that they get.
#include "jobs/raw/layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::raw {
namespace {

using config::KeyLayout;
using os::FileType;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Found file(std::string path, ByteCount size = 1) { return {std::move(path), FileType::regular, size, {}, true}; }
Found folder(std::string path) { return {std::move(path), FileType::directory, 0, {}, true}; }

RawFileName name_of(std::string id, std::string main) {
  return {std::move(id), std::move(main), "tims1", "2026_11", true};
}
RawFileName without_project(RawFileName name) {
  name.has_project = false;
  return name;
}

/// "name -> key" of each file.
std::vector<std::string> pairs(const Plan& plan) {
  std::vector<std::string> all;
  for (const PlannedFile& one : plan.files) all.push_back(one.name + " -> " + one.key.str());
  return all;
}

std::vector<Found> bruker() {
  return {folder("x.d"),         file("x.d/analysis.tdf", 10), file("x.d/analysis.tdf_bin", 100),
          folder("x.d/1.m"),     file("x.d/1.m/a.method"),     folder("x.d/1.m/empty"),
          folder("x.d/nothing"), file("x.d/SyncHelper", 0)};
}
std::vector<Found> sciex() {
  return {file("x.wiff"),   file("x.wiff2"),   file("x.wiff.scan"),      file("x.timeseries.data"), file("x_2.wiff"),
          file("x.1.wiff"), file("x.1.wiff2"), file("x_CORRUPTED.wiff"), file("y.timeseries.data"), file("x.wiff.wiff"),
          folder("x.d"),    file("x.notes")};
}

TEST(Layout, OneFileIsCalledAfterItsId) {
  const std::vector<Found> found = {file("x.raw", 7), file("x_CORRUPTED.raw"), file("x.raw.tmp"), file("ax.raw")};
  const Plan plan = plan_raw_file(name_of("x", "x.raw"), found, KeyLayout::by_id);
  EXPECT_THAT(pairs(plan), ElementsAre("x.raw -> x.raw"));
  EXPECT_EQ(plan.layout, "file");
  EXPECT_EQ(plan.prefix, "x.raw");
  EXPECT_EQ(plan.main, "x.raw");
  EXPECT_EQ(plan.bytes, 7u);
  EXPECT_THAT(pairs(plan_raw_file(name_of("x", "x.raw"), found, KeyLayout::alphakraken)),
              ElementsAre("x.raw -> x.raw"));
  EXPECT_THAT(pairs(plan_raw_file(name_of("flag-x.raw", "x.raw"), found, KeyLayout::by_id)),
              ElementsAre("flag-x.raw -> flag-x.raw"));
  EXPECT_THAT(pairs(plan_raw_file(name_of("x.d", "x.raw"), found, KeyLayout::by_id)),
              ElementsAre("x.d.raw -> x.d.raw"));
  EXPECT_THAT(pairs(plan_raw_file(name_of("id", "X.RAW"), {file("X.RAW")}, KeyLayout::by_id)),
              ElementsAre("id.RAW -> id.RAW"));
}

TEST(Layout, AFolderKeepsItsTreeAndItsEmptyFolders) {
  const Plan plan = plan_raw_file(name_of("id", "x.d"), bruker(), KeyLayout::by_id);
  EXPECT_THAT(pairs(plan),
              ElementsAre("id.d/1.m/a.method -> id/id.d/1.m/a.method",  //
                          "id.d/SyncHelper -> id/id.d/SyncHelper", "id.d/analysis.tdf -> id/id.d/analysis.tdf",
                          "id.d/analysis.tdf_bin -> id/id.d/analysis.tdf_bin"));
  EXPECT_THAT(plan.empty_folders, ElementsAre("id.d/1.m/empty", "id.d/nothing"));
  EXPECT_EQ(plan.files[1].size, 0u) << "a file of 0 bytes is kept";
  EXPECT_EQ(plan.files[1].source, "x.d/SyncHelper");
  EXPECT_EQ(plan.prefix, "id/");
  EXPECT_EQ(plan.main, "id.d/analysis.tdf_bin");
  const Plan other = plan_raw_file(name_of("id.d", "x.d"), bruker(), KeyLayout::alphakraken);
  EXPECT_EQ(other.files[2].key.str(), "id.d/analysis.tdf");
  EXPECT_EQ(other.prefix, "id.d/");
}

TEST(Layout, ASetIsOfExactlyOneStem) {
  const Plan plan = plan_raw_file(name_of("x", "x.wiff"), sciex(), KeyLayout::by_id);
  EXPECT_THAT(pairs(plan), ElementsAre("x.timeseries.data -> x/x.timeseries.data", "x.wiff -> x/x.wiff",
                                       "x.wiff.scan -> x/x.wiff.scan", "x.wiff2 -> x/x.wiff2"));
  EXPECT_EQ(plan.layout, "stem");
  EXPECT_EQ(plan.prefix, "x/");
  EXPECT_THAT(plan.empty_folders, IsEmpty());
  EXPECT_THAT(pairs(plan_raw_file(name_of("x", "x.1.wiff"), sciex(), KeyLayout::by_id)),
              ElementsAre("x.wiff -> x/x.wiff", "x.wiff2 -> x/x.wiff2"));
  EXPECT_THAT(pairs(plan_raw_file(name_of("id.wiff", "x.wiff"), sciex(), KeyLayout::alphakraken)),
              ElementsAre("id.timeseries.data -> id.wiff/id.timeseries.data", "id.wiff -> id.wiff/id.wiff",
                          "id.wiff.scan -> id.wiff/id.wiff.scan", "id.wiff2 -> id.wiff/id.wiff2"));
}

TEST(Layout, WithoutAProjectInstrumentAndMonthComeFirst) {
  for (const KeyLayout keys : {KeyLayout::by_id, KeyLayout::alphakraken}) {
    const Plan one = plan_raw_file(without_project(name_of("x", "x.raw")), {file("x.raw")}, keys);
    EXPECT_THAT(pairs(one), ElementsAre("x.raw -> tims1/2026_11/x.raw"));
    EXPECT_EQ(one.prefix, "tims1/2026_11/x.raw");
  }
  EXPECT_EQ(plan_raw_file(without_project(name_of("x", "x.d")), bruker(), KeyLayout::by_id).prefix, "tims1/2026_11/x/");
  EXPECT_EQ(plan_raw_file(without_project(name_of("x", "x.d")), bruker(), KeyLayout::alphakraken).prefix,
            "tims1/2026_11/x.d/");
  EXPECT_EQ(plan_raw_file(without_project(name_of("x.wiff", "x.wiff")), sciex(), KeyLayout::alphakraken).prefix,
            "tims1/2026_11/x.wiff/");
}

TEST(Layout, EveryKeyBeginsWithThePrefix) {
  const std::pair<const char*, std::vector<Found>> raw_files[] = {
      {"x.raw", {file("x.raw")}}, {"x.d", bruker()}, {"x.wiff", sciex()}};
  for (const auto& [main, found] : raw_files) {
    for (const KeyLayout keys : {KeyLayout::by_id, KeyLayout::alphakraken}) {
      for (const RawFileName& name : {name_of("id", main), without_project(name_of("id", main))}) {
        const Plan plan = plan_raw_file(name, found, keys);
        for (const PlannedFile& one : plan.files) EXPECT_TRUE(one.key.str().starts_with(plan.prefix)) << one.key.str();
      }
    }
  }
}

TEST(Layout, WhatIsNotWholeIsRefusedWithAllOfItsProblems) {
  std::vector<Found> found = {folder("x.d"),
                              file("x.d/analysis.tdf"),
                              {"x.d/pipe", FileType::other},
                              {"x.d/link", FileType::symlink},
                              file("x.d/secret"),
                              file("x.d/\xFF"),
                              file("x.d/../y")};
  found[4].is_readable = false;
  const Error error = testing::error_of([&] { plan_raw_file(name_of("x", "x.d"), found, KeyLayout::by_id); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("x.d/analysis.tdf_bin: is missing"), HasSubstr("x.d/pipe: is a pipe, socket or device"),
                    HasSubstr("x.d/link: is a symbolic link"), HasSubstr("x.d/secret: cannot be read"),
                    HasSubstr("x.d/\\xff: has a name that is not UTF-8"), HasSubstr("is not the name of a file")));
}

TEST(Layout, ManyProblemsAreCounted) {
  std::vector<Found> found = {folder("x.d")};
  for (int i = 0; i < 50; ++i) found.push_back({"x.d/" + std::to_string(i), FileType::symlink});
  const Error error = testing::error_of([&] { plan_raw_file(name_of("x", "x.d"), found, KeyLayout::by_id); });
  EXPECT_THAT(error.what(), HasSubstr("and 32 more"));
}

TEST(Layout, AMissingMainPathIsNamed) {
  for (const char* main : {"x.raw", "x.d", "x.wiff"}) {
    const Error error = testing::error_of([&] {
      plan_raw_file(name_of("x", main), {file("x_CORRUPTED.raw"), file("x.wiff2")}, KeyLayout::by_id);
    });
    EXPECT_THAT(error.what(), HasSubstr(std::string(main) + ": is missing"));
  }
}

TEST(Layout, AMainFileThatHasToBeAFileIsNoFolder) {
  std::vector<Found> found = bruker();
  found[1].type = FileType::directory;
  const Error error = testing::error_of([&] { plan_raw_file(name_of("x", "x.d"), found, KeyLayout::by_id); });
  EXPECT_THAT(error.what(), HasSubstr("x.d/analysis.tdf: is missing"));
}

TEST(Layout, TheSameNameTwiceIsRefused) {
  const Error error = testing::error_of([&] {
    plan_raw_file(name_of("x", "x.raw"), {file("x.raw"), file("x.raw")}, KeyLayout::by_id);
  });
  EXPECT_THAT(error.what(), HasSubstr("is there twice"));
}

TEST(Layout, KeysHaveAtMost1024Bytes) {
  std::vector<Found> found = bruker();
  const std::string folder = std::string(202, 'a') + "/";
  found.push_back(file("x.d/" + folder + folder + folder + folder + std::string(203, 'a')));  // 1,019 bytes
  EXPECT_EQ(plan_raw_file(name_of("y", "x.d"), found, KeyLayout::alphakraken).files.size(), 5u);
  const Error error = testing::error_of([&] { plan_raw_file(name_of("yyyy", "x.d"), found, KeyLayout::by_id); });
  EXPECT_THAT(error.what(), HasSubstr("longer than 1024 bytes"));
}

TEST(Layout, NamesInThePoolHaveAtMost255Bytes) {
  const std::string longest(251, 'n');
  EXPECT_EQ(plan_raw_file(name_of(longest, "x.raw"), {file("x.raw")}, KeyLayout::by_id).main, longest + ".raw");
  const Error error =
      testing::error_of([&] { plan_raw_file(name_of(longest + "n", "x.raw"), {file("x.raw")}, KeyLayout::by_id); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_THAT(error.what(), HasSubstr("longer than 255 bytes: choose a shorter file id"));
}

TEST(Layout, InstrumentAndMonthAreChecked) {
  const auto problem = [](RawFileName name) {
    return testing::error_of([&] { plan_raw_file(name, {file("x.raw")}, KeyLayout::by_id); });
  };
  RawFileName name = without_project(name_of("x", "x.raw"));
  name.instrument.clear();
  EXPECT_THAT(problem(name).what(), HasSubstr("the instrument has to be given"));
  for (const char* bad : {"a/b", "..", "\xFF"}) {
    name = name_of("x", "x.raw");
    name.instrument = bad;
    EXPECT_THAT(problem(name).what(), HasSubstr("an instrument cannot be called that"));
  }
  name = name_of("x", "x.raw");
  name.month = "2026-11";
  EXPECT_THAT(problem(name).what(), HasSubstr("YYYY_MM"));
  name = name_of("x", "x.raw");
  name.instrument.clear();
  EXPECT_THAT(pairs(plan_raw_file(name, {file("x.raw")}, KeyLayout::by_id)), ElementsAre("x.raw -> x.raw"));
  EXPECT_EQ(pool_directory(name), "2026_11");
  EXPECT_EQ(pool_directory(name_of("x", "x.raw")), "tims1/2026_11");
  EXPECT_EQ(month_of(parse_time("2026-11-30 23:59:59")), "2026_11");
}

TEST(Layout, FileIdsAreNames) {
  for (const char* good : {"x", "x.raw", "20260101-120000-x", "Größe 1", "...", "a:b"}) check_file_id(good);
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string("a/b"),
                                 std::string("a\\b"), std::string("a\nb"), std::string("\xFF"), std::string(256, 'a')})
    EXPECT_ERROR(ErrorKind::invalid, "", check_file_id(bad));
  EXPECT_ERROR(ErrorKind::invalid, "", plan_raw_file(name_of(".raw", "x.raw"), {file("x.raw")}, KeyLayout::by_id));
}

TEST(Layout, NamesThatAreNoRawFilesAreRefused) {
  EXPECT_EQ(layout_of("x.raw", FileType::regular).name, "file");
  EXPECT_EQ(layout_of("x.mzML", FileType::regular).name, "file");
  EXPECT_EQ(layout_of("x.D", FileType::directory).name, "folder");
  EXPECT_EQ(layout_of("x.wiff", FileType::regular).name, "stem");
  EXPECT_ERROR(ErrorKind::invalid, "", layout_of("x.m", FileType::directory));
  EXPECT_ERROR(ErrorKind::invalid, "", layout_of("x.raw", FileType::other));
  EXPECT_ERROR(ErrorKind::invalid, "", layout_of("x.raw", FileType::symlink));
  for (const char* bad : {".raw", "", ".", "..", "a/x.raw"})
    EXPECT_ERROR(ErrorKind::invalid, "", layout_of(bad, FileType::regular));
  EXPECT_ERROR(ErrorKind::invalid, "", layout_of(".d", FileType::directory));
  const Error error = testing::error_of([] { layout_of("x.wiff.scan", FileType::regular); });
  EXPECT_THAT(error.hint(), HasSubstr("x.wiff."));
}

}  // namespace
}  // namespace bale::raw
