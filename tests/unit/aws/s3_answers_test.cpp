// What S3 and its likes answer, in their documented forms.
#include <gtest/gtest.h>

#include "aws/s3.hpp"
#include "aws/xml.hpp"
#include "base/text.hpp"
#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using http::AnswerHead;
const std::string where = "s3://b/k";
const std::string ns = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

TEST(S3Answers, TellAllOfAnObject) {
  const AnswerHead head{200,
                        {{"Content-Length", "7"},
                         {"ETag", "\"abc-2\""},
                         {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"},
                         {"Content-Type", "text/plain"},
                         {"Cache-Control", "c"},
                         {"Content-Disposition", "d"},
                         {"Content-Encoding", "e"},
                         {"Content-Language", "l"},
                         {"Expires", "x"},
                         {"x-amz-website-redirect-location", "/w"},
                         {"X-Amz-Meta-Name", "=?UTF-8?B?w6Q=?= =?UTF-8?Q?_=C3=B6?="},
                         {"x-amz-meta-plain", "=?not a word"},
                         {"x-amz-version-id", "v"},
                         {"x-amz-tagging-count", "3"},
                         {"x-amz-storage-class", "GLACIER"},
                         {"x-amz-server-side-encryption-aws-kms-key-id", "arn"},
                         {"x-amz-archive-status", "ARCHIVE_ACCESS"},
                         {"x-amz-restore", "ongoing-request=\"true\""}}};
  const store::ObjectInfo info = parse_object_info(head, where);
  EXPECT_EQ(info.size, 7u);
  EXPECT_EQ(info.etag, ETag("abc-2"));
  EXPECT_EQ(to_iso8601(info.last_modified), "2025-01-23T09:05:07.000Z");
  EXPECT_EQ(info.headers, (store::SystemHeaders{"text/plain", "c", "d", "e", "l", "x", "/w"}));
  EXPECT_EQ(info.metadata, (store::UserMetadata{{"name", "\xC3\xA4 \xC3\xB6"}, {"plain", "=?not a word"}}));
  EXPECT_EQ(info.version_id, VersionId("v"));
  EXPECT_EQ(info.tag_count, 3u);
  EXPECT_EQ(info.storage_class, "GLACIER");
  EXPECT_EQ(info.kms_key_arn, "arn");
  EXPECT_EQ(info.restore, "ongoing-request=\"true\"");
  EXPECT_EQ(info.archive_status, "ARCHIVE_ACCESS");
}

TEST(S3Answers, LeaveOutTheStandardClass) {
  const AnswerHead head{200,
                        {{"ETag", "e"}, {"Content-Length", "0"}, {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"}}};
  EXPECT_EQ(parse_object_info(head, where).storage_class, "STANDARD");
  EXPECT_ERROR(ErrorKind::corrupt, "",
               parse_object_info({200, {{"ETag", "e"}, {"Content-Length", "1"}, {"Last-Modified", "x"}}}, where));
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_object_info({200, {{"ETag", "e"}, {"Content-Length", "x"}}}, where));
  // A page has no ETag.
  const AnswerHead page{200, {{"Content-Length", "1"}, {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"}}};
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_object_info(page, where));
}

/// Servers and proxies leave out what HTTP does not require: that is no damage.
TEST(S3Answers, MayLackLengthAndTime) {
  const store::ObjectInfo info = parse_object_info({200, {{"ETag", "e"}, {"Content-Length", "1"}}}, where);
  EXPECT_EQ(info.last_modified, TimePoint());
  EXPECT_EQ(info.size, 1U);
  const AnswerHead range{206, {{"ETag", "e"}, {"Content-Range", "bytes 2-4/7"}}};
  EXPECT_TRUE(tells_size(range));
  EXPECT_EQ(parse_object_info(range, where).size, 7U);
  EXPECT_EQ(parse_got_range(range, where).offset, 2U);
  EXPECT_EQ(parse_got_range(range, where).length, 3U);
  const AnswerHead chunked{200, {{"ETag", "e"}, {"Transfer-Encoding", "chunked"}}};
  EXPECT_FALSE(tells_size(chunked));
  EXPECT_ERROR(ErrorKind::unsupported, "", parse_object_info(chunked, where));
  EXPECT_ERROR(ErrorKind::unsupported, "", parse_got_range(chunked, where));
}

/// The checksum of the whole object that an answer tells, besides what every answer has.
std::optional<store::Checksum> checksum_in(int status, http::Headers headers) {
  headers.add("ETag", "e");
  headers.add("Content-Length", "1");
  headers.add("Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT");
  if (status == 206) headers.add("Content-Range", "bytes 0-0/7");
  return parse_object_info({status, headers}, where).checksum;
}

TEST(S3Answers, TellAChecksumOfTheWhole) {
  using Algorithm = store::Checksum::Algorithm;
  const std::string crc64 = "rosUhgp5mIg=";  // of "123456789"
  EXPECT_EQ(checksum_in(200, {}), std::nullopt);
  const store::Checksum nvme{Algorithm::crc64nvme, from_hex("ae8b14860a799888")};
  EXPECT_EQ(checksum_in(200, {{"x-amz-checksum-crc64nvme", crc64}, {"x-amz-checksum-type", "FULL_OBJECT"}}), nvme);
  EXPECT_EQ(
      checksum_in(200, {{"x-amz-checksum-sha256", std::string(43, 'A') + "="}, {"x-amz-checksum-crc64nvme", crc64}}),
      nvme)
      << "the cheapest";
  EXPECT_EQ(checksum_in(200, {{"x-amz-checksum-crc32", "y/Q5Jg=="}}),
            (store::Checksum{Algorithm::crc32, from_hex("cbf43926")}));
  EXPECT_EQ(checksum_in(200, {{"x-amz-checksum-crc32c", "4waSgw=="}})->algorithm, Algorithm::crc32c);
  EXPECT_EQ(checksum_in(200, {{"x-amz-checksum-sha1", std::string(27, 'A') + "="}})->algorithm, Algorithm::sha1);
  for (const http::Headers& headers :
       {http::Headers{{"x-amz-checksum-crc32", "y/Q5Jg=="}, {"x-amz-checksum-type", "COMPOSITE"}},
        http::Headers{{"x-amz-checksum-crc32", "y/Q5Jg==-3"}}, http::Headers{{"x-amz-checksum-crc64nvme", "y/Q5Jg=="}},
        http::Headers{{"x-amz-checksum-crc32", "???"}}, http::Headers{{"x-amz-checksum-md5", "y/Q5Jg=="}}})
    EXPECT_EQ(checksum_in(200, headers), std::nullopt);
  EXPECT_EQ(checksum_in(206, {{"x-amz-checksum-crc64nvme", crc64}}), std::nullopt) << "of a part, perhaps";
}

TEST(S3Answers, TellWhereTheEtagIsNotOfTheBytes) {
  const auto is_opaque = [](const http::Headers& more) {
    http::Headers headers = more;
    headers.add("ETag", "e");
    headers.add("Content-Length", "1");
    headers.add("Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT");
    return parse_object_info({200, headers}, where).is_etag_opaque;
  };
  EXPECT_FALSE(is_opaque({}));
  EXPECT_FALSE(is_opaque({{"x-amz-server-side-encryption", "AES256"}}));
  EXPECT_TRUE(is_opaque({{"x-amz-server-side-encryption", "aws:kms"}}));
  EXPECT_TRUE(is_opaque({{"x-amz-server-side-encryption", "aws:kms:dsse"}}));
  EXPECT_TRUE(is_opaque({{"x-amz-server-side-encryption-aws-kms-key-id", "arn"}}));
  EXPECT_TRUE(is_opaque({{"x-amz-server-side-encryption-customer-algorithm", "AES256"}}));
}

TEST(S3Answers, TellTheParts) {
  EXPECT_EQ(parts_of_etag(ETag("0cc175b9c0f1b6a831c399e269772661-3")), 3U);
  for (const char* etag : {"", "0cc175b9c0f1b6a831c399e269772661", "x-", "x-3a", "x-99999", "x-99999999999999999999"})
    EXPECT_EQ(parts_of_etag(ETag(etag)), 0U) << etag;
  EXPECT_EQ(parse_part_bytes({206, {{"Content-Length", "8388608"}}}), 8388608U);
  EXPECT_EQ(parse_part_bytes({206, {}}), 0U);
}

TEST(S3Answers, TellTheRange) {
  AnswerHead head{206,
                  {{"ETag", "e"},
                   {"Content-Length", "5"},
                   {"Content-Range", "bytes 10-14/100"},
                   {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"}}};
  EXPECT_EQ(parse_object_info(head, where).size, 100u);
  EXPECT_EQ(parse_got_range(head, where).offset, 10u);
  EXPECT_EQ(parse_got_range(head, where).length, 5u);
  EXPECT_EQ(parse_got_range({200, {{"content-length", "5"}}}, where).offset, 0u);
  for (const char* text : {"bytes 10-15/100", "bytes 14-10/100", "bytes 96-100/100", "bytes */100", "bytes 10-14/*",
                           "x", "bytes 10-14/99999999999999999999"}) {
    head.headers.set("content-range", text);
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_got_range(head, where));
  }
}

TEST(S3Answers, ToWrites) {
  const AnswerHead head{200, {{"ETag", "\"e\""}, {"x-amz-version-id", "v"}}};
  EXPECT_EQ(parse_put(head, where).etag, ETag("e"));
  EXPECT_EQ(parse_put(head, where).version_id, VersionId("v"));
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_put({200, {}}, where));
  EXPECT_EQ(parse_copy(head, "<CopyObjectResult><ETag>&quot;c&quot;</ETag></CopyObjectResult>", where).etag, ETag("c"));
  EXPECT_EQ(parse_part_copy(head, "<CopyPartResult" + ns + "><ETag>\"c\"</ETag></CopyPartResult>", where), ETag("c"));
  const store::PutResult complete =
      parse_complete(head,
                     "\n \n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult" + ns +
                         "><ETag>&quot;m-2&quot;</ETag></CompleteMultipartUploadResult>",
                     where);  // whitespace came first, to keep the connection alive
  EXPECT_EQ(complete.etag, ETag("m-2"));
  EXPECT_EQ(complete.version_id, VersionId("v"));
  EXPECT_EQ(
      parse_complete(head, "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>", where).etag,
      ETag());
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_complete(head, "<CompleteMultipartUploadResult/>", where));
  EXPECT_TRUE(parse_remove({204, {{"x-amz-delete-marker", "true"}, {"x-amz-version-id", "m"}}}).delete_marker);
  EXPECT_EQ(parse_create_upload("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
                                where),
            UploadId("u"));
}

TEST(S3Answers, OfTwoHundredCanBeFailures) {
  const AnswerHead head{200, {}};
  const auto failure = [](const char* code) {
    return std::string("  <?xml version=\"1.0\"?><Error><Code>") + code + "</Code><Message>m</Message></Error>";
  };
  EXPECT_ERROR(ErrorKind::unavailable, "InternalError", parse_complete(head, failure("InternalError"), where));
  EXPECT_ERROR(ErrorKind::throttled, "SlowDown", parse_copy(head, failure("SlowDown"), where));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed",
               parse_complete(head, failure("PreconditionFailed"), where));
  EXPECT_ERROR(ErrorKind::unavailable, "Unheard", parse_part_copy(head, failure("Unheard"), where));
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_complete(head, "", where));
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_complete(head, "<html></html>", where));
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_copy(head, "<CopyObjectResult/>", where));
}

TEST(S3Answers, ListObjects) {
  const store::ListPage page = parse_list(
      "<?xml version=\"1.0\"?><ListBucketResult" + ns +
          "><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</"
          "NextContinuationToken>"
          "<Contents><Key>a+b%2Bc%20d%01</Key><LastModified>2025-01-23T09:05:07.123Z</"
          "LastModified><ETag>&quot;e&quot;</ETag>"
          "<Size>5368709120</Size></Contents><Contents><Key>k</Key><LastModified>2025-01-23T09:05:07Z</LastModified>"
          "<ETag>f</ETag><Size>0</Size><StorageClass>GLACIER</StorageClass></Contents>"
          "<CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes></ListBucketResult>",
      where);
  ASSERT_EQ(page.objects.size(), 2u);
  EXPECT_EQ(page.objects[0].key, ObjectKey(std::string("a b+c d\x01")));
  EXPECT_EQ(page.objects[0].size, 5368709120u);
  EXPECT_EQ(page.objects[0].etag, ETag("e"));
  EXPECT_EQ(to_iso8601(page.objects[0].last_modified), "2025-01-23T09:05:07.123Z");
  EXPECT_EQ(page.objects[0].storage_class, "STANDARD");
  EXPECT_EQ(page.objects[1].storage_class, "GLACIER");
  EXPECT_EQ(page.common_prefixes, std::vector<std::string>{"p/"});
  EXPECT_EQ(page.next, "t+/=");
  const store::ListPage plain = parse_list(
      "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a+b%20 </Key><Size>1</Size><LastModified>"
      "2025-01-23T09:05:07Z</LastModified></Contents></ListBucketResult>",
      where);
  EXPECT_EQ(plain.objects[0].key, ObjectKey("a+b%20 "));  // not encoded: as it stands
  EXPECT_EQ(plain.next, "");
}

TEST(S3Answers, ListRestoresAndChecksums) {
  const auto object = [](const std::string& elements) {
    return parse_list(
               "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>1</Size>"
               "<LastModified>2025-01-23T09:05:07Z</LastModified>" +
                   elements + "</Contents></ListBucketResult>",
               where)
        .objects.at(0);
  };
  EXPECT_FALSE(object("").restore);
  EXPECT_EQ(object("<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>").restore,
            (store::ListedRestore{.in_progress = true, .expiry = {}}));
  EXPECT_EQ(object("<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
                   "<RestoreExpiryDate>2012-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>")
                .restore,
            (store::ListedRestore{.in_progress = false, .expiry = parse_time("2012-12-21T00:00:00Z")}));
  EXPECT_ERROR(ErrorKind::corrupt, "",
               object("<RestoreStatus><RestoreExpiryDate>soon</RestoreExpiryDate></RestoreStatus>"));

  using Algorithm = store::Checksum::Algorithm;
  EXPECT_FALSE(object("").checksum_algorithm);
  EXPECT_FALSE(object("<ChecksumAlgorithm>XXHASH3</ChecksumAlgorithm>").checksum_algorithm) << "unknown here";
  const auto whole = object(
      "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
      "<ChecksumType>FULL_OBJECT</ChecksumType>");
  EXPECT_EQ(whole.checksum_algorithm, Algorithm::crc32) << "the cheapest";
  EXPECT_TRUE(whole.checksum_is_whole);
  const auto parts = object("<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>");
  EXPECT_EQ(parts.checksum_algorithm, Algorithm::sha256);
  EXPECT_FALSE(parts.checksum_is_whole);
  // Where the type is not told, an object in one part has a checksum of the whole.
  const std::string md5 = "0cc175b9c0f1b6a831c399e269772661", crc = "<ChecksumAlgorithm>CRC32C</ChecksumAlgorithm>";
  EXPECT_TRUE(object("<ETag>" + md5 + "</ETag>" + crc).checksum_is_whole);
  EXPECT_FALSE(object("<ETag>" + md5 + "-2</ETag>" + crc).checksum_is_whole);
}

TEST(S3Answers, ToManyDeletions) {
  const AnswerHead head{200, {{"x-amz-request-id", "r"}}};
  const BucketName bucket("b");
  const std::vector<store::ObjectToRemove> objects{
      {ObjectKey("a")},      {ObjectKey("k"), VersionId("1")}, {ObjectKey("k"), VersionId("2")}, {ObjectKey("marked")},
      {ObjectKey("denied")}, {ObjectKey("forgotten")}};
  const auto outcomes = parse_remove_all(
      head,
      "<DeleteResult" + ns +
          "><Deleted><Key>k</Key><VersionId>2</VersionId></Deleted><Deleted><Key>a</Key></Deleted>"
          "<Error><Key>denied</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
          "<Deleted><Key>marked</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m</DeleteMarkerVersionId>"
          "</Deleted><Error><Key>k</Key><VersionId>1</VersionId><Code>InternalError</Code><Message>x</Message></Error>"
          "<Deleted><Key>never asked for</Key></Deleted></DeleteResult>",
      bucket, objects);
  ASSERT_EQ(outcomes.size(), 6u);
  EXPECT_FALSE(outcomes[0].error || outcomes[2].error || outcomes[3].error);
  EXPECT_EQ(outcomes[1].error.value().kind(), ErrorKind::unavailable);
  EXPECT_EQ(outcomes[1].error->code(), "InternalError");
  EXPECT_EQ(outcomes[2].result.version_id, VersionId("2"));
  EXPECT_TRUE(outcomes[3].result.delete_marker);
  EXPECT_EQ(outcomes[3].result.version_id, VersionId("m"));
  EXPECT_EQ(outcomes[4].error.value().kind(), ErrorKind::denied);
  EXPECT_EQ(outcomes[4].error->code(), "AccessDenied");
  EXPECT_EQ(outcomes[4].error->where(), "s3://b/denied");
  EXPECT_EQ(outcomes[5].error.value().kind(), ErrorKind::unavailable) << "nothing is said of it";
  EXPECT_ERROR(ErrorKind::throttled, "SlowDown",
               parse_remove_all(head, "<Error><Code>SlowDown</Code></Error>", bucket, objects));
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_remove_all(head, "<html></html>", bucket, objects));
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_remove_all(head, "", bucket, objects));
}

