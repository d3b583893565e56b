#include "aws/endpoint.hpp"

#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "support/fake_world.hpp"

namespace bale::aws {
namespace {

std::string url_of(const Endpoint& endpoint) {
  return endpoint.origin.scheme + "://" + endpoint.origin.authority() + endpoint.base_path;
}

class EndpointTest : public ::testing::Test {
 protected:
  std::string resolve(Service service, const std::string& region = "eu-central-1") {
    return url_of(resolve_endpoint(service, region, options, environment, config));
  }
  void use_config(const char* text) { config = SharedConfig(parse_config_file(text, "config"), {}); }

  testing::FakeEnvironment environment;
  SharedConfig config;
  PlaceOptions options;
};

// As botocore 1.43 gives them.
TEST_F(EndpointTest, KnowsAwsOwnPlaces) {
  EXPECT_EQ(resolve(Service::s3), "https://s3.eu-central-1.amazonaws.com");
  EXPECT_EQ(resolve(Service::sqs, "cn-north-1"), "https://sqs.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(resolve(Service::sts, "us-isob-east-1"), "https://sts.us-isob-east-1.sc2s.sgov.gov");
  EXPECT_EQ(resolve(Service::s3, "us-iso-east-1"), "https://s3.us-iso-east-1.c2s.ic.gov");
  EXPECT_EQ(resolve(Service::dynamodb, "eusc-de-east-1"), "https://dynamodb.eusc-de-east-1.amazonaws.eu");
  EXPECT_EQ(resolve(Service::athena), "https://athena.eu-central-1.amazonaws.com");
  environment.variables["AWS_USE_DUALSTACK_ENDPOINT"] = "true";
  EXPECT_EQ(resolve(Service::s3), "https://s3.dualstack.eu-central-1.amazonaws.com");
  EXPECT_EQ(resolve(Service::sqs), "https://sqs.eu-central-1.api.aws");
  EXPECT_EQ(resolve(Service::sts, "cn-north-1"), "https://sts.cn-north-1.api.amazonwebservices.com.cn");
  environment.variables["AWS_USE_FIPS_ENDPOINT"] = "True";
  EXPECT_EQ(resolve(Service::s3), "https://s3-fips.dualstack.eu-central-1.amazonaws.com");
  environment.variables.erase("AWS_USE_DUALSTACK_ENDPOINT");
  EXPECT_EQ(resolve(Service::dynamodb), "https://dynamodb-fips.eu-central-1.amazonaws.com");
}

TEST_F(EndpointTest, KnowsWhetherAwsAnswers) {
  const auto answers = [&](const char* url) {
    options.endpoint_url = url;
    return is_aws(resolve_endpoint(Service::s3, "eu-central-1", options, environment, config));
  };
  for (const char* url : {"", "https://bucket.vpce-1a.s3.us-east-1.vpce.amazonaws.com", "https://S3.Amazonaws.com",
                          "https://s3.cn-north-1.amazonaws.com.cn", "https://s3.us-iso-east-1.c2s.ic.gov",
                          "https://sqs.eu-central-1.api.aws"})
    EXPECT_TRUE(answers(url)) << url;
  for (const char* url : {"http://127.0.0.1:9000", "https://amazonaws.com", "https://notamazonaws.com",
                          "https://s3.amazonaws.com.example.org"})
    EXPECT_FALSE(answers(url)) << url;
}

TEST_F(EndpointTest, FollowsThePrecedenceOfTheSdks) {
  use_config(
      "[default]\nendpoint_url = http://profile\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = "
      "http://section\n"
      "[profile other]\nregion = x\n");
  EXPECT_EQ(resolve(Service::s3), "http://section");
  EXPECT_EQ(resolve(Service::sqs), "http://profile");
  environment.variables["AWS_ENDPOINT_URL"] = "http://all:9000/";
  EXPECT_EQ(resolve(Service::s3), "http://all:9000");
  environment.variables["AWS_ENDPOINT_URL_S3"] = "http://only-s3/with/path/";
  EXPECT_EQ(resolve(Service::s3), "http://only-s3/with/path");
  EXPECT_EQ(resolve(Service::dynamodb), "http://all:9000");
  environment.variables["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "TRUE";
  EXPECT_EQ(resolve(Service::s3), "https://s3.eu-central-1.amazonaws.com");
  options.endpoint_url = "http://explicit";
  EXPECT_EQ(resolve(Service::sqs), "http://explicit");
  EXPECT_TRUE(resolve_endpoint(Service::s3, "a", options, environment, config).is_custom);
}

TEST_F(EndpointTest, SaysWhereABadUrlStands) {
  environment.variables["AWS_ENDPOINT_URL_SQS"] = "localhost:9324";
  const Error error = testing::error_of([&] { resolve(Service::sqs); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_EQ(error.where(), "AWS_ENDPOINT_URL_SQS: localhost:9324");
  environment.variables["AWS_ENDPOINT_URL_SQS"] = "http://host/?a=b";
  EXPECT_ERROR(ErrorKind::invalid, "", resolve(Service::sqs));
  for (const char* region : {"", "a/b", "evil.example.com#", "EU"})
    EXPECT_ERROR(ErrorKind::invalid, "", resolve(Service::s3, region));
}

TEST_F(EndpointTest, FindsTheRegion) {
  EXPECT_EQ(resolve_region(options, environment, config), std::nullopt);
  use_config("[default]\nregion = profile\n[profile other]\nregion = other\n");
  EXPECT_EQ(resolve_region(options, environment, config), "profile");
  options.profile.name = "other";
  EXPECT_EQ(resolve_region(options, environment, config), "other");
  environment.variables["AWS_DEFAULT_REGION"] = "default";
  EXPECT_EQ(resolve_region(options, environment, config), "default");
  environment.variables["AWS_REGION"] = "env";
  EXPECT_EQ(resolve_region(options, environment, config), "env");
  options.region = "option";
  EXPECT_EQ(resolve_region(options, environment, config), "option");
}

TEST_F(EndpointTest, PutsTheBucketIntoHostOrPath) {
  const auto where = [&](const Endpoint& endpoint, Addressing addressing, const char* bucket, const char* key) {
    http::Request request;
    address_bucket(request, endpoint, addressing, BucketName(bucket), ObjectKey(key));
    return http::url_of(request);
  };
  const Endpoint aws = resolve_endpoint(Service::s3, "us-west-2", options, environment, config);
  EXPECT_EQ(where(aws, Addressing::automatic, "bucket", ""), "https://bucket.s3.us-west-2.amazonaws.com/");
  EXPECT_EQ(where(aws, Addressing::automatic, "bucket", "a//../b c+\xC3\xA4/"),
            "https://bucket.s3.us-west-2.amazonaws.com/a//../b%20c%2B%C3%A4/");
  EXPECT_EQ(where(aws, Addressing::automatic, "with.dot", "k"), "https://s3.us-west-2.amazonaws.com/with.dot/k");
  EXPECT_EQ(where(aws, Addressing::automatic, "Upper", "k"), "https://s3.us-west-2.amazonaws.com/Upper/k");
  EXPECT_EQ(where(aws, Addressing::path, "bucket", "/k"), "https://s3.us-west-2.amazonaws.com/bucket//k");
  options.endpoint_url = "http://127.0.0.1:9000/base";
  const Endpoint custom = resolve_endpoint(Service::s3, "us-west-2", options, environment, config);
  EXPECT_EQ(where(custom, Addressing::automatic, "bucket", "k"), "http://127.0.0.1:9000/base/bucket/k");
  EXPECT_EQ(where(custom, Addressing::automatic, "bucket", ""), "http://127.0.0.1:9000/base/bucket");
  EXPECT_EQ(where(custom, Addressing::virtual_host, "bucket", "k"), "http://127.0.0.1:9000/base/bucket/k");
}

// As botocore chooses with addressing_style = virtual.
TEST_F(EndpointTest, PutsTheBucketIntoThePathWhereTheHostWouldBeNone) {
  const auto where = [&](const char* url, const char* bucket) {
    options.endpoint_url = url;
    http::Request request;
    address_bucket(request, resolve_endpoint(Service::s3, "us-west-2", options, environment, config),
                   Addressing::virtual_host, BucketName(bucket), ObjectKey("k"));
    return http::url_of(request);
  };
  for (const char* host : {"http://127.0.0.1:9000", "http://10.0.0.7", "https://[::1]:9000", "http://[fd00::1]"}) {
    for (const char* bucket : {"bucket", "b.c", "Upper"})
      EXPECT_EQ(where(host, bucket), std::string(host) + "/" + bucket + "/k");
  }
  EXPECT_EQ(where("http://h.example:9000/base", "bucket"), "http://bucket.h.example:9000/base/k");
  EXPECT_EQ(where("http://localhost", "b.c"), "http://b.c.localhost/k");
  EXPECT_EQ(where("http://1.2.3", "bucket"), "http://bucket.1.2.3/k");
  EXPECT_EQ(where("https://h.example", "b.c"), "https://h.example/b.c/k");
  for (const char* bucket : {"Upper", "under_score", "ab", "b..c", "-bc"})
    EXPECT_EQ(where("http://h.example", bucket), "http://h.example/" + std::string(bucket) + "/k");
}

TEST_F(EndpointTest, ReadsTheAddressingStyle) {
  EXPECT_EQ(resolve_addressing(config, "default"), Addressing::automatic);
  use_config(
      "[default]\ns3 =\n addressing_style = path\n[profile v]\ns3=\n addressing_style=virtual\n[profile x]\ns3=\n "
      "addressing_style=no\n");
  EXPECT_EQ(resolve_addressing(config, "default"), Addressing::path);
  EXPECT_EQ(resolve_addressing(config, "v"), Addressing::virtual_host);
  EXPECT_ERROR(ErrorKind::invalid, "", resolve_addressing(config, "x"));
}

}  // namespace
}  // namespace bale::aws
