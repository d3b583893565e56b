// Services that are started with environment variables alone. (A8, A30)
#include "config/service_environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fake_world.hpp"

namespace bale::config {
namespace {

using bale::testing::FakeEnvironment;

FakeEnvironment source_environment() {
  FakeEnvironment environment;
  environment.variables = {{"SQS_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/events"},
                           {"AWS_DEFAULT_REGION", "eu-west-1"},
                           {"BUCKET", "out"},
                           {"STACK_NAME", "stack"},
                           {"REPLICATION_PARAMETERS_TABLE", "parameters"}};
  return environment;
}

TEST(ServiceEnvironment, TellsASourceItsPlaces) {
  FakeEnvironment environment = source_environment();
  environment.variables["MONITORED_PREFIX"] = "logs/app/";
  const ReplicationConfig config = source_from_environment(environment);
  ASSERT_EQ(config.rules.size(), 1u);
  const Source& source = config.rules[0].source;
  EXPECT_EQ(source.region, Region("eu-west-1"));
  EXPECT_EQ(source.prefix, "logs/app");
  EXPECT_TRUE(source.bucket.empty());
  EXPECT_EQ(source.visibility_timeout.count(), 300);
  EXPECT_EQ(config.settings.stack_name, "stack");
  EXPECT_EQ(outbound_bucket(config.settings, source.region), BucketName("out"));
  EXPECT_EQ(source_queue(config.settings, source).str(), environment.variables["SQS_QUEUE_URL"]);
  EXPECT_EQ(config.settings.given->parameters, TableName("parameters"));
  EXPECT_TRUE(levels_table(config.settings).empty());
  environment.variables["COMPRESSION_SETTINGS_TABLE"] = "settings";
  EXPECT_EQ(levels_table(source_from_environment(environment).settings), TableName("settings"));
}

TEST(ServiceEnvironment, TellsATargetItsPlaces) {
  FakeEnvironment environment;
  environment.variables = {{"SQS_QUEUE_URL", "https://sqs/1/arrivals"},
                           {"AWS_REGION", "us-east-1"},
                           {"AWS_DEFAULT_REGION", "eu-west-1"},
                           {"STACK_NAME", "stack"},
                           {"CATALOG_BUCKET_NAME", ""}};
  ReplicationConfig config = target_from_environment(environment);
  const Region region("us-east-1");
  EXPECT_EQ(destination_regions(config.rules.at(0).destinations), std::vector<Region>{region});
  EXPECT_EQ(target_queue(config.settings, region).str(), "https://sqs/1/arrivals");
  EXPECT_TRUE(catalog_bucket(config.settings, region).empty());
  environment.variables["CATALOG_BUCKET_NAME"] = "books";
  config = target_from_environment(environment);
  EXPECT_EQ(catalog_bucket(config.settings, region), BucketName("books"));
}

TEST(ServiceEnvironment, TellsATargetItsInboundBucketOrLeavesItUnknown) {
  FakeEnvironment environment;
  environment.variables = {
      {"SQS_QUEUE_URL", "https://sqs/1/arrivals"}, {"AWS_REGION", "us-east-1"}, {"STACK_NAME", "stack"}};
  const auto inbound = [&] {
    return inbound_bucket(target_from_environment(environment).settings, Region("us-east-1"));
  };
  EXPECT_TRUE(inbound().empty());
  environment.variables["CATALOG_BUCKET_NAME"] = "stack-123456789012-us-east-1-catalog";
  EXPECT_EQ(inbound(), BucketName("stack-123456789012-us-east-1-inbound"));
  for (const char* other : {"stack-123456789012-eu-west-1-catalog", "stack-x-123456789012-us-east-1-catalog",
                            "stack-12345678901x-us-east-1-catalog", "books"}) {
    environment.variables["CATALOG_BUCKET_NAME"] = other;
    EXPECT_TRUE(inbound().empty()) << other;
  }
  environment.variables["BUCKET"] = "in";
  EXPECT_EQ(inbound(), BucketName("in"));
}

TEST(ServiceEnvironment, NamesEveryVariableThatIsMissing) {
  FakeEnvironment environment = source_environment();
  environment.variables.erase("BUCKET");
  environment.variables["STACK_NAME"] = "";
  const auto refusal = [](const auto& read) {
    try {
      read();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      return std::string(error.what());
    }
    return std::string("nothing was refused");
  };
  EXPECT_THAT(refusal([&] { source_from_environment(environment); }), ::testing::HasSubstr("BUCKET, STACK_NAME"));
  EXPECT_THAT(refusal([&] { target_from_environment(FakeEnvironment()); }),
              ::testing::HasSubstr("SQS_QUEUE_URL, AWS_DEFAULT_REGION, STACK_NAME"));
}

}  // namespace
}  // namespace bale::config