TEST(S3Answers, ThatAreNoListsAreRefused) {
  for (const char* body : {"", "<", "{}", "<html><body>Welcome</body></html>", "<ListVersionsResult/>",
                           "<ListBucketResult/>", "<ListBucketResult> </ListBucketResult>"}) {
    SCOPED_TRACE(body);
    EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_list(body, where));
  }
  for (const char* body :
       {"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key><LastModified>2025-01-23</LastModified><Size>-1</Size></Contents>"
        "</ListBucketResult>"}) {
    SCOPED_TRACE(body);
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_list(body, where));
  }
  EXPECT_ERROR(ErrorKind::corrupt, "", parse_list("<ListBucketResult>" + std::string(most_xml_bytes, ' '), where));
}

TEST(S3Answers, ListVersions) {
  const store::VersionPage page = parse_versions(
      "<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb</"
      "NextKeyMarker>"
      "<NextVersionIdMarker>v&amp;</NextVersionIdMarker>"
      "<DeleteMarker><Key>k</Key><VersionId>d</VersionId><IsLatest>true</IsLatest><LastModified>2025-01-23T09:05:07Z"
      "</LastModified></DeleteMarker>"
      "<Version><Key>k</Key><VersionId>null</VersionId><IsLatest>false</IsLatest><LastModified>2025-01-23T09:05:06Z"
      "</LastModified><ETag>\"e\"</ETag><Size>3</Size></Version></ListVersionsResult>",
      where);
  ASSERT_EQ(page.versions.size(), 2u);  // in the order of the answer, newest first
  EXPECT_TRUE(page.versions[0].is_delete_marker);
  EXPECT_TRUE(page.versions[0].is_latest);
  EXPECT_EQ(page.versions[1].version_id, VersionId("null"));
  EXPECT_EQ(page.versions[1].size, 3u);
  EXPECT_EQ(page.next, "key-marker=a%2Fb&version-id-marker=v%26");
}

