#include "cloud/upload_tags.hpp"

#include <gtest/gtest.h>

#include <string>

namespace bale::cloud {
namespace {

UploadId numbered(std::size_t number) { return UploadId("u" + std::to_string(number)); }

TEST(UploadTagsTest, AreThoseOfTheUpload) {
  UploadTags tags;
  EXPECT_EQ(tags.find(UploadId("u")), std::nullopt);
  tags.remember(UploadId("u"), {{"a", "1"}});
  tags.remember(UploadId("v"), {{"b", "2"}});
  EXPECT_EQ(tags.find(UploadId("u")), (store::Tags{{"a", "1"}}));
  tags.remember(UploadId("u"), {{"a", "3"}});
  EXPECT_EQ(tags.find(UploadId("u")), (store::Tags{{"a", "3"}}));
  tags.forget(UploadId("u"));
  tags.forget(UploadId("unknown"));
  EXPECT_EQ(tags.find(UploadId("u")), std::nullopt);
  EXPECT_EQ(tags.find(UploadId("v")), (store::Tags{{"b", "2"}}));
}

TEST(UploadTagsTest, OfTheOldestUploadAreForgottenWhereThereAreTooMany) {
  UploadTags tags;
  for (std::size_t i = 0; i <= UploadTags::most; ++i) tags.remember(numbered(i), {{"n", std::to_string(i)}});
  EXPECT_FALSE(tags.find(numbered(0)));
  EXPECT_TRUE(tags.find(numbered(1)));
  EXPECT_TRUE(tags.find(numbered(UploadTags::most)));
}

TEST(UploadTagsTest, OfALongUploadStayWhileManyShortOnesEnd) {
  UploadTags tags;
  tags.remember(UploadId("long"), {{"a", "1"}});
  for (std::size_t i = 0; i < 2 * UploadTags::most; ++i) {
    tags.remember(numbered(i), {});
    tags.forget(numbered(i));
  }
  EXPECT_TRUE(tags.find(UploadId("long")));
}

}  // namespace
}  // namespace bale::cloud
