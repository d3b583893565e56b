// The scripted S3 server is as S3 is where no rule says otherwise.
#include <gmock/gmock.h>

#include "unit/support/scripted_s3_fixture.hpp"

namespace bale::testing {
namespace {

using ::testing::HasSubstr;

// Who asks

TEST_F(ScriptedS3Test, WantsCredentials) {
  const RawAnswer answer = raw_ask(server_.port(), "GET", "/b/k");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(code(answer), "AccessDenied");
  EXPECT_EQ(raw_ask(server_.port(), "GET", "/b?list-type=2&X-Amz-Credential=a&X-Amz-Signature=b").status, 200);
}

TEST_F(ScriptedS3Test, KnowsOwners) {
  server_.set_bucket("theirs", {{"owner", "999988887777"}, {"foreign", true}});
  EXPECT_EQ(ask("PUT", "/b/k", {{"x-amz-expected-bucket-owner", "111122223333"}}, "x").status, 200);
  EXPECT_EQ(code(ask("PUT", "/b/k", {{"x-amz-expected-bucket-owner", "999988887777"}}, "y")), "AccessDenied");
  EXPECT_EQ(ask("GET", "/b/k").body, "x");
  EXPECT_EQ(ask("HEAD", "/theirs").status, 403);
  EXPECT_EQ(ask("PUT", "/theirs/k", {}, "x").status, 403);
  EXPECT_EQ(code(ask("PUT", "/theirs")), "IllegalLocationConstraintException");
  const std::string here =
      "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
  EXPECT_EQ(code(ask("PUT", "/theirs", {}, here)), "BucketAlreadyExists");
  EXPECT_EQ(ask("PUT", "/free", {}, here).status, 200);
  EXPECT_EQ(code(ask("PUT", "/free", {}, here)), "BucketAlreadyOwnedByYou");
  EXPECT_EQ(code(ask("PUT", "/b", {}, here)), "InvalidBucketName");
  EXPECT_EQ(code(ask("HEAD", "/none-here")), "");
  EXPECT_EQ(ask("HEAD", "/none-here").status, 404);
}

TEST_F(ScriptedS3Test, SendsToTheRightRegion) {
  server_.set_bucket("far", {{"region", "us-east-1"}});
  const RawAnswer answer = ask("GET", "/far/k");
  EXPECT_EQ(answer.status, 301);
  EXPECT_EQ(code(answer), "PermanentRedirect");
  EXPECT_EQ(answer.header("x-amz-bucket-region"), "us-east-1");
  EXPECT_EQ(ask("GET", "/far?location").status, 200);
  const http::Headers there{
      {"Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, Signature=0"}};
  EXPECT_EQ(raw_ask(server_.port(), "PUT", "/far", there).status, 200) << "made again, as in us-east-1";
  EXPECT_EQ(raw_ask(server_.port(), "PUT", "/far/k", there, "x").status, 200);
}

// Checksums

TEST_F(ScriptedS3Test, VerifiesContentMd5) {
  EXPECT_EQ(ask("PUT", "/b/k", {{"Content-MD5", base64_md5(digits)}}, digits).status, 200);
  EXPECT_EQ(code(ask("PUT", "/b/k", {{"Content-MD5", base64_md5("other")}}, digits)), "BadDigest");
  EXPECT_EQ(code(ask("PUT", "/b/k", {{"Content-MD5", "bm9uZQ=="}}, digits)), "InvalidDigest");
  EXPECT_EQ(code(part(begin(), 1, "x", {{"Content-MD5", base64_md5("y")}})), "BadDigest");
}

TEST_F(ScriptedS3Test, VerifiesThePayloadThatWasSigned) {
  const Sha256Digest digest = Sha256::of(as_bytes(digits));
  EXPECT_EQ(ask("PUT", "/b/k", {{"x-amz-content-sha256", to_hex_digest(digest)}}, digits).status, 200);
  EXPECT_EQ(code(ask("PUT", "/b/k", {{"x-amz-content-sha256", to_hex_digest(digest)}}, "other")),
            "XAmzContentSHA256Mismatch");
}

TEST_F(ScriptedS3Test, KeepsAndVerifiesChecksums) {
  const Sha256Digest sha256 = Sha256::of(as_bytes(digits));
  const std::vector<std::pair<std::string, std::string>> values = {{"crc64nvme", std::string(crc64nvme_of_digits)},
                                                                   {"crc32c", std::string(crc32c_of_digits)},
                                                                   {"crc32", std::string(crc32_of_digits)},
                                                                   {"sha256", to_base64(sha256)}};
  for (const auto& [name, value] : values) {
    const std::string header = "x-amz-checksum-" + name;
    EXPECT_EQ(ask("PUT", "/b/" + name, {{header, value}}, digits).header(header), value);
    EXPECT_EQ(code(ask("PUT", "/b/" + name, {{header, value}}, "12345678X")), "BadDigest") << name;
    EXPECT_EQ(code(ask("PUT", "/b/" + name, {{header, "AAA="}}, digits)), "InvalidRequest") << name;
    const RawAnswer head = ask("HEAD", "/b/" + name, {{"x-amz-checksum-mode", "ENABLED"}});
    EXPECT_EQ(head.header(header), value);
    EXPECT_EQ(head.header("x-amz-checksum-type"), "FULL_OBJECT");
    EXPECT_EQ(ask("HEAD", "/b/" + name).header(header), "") << "nobody asked";
  }
  EXPECT_EQ(ask("PUT", "/b/k", {}, digits).header("x-amz-checksum-crc64nvme"), crc64nvme_of_digits)
      << "what S3 keeps where nothing is said";
  EXPECT_EQ(code(ask("PUT", "/b/k",
                     {{"x-amz-checksum-crc32", std::string(crc32_of_digits)},
                      {"x-amz-checksum-crc32c", std::string(crc32c_of_digits)}},
                     digits)),
            "InvalidRequest")
      << "two at once";
}

TEST_F(ScriptedS3Test, TakesTrailers) {
  const auto put = [&](std::string_view checksum) {
    const std::string body =
        fmt::format("5\r\n12345\r\n4;chunk-signature=0\r\n6789\r\n0\r\nx-amz-checksum-crc64nvme:{}\r\n\r\n", checksum);
    return ask("PUT", "/b/k",
               {{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
                {"Content-Encoding", "aws-chunked, gzip"},
                {"x-amz-trailer", "x-amz-checksum-crc64nvme"},
                {"x-amz-decoded-content-length", "9"}},
               body);
  };
  EXPECT_EQ(put(crc64nvme_of_digits).status, 200);
  const RawAnswer got = ask("GET", "/b/k");
  EXPECT_EQ(got.body, digits);
  EXPECT_EQ(got.header("content-encoding"), "gzip");
  EXPECT_EQ(code(put("AAAAAAAAAAA=")), "BadDigest");
}

TEST_F(ScriptedS3Test, TakesBodiesInChunks) {
  RawConnection connection(server_.port());
  connection.send(
      "PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: "
      "AWS4-HMAC-SHA256 Credential=A/D/eu-west-1/s3/aws4_request\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n"
      "GET /b/k HTTP/1.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A/D/eu-west-1/s3/x\r\n\r\n");
  EXPECT_EQ(connection.read().status, 200);
  EXPECT_EQ(connection.read().body, digits) << "on the same connection";
}

// Uploads

TEST_F(ScriptedS3Test, JoinsChecksumsOfParts) {
  const std::string first(5 << 20, 'a');
  const std::string upload = begin({{"x-amz-checksum-algorithm", "CRC64NVME"}});
  const std::string one = part(upload, 1, first).header("etag");
  const RawAnswer second = part(upload, 2, digits, {{"x-amz-checksum-crc64nvme", std::string(crc64nvme_of_digits)}});
  EXPECT_EQ(second.header("x-amz-checksum-crc64nvme"), crc64nvme_of_digits);
  const std::string listed = ask("GET", "/b/k?uploadId=" + upload).body;
  EXPECT_THAT(listed, HasSubstr("<ChecksumAlgorithm>CRC64NVME<"));
  EXPECT_THAT(listed, HasSubstr("<ChecksumType>FULL_OBJECT<"));
  EXPECT_THAT(listed, HasSubstr(fmt::format("<ChecksumCRC64NVME>{}<", crc64nvme_of_digits)));
  const std::string whole = ask("PUT", "/b/whole", {}, first + std::string(digits)).header("x-amz-checksum-crc64nvme");
  const std::vector<std::string> etags{one, second.header("etag")};
  EXPECT_EQ(code(complete(upload, etags, {{"x-amz-checksum-crc64nvme", std::string(crc64nvme_of_digits)}})),
            "BadDigest");
  EXPECT_EQ(code(complete(upload, etags, {{"x-amz-checksum-crc32", std::string(crc32_of_digits)}})), "InvalidRequest");
  EXPECT_EQ(code(complete(upload, etags, {{"x-amz-checksum-type", "COMPOSITE"}})), "BadDigest");
  const RawAnswer done = complete(upload, etags, {{"x-amz-checksum-crc64nvme", whole}});
  EXPECT_EQ(tag(done, "ChecksumCRC64NVME"), whole);
  EXPECT_EQ(tag(done, "ChecksumType"), "FULL_OBJECT");
  EXPECT_EQ(ask("HEAD", "/b/k", {{"x-amz-checksum-mode", "ENABLED"}}).header("x-amz-checksum-crc64nvme"), whole);
}

TEST_F(ScriptedS3Test, ComposesChecksumsOfParts) {
  const std::string upload = begin({{"x-amz-checksum-algorithm", "SHA256"}});
  const std::string sha256 = to_base64(Sha256::of(as_bytes(digits)));
  EXPECT_EQ(code(part(upload, 1, digits)), "InvalidRequest") << "the upload wants one of each part";
  const std::string etag = upload_digits(upload, {{"x-amz-checksum-sha256", sha256}});
  EXPECT_EQ(code(complete(upload, {etag})), "InvalidRequest") << "and of each part in the end";
  const RawAnswer done = complete(upload, {etag}, {}, {"<ChecksumSHA256>" + sha256 + "</ChecksumSHA256>"});
  const std::string inner = from_base64(sha256);
  EXPECT_EQ(tag(done, "ChecksumSHA256"), to_base64(Sha256::of(as_bytes(inner))) + "-1");
  EXPECT_EQ(tag(done, "ChecksumType"), "COMPOSITE");
}

TEST_F(ScriptedS3Test, RefusesChecksumsThatTheUploadDoesNotKnow) {
  const http::Headers crc64nvme{{"x-amz-checksum-crc64nvme", std::string(crc64nvme_of_digits)}};
  const RawAnswer refused = part(begin(), 1, digits, crc64nvme);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("expected checksum Type: null, actual checksum Type: crc64nvme"));
  const RawAnswer other = part(begin({{"x-amz-checksum-algorithm", "SHA1"}}), 1, digits, crc64nvme);
  EXPECT_THAT(other.body, HasSubstr("expected checksum Type: sha1, actual checksum Type: crc64nvme"));
  EXPECT_EQ(begin({{"x-amz-checksum-algorithm", "CRC64NVME"}, {"x-amz-checksum-type", "COMPOSITE"}}), "");
  EXPECT_EQ(begin({{"x-amz-checksum-algorithm", "SHA256"}, {"x-amz-checksum-type", "FULL_OBJECT"}}), "");
  EXPECT_EQ(begin({{"x-amz-checksum-type", "FULL_OBJECT"}}), "");
  const std::string full = begin({{"x-amz-checksum-algorithm", "CRC32"}, {"x-amz-checksum-type", "FULL_OBJECT"}});
  const RawAnswer done =
      complete(full, {upload_digits(full)}, {{"x-amz-checksum-crc32", std::string(crc32_of_digits)}});
  EXPECT_EQ(tag(done, "ChecksumCRC32"), crc32_of_digits);
}

TEST_F(ScriptedS3Test, ChecksTheWholeSize) {
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  EXPECT_EQ(code(complete(upload, {etag}, {{"x-amz-mp-object-size", "8"}})), "InvalidRequest");
  EXPECT_EQ(complete(upload, {etag}, {{"x-amz-mp-object-size", "9"}}).status, 200);
  EXPECT_EQ(code(complete(upload, {etag})), "NoSuchUpload");
}

TEST_F(ScriptedS3Test, ChecksConditionsOfCompletion) {
  ask("PUT", "/b/k", {}, "there");
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  EXPECT_EQ(complete(upload, {etag}, {{"If-None-Match", "*"}}).status, 412);
  EXPECT_EQ(complete(upload, {etag}, {{"If-Match", "\"0\""}}).status, 412);
  EXPECT_EQ(complete(upload, {etag}, {{"If-Match", ask("HEAD", "/b/k").header("etag")}}).status, 200);
  EXPECT_EQ(ask("GET", "/b/k").body, digits);
}

TEST_F(ScriptedS3Test, PagesThroughParts) {
  const std::string upload = begin();
  for (const int number : {1, 5, 10'000}) part(upload, number, digits);
  const RawAnswer first = ask("GET", "/b/k?max-parts=2&uploadId=" + upload);
  EXPECT_EQ(tag(first, "IsTruncated"), "true");
  EXPECT_EQ(tag(first, "NextPartNumberMarker"), "5");
  const RawAnswer second = ask("GET", "/b/k?max-parts=2&part-number-marker=5&uploadId=" + upload);
  EXPECT_EQ(tag(second, "IsTruncated"), "false");
  EXPECT_EQ(tag(second, "PartNumber"), "10000");
  EXPECT_EQ(code(part(upload, 10'001, digits)), "InvalidArgument");
}

TEST_F(ScriptedS3Test, SaysWhenTheLifecycleEndsAnUpload) {
  const std::string rule =
      "<LifecycleConfiguration><Rule><ID>seven</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>"
      "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
      "</Rule></LifecycleConfiguration>";
  EXPECT_EQ(ask("GET", "/b?lifecycle").status, 404);
  EXPECT_EQ(code(ask("PUT", "/b?lifecycle", {}, rule)), "InvalidRequest") << "S3 wants a digest of it";
  EXPECT_EQ(ask("PUT", "/b?lifecycle", {{"Content-MD5", base64_md5(rule)}}, rule).status, 200);
  EXPECT_EQ(ask("GET", "/b?lifecycle").body, rule);
  const std::string upload = begin();
  const RawAnswer parts = ask("GET", "/b/k?uploadId=" + upload);
  EXPECT_EQ(parts.header("x-amz-abort-rule-id"), "seven");
  EXPECT_THAT(parts.header("x-amz-abort-date"), HasSubstr("00:00:00 GMT"));
  server_.advance(std::chrono::hours(24 * 7 - 1));
  EXPECT_EQ(part(upload, 1, digits).status, 200);
  server_.advance(std::chrono::hours(26));
  EXPECT_EQ(code(part(upload, 2, digits)), "NoSuchUpload");
}

// Encryption, time, sizes

TEST_F(ScriptedS3Test, GivesEncryptedObjectsOtherTags) {
  const std::string md5 = to_hex_digest(Md5::of(as_bytes(digits)));
  const http::Headers kms{{"x-amz-server-side-encryption", "aws:kms"},
                          {"x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-west-1:1:key/1"}};
  const RawAnswer put = ask("PUT", "/b/k", kms, digits);
  EXPECT_NE(put.header("etag"), "\"" + md5 + "\"");
  EXPECT_NE(put.header("etag"), ask("PUT", "/b/k", kms, digits).header("etag"));
  EXPECT_EQ(ask("HEAD", "/b/k").header("x-amz-server-side-encryption"), "aws:kms");
  const std::string rule =
      "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms"
      "</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
  EXPECT_EQ(ask("PUT", "/b?encryption", {}, rule).status, 200);
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  EXPECT_NE(etag, "\"" + md5 + "\"");
  EXPECT_EQ(complete(upload, {etag}).status, 200);
  EXPECT_EQ(ask("HEAD", "/b/k").header("x-amz-server-side-encryption"), "aws:kms");
}

TEST_F(ScriptedS3Test, DatesAnObjectByTheBeginOfItsUpload) {
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  const std::string begun = server_.state()["buckets"]["b"]["uploads"][0]["initiated"];
  server_.advance(std::chrono::hours(72));
  complete(upload, {etag});
  EXPECT_EQ(server_.state()["buckets"]["b"]["objects"][0]["modified"], begun);
}

TEST(ScriptedS3Discard, KeepsDigestsAndNoBytes) {
  s3::Settings settings;
  settings.discard = true;
  ScriptedS3 server(settings);
  server.set_bucket("b");
  const http::Headers headers{{"Authorization", "AWS4-HMAC-SHA256 Credential=A/D/eu-west-1/s3/aws4_request"}};
  const RawAnswer put = raw_ask(server.port(), "PUT", "/b/k", headers, digits);
  EXPECT_EQ(put.header("etag"), "\"" + to_hex_digest(Md5::of(as_bytes(digits))) + "\"");
  EXPECT_EQ(raw_ask(server.port(), "GET", "/b/k", headers).body, std::string(digits.size(), '\0'));
}

TEST_F(ScriptedS3Test, GivesBackZeros) {
  std::string content(3 << 20, '\0');
  for (const char filler : {'\0', 'x'}) {
    content[2'000'000] = filler;
    EXPECT_EQ(ask("PUT", "/b/k", {}, content).header("etag"), "\"" + to_hex_digest(Md5::of(as_bytes(content))) + "\"");
    EXPECT_EQ(ask("GET", "/b/k").body, content);
  }
  EXPECT_EQ(ask("GET", "/b/k", {{"Range", "bytes=1999999-2000001"}}).body, std::string("\0x\0", 3));
}

// What it tells about itself

TEST_F(ScriptedS3Test, NotesRequests) {
  ask("PUT", "/b/k%20a?x=1", {{"x-amz-meta-m", "v"}}, digits);
  ask("GET", "/b/none");
  const nlohmann::json noted = server_.requests();
  EXPECT_EQ(noted["count"], 2);
  EXPECT_EQ(noted["operations"]["PutObject"]["body_bytes"], 9);
  EXPECT_EQ(noted["operations"]["GetObject"]["statuses"]["404"], 1);
  const nlohmann::json& put = noted["requests"][0];
  EXPECT_EQ(put["path"], "/b/k a");
  EXPECT_EQ(put["query"]["x"], "1");
  EXPECT_EQ(put["headers"]["x-amz-meta-m"], "v");
  EXPECT_FALSE(put["headers"].contains("authorization"));
  EXPECT_EQ(put["crc64nvme"], crc64nvme_of_digits);
  EXPECT_EQ(put["status"], 200);
  EXPECT_EQ(raw_ask(server_.port(), "GET", "/-/requests").body, noted.dump(1) + "\n") << "the same over HTTP";
  raw_ask(server_.port(), "DELETE", "/-/requests");
  EXPECT_EQ(server_.requests()["count"], 0);
}

TEST_F(ScriptedS3Test, TellsItsState) {
  ask("PUT", "/b/k", {{"x-amz-meta-m", "v"}}, digits);
  const std::string upload = begin({{"x-amz-checksum-algorithm", "CRC64NVME"}});
  upload_digits(upload);
  const nlohmann::json bucket = nlohmann::json::parse(raw_ask(server_.port(), "GET", "/-/state").body)["buckets"]["b"];
  EXPECT_EQ(bucket["objects"][0]["size"], 9);
  EXPECT_EQ(bucket["objects"][0]["metadata"]["m"], "v");
  EXPECT_EQ(bucket["objects"][0]["checksum"]["value"], crc64nvme_of_digits);
  EXPECT_EQ(bucket["uploads"][0]["upload_id"], upload);
  EXPECT_EQ(bucket["uploads"][0]["parts"][0]["checksum"], crc64nvme_of_digits);
}

}  // namespace
}  // namespace bale::testing