TEST(S3Answers, GoOnAfterTheLastVersionWhereTheServerNamesNone) {
  const auto next_of = [](const std::string& versions, const std::string& said) {
    return parse_versions("<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>" +
                              (said.empty() ? "" : "<NextVersionIdMarker>" + said + "</NextVersionIdMarker>") +
                              versions + "</ListVersionsResult>",
                          "s3://b")
        .next;
  };
  const auto entry = [](const std::string& kind, const std::string& key, const std::string& version) {
    return "<" + kind + "><Key>" + key + "</Key><VersionId>" + version +
           "</VersionId><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>\"e\"</ETag><Size>1</Size></" + kind +
           ">";
  };
  const std::string page = entry("Version", "a", "1") + entry("DeleteMarker", "k", "3") + entry("Version", "k", "2");
  EXPECT_EQ(next_of(page, "null"), "key-marker=k&version-id-marker=2");
  EXPECT_EQ(next_of(entry("Version", "a", "1") + entry("DeleteMarker", "k", "3"), "null"),
            "key-marker=k&version-id-marker=3");
  EXPECT_EQ(next_of(page, "2"), "key-marker=k&version-id-marker=2");
  EXPECT_EQ(next_of(page, "3"), "key-marker=k&version-id-marker=3") << "what the server names otherwise counts";
  EXPECT_EQ(next_of(page + entry("Version", "k", "null"), "null"), "key-marker=k&version-id-marker=null");
  EXPECT_EQ(next_of(entry("Version", "a", "1"), "null"), "key-marker=k&version-id-marker=null");
  EXPECT_EQ(next_of(page, ""), "key-marker=k");
}

