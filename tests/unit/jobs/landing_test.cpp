// What an object looks like at its destination, and whether it may go there.
#include "jobs/land/landing.hpp"

#include <gtest/gtest.h>

namespace bale::land {
namespace {

archive::ManifestObject object_with(std::size_t tags, std::size_t metadata) {
  archive::ManifestObject object;
  object.source_bucket = BucketName("src");
  object.key = ObjectKey("p/k");
  object.last_modified = parse_time("2025-01-23 09:05:07");
  object.etag = ETag("0123456789abcdef0123456789abcdef");
  object.sequencer = "00AA";
  object.storage_class = "STANDARD_IA";
  for (std::size_t i = 0; i < tags; ++i) object.tags["t" + std::to_string(i)] = "v";
  if (metadata > 0) object.metadata["m"] = std::string(metadata - 1, 'x');
  return object;
}

TEST(LandingAttributes, AddsOriginAsTags) {
  const LandingAttributes landing = landing_attributes(object_with(8, 0), {});
  EXPECT_EQ(landing.attributes.tags.size(), 10U);
  EXPECT_EQ(landing.attributes.tags.at("OriginalCreationTime"), "2025-01-23 09:05:07");
  EXPECT_EQ(landing.attributes.tags.at("OriginalETag"), "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(landing.attributes.metadata.at("bale-order"), "00AA;1737623107000;src");
  EXPECT_EQ(landing.attributes.storage_class, "STANDARD_IA");
}

TEST(LandingAttributes, PutsOriginIntoMetadataWhereTenTagsAreTaken) {  // DA6
  for (const std::size_t tags : {9U, 10U}) {
    const LandingAttributes landing = landing_attributes(object_with(tags, 0), {});
    EXPECT_EQ(landing.attributes.tags.size(), 10U);
    EXPECT_TRUE(landing.attributes.metadata.contains("original-etag"));
    EXPECT_EQ(landing.attributes.metadata.contains("original-creation-time"), tags == 10);
  }
}

TEST(LandingAttributes, NeverExceedsTheMetadataLimit) {
  for (std::size_t metadata = 1900; metadata <= store::max_user_metadata_bytes; ++metadata) {
    const LandingAttributes landing = landing_attributes(object_with(10, metadata), {});
    EXPECT_LE(metadata_bytes(landing.attributes.metadata), store::max_user_metadata_bytes);
    EXPECT_EQ(landing.order_left_out, !landing.attributes.metadata.contains("bale-order"));
    EXPECT_TRUE(landing.attributes.metadata.contains("m"));
  }
  EXPECT_TRUE(landing_attributes(object_with(0, 2048), {}).order_left_out);
}

TEST(LandingAttributes, TargetOverridesClassAndKey) {
  archive::Target target;
  target.storage_class = "GLACIER_IR";
  target.kms_key_arn = "arn:aws:kms:x";
  const LandingAttributes landing = landing_attributes(object_with(0, 0), target);
  EXPECT_EQ(landing.attributes.storage_class, "GLACIER_IR");
  EXPECT_EQ(landing.attributes.kms_key_arn, "arn:aws:kms:x");
}

TEST(DestinationKey, IsTheSourceKeyOrPrefixAndRelativeKey) {
  archive::ManifestObject object;
  object.source_prefix = "p";
  object.relative_key = "a/b";
  EXPECT_EQ(destination_key(object).str(), "p/a/b");
  object.source_prefix = "";
  EXPECT_EQ(destination_key(object).str(), "a/b");
  object.key = ObjectKey("p//x");
  EXPECT_EQ(destination_key(object).str(), "p//x");
}

TEST(LandedOrder, TextIsReadBack) {
  const LandedOrder order{{"00AA", from_epoch_ms(-5)}, BucketName("b")};
  EXPECT_EQ(parse_order(to_text(order)), order);
  for (const char* text : {"", ";", "a;b;c", "a;1", "a;1;b;c", "a;1x;b"}) EXPECT_FALSE(parse_order(text)) << text;
}

TEST(Decide, NothingNewerIsOverwritten) {
  const auto order = [](const char* sequencer, int ms, const char* bucket = "src") {
    return LandedOrder{{sequencer, from_epoch_ms(ms)}, BucketName(bucket)};
  };
  const store::ObjectInfo there;
  EXPECT_EQ(decide(std::nullopt, std::nullopt, order("01", 1)), Action::create);
  EXPECT_EQ(decide(there, std::nullopt, order("01", 1)), Action::replace);
  EXPECT_EQ(decide(there, order("01", 9), order("02", 1)), Action::replace);
  EXPECT_EQ(decide(there, order("02", 1), order("01", 9)), Action::skip);
  EXPECT_EQ(decide(there, order("02", 1), order("02", 1)), Action::skip);
  EXPECT_EQ(decide(there, order("09", 1, "other"), order("01", 5)), Action::replace);
  EXPECT_EQ(decide(there, order("01", 9, "other"), order("09", 5)), Action::skip);
}

}  // namespace
}  // namespace bale::land
