// What goes over the wire for each operation of the port. Bodies and queries are those that botocore 1.43 makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aws/s3.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using store::ByteRange;

const S3Requests s3({{"http", "h", 1}, "", "eu-west-1", true}, Addressing::automatic);
const BucketName bucket("b");
const ObjectAddress object{bucket, ObjectKey("k")};
const std::string xmlns = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

/// "PUT /b/k?query", a line for each header, and the body. Content-MD5 is checked here instead.
std::string wire(const Call& call) {
  std::string text = std::string(http::to_string(call.request.method)) + " " + call.request.path;
  if (!call.request.query.empty()) text += "?" + call.request.query;
  for (const http::Header& header : call.request.headers) {
    if (header.name == "Content-MD5")
      EXPECT_EQ(header.value, to_base64(Md5::of(as_bytes(call.body))));
    else
      text += "\n" + header.name + ": " + header.value;
  }
  return call.body.empty() ? text : text + "\n" + call.body;
}

store::ObjectAttributes full_attributes() {
  store::ObjectAttributes attributes;
  attributes.headers = {"text/plain", "no-cache", "inline", "gzip", "de", "Thu, 23 Jan 2025 09:05:07 GMT", "/to"};
  attributes.metadata = {{"one", "1"}, {"empty", ""}};
  attributes.tags = {{"a b", "c&d"}, {"e", ""}};
  attributes.storage_class = "STANDARD_IA";
  attributes.kms_key_arn = "arn:key";
  return attributes;
}

const std::string full_headers =
    "\nContent-Type: text/plain\nCache-Control: no-cache\nContent-Disposition: inline\nContent-Encoding: gzip\n"
    "Content-Language: de\nExpires: Thu, 23 Jan 2025 09:05:07 GMT\nx-amz-website-redirect-location: /to\n"
    "x-amz-meta-empty: \nx-amz-meta-one: 1\nx-amz-tagging: a%20b=c%26d&e=\nx-amz-storage-class: STANDARD_IA\n"
    "x-amz-server-side-encryption: aws:kms\nx-amz-server-side-encryption-aws-kms-key-id: arn:key";

/// What S3 takes for the type where the writer names none: said, since other servers take something else.
const std::string no_type = "\nContent-Type: binary/octet-stream";

