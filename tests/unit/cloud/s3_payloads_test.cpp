// What the signature of a body covers, how often the body is read for it, and whose bucket a request names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc.hpp"
#include "base/text.hpp"
#include "cloud/s3_store.hpp"
#include "contract/errors.hpp"
#include "support/digested_body.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"
#include "support/test_certificate.hpp"

namespace bale::cloud {
namespace {

using testing::answer;
using testing::DigestedBody;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::Received;
using testing::ScriptedServer;
using testing::TestCertificate;

constexpr std::string_view content = "123456789";
const std::string signed_content = to_hex_digest(Sha256::of(as_bytes(content)));
const store::Checksum crc64{store::Checksum::Algorithm::crc64nvme, from_hex("ae8b14860a799888")};

std::string refused(int status, const std::string& code) {
  return answer(status, "<Error><Code>" + code + "</Code></Error>");
}

store::BodyDigests compared() {
  store::BodyDigests digests;
  digests.response_is_compared = true;
  return digests;
}
store::BodyDigests with_checksum() {
  store::BodyDigests digests;
  digests.checksum = crc64;
  return digests;
}
store::BodyDigests with_md5() {
  store::BodyDigests digests;
  digests.md5 = Md5::of(as_bytes(content));
  return digests;
}
store::BodyDigests with_sha256() {
  store::BodyDigests digests;
  digests.sha256 = Sha256::of(as_bytes(content));
  return digests;
}

class S3PayloadsTest : public ::testing::Test {
 protected:
  S3PayloadsTest() {
    world_.environment.variables = {{"AWS_ACCESS_KEY_ID", "AK"},
                                    {"AWS_SECRET_ACCESS_KEY", "secret"},
                                    {"AWS_EC2_METADATA_DISABLED", "true"},
                                    {"AWS_CA_BUNDLE", world_.write("ca.pem", certificate_.pem())},
                                    {"HOME", world_.path("home").string()}};
  }

  void start(bool with_tls) {
    server_ = ScriptedServer::answering([this](const Received& request) { return reply(request); },
                                        with_tls ? certificate_.context() : nullptr);
    if (endpoint_.empty()) endpoint_ = server_->url();
    session_ = std::make_unique<Session>(outside_, os::system_processes(), SessionOptions{.endpoint_url = endpoint_});
    store_ = std::make_unique<S3Store>(*session_, Region("eu-west-1"));
  }
  /// From now on the store believes to speak to AWS itself, over plain HTTP: the server stands in as a proxy.
  void start_as_aws() {
    endpoint_ = "http://s3.eu-west-1.amazonaws.com";
    server_ = ScriptedServer::answering([this](const Received& request) { return reply(request); });
    world_.environment.variables["http_proxy"] = server_->url();
    session_ = std::make_unique<Session>(outside_, os::system_processes(), SessionOptions{.endpoint_url = endpoint_});
    store_ = std::make_unique<S3Store>(*session_, Region("eu-west-1"));
  }
  std::string reply(const Received& request) {
    const std::scoped_lock lock(mutex_);
    const bool is_unsigned = request.headers.get("x-amz-content-sha256") == "UNSIGNED-PAYLOAD";
    if (is_unsigned && !refusal_.empty()) return refusal_;
    if (!always_.empty()) return always_;
    return answer(200, "", {{"ETag", "\"e\""}, {"x-amz-request-id", "r"}});
  }

  /// What a request with UNSIGNED-PAYLOAD is answered from now on; empty: as any other.
  void refuse_unsigned(std::string text) {
    const std::scoped_lock lock(mutex_);
    refusal_ = std::move(text);
  }
  /// What any request is answered from now on; empty: success.
  void answer_always(std::string text) {
    const std::scoped_lock lock(mutex_);
    always_ = std::move(text);
  }

  /// Uploads `content` as a part with these digests. Returns what the body gave of its bytes.
  ByteCount upload(const store::BodyDigests& digests) {
    DigestedBody body(content, digests);
    store_->upload_part(object_, UploadId("u"), 1, body);
    return body.given;
  }
  ByteCount put(const store::BodyDigests& digests) {
    DigestedBody body(content, digests);
    store_->put(object_, body, {}, {});
    return body.given;
  }
  std::string header(const char* name) const { return std::string(server_->requests().back().headers.get(name)); }
  std::string signed_payload() const { return header("x-amz-content-sha256"); }

