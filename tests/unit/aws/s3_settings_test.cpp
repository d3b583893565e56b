// The settings of buckets in S3's XML, as botocore 1.43 writes it and as S3 answers.
#include "aws/s3_settings.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aws/s3.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "contract/errors.hpp"

namespace bale::aws {
namespace {

const std::string where = "s3://b";
const std::string ns = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

TEST(S3Settings, ServersThatListTheBucketInsteadDoNotKnowTheSetting) {
  const std::string listing = "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name></ListBucketResult>";
  EXPECT_ERROR(ErrorKind::unsupported, "", check_knows_setting(encryption_setting, listing, where));
  EXPECT_NO_THROW(check_knows_setting(encryption_setting, "<html/>", where));
  EXPECT_NO_THROW(check_knows_setting(encryption_setting, "no XML", where));
  EXPECT_NO_THROW(check_knows_setting(tags_setting, "<Tagging><TagSet/></Tagging>", where));
}

TEST(S3Settings, AreAskedForByTheirNames) {
  const S3Requests s3({{"http", "h", 1}, "", "eu-west-1", true}, Addressing::automatic);
  const BucketName bucket("b");
  for (const auto& [setting, query] :
       {std::pair(encryption_setting, "encryption"), std::pair(public_access_setting, "publicAccessBlock"),
        std::pair(lifecycle_setting, "lifecycle"), std::pair(tags_setting, "tagging")}) {
    EXPECT_EQ(s3.get_setting(bucket, setting).request.method, http::Method::get);
    EXPECT_EQ(s3.get_setting(bucket, setting).request.query, query);
    EXPECT_EQ(s3.remove_setting(bucket, setting).request.method, http::Method::del);
    const Call call = s3.set_setting(bucket, setting, "<X/>");
    EXPECT_EQ(call.request.method, http::Method::put);
    EXPECT_EQ(call.request.path, "/b");
    EXPECT_EQ(call.body, fmt::format("<{0}{1}><X/></{0}>", setting.root, ns));
    EXPECT_EQ(call.request.headers.get("Content-MD5"), to_base64(Md5::of(as_bytes(call.body))));
  }
}

TEST(S3Settings, Encryption) {
  EXPECT_EQ(encryption_xml({}),
            "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
            "</ApplyServerSideEncryptionByDefault></Rule>");
  const store::BucketEncryption by_key{"aws:kms", "arn:k&", true};
  EXPECT_EQ(encryption_xml(by_key),
            "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
            "<KMSMasterKeyID>arn:k&amp;</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>"
            "<BucketKeyEnabled>true</BucketKeyEnabled></Rule>");
  const auto parse = [](const std::string& content) {
    return parse_encryption(
        "<ServerSideEncryptionConfiguration" + ns + ">" + content + "</ServerSideEncryptionConfiguration>", where);
  };
  EXPECT_EQ(parse(encryption_xml(by_key)), by_key);
  EXPECT_EQ(parse(encryption_xml({})), store::BucketEncryption{});
  EXPECT_EQ(parse(""), std::nullopt);
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_encryption("<html/>", where));
}

TEST(S3Settings, PublicAccess) {
  const store::PublicAccessBlock some{true, false, false, true};
  EXPECT_EQ(public_access_xml(some),
            "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls>"
            "<BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>");
  EXPECT_EQ(parse_public_access("<PublicAccessBlockConfiguration" + ns + ">" + public_access_xml(some) +
                                    "</PublicAccessBlockConfiguration>",
                                where),
            some);
  EXPECT_EQ(parse_public_access("<PublicAccessBlockConfiguration/>", where), store::PublicAccessBlock{});
  EXPECT_EQ(parse_public_access("<BlockPublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>"
                                "</BlockPublicAccessBlockConfiguration>",
                                where)
                .blocks_acls,
            true)
      << "the root of Ceph RGW 16";
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_public_access("", where));
}

store::Lifecycle parse_rules(const std::string& rules, const http::Headers& headers = {}) {
  return parse_lifecycle({200, headers}, "<LifecycleConfiguration" + ns + ">" + rules + "</LifecycleConfiguration>",
                         where);
}

TEST(S3Settings, LifecycleRules) {
  const store::Lifecycle lifecycle{
      {{.id = "u", .abort_uploads_days = 7}, {.id = "", .is_enabled = false, .prefix = "a<b", .expire_days = 30}}};
  EXPECT_EQ(lifecycle_xml(lifecycle),
            "<Rule><ID>u</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload>"
            "<DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
            "<Rule><Filter><Prefix>a&lt;b</Prefix></Filter><Status>Disabled</Status><Expiration><Days>30</Days>"
            "</Expiration></Rule>");
  const store::Lifecycle read = parse_rules(lifecycle_xml(lifecycle));
  ASSERT_EQ(read.rules.size(), 2U);
  EXPECT_EQ(read.rules[0].abort_uploads_days, 7U);
  EXPECT_EQ(read.rules[1].prefix, "a<b");
  EXPECT_EQ(read.rules[1].expire_days, 30U);
  EXPECT_FALSE(read.rules[1].is_enabled);
  EXPECT_EQ(lifecycle_xml(read), lifecycle_xml(lifecycle)) << "as they were written";
}

TEST(S3Settings, LifecycleRulesOfOthersAreSentBackAsTheyWere) {
  const std::string others =
      "<Rule a=\"&quot;\"><ID>x</ID><Filter><And><Prefix> "
      "</Prefix><Tag><Key>k&#13;</Key><Value>&lt;</Value></Tag></And>"
      "</Filter><Status>Enabled</Status><Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>"
      "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>";
  const store::Lifecycle read = parse_rules(
      " \n " + others + "\n", {{"x-amz-transition-default-minimum-object-size", "varies_by_storage_class"}});
  EXPECT_EQ(read.minimum_transition_size, "varies_by_storage_class");
  EXPECT_EQ(lifecycle_xml(read), others);
  EXPECT_EQ(read.rules[0].prefix, " ");
  EXPECT_EQ(read.rules[0].transition_days, 30U);
  EXPECT_EQ(read.rules[0].transition_class, "GLACIER");
  EXPECT_TRUE(read.rules[0].has_other_filter);
  EXPECT_EQ(read.rules[0].expire_days, std::nullopt);
  EXPECT_EQ(parse_rules("<Rule><Prefix>old</Prefix></Rule>").rules[0].prefix, "old") << "as S3 wrote it until 2016";
  EXPECT_TRUE(parse_rules("<Rule><Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter></Rule>")
                  .rules[0]
                  .has_other_filter);
}

TEST(S3Settings, LifecycleRulesThatMakeNoSense) {
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_rules("<Rule><Expiration><Days>x</Days></Expiration></Rule>"));
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_rules("<Rule><Expiration><Days>4294967296</Days></Expiration></Rule>"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  for (int i = 0; i < 100'000; ++i) deep += "</a>";
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_rules("<Rule>" + deep + "</Rule>"));
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_lifecycle({200, {}}, "a page", where));
}

}  // namespace
}  // namespace bale::aws