TEST(S3Answers, ListPartsUploadsAndBuckets) {
  const auto parts = parse_parts(
      "<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>7</PartNumber><ETag>\"e\"</ETag><Size>5</Size>"
      "</Part></ListPartsResult>",
      where);
  EXPECT_EQ(parts.items.at(0).number, 7u);
  EXPECT_EQ(parts.items.at(0).size, 5u);
  EXPECT_EQ(parts.next, "7");
  EXPECT_ERROR(
      ErrorKind::corrupt, "",
      parse_parts("<ListPartsResult><Part><PartNumber>10001</PartNumber><Size>1</Size></Part></ListPartsResult>",
                  where));
  EXPECT_TRUE(parse_parts("<ListPartsResponse/>", where).items.empty()) << "moto's word";
  const auto part = [](const std::string& checksum) {
    return parse_parts("<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>9</Size>" + checksum +
                           "</Part></ListPartsResult>",
                       where)
        .items.at(0)
        .checksum;
  };
  using Algorithm = store::Checksum::Algorithm;
  EXPECT_EQ(part("<ChecksumCRC64NVME>rosUhgp5mIg=</ChecksumCRC64NVME>"),
            (store::Checksum{Algorithm::crc64nvme, from_hex("ae8b14860a799888")}));
  EXPECT_EQ(part("<ChecksumCRC32>y/Q5Jg==</ChecksumCRC32>"), (store::Checksum{Algorithm::crc32, from_hex("cbf43926")}));
  EXPECT_EQ(part("<ChecksumSHA1>YWFhYWFhYWFhYWFhYWFhYWFhYWE=</ChecksumSHA1>"),
            (store::Checksum{Algorithm::sha1, std::string(20, 'a')}));
  for (const char* none : {"", "<ChecksumCRC32>y/Q5</ChecksumCRC32>", "<ChecksumCRC32>?</ChecksumCRC32>",
                           "<ChecksumSHA256/>", "<ChecksumMD5>y/Q5Jg==</ChecksumMD5>"})
    EXPECT_EQ(part(none), std::nullopt) << none;
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_parts("<html/>", where));
  const auto uploads = parse_uploads(
      "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>k%20"
      "</NextKeyMarker><NextUploadIdMarker>u+</NextUploadIdMarker><Upload><Key>k+1</Key><UploadId>u+</UploadId>"
      "<Initiated>2025-01-23T09:05:07Z</Initiated></Upload></ListMultipartUploadsResult>",
      where);
  EXPECT_EQ(uploads.items.at(0).key, ObjectKey("k 1"));
  EXPECT_EQ(uploads.items.at(0).upload_id, UploadId("u+"));
  EXPECT_EQ(uploads.next, "key-marker=k%20&upload-id-marker=u%2B");
  const auto buckets = parse_buckets(
      "<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name><CreationDate>2025-01-23T09:05:07Z</CreationDate>"
      "<BucketRegion>eu-west-1</BucketRegion></Bucket></Buckets><ContinuationToken>n</ContinuationToken>"
      "</ListAllMyBucketsResult>",
      where);
  EXPECT_EQ(buckets.items.at(0).region, Region("eu-west-1"));
  EXPECT_EQ(buckets.next, "n");
}

