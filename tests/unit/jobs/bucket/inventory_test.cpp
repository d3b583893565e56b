#include "jobs/bucket/inventory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "jobs/bucket/report.hpp"

namespace bale::bucket {
namespace {

using testing::ElementsAre;

TEST(Inventory, SplitsCsv) {
  EXPECT_THAT(parse_csv_line(R"("a","b ""c"", d",e,)"), ElementsAre("a", "b \"c\", d", "e", ""));
  EXPECT_THROW(parse_csv_line("\"a"), Error);
}

std::optional<store::ListedObject> parsed(std::string_view line, std::string_view schema = default_inventory_schema) {
  return parse_inventory_line(line, parse_inventory_schema(schema), BucketName("b"));
}

TEST(Inventory, DecodesKeys) {
  const auto object = parsed(R"("b","a+b%2Bc%2F","12","2026-01-02T03:04:05.000Z","""abc-2""","GLACIER")");
  ASSERT_TRUE(object);
  EXPECT_EQ(object->key.str(), "a b+c/");
  EXPECT_EQ(object->size, 12U);
  EXPECT_EQ(object->etag.str(), "abc-2");
  EXPECT_EQ(object->storage_class, "GLACIER");
  EXPECT_EQ(to_iso8601(object->last_modified), "2026-01-02T03:04:05.000Z");
}

TEST(Inventory, LeavesOutWhatIsNotCurrent) {
  constexpr std::string_view schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size";
  EXPECT_TRUE(parsed(R"("b","a","v","true","false","1")", schema));
  EXPECT_FALSE(parsed(R"("b","a","v","false","false","1")", schema));
  EXPECT_FALSE(parsed(R"("b","a","v","true","true","")", schema));
  EXPECT_FALSE(parsed(R"("other","a","v","true","false","1")", schema));
}

TEST(Inventory, RefusesWhatIsNoInventory) {
  EXPECT_THROW(parse_inventory_schema("Bucket, Size"), Error);
  EXPECT_THROW(parsed(R"("b","a")"), Error);
  EXPECT_THROW(parsed(R"("b","a","many","2026-01-02T03:04:05Z","","")"), Error);
  EXPECT_THROW(parsed(R"("b","","1","2026-01-02T03:04:05Z","","")"), Error);
  EXPECT_THROW(parse_inventory_manifest(R"({"fileFormat":"Parquet","files":[]})"), Error);
  EXPECT_THROW(parse_json_object("[]"), Error);
  EXPECT_THROW(parse_json_object(R"({"key":"a"})"), Error);
}

TEST(Inventory, ReadsLinesOfS3Ls) {
  const auto object = parse_json_object(
      R"({"type":"object","key":"a","size":3,"etag":"x","last_modified":"2026-01-02T03:04:05Z",)"
      R"("storage_class":"STANDARD_IA"})");
  ASSERT_TRUE(object);
  EXPECT_EQ(object->storage_class, "STANDARD_IA");
  EXPECT_FALSE(parse_json_object(R"({"type":"summary","objects":1})"));
}

TEST(Inventory, LinesOfAnyLength) {
  std::string text = "first\r\n\n" + std::string(600'000, 'x') + "\nlast";
  LineReader lines([&, at = std::size_t(0)](MutableBytes to) mutable {
    const std::size_t count = std::min(to.size(), text.size() - at);
    std::copy_n(as_bytes(text).begin() + static_cast<std::ptrdiff_t>(at), count, to.begin());
    at += count;
    return count;
  });
  EXPECT_EQ(lines.next(), "first");
  EXPECT_EQ(lines.next(), "");
  EXPECT_EQ(lines.next()->size(), 600'000U);
  EXPECT_EQ(lines.next(), "last");
  EXPECT_EQ(lines.number(), 4U);
  EXPECT_FALSE(lines.next());
}

TEST(Report, NamesWhatIsToBeCopied) {
  EXPECT_EQ(key_to_copy(R"({"type":"evidence","key":"a","verdict":"missing"})"), "a");
  EXPECT_EQ(key_to_copy(R"({"type":"evidence","key":"a","verdict":"same"})"), std::nullopt);
  EXPECT_EQ(key_to_copy(R"({"type":"evidence","key":"a","verdict":"extra"})"), std::nullopt);
  EXPECT_EQ(key_to_copy(R"({"type":"failure","key":"\\xff","key_base64":"/w=="})"), "\xff");
  EXPECT_EQ(key_to_copy(R"({"type":"summary"})"), std::nullopt);
  EXPECT_THROW(key_to_copy(R"({"type":"failure"})"), Error);
  EXPECT_THROW(key_to_copy("nothing"), Error);
}

}  // namespace
}  // namespace bale::bucket