TEST(S3Requests, EncodeMetadataThatAreNotAscii) {
  const auto sent = [](const store::UserMetadata& metadata) {
    store::ObjectAttributes attributes;
    attributes.metadata = metadata;
    std::vector<std::string> values;
    for (const http::Header& header : s3.create_upload({bucket, ObjectKey("k")}, attributes).request.headers)
      if (header.name.starts_with("x-amz-meta-")) values.push_back(header.value);
    return values;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(sent({{"a", "plain =? text"}}), ElementsAre("plain =? text"));
  EXPECT_THAT(sent({{"a", "Gr\xC3\xBC\xC3\x9F"}}), ElementsAre("=?UTF-8?B?R3LDvMOf?="));
  EXPECT_THAT(sent({{"a", "tab\t"}}), ElementsAre("=?UTF-8?B?dGFiCQ==?="));
  EXPECT_THAT(sent({{"a", " first"}}), ElementsAre("=?UTF-8?B?IGZpcnN0?="));
  EXPECT_THAT(sent({{"a", "last "}}), ElementsAre("=?UTF-8?B?bGFzdCA=?="));
  EXPECT_THAT(sent({{"a", "in between"}}), ElementsAre("in between"));
  EXPECT_THAT(sent({{"a", "=?UTF-8?B?eA==?="}}), ElementsAre("=?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?="))
      << "what looks like a word comes back as it is";
  EXPECT_THAT(sent({{"a", "\xFF"}}), ElementsAre("\xFF"));
  std::string longest;
  while (longest.size() < 2000) longest += "\xC3\xBC";
  EXPECT_THAT(sent({{"a", longest}}), ElementsAre(longest)) << "the limit of S3 counts what is sent";
}

TEST(S3Requests, ForBuckets) {
  EXPECT_EQ(wire(s3.create_bucket(bucket)),
            "PUT /b\nContent-Type: application/xml\n<CreateBucketConfiguration" + xmlns +
                "><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>");
  const S3Requests home({{"https", "s3.us-east-1.amazonaws.com"}, "", "us-east-1", false}, Addressing::automatic);
  EXPECT_EQ(wire(home.create_bucket(BucketName("bucket"))), "PUT /");
  EXPECT_EQ(home.create_bucket(BucketName("bucket")).request.origin.host, "bucket.s3.us-east-1.amazonaws.com");
  EXPECT_EQ(wire(home.list_buckets("")), "GET /");
  EXPECT_EQ(wire(s3.delete_bucket(bucket)), "DELETE /b");
  EXPECT_EQ(wire(s3.head_bucket(bucket)), "HEAD /b");
  EXPECT_EQ(wire(s3.list_buckets("n/x")), "GET /?continuation-token=n%2Fx");
  EXPECT_EQ(wire(s3.set_versioning(bucket, store::Versioning::enabled)),
            "PUT /b?versioning\nContent-Type: application/xml\n<VersioningConfiguration" + xmlns +
                "><Status>Enabled</Status></VersioningConfiguration>");
  EXPECT_NE(wire(s3.set_versioning(bucket, store::Versioning::suspended)).find("Suspended"), std::string::npos);
  EXPECT_ERROR(ErrorKind::invalid, "", s3.set_versioning(bucket, store::Versioning::never));
  EXPECT_EQ(wire(s3.get_versioning(bucket)), "GET /b?versioning");
}

TEST(S3Requests, ForNotifications) {
  EXPECT_EQ(wire(s3.get_notifications(bucket)), "GET /b?notification");
  EXPECT_EQ(wire(s3.set_notifications(bucket, {{"i", "arn", {"s3:ObjectCreated:*"}, "p", ""}}, "")),
            "PUT /b?notification\nContent-Type: application/xml\n<NotificationConfiguration" + xmlns +
                "><QueueConfiguration><Id>i</Id><Queue>arn</Queue><Event>s3:ObjectCreated:*</Event><Filter><S3Key>"
                "<FilterRule><Name>prefix</Name><Value>p</Value></FilterRule></S3Key></Filter></QueueConfiguration>"
                "</NotificationConfiguration>");
  EXPECT_NE(wire(s3.set_notifications(bucket, {}, "<EventBridgeConfiguration/>"))
                .find("><EventBridgeConfiguration/></NotificationConfiguration>"),
            std::string::npos);
}

TEST(S3Requests, ForPutCarryAllAttributesAndConditions) {
  EXPECT_EQ(wire(s3.put(object, {}, {})), "PUT /b/k" + no_type);
  EXPECT_TRUE(s3.put(object, {}, {}).request.may_repeat);
  EXPECT_EQ(wire(s3.put(object, full_attributes(), {})), "PUT /b/k" + full_headers);
  EXPECT_EQ(wire(s3.put(object, {}, {true, {}})), "PUT /b/k" + no_type + "\nIf-None-Match: *");
  EXPECT_FALSE(s3.put(object, {}, {true, {}}).request.may_repeat);
  EXPECT_EQ(wire(s3.put(object, {}, {false, ETag("e")})), "PUT /b/k" + no_type + "\nIf-Match: e");
  EXPECT_FALSE(s3.put(object, {}, {false, ETag("e")}).request.may_repeat);
}

TEST(S3Requests, ForReads) {
  EXPECT_EQ(wire(s3.get(object, {}, {})), "GET /b/k");
  EXPECT_EQ(wire(s3.get(object, ByteRange::at(10, 5), {VersionId("v/1"), ETag("e")})),
            "GET /b/k?versionId=v%2F1\nIf-Match: \"e\"\nRange: bytes=10-14");
  EXPECT_EQ(wire(s3.get(object, ByteRange::tail(100), {})), "GET /b/k\nRange: bytes=-100");
  EXPECT_EQ(wire(s3.head(object, {VersionId("v"), {}})), "HEAD /b/k?versionId=v");
  EXPECT_EQ(wire(s3.remove(object, {})), "DELETE /b/k");
  EXPECT_EQ(wire(s3.remove(object, VersionId("null"))), "DELETE /b/k?versionId=null");
  EXPECT_EQ(wire(s3.remove(object, {}, {.if_match = ETag("e")})), "DELETE /b/k\nIf-Match: e");
  EXPECT_FALSE(s3.remove(object, {}, {.if_match = ETag("e")}).request.may_repeat);
  EXPECT_EQ(wire(s3.get({bucket, ObjectKey("../a//b ?#%\xC3\xA4/")}, {}, {})), "GET /b/../a//b%20%3F%23%25%C3%A4/");
}

TEST(S3Requests, ForCopies) {
  const store::CopySource from{{BucketName("s"), ObjectKey("a b+\xC3\xA4")}, VersionId("v"), ETag("e")};
  EXPECT_EQ(wire(s3.copy(from, object, {}, {})),
            "PUT /b/k\nx-amz-copy-source: s/a%20b%2B%C3%A4?versionId=v\nx-amz-copy-source-if-match: \"e\""
            "\nx-amz-storage-class: STANDARD");
  EXPECT_EQ(wire(s3.copy({from.address, {}, {}}, object, full_attributes(), {true, {}})),
            "PUT /b/k\nx-amz-copy-source: s/a%20b%2B%C3%A4\nx-amz-metadata-directive: REPLACE\n"
            "x-amz-tagging-directive: REPLACE" +
                full_headers + "\nIf-None-Match: *");
  EXPECT_EQ(wire(s3.copy({from.address, {}, {}}, object, store::ObjectAttributes{}, {})),
            "PUT /b/k\nx-amz-copy-source: s/a%20b%2B%C3%A4\nx-amz-metadata-directive: REPLACE\n"
            "x-amz-tagging-directive: REPLACE" +
                no_type + "\nx-amz-storage-class: STANDARD");
  EXPECT_EQ(
      wire(s3.upload_part_copy(object, UploadId("u"), 2, {from.address, {}, {}}, ByteRange::at(0, 10))),
      "PUT /b/k?partNumber=2&uploadId=u\nx-amz-copy-source: s/a%20b%2B%C3%A4\nx-amz-copy-source-range: bytes=0-9");
}

// Each of these would ask for something else than its caller means: a DELETE of the bucket, say.
TEST(S3Requests, ThatWouldGoElsewhereAreRefused) {
  const ObjectAddress no_key{bucket, ObjectKey()};
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", s3.remove(no_key, {}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", s3.get(no_key, {}, {}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", s3.head(no_key, {}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", s3.put(no_key, {}, {}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", s3.abort_upload(no_key, UploadId("u")));
  for (const char* name : {"", ".", "..", "a/b", "/"}) {
    EXPECT_ERROR(ErrorKind::invalid, "InvalidBucketName", s3.delete_bucket(BucketName(name)));
    EXPECT_ERROR(ErrorKind::invalid, "InvalidBucketName", s3.remove({BucketName(name), ObjectKey("k")}, {}));
  }
}

TEST(S3Requests, ForManyDeletions) {
  EXPECT_EQ(wire(s3.remove_all(bucket, {{ObjectKey("a<b&\"c")}, {ObjectKey("d/e"), VersionId("v")}})),
            "POST /b?delete\nContent-Type: application/xml\n<Delete" + xmlns +
                "><Object><Key>a&lt;b&amp;&quot;c</Key></Object>"
                "<Object><Key>d/e</Key><VersionId>v</VersionId></Object></Delete>");
  EXPECT_TRUE(s3.remove_all(bucket, {{ObjectKey("k")}}).request.may_repeat);
  EXPECT_NE(s3.remove_all(bucket, {{ObjectKey("k")}}).request.headers.get("Content-MD5"), "");
  const Call conditional = s3.remove_all(bucket, {{ObjectKey("k"), {}, {.if_match = ETag("e")}}});
  EXPECT_NE(conditional.body.find("<Key>k</Key><ETag>&quot;e&quot;</ETag>"), std::string::npos);
  EXPECT_FALSE(conditional.request.may_repeat);
  EXPECT_ERROR(ErrorKind::invalid, "", s3.remove_all(bucket, {{ObjectKey(std::string("\x01"))}}));
}

// DeleteObjects has no way to encode keys: others are deleted one by one.
TEST(S3Requests, KnowTheKeysThatXmlCarries) {
  for (const char* key : {"a", "a b", "\xC3\xA4/\xE6\x97\xA5", "<&>\"'", "..", "a//b/", "%2F", "+"})
    EXPECT_TRUE(fits_in_xml(ObjectKey(key))) << key;
  for (const char* key :
       {" a", "a ", " ", "a\nb", "a\tb", "a\rb", "\x01", "\x7F", "\xEF\xBF\xBE", "a\xEF\xBF\xBF", "\xFF"})
    EXPECT_FALSE(fits_in_xml(ObjectKey(key))) << key;
}

TEST(S3Requests, ForListsAskForWhatIsOptional) {
  store::ListRequest request;
  request.with_restore_status = true;
  EXPECT_EQ(wire(s3.list(bucket, request)),
            "GET /b?list-type=2&encoding-type=url&max-keys=1000\nx-amz-optional-object-attributes: RestoreStatus");
  EXPECT_EQ(wire(s3.list_versions(bucket, request)),
            "GET /b?versions&encoding-type=url&max-keys=1000\nx-amz-optional-object-attributes: RestoreStatus");
}

TEST(S3Requests, ForLists) {
  store::ListRequest request{"p/ \xC3\xA4", "/", "x", "", 5};
  EXPECT_EQ(wire(s3.list(bucket, request)),
            "GET /b?list-type=2&encoding-type=url&delimiter=%2F&max-keys=5&prefix=p%2F%20%C3%A4&start-after=x");
  EXPECT_EQ(wire(s3.list_versions(bucket, request)),
            "GET /b?versions&encoding-type=url&delimiter=%2F&max-keys=5&prefix=p%2F%20%C3%A4&key-marker=x");
  request = {};
  request.continuation = "key-marker=a%2Fb&version-id-marker=v";
  EXPECT_EQ(wire(s3.list_versions(bucket, request)),
            "GET /b?versions&encoding-type=url&max-keys=1000&key-marker=a%2Fb&version-id-marker=v");
  request.continuation = "token/=";
  EXPECT_EQ(wire(s3.list(bucket, request)),
            "GET /b?list-type=2&encoding-type=url&continuation-token=token%2F%3D&max-keys=1000");
}

TEST(S3Requests, ForTagsAndRestore) {
  EXPECT_EQ(wire(s3.get_tags(object, VersionId("v"))), "GET /b/k?tagging&versionId=v");
  EXPECT_EQ(wire(s3.set_tags(object, {{"a", "b&"}}, VersionId("v"))),
            "PUT /b/k?tagging&versionId=v\nContent-Type: application/xml\n<Tagging" + xmlns +
                "><TagSet><Tag><Key>a</Key><Value>b&amp;</Value></Tag></TagSet></Tagging>");
  EXPECT_ERROR(ErrorKind::invalid, "", s3.set_tags(object, {{"a", std::string("\x01")}}, {}));
  const Call restore = s3.restore(object, 1, "Bulk", {});
  EXPECT_EQ(wire(restore), "POST /b/k?restore\nContent-Type: application/xml\n<RestoreRequest" + xmlns +
                               "><Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>"
                               "</RestoreRequest>");
  EXPECT_EQ(
      s3.restore(object, 0, "Bulk", {}).body,
      "<RestoreRequest" + xmlns + "><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>");
  EXPECT_FALSE(restore.request.may_repeat);
  const Call of_tier = s3.restore(object, 0, "Standard", {});
  EXPECT_EQ(wire(of_tier), "POST /b/k?restore\nContent-Type: application/xml\n<RestoreRequest" + xmlns +
                               "><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>");
}

TEST(S3Requests, ForMultipartUploads) {
  const UploadId upload("u/1");
  EXPECT_EQ(wire(s3.create_upload(object, full_attributes())), "POST /b/k?uploads" + full_headers);
  EXPECT_FALSE(s3.create_upload(object, {}).request.may_repeat);
  EXPECT_EQ(wire(s3.create_upload(object, {})), "POST /b/k?uploads" + no_type);
  EXPECT_EQ(wire(s3.upload_part(object, upload, 10'000)), "PUT /b/k?partNumber=10000&uploadId=u%2F1");
  // Without a Content-Type, which some servers would give to the object.
  const Call complete = s3.complete_upload(object, upload, {{1, ETag("e"), 5}, {3, ETag("f"), 6}}, {true, {}});
  EXPECT_EQ(wire(complete),
            "POST /b/k?uploadId=u%2F1\nx-amz-mp-object-size: 11\n"
            "If-None-Match: *\n<CompleteMultipartUpload" +
                xmlns +
                "><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag></Part>"
                "<Part><PartNumber>3</PartNumber><ETag>&quot;f&quot;</ETag></Part>"
                "</CompleteMultipartUpload>");
  EXPECT_FALSE(s3.complete_upload(object, upload, {}, {}).request.may_repeat);
  EXPECT_EQ(s3.complete_upload(object, upload, {{1, ETag("e"), 0}}, {}).request.headers.find("x-amz-mp-object-size"),
            nullptr);
  EXPECT_EQ(wire(s3.abort_upload(object, upload)), "DELETE /b/k?uploadId=u%2F1");
  EXPECT_EQ(wire(s3.list_parts(object, upload, 0)), "GET /b/k?uploadId=u%2F1");
  EXPECT_EQ(wire(s3.list_parts(object, upload, 7)), "GET /b/k?part-number-marker=7&uploadId=u%2F1");
  EXPECT_EQ(wire(s3.list_uploads(bucket, "p", "")), "GET /b?uploads&encoding-type=url&prefix=p");
  EXPECT_EQ(wire(s3.list_uploads(bucket, "", "key-marker=a&upload-id-marker=u")),
            "GET /b?uploads&encoding-type=url&key-marker=a&upload-id-marker=u");
}

/// The bytes of CRC64NVME's check value, that of "123456789".
const store::Checksum crc64{store::Checksum::Algorithm::crc64nvme, from_hex("ae8b14860a799888")};

TEST(S3Requests, ForUploadsWithAChecksum) {
  using Algorithm = store::Checksum::Algorithm;
  const std::vector<std::tuple<Algorithm, std::string, std::string>> all{
      {Algorithm::crc64nvme, "CRC64NVME", "FULL_OBJECT"},
      {Algorithm::crc32c, "CRC32C", "FULL_OBJECT"},
      {Algorithm::crc32, "CRC32", "FULL_OBJECT"},
      {Algorithm::sha1, "SHA1", "COMPOSITE"},
      {Algorithm::sha256, "SHA256", "COMPOSITE"}};
  for (const auto& [algorithm, word, type] : all) {
    store::ObjectAttributes attributes;
    attributes.checksum_algorithm = algorithm;
    EXPECT_EQ(wire(s3.create_upload(object, attributes)),
              "POST /b/k?uploads" + no_type + "\nx-amz-checksum-algorithm: " + word + "\nx-amz-checksum-type: " + type);
  }
  const UploadId upload("u");
  const store::UploadedPart part{1, ETag("e"), 9, crc64};
  EXPECT_EQ(wire(s3.complete_upload(object, upload, {part}, {.size = 10, .checksum = crc64})),
            "POST /b/k?uploadId=u\nx-amz-mp-object-size: 10\nx-amz-checksum-crc64nvme: rosUhgp5mIg=\n"
            "x-amz-checksum-type: FULL_OBJECT\n<CompleteMultipartUpload" +
                xmlns +
                "><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag>"
                "<ChecksumCRC64NVME>rosUhgp5mIg=</ChecksumCRC64NVME></Part></CompleteMultipartUpload>");
}

TEST(S3Requests, CarryTheDigestsOfTheirBody) {
  store::BodyDigests digests;
  digests.sha256 = Sha256::of(as_bytes("x"));
  digests.checksum = crc64;
  EXPECT_EQ(wire(s3.upload_part(object, UploadId("u"), 1, digests)),
            "PUT /b/k?partNumber=1&uploadId=u\nx-amz-checksum-crc64nvme: rosUhgp5mIg=");
  EXPECT_EQ(wire(s3.put(object, {}, {}, digests)), "PUT /b/k" + no_type + "\nx-amz-checksum-crc64nvme: rosUhgp5mIg=");
  digests.md5 = Md5::of(as_bytes("x"));
  EXPECT_EQ(s3.upload_part(object, UploadId("u"), 1, digests).request.headers.get("Content-MD5"),
            "ndTkYSaMgDT1yFZOFVxnpg==");
  EXPECT_EQ(s3.put(object, {}, {}, digests).request.headers.get("Content-MD5"), "ndTkYSaMgDT1yFZOFVxnpg==");
}

TEST(S3Requests, CarryNoChecksumWhereTheUserWantsNone) {
  const S3Requests without({{"http", "h", 1}, "", "eu-west-1", true}, Addressing::automatic, /*sends_checksums=*/false);
  store::ObjectAttributes attributes;
  attributes.checksum_algorithm = store::Checksum::Algorithm::crc64nvme;
  store::BodyDigests digests;
  digests.checksum = crc64;
  EXPECT_EQ(wire(without.create_upload(object, attributes)), "POST /b/k?uploads" + no_type);
  EXPECT_EQ(wire(without.upload_part(object, UploadId("u"), 1, digests)), "PUT /b/k?partNumber=1&uploadId=u");
  EXPECT_EQ(wire(without.put(object, {}, {}, digests)), "PUT /b/k" + no_type);
  EXPECT_EQ(wire(without.complete_upload(object, UploadId("u"), {{1, ETag("e"), 9, crc64}}, {.checksum = crc64})),
            "POST /b/k?uploadId=u\nx-amz-mp-object-size: 9\n<CompleteMultipartUpload" + xmlns +
                "><Part><PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag></Part></CompleteMultipartUpload>");
}

TEST(S3Requests, NameTheEncryptionUnlessAKeySaysIt) {
  store::ObjectAttributes attributes;
  attributes.encryption = "AES256";
  EXPECT_EQ(wire(s3.put(object, attributes, {})), "PUT /b/k" + no_type + "\nx-amz-server-side-encryption: AES256");
  attributes.kms_key_arn = "arn:key";
  EXPECT_EQ(wire(s3.put(object, attributes, {})),
            "PUT /b/k" + no_type +
                "\nx-amz-server-side-encryption: aws:kms\nx-amz-server-side-encryption-aws-kms-key-id: arn:key");
}

}  // namespace
}  // namespace bale::aws
