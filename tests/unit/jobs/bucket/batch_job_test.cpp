// Manifests, jobs and reports of S3 Batch Operations.
#include "jobs/bucket/batch_job.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "contract/errors.hpp"

namespace bale::bucket {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

constexpr const char* role = "arn:aws:iam::123456789012:role/batch";

ObjectAddress at(const char* key) { return {BucketName("b"), ObjectKey(key)}; }

std::vector<std::string> rows_of(const std::string& text, std::size_t piece = 1000) {
  std::vector<std::string> rows;
  BatchReportReader reader([&](const BatchTask& task) {
    rows.push_back(to_uri(task.object) + "|" + task.version.str() + "|" + (task.has_succeeded ? "ok" : "failed") + "|" +
                   task.error_code + "|" + task.http_status + "|" + task.message);
  });
  for (std::size_t i = 0; i < text.size(); i += piece) reader.read(std::string_view(text).substr(i, piece));
  reader.finish();
  return rows;
}

TEST(BatchManifest, HasEncodedKeys) {
  EXPECT_EQ(manifest_line(at("a/b c,+\"é"), std::nullopt), "b,a/b%20c%2C%2B%22%C3%A9\n");
  EXPECT_EQ(manifest_line(at("a"), VersionId("v1")), "b,a,v1\n");
}

TEST(BatchJob, OfRestores) {
  const BatchOwner owner{account_of_role(role), role, {BucketName("reports"), ObjectKey("p/")}};
  const BatchManifest manifest{at("jobs/m.csv"), Md5::of(as_bytes("x")), true};
  const json glacier = json::parse(restore_job(owner, manifest, Tier::standard, 7, false));
  EXPECT_EQ(glacier["AccountId"], "123456789012");
  EXPECT_EQ(glacier["Operation"]["S3InitiateRestoreObject"],
            json::parse(R"({"ExpirationInDays": 7, "GlacierJobTier": "STANDARD"})"));
  EXPECT_EQ(glacier["Manifest"]["Spec"]["Fields"], json::parse(R"(["Bucket", "Key", "VersionId"])"));
  EXPECT_EQ(glacier["Manifest"]["Location"]["ETag"], to_hex(Md5::of(as_bytes("x"))));
  EXPECT_EQ(glacier["Report"]["Bucket"], "arn:aws:s3:::reports");
  EXPECT_EQ(glacier["Report"]["Prefix"], "p");
  EXPECT_LE(glacier["ClientRequestToken"].get<std::string>().size(), 64U) << "the service's limit";
  const json tiering = json::parse(restore_job(owner, manifest, Tier::bulk, 7, true));
  EXPECT_EQ(tiering["Operation"]["S3InitiateRestoreObject"], json::parse(R"({"GlacierJobTier": "BULK"})"));
  EXPECT_ERROR(ErrorKind::invalid, "", restore_job(owner, manifest, Tier::expedited, 7, false));
}

TEST(BatchJob, OfCopies) {
  const BatchOwner owner{"123456789012", role, {BucketName("reports"), ObjectKey()}};
  const json plain = json::parse(copy_job(owner, {at("m.csv")}, BucketName("new"), "", "STANDARD"));
  EXPECT_EQ(plain["Operation"]["S3PutObjectCopy"],
            json::parse(
                R"({"TargetResource": "arn:aws:s3:::new", "MetadataDirective": "COPY", "StorageClass": "STANDARD"})"));
  EXPECT_FALSE(plain["Report"].contains("Prefix"));
  const json below = json::parse(copy_job(owner, {at("m.csv")}, BucketName("new"), "was/", "STANDARD"));
  EXPECT_EQ(below["Operation"]["S3PutObjectCopy"]["TargetKeyPrefix"], "was");
}

TEST(BatchRole, HasAnAccount) {
  EXPECT_EQ(account_of_role(role), "123456789012");
  for (const char* wrong : {"", "arn:aws:iam::12:role/x", "arn:aws:iam::123456789012:user/x", "role/x"})
    EXPECT_ERROR(ErrorKind::invalid, "", account_of_role(wrong));
}

TEST(BatchReport, IsReadInPiecesOfAnySize) {
  const std::string text =
      "Bucket,Key,VersionId,TaskStatus,ErrorCode,HTTPStatusCode,ResultMessage\n"
      "b,a%20b+c%2Bd,,succeeded,,200,Successful\r\n"
      "\n"
      "\"b\",k,v1,failed,AccessDenied,403,\"no, \"\"really\"\"\nno\"\n"
      "b,last,,Failed,X,500,";
  for (const std::size_t piece : {1U, 2U, 7U, 1000U}) {
    EXPECT_THAT(rows_of(text, piece),
                ElementsAre("s3://b/a b c+d||ok||200|Successful",
                            "s3://b/k|v1|failed|AccessDenied|403|no, \"really\"\nno", "s3://b/last||failed|X|500|"));
  }
  EXPECT_THAT(rows_of(""), ElementsAre());
}

TEST(BatchReport, RefusesWhatIsNone) {
  EXPECT_ERROR(ErrorKind::corrupt, "", rows_of("b,k\n"));
  EXPECT_ERROR(ErrorKind::corrupt, "", rows_of("b,k,,done,,200,x\n"));
  EXPECT_ERROR(ErrorKind::corrupt, "", rows_of("b,k,,failed,,200,x,y\n"));
  EXPECT_ERROR(ErrorKind::corrupt, "", rows_of("b,k,,failed,,200,\"x"));
  EXPECT_ERROR(ErrorKind::corrupt, "", rows_of("b,k,,failed,,200,\"x\"y\n"));
  EXPECT_ERROR(ErrorKind::corrupt, "", rows_of(std::string(70'000, 'x')));
  try {
    rows_of("b,k,,failed,,200,x\nb\n");
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "row 2 of the report");
  }
}

TEST(BatchReport, HasAManifest) {
  const auto files = parse_report_manifest(
      R"({"Format": "Report_CSV_20180820", "Results": [{"Bucket": "r", "Key": "k.csv", "MD5Checksum": "AB"}]})");
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(to_uri(files[0].place), "s3://r/k.csv");
  EXPECT_EQ(files[0].md5, "ab");
  for (const char* wrong : {"", "[]", R"({"Format": "other", "Results": []})", R"({"Format": "Report_CSV_20180820"})",
                            R"({"Format": "Report_CSV_20180820", "Results": [1]})",
                            R"({"Format": "Report_CSV_20180820", "Results": [{"Bucket": 1}]})"})
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_report_manifest(wrong));
}

}  // namespace
}  // namespace bale::bucket
