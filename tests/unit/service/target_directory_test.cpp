// Destinations out of the table of the replaced system. (A11)
#include "service/target_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"

namespace bale::service {
namespace {

using archive::Target;
using records::List;
using records::Map;

class TableTargetsTest : public ::testing::Test {
 protected:
  TableTargetsTest() { records->create_table(table, {{"ParameterName", records::KeyType::string}, std::nullopt}); }

  void put(const std::string& name, const std::string& bucket) {
    records->put(table, {{"ParameterName", name},
                         {"Destinations", List{Map{{"region", "us-east-1"}, {"bucket", bucket}}}},
                         {"LastUpdated", records::Value(std::int64_t{1737623107})}});
  }
  std::string target_bucket(TableTargets& targets) { return targets.targets_of(source).at(0).bucket.str(); }
  TableTargets targets(const std::string& prefix = "") { return {*records, table, "stack", prefix, outside.clock}; }

  const TableName table{"parameters"};
  const BucketName source{"photos"};
  testing::FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<records::RecordStore> records = backend->records(Region("eu-west-1"));
};

TEST_F(TableTargetsTest, TakesTheItemOfThePrefixElseThatOfTheBucket) {
  TableTargets of_prefix = targets("raw/2025"), of_bucket = targets();
  put("/stack/photos", "of-bucket");
  EXPECT_EQ(target_bucket(of_bucket), "of-bucket");
  EXPECT_EQ(target_bucket(of_prefix), "of-bucket");
  outside.clock.advance(std::chrono::minutes(5));
  put("/stack/photos/raw/2025/", "of-prefix");  // as configurations spell it that end a prefix with a slash
  EXPECT_EQ(target_bucket(of_prefix), "of-prefix");
  outside.clock.advance(std::chrono::minutes(5));
  put("/stack/photos/raw/2025", "without-slash");
  EXPECT_EQ(target_bucket(of_prefix), "without-slash");
  EXPECT_EQ(target_bucket(of_bucket), "of-bucket");
}

TEST_F(TableTargetsTest, RemembersForFiveMinutes) {
  TableTargets of_bucket = targets();
  put("/stack/photos", "old");
  EXPECT_EQ(target_bucket(of_bucket), "old");
  put("/stack/photos", "new");
  outside.clock.advance(std::chrono::seconds(299));
  EXPECT_EQ(target_bucket(of_bucket), "old");
  outside.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(target_bucket(of_bucket), "new");
}

TEST_F(TableTargetsTest, RemembersNoFailure) {
  TableTargets of_bucket = targets();
  EXPECT_THROW(of_bucket.targets_of(source), Error);
  put("/stack/photos", "later");
  EXPECT_EQ(target_bucket(of_bucket), "later");
}

TEST_F(TableTargetsTest, ABucketWithASlashDoesNotFindTheItemOfAPrefix) {
  put("/stack/photos/raw", "copy");
  TableTargets of_bucket = targets();
  EXPECT_THROW(of_bucket.targets_of(BucketName("photos/raw")), Error);
}

TEST(Destinations, AreReadInEveryFormThatTheTableIsFilledIn) {
  const records::Item item{{"Destinations", List{Map{{"region", "us-east-1"}, {"bucket", "a"}},
                                                 Map{{"region", "eu-west-1"},
                                                     {"bucket", "b"},
                                                     {"kms_key_arn", "arn:k"},
                                                     {"storage_class", "GLACIER_IR"},
                                                     {"backup", true}},
                                                 Map{{"region", "eu-west-1"},
                                                     {"bucket", "c"},
                                                     {"kms_key_arn", records::Value(records::Null{})},
                                                     {"storage_class", ""},
                                                     {"backup", "True"}}}}};
  EXPECT_EQ(parse_destinations(item, "n"),
            (std::vector<Target>{{Region("us-east-1"), BucketName("a"), "", "", false},
                                 {Region("eu-west-1"), BucketName("b"), "arn:k", "GLACIER_IR", true},
                                 {Region("eu-west-1"), BucketName("c"), "", "", true}}));
}

TEST(Destinations, ThatAreDamagedAreRefusedByName) {
  const auto refused = [](const records::Item& item) {
    try {
      parse_destinations(item, "/stack/photos");
    } catch (const Error& error) {
      return error.kind() == ErrorKind::invalid && error.where() == "/stack/photos";
    }
    return false;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({{"Destinations", "text"}}));
  EXPECT_TRUE(refused({{"Destinations", List{}}}));
  EXPECT_TRUE(refused({{"Destinations", List{"text"}}}));
  EXPECT_TRUE(refused({{"Destinations", List{Map{{"region", "us-east-1"}}}}}));
  EXPECT_TRUE(refused({{"Destinations", List{Map{{"bucket", "b"}}}}}));
  EXPECT_TRUE(refused({{"Destinations", List{Map{{"region", "r"}, {"bucket", records::Value(std::int64_t{1})}}}}}));
  EXPECT_TRUE(refused({{"Destinations", List{Map{{"region", "r"}, {"bucket", "b"}, {"backup", "maybe"}}}}}));
}

}  // namespace
}  // namespace bale::service
