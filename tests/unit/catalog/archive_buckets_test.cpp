// Which buckets a row of a catalog may lead to.
#include "catalog/archive_buckets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bale::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const BucketName cats{"cats"}, dogs{"dogs"}, vault{"vault"}, kennel{"kennel"}, evil{"evil"};

/// As landing writes it.
Record row_of(const BucketName& source, const std::vector<BucketName>& buckets, const std::string& key) {
  Record row;
  row.source_bucket = source;
  row.archive_key = ObjectKey(key);
  row.backup_file = key.substr(key.rfind('/') + 1);
  row.archive_bucket = buckets.front();
  row.target_buckets = buckets;
  return row;
}

/// As S3 Cross-Region Compressor writes it.
Record foreign_row(const BucketName& source, const std::string& prefix, const std::string& file) {
  Record row;
  row.source_bucket = source;
  row.source_prefix = prefix;
  row.backup_file = file;
  row.target_buckets = {vault};
  return row;
}

ArchiveBuckets configured() {
  ArchiveBuckets allowed;
  allowed.add_backup(cats, vault);
  allowed.add_backup(dogs, kennel);
  return allowed;
}

TEST(ArchiveBuckets, AllowEveryBucketWithoutAConfiguration) {
  const Record row = row_of(cats, {evil}, "elsewhere/x");
  EXPECT_EQ(ArchiveBuckets().places_of(row), archive_places(row));
  EXPECT_FALSE(ArchiveBuckets().refusal_of(row));
}

TEST(ArchiveBuckets, RefuseABucketThatIsNoBackupDestinationByName) {
  const auto refusal = configured().refusal_of(row_of(cats, {evil}, "cats/x.tar.zst"));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->kind(), ErrorKind::denied);
  EXPECT_THAT(refusal->what(), HasSubstr("evil"));
  EXPECT_THAT(refusal->hint(), HasSubstr("--allow-bucket evil"));
}

TEST(ArchiveBuckets, RefuseTheBackupOfAnotherSource) {
  EXPECT_TRUE(configured().refusal_of(row_of(cats, {kennel}, "cats/x.tar.zst")));
  EXPECT_TRUE(configured().refusal_of(row_of(cats, {vault}, "dogs/x.tar.zst")));
  EXPECT_FALSE(configured().refusal_of(row_of(BucketName("removed"), {kennel}, "removed/x.tar.zst")))
      << "of a source that left the configuration";
}

TEST(ArchiveBuckets, UseTheConfiguredOneOfSeveral) {
  Record row = row_of(cats, {evil, vault}, "cats/x.tar.zst");
  EXPECT_THAT(configured().places_of(row), ElementsAre(ObjectAddress{vault, row.archive_key}));
  EXPECT_FALSE(configured().refusal_of(row));
  configured().restrict(row);
  EXPECT_EQ(row.archive_bucket, vault);
  EXPECT_THAT(row.target_buckets, ElementsAre(vault));
}

TEST(ArchiveBuckets, AllowWhatAPersonNames) {
  ArchiveBuckets allowed = configured();
  allowed.add(evil);
  EXPECT_FALSE(allowed.refusal_of(row_of(cats, {evil}, "cats/x.tar.zst")));
  ArchiveBuckets by_hand;
  by_hand.add(vault);
  EXPECT_TRUE(by_hand.refusal_of(row_of(cats, {evil}, "cats/x.tar.zst"))) << "a limit without a configuration";
}

TEST(ArchiveBuckets, KnowTheKeysOfS3CrossRegionCompressor) {
  const auto keys = [](const Record& row) {
    std::vector<std::string> found;
    for (const ObjectAddress& place : configured().places_of(row)) found.push_back(place.key.str());
    return found;
  };
  EXPECT_THAT(keys(foreign_row(cats, "logs", "f.tar.zst")), ElementsAre("logs/f.tar.zst", "cats/logs/f.tar.zst"));
  EXPECT_THAT(keys(foreign_row(cats, "", "f.tar.zst")), ElementsAre("f.tar.zst", "cats/f.tar.zst"));
  EXPECT_THAT(keys(foreign_row(cats, "", "dogs/f.tar.zst")), ElementsAre("cats/dogs/f.tar.zst"));
  EXPECT_THAT(keys(foreign_row(cats, "dogs", "f.tar.zst")), ElementsAre("cats/dogs/f.tar.zst"));
}

TEST(ArchiveBuckets, SayNothingOfARowThatNamesNoPlace) {
  Record row;
  row.source_bucket = cats;
  EXPECT_THAT(configured().places_of(row), IsEmpty());
  EXPECT_FALSE(configured().refusal_of(row));
}

}  // namespace
}  // namespace bale::catalog