  const ObjectAddress object_{BucketName("b"), ObjectKey("k")};
  TestCertificate certificate_{"IP:127.0.0.1"};
  testing::FakeWorld world_;
  os::World outside_ = world_.world();
  std::string endpoint_;
  std::mutex mutex_;
  std::string refusal_, always_;
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<S3Store> store_;
};

class S3PayloadsOnBothTest : public S3PayloadsTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(PlainAndTls, S3PayloadsOnBothTest, ::testing::Bool());

TEST_P(S3PayloadsOnBothTest, AreReadTwiceWhereNothingIsKnownOfThem) {
  start(GetParam());
  EXPECT_EQ(upload({}), 2 * content.size());
  EXPECT_EQ(signed_payload(), signed_content);
  EXPECT_EQ(header("x-amz-checksum-sha256"), "") << "the upload may have been begun without an algorithm";
  EXPECT_EQ(put({}), 2 * content.size());
  EXPECT_EQ(signed_payload(), signed_content);
  EXPECT_EQ(header("x-amz-checksum-sha256"), to_base64(Sha256::of(as_bytes(content))));
}

TEST_P(S3PayloadsOnBothTest, AreSignedWithTheirKnownDigestAndReadOnce) {
  start(GetParam());
  EXPECT_EQ(upload(with_sha256()), content.size());
  EXPECT_EQ(signed_payload(), signed_content);
  EXPECT_EQ(put(with_sha256()), content.size());
  EXPECT_EQ(signed_payload(), signed_content);
  EXPECT_EQ(header("x-amz-checksum-sha256"), to_base64(Sha256::of(as_bytes(content))));
  store::BodyDigests digests;
  digests.checksum = {store::Checksum::Algorithm::sha256, from_hex(signed_content)};
  EXPECT_EQ(upload(digests), content.size()) << "a checksum that is the digest";
  EXPECT_EQ(signed_payload(), signed_content);
  digests = with_sha256();
  digests.checksum = crc64;
  EXPECT_EQ(put(digests), content.size());
  EXPECT_EQ(header("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=");
  EXPECT_EQ(header("x-amz-checksum-sha256"), "") << "S3 takes one checksum";
}

TEST_P(S3PayloadsOnBothTest, AreReadOnceWhereTheResponseIsCompared) {
  start(GetParam());
  EXPECT_EQ(upload(compared()), content.size());
  EXPECT_EQ(signed_payload(), "UNSIGNED-PAYLOAD");
  EXPECT_EQ(server_->requests().back().body, content);
}

TEST_F(S3PayloadsTest, AreReadOnceOverTlsWhereADigestProtectsThem) {
  start(/*with_tls=*/true);
  EXPECT_EQ(upload(with_checksum()), content.size());
  EXPECT_EQ(signed_payload(), "UNSIGNED-PAYLOAD");
  EXPECT_EQ(header("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=");
  EXPECT_EQ(upload(with_md5()), content.size());
  EXPECT_EQ(signed_payload(), "UNSIGNED-PAYLOAD");
  EXPECT_EQ(header("content-md5"), to_base64(Md5::of(as_bytes(content))));
}

TEST_F(S3PayloadsTest, AreSignedOverPlainHttpWhereOnlyADigestProtectsThem) {
  start(/*with_tls=*/false);
  for (const store::BodyDigests& digests : {with_checksum(), with_md5()}) {
    EXPECT_EQ(upload(digests), 2 * content.size());
    EXPECT_EQ(signed_payload(), signed_content);
  }
}

TEST_F(S3PayloadsTest, AreAlwaysSignedForAwsOverPlainHttp) {
  start_as_aws();
  EXPECT_EQ(upload(compared()), 2 * content.size());
  EXPECT_EQ(signed_payload(), signed_content);
}

TEST_F(S3PayloadsTest, CarryNoChecksumWhereTheUserWantsNone) {
  world_.environment.variables["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required";
  start(/*with_tls=*/true);
  EXPECT_EQ(upload(with_checksum()), 2 * content.size()) << "nothing but the signature protects it";
  EXPECT_EQ(signed_payload(), signed_content);
  EXPECT_EQ(header("x-amz-checksum-crc64nvme"), "");
  EXPECT_EQ(put({}), 2 * content.size());
  EXPECT_EQ(header("x-amz-checksum-sha256"), "");
}

TEST_F(S3PayloadsTest, AreSignedFromNowOnWhereAServerRefusesUnsignedOnes) {
  for (const auto& [status, code] :
       {std::pair(403, "SignatureDoesNotMatch"), std::pair(400, "XAmzContentSHA256Mismatch"),
        std::pair(400, "InvalidArgument"), std::pair(403, "AccessDenied"), std::pair(400, "InvalidDigest")}) {
    refuse_unsigned(refused(status, code));
    endpoint_.clear();
    start(/*with_tls=*/false);
    EXPECT_EQ(upload(compared()), 3 * content.size()) << code;
    EXPECT_EQ(signed_payload(), signed_content) << code;
    EXPECT_EQ(server_->requests().size(), 2U) << code;
    EXPECT_EQ(upload(compared()), 2 * content.size()) << code;
    EXPECT_EQ(server_->requests().size(), 3U) << code << " is remembered";
  }
}

TEST_F(S3PayloadsTest, AreNotTakenForRefusedWhereSomethingElseIsWrong) {
  answer_always(refused(403, "AccessDenied"));
  start(/*with_tls=*/false);
  EXPECT_ERROR(ErrorKind::denied, "AccessDenied", upload(compared()));
  EXPECT_EQ(server_->requests().size(), 2U);
  answer_always("");
  EXPECT_EQ(upload(compared()), content.size()) << "it said nothing of payloads";
  refuse_unsigned(refused(400, "BadDigest"));
  EXPECT_ERROR(ErrorKind::corrupt, "BadDigest", upload(compared()));
  EXPECT_EQ(server_->requests().size(), 4U) << "the bytes are wrong, not the signature";
}

TEST_F(S3PayloadsTest, NameWhatAServerMayNotKnowOfThem) {
  start(/*with_tls=*/false);
  answer_always(refused(501, "NotImplemented"));
  const auto hint_of = [&](const store::BodyDigests& digests) { return error_of([&] { upload(digests); }).hint(); };
  EXPECT_THAT(hint_of(with_checksum()), HasSubstr("AWS_REQUEST_CHECKSUM_CALCULATION=when_required"));
  EXPECT_EQ(hint_of(with_sha256()), "");
  store::ObjectAttributes attributes;
  attributes.checksum_algorithm = store::Checksum::Algorithm::crc64nvme;
  attributes.encryption = "AES256";
  const std::string hint = error_of([&] { store_->create_upload(object_, attributes); }).hint();
  EXPECT_THAT(hint, HasSubstr("AWS_REQUEST_CHECKSUM_CALCULATION=when_required"));
  EXPECT_THAT(hint, HasSubstr("AES256"));
  answer_always(refused(400, "InvalidArgument"));
  EXPECT_THAT(error_of([&] {
                store_->complete_upload(object_, UploadId("u"), {{1, ETag("e"), 9, crc64}}, {});
              }).hint(),
              HasSubstr("AWS_REQUEST_CHECKSUM_CALCULATION=when_required"));
}

class S3OwnersTest : public S3PayloadsTest {
 protected:
  S3OwnersTest() { start(/*with_tls=*/false); }
  std::string owner() const { return header("x-amz-expected-bucket-owner"); }
};

TEST_F(S3OwnersTest, AreNamedInEveryRequestForTheirBucket) {
  store_->expect_owner(object_.bucket, "111122223333");
  put({});
  EXPECT_EQ(owner(), "111122223333");
  store_->head(object_, {});
  EXPECT_EQ(owner(), "111122223333");
  store_->remove(object_, {}, {});
  EXPECT_EQ(owner(), "111122223333");
  store_->abort_upload(object_, UploadId("u"));
  EXPECT_EQ(owner(), "111122223333");
  store_->head_bucket(object_.bucket);
  EXPECT_EQ(owner(), "111122223333");
  store_->head_bucket(BucketName("other"));
  EXPECT_EQ(owner(), "") << "nothing is known of it";
  store_->expect_owner(object_.bucket, "");
  put({});
  EXPECT_EQ(owner(), "") << "taken back";
}

TEST_F(S3OwnersTest, OfTheSourceAreNamedInCopies) {
  const ObjectAddress to{BucketName("other"), ObjectKey("k")};
  store_->expect_owner(object_.bucket, "111122223333");
  store_->expect_owner(to.bucket, "444455556666");
  answer_always(answer(200, "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"));
  store_->copy({object_, {}, {}}, to, std::nullopt, {});
  EXPECT_EQ(owner(), "444455556666");
  EXPECT_EQ(header("x-amz-source-expected-bucket-owner"), "111122223333");
  answer_always(answer(200, "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>"));
  store_->upload_part_copy(to, UploadId("u"), 1, {object_, {}, {}}, std::nullopt);
  EXPECT_EQ(owner(), "444455556666");
  EXPECT_EQ(header("x-amz-source-expected-bucket-owner"), "111122223333");
}

TEST_F(S3OwnersTest, ThatAreOthersAreADenial) {
  store_->expect_owner(object_.bucket, "111122223333");
  answer_always(refused(403, "AccessDenied"));
  EXPECT_ERROR(ErrorKind::denied, "AccessDenied", put({}));
}

}  // namespace
}  // namespace bale::cloud