TEST(S3Answers, TellTagsVersioningAndNotifications) {
  EXPECT_EQ(parse_tags("<Tagging><TagSet><Tag><Key>a</Key><Value> </Value></Tag><Tag><Key>b&amp;</Key><Value/></Tag>"
                       "</TagSet></Tagging>",
                       where),
            (store::Tags{{"a", " "}, {"b&", ""}}));
  EXPECT_EQ(parse_versioning("<VersioningConfiguration/>", where), store::Versioning::never);
  EXPECT_EQ(parse_versioning("<GetBucketVersioningResponse/>", where), store::Versioning::never) << "moto's word";
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_versioning("<html/>", where));
  EXPECT_EQ(parse_versioning("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", where),
            store::Versioning::enabled);
  EXPECT_EQ(parse_versioning("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", where),
            store::Versioning::suspended);
  const std::string notifications =
      "<NotificationConfiguration><TopicConfiguration><Id>t</Id></TopicConfiguration><QueueConfiguration><Id>i</Id>"
      "<Queue>arn</Queue><Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event><Filter><S3Key><FilterRule>"
      "<Name>Prefix</Name><Value>p/</Value></FilterRule><FilterRule><Name>Suffix</Name><Value>.x</Value></FilterRule>"
      "</S3Key></Filter></QueueConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
  const auto rules = parse_notifications(notifications, where);
  ASSERT_EQ(rules.size(), 1u);
  EXPECT_EQ(rules[0].events, (std::vector<std::string>{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}));
  EXPECT_EQ(rules[0].queue + rules[0].prefix + rules[0].suffix, "arnp/.x");
  EXPECT_EQ(parse_other_notifications(notifications, where),
            "<TopicConfiguration><Id>t</Id></TopicConfiguration><EventBridgeConfiguration/>");
  EXPECT_TRUE(parse_notifications("<GetBucketNotificationResponse/>", where).empty());  // moto's
}

}  // namespace
}  // namespace bale::aws
