// Names of buckets: normalised from projects, and held against every rule of S3.
#include "jobs/raw/bucket_name.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::raw {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view fallback = "_FALLBACK";

TEST(BucketName, IsOfPrefixAndProject) {
  EXPECT_EQ(project_bucket("mpg-mpi-mann-alphakraken", "PRID001", fallback).str(), "mpg-mpi-mann-alphakraken-prid001");
  EXPECT_EQ(project_bucket("AlphaKraken", "P_1.b c", fallback).str(), "alphakraken-p-1-b-c");
  EXPECT_EQ(project_bucket("a.b", "x", fallback).str(), "a.b-x") << "the prefix keeps its dots";
}

TEST(BucketName, WithoutAProjectIsOfTheFallback) {
  EXPECT_EQ(project_bucket("alphakraken", "", fallback).str(), "alphakraken--fallback");
  EXPECT_EQ(project_bucket("alphakraken", "_FALLBACK", fallback).str(), "alphakraken--fallback");
  EXPECT_FALSE(has_project("", fallback));
  EXPECT_FALSE(has_project("_FALLBACK", fallback));
  EXPECT_TRUE(has_project("PRID001", fallback));
}

TEST(BucketName, NormalisesEachCharacterToOne) {
  EXPECT_EQ(normalize_for_bucket("PRJ_001"), normalize_for_bucket("prj.001"));
  EXPECT_EQ(normalize_for_bucket("a/b\\c:d"), "a-b-c-d");
  EXPECT_EQ(normalize_for_bucket("Größe\xE2\x82\xAC"
                                 "5"),
            "gr--e-5")
      << "one for each letter of several bytes";
  EXPECT_EQ(normalize_for_bucket("\x80\x80\xFF\xFEz"), "----z") << "bytes that are no UTF-8";
  EXPECT_EQ(normalize_for_bucket(""), "");
}

TEST(BucketName, HasOneMessageForEachRule) {
  const std::pair<std::string, const char*> cases[] = {
      {"ab", "2 characters; 3 to 63"},
      {std::string(64, 'a'), "64 characters; 3 to 63"},
      {"ab_c", "character at position 3"},
      {"abC", "character at position 3"},
      {"-abc", "does not begin with"},
      {"abc-", "does not end with"},
      {"a..b", "two dots in a row"},
      {"192.168.5.4", "IPv4"},
      {"xn--abc", "begins with the reserved \"xn--\""},
      {"sthree-abc", "begins with the reserved \"sthree-\""},
      {"amzn-s3-demo-x", "begins with the reserved \"amzn-s3-demo-\""},
      {"abc-s3alias", "ends with the reserved \"-s3alias\""},
      {"abc--ol-s3", "ends with the reserved \"--ol-s3\""},
      {"abc.mrap", "ends with the reserved \".mrap\""},
      {"abc--x-s3", "ends with the reserved \"--x-s3\""},
      {"abc--table-s3", "ends with the reserved \"--table-s3\""},
  };
  for (const auto& [name, message] : cases)
    EXPECT_THAT(bucket_name_findings(name), ElementsAre(HasSubstr(message))) << name;
  for (const char* legal : {"abc", "a-b.c9", "1.2.3", "1.2.3.4.5", "my-sthree-x"})
    EXPECT_THAT(bucket_name_findings(legal), IsEmpty()) << legal;
  EXPECT_THAT(bucket_name_findings(std::string(63, 'a')), IsEmpty());
}

TEST(BucketName, IsRefusedWithEverythingThatIsWrong) {
  const Error error = testing::error_of([] { project_bucket("xn--" + std::string(60, 'x'), "a_", fallback); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("67 characters"), HasSubstr("does not end with"), HasSubstr("\"xn--\""),
                                  HasSubstr("project \"a_\"")));
}

}  // namespace
}  // namespace bale::raw
