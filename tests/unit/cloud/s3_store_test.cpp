// What the S3 kind asks a server for, and what it makes of answers that no server of the contract suite gives.
#include "cloud/s3_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloud/enforcing_store.hpp"
#include "contract/errors.hpp"
#include "store/own_write.hpp"
#include "store/retrying_store.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"

namespace bale::cloud {
namespace {

using ::testing::AllOf;
using testing::answer;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Received;
using testing::ScriptedServer;
using ::testing::StartsWith;

constexpr const char* md5_of_a = "0cc175b9c0f1b6a831c399e269772661";

/// A store whose server answers as the test says, by "METHOD target"; what it does not say is absent, as S3 says it.
class S3StoreTest : public ::testing::Test {
 protected:
  S3StoreTest() {
    world_.environment.variables = {{"AWS_ACCESS_KEY_ID", "AK"},
                                    {"AWS_SECRET_ACCESS_KEY", "secret"},
                                    {"AWS_EC2_METADATA_DISABLED", "true"},
                                    {"HOME", world_.path("home").string()}};
  }

  S3Store& store() {
    if (!store_) {
      session_ = std::make_unique<Session>(outside_, os::system_processes(), SessionOptions{.endpoint_url = endpoint_});
      store_ = std::make_unique<S3Store>(*session_, Region("eu-west-1"));
    }
    return *store_;
  }

  /// From now on the store believes to speak to AWS itself: the server stands in as a proxy.
  void pretend_to_be_aws() {
    endpoint_ = "http://s3.eu-west-1.amazonaws.com";
    world_.environment.variables["http_proxy"] = server_->url();
  }

  std::string reply(const Received& request) {
    const std::size_t host = request.target.starts_with("http://") ? request.target.find('/', 7) : 0;
    const std::string asked = request.method + " " + request.target.substr(host);
    const std::scoped_lock lock(mutex_);
    asked_.push_back(asked);
    const auto found = answers_.find(asked);
    if (found == answers_.end() || found->second.empty()) return absent(request);
    const std::string next = found->second.front();
    if (found->second.size() > 1) found->second.erase(found->second.begin());
    return next;
  }
  /// S3's 404, in which a HEAD says nothing of the cause.
  static std::string absent(const Received& request) {
    if (request.method == "HEAD") return answer(404, "", {{"x-amz-request-id", "r"}});
    const bool is_of_bucket = request.target.find('/', 1) == std::string::npos;
    return answer(404, fmt::format("<Error><Code>{}</Code></Error>", is_of_bucket ? "NoSuchBucket" : "NoSuchKey"));
  }
  /// What is answered to this request, one after the other; the last for ever.
  void on(const std::string& request, std::vector<std::string> answers) {
    const std::scoped_lock lock(mutex_);
    answers_[request] = std::move(answers);
  }
  std::vector<std::string> asked() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(asked_, {});
  }

  static std::string head_of(const std::string& etag) {
    return answer(200, "", {{"ETag", "\"" + etag + "\""}, {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"}});
  }

  const ObjectAddress object_{BucketName("b"), ObjectKey("k")};
  const ObjectAddress other_{BucketName("b"), ObjectKey("other")};
  testing::FakeWorld world_;
  os::World outside_ = world_.world();
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> answers_;
  std::vector<std::string> asked_;
  std::unique_ptr<ScriptedServer> server_ = ScriptedServer::answering([this](const Received& r) { return reply(r); });
  std::string endpoint_ = server_->url();
  std::unique_ptr<Session> session_;
  std::unique_ptr<S3Store> store_;
};

/// A clock that runs a hundred times too fast.
class FastClock final : public os::Clock {
 public:
  TimePoint now() override { return os::system_clock().now(); }
  std::chrono::steady_clock::time_point steady() override {
    return begin_ + 100 * (std::chrono::steady_clock::now() - begin_);
  }
  bool sleep_for(Milliseconds duration, std::stop_token stop) override {
    return os::system_clock().sleep_for(duration / 100, std::move(stop));
  }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// While S3 puts an object together it sends white space, for minutes: much less than the rate that others are held to.
TEST_F(S3StoreTest, CompletionsAndCopiesMayTakeMinutesAndOthersMayNot) {
  FastClock clock;
  os::World world{clock, outside_.entropy, outside_.environment, outside_.files, outside_.terminal, {}};
  ScriptedServer server([&](testing::Peer& peer) {
    while (const auto request = peer.read()) {
      const bool copies = !request->headers.get("x-amz-copy-source").empty();
      const std::string root = copies ? "CopyObjectResult" : "CompleteMultipartUploadResult";
      const std::string document = "<" + root + "><ETag>\"e\"</ETag></" + root + ">";
      if (request->method == "HEAD") {
        peer.send(head_of("e"));
        continue;
      }
      peer.send(
          fmt::format("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nLast-Modified: Thu, 23 Jan 2025 09:05:07 GMT\r\n"
                      "Content-Length: {}\r\n\r\n",
                      50 + document.size()));
      for (int i = 0; i < 50; ++i) {  // 200 s by the clock
        peer.wait(std::chrono::milliseconds(40));
        if (!peer.send(" ")) return;
      }
      peer.send(document);
    }
  });
  Session session(world, os::system_processes(), SessionOptions{.endpoint_url = server.url()});
  S3Store made(session, Region("eu-west-1"));
  store::ObjectStore& slow = made;
  EXPECT_EQ(slow.complete_upload(object_, UploadId("u"), {{1, ETag("p"), 1}}, {}).etag, ETag("e"));
  EXPECT_EQ(slow.copy({object_, {}, {}}, other_).etag, ETag("e"));
  EXPECT_ERROR(ErrorKind::timeout, "", store::read_all(*slow.get(object_), 1000));
}

const std::string copied = answer(200, "<CopyObjectResult><ETag>\"new\"</ETag></CopyObjectResult>");
const std::string begun = answer(200,
                                 "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                                 "</InitiateMultipartUploadResult>");
const std::string completed = answer(200,
                                     "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag>"
                                     "</CompleteMultipartUploadResult>");
const store::ObjectAttributes tagged{.headers = {}, .metadata = {}, .tags = {{"t", "1"}}};

class S3StoreAsItIsTest : public S3StoreTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(ElsewhereAndOnAws, S3StoreAsItIsTest, ::testing::Bool());

TEST_P(S3StoreAsItIsTest, AsksForNothingTwice) {
  if (GetParam()) pretend_to_be_aws();
  on("PUT /bucket/k", {copied, answer(200, "", {{"ETag", "\"put\""}})});
  on("PUT /bucket/k?partNumber=1&uploadId=u", {answer(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>")});
  on("POST /bucket/k?uploads", {begun});
  on("POST /bucket/k?uploadId=u", {completed});
  const store::CopySource from{other_, {}, ETag("old")};
  const ObjectAddress to{BucketName("bucket"), ObjectKey("k")};
  EXPECT_EQ(store().copy(from, to, tagged, {true, {}}).etag, ETag("new"));
  store::MemoryBody body(as_bytes("x"));
  store().put(to, body, tagged, {true, {}});
  EXPECT_EQ(store().create_upload(to, tagged), UploadId("u"));
  store().upload_part_copy(to, UploadId("u"), 1, from, std::nullopt);
  store().complete_upload(to, UploadId("u"), {{1, ETag("p"), 1}}, {true, {}});
  EXPECT_THAT(asked(), ElementsAre("PUT /bucket/k", "PUT /bucket/k", "POST /bucket/k?uploads",
                                   "PUT /bucket/k?partNumber=1&uploadId=u", "POST /bucket/k?uploadId=u"));
}

// --- In the decorator for servers other than AWS ------------------------------------------------------------------

std::string refused(int status, const std::string& code) {
  return answer(status, fmt::format("<Error><Code>{}</Code><Message>no</Message></Error>", code));
}

/// What servers say of conditions that they do not support. enforcing_store_test.cpp has what the decorator does then.
class RefusingServerTest : public S3StoreTest, public ::testing::WithParamInterface<std::pair<int, const char*>> {
 protected:
  std::string refusal() const { return refused(GetParam().first, GetParam().second); }
  EnforcingStore enforcing_{store(), world_.clock};
  store::ObjectStore& enforced_ = enforcing_;
};
INSTANTIATE_TEST_SUITE_P(Servers, RefusingServerTest,
                         ::testing::Values(std::pair(501, "NotImplemented"), std::pair(400, "InvalidArgument"),
                                           std::pair(400, "InvalidRequest"), std::pair(400, "NotImplemented")));

TEST_P(RefusingServerTest, GetsWritesWithoutTheCondition) {
  on("GET /b?versioning", {refused(501, "NotImplemented")});
  on("PUT /b/k", {refusal(), answer(200, "", {{"ETag", "\"e\""}})});
  on("POST /b/k?uploadId=u", {refusal(), completed});
  on("DELETE /b/k", {refusal(), answer(204, "", {{"x-amz-request-id", "r"}})});
  store::MemoryBody body(as_bytes("x"));
  EXPECT_EQ(enforced_.put(object_, body, {}, {true, {}}).etag, ETag("e"));
  EXPECT_THAT(asked(), ElementsAre("GET /b?versioning", "PUT /b/k", "HEAD /b/k", "GET /b/k", "PUT /b/k"));
  EXPECT_EQ(server_->requests().at(1).headers.get("if-none-match"), "*");
  EXPECT_EQ(server_->requests().at(4).headers.find("if-none-match"), nullptr);
  EXPECT_EQ(server_->requests().at(4).body, "x");
  EXPECT_EQ(enforced_.complete_upload(object_, UploadId("u"), {{1, ETag("p"), 1}}, {true, {}}).etag, ETag("e-1"));
  EXPECT_EQ(server_->requests().back().headers.find("if-none-match"), nullptr);
  on("HEAD /b/k", {head_of("e")});
  enforced_.remove(object_, {}, {ETag("e")});
  EXPECT_EQ(server_->requests().back().method, "DELETE");
  EXPECT_EQ(server_->requests().back().headers.find("if-match"), nullptr);
}

TEST_P(RefusingServerTest, GetsCopiesWithoutTheConditionOnTheSource) {
  const store::CopySource from{other_, {}, ETag("old")};
  on("HEAD /b/other", {head_of("old")});
  on("PUT /b/k", {refusal(), copied});
  on("PUT /b/k?partNumber=1&uploadId=u", {answer(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>")});
  EXPECT_EQ(enforced_.copy(from, object_).etag, ETag("new"));
  EXPECT_THAT(asked(), ElementsAre("HEAD /b/other", "PUT /b/k", "HEAD /b/other", "PUT /b/k", "HEAD /b/other"));
  EXPECT_EQ(enforced_.upload_part_copy(object_, UploadId("u"), 1, from, {}), ETag("p"));
  EXPECT_THAT(asked(), ElementsAre("HEAD /b/other", "PUT /b/k?partNumber=1&uploadId=u", "HEAD /b/other"));
  EXPECT_EQ(server_->requests().at(6).headers.find("x-amz-copy-source-if-match"), nullptr);
}

// --- The client ---------------------------------------------------------------------------------------------------

TEST_F(S3StoreTest, SaysWhatARefusedWriteCanGoWithout) {
  store::ObjectAttributes attributes = tagged;
  attributes.metadata = {{"m", "1"}};
  attributes.storage_class = "GLACIER";
  attributes.kms_key_arn = "arn";
  store::MemoryBody body(as_bytes("x"));
  const std::vector<std::string> refusals{refused(501, "NotImplemented"), refused(400, "InvalidArgument"),
                                          refused(500, "InternalError")};
  for (const std::string& refusal : refusals) {
    on("PUT /b/k", {refusal});
    on("POST /b/k?uploads", {refusal});
    for (const Error& error : {error_of([&] { store().put(object_, body, attributes, {}); }),
                               error_of([&] { store().create_upload(object_, attributes); }), error_of([&] {
                                 store().copy({other_, {}, {}}, object_, attributes, {});
                               })}) {
      for (const char* option :
           {"--tagging", "--no-tags", "--metadata", "--storage-class STANDARD", "GLACIER", "--sse-kms-key-id"})
        EXPECT_THAT(error.hint(), HasSubstr(option)) << refusal;
    }
    const Error plain = error_of([&] { store().put(object_, body, {}, {}); });
    EXPECT_THAT(plain.hint(), AllOf(HasSubstr("CHECKSUM"), Not(HasSubstr("tag")))) << refusal;
  }
  on("PUT /b/k?tagging", {refused(501, "NotImplemented")});
  EXPECT_THAT(error_of([&] { store().set_tags(object_, tagged.tags, {}); }).hint(), HasSubstr("--no-tags"));
  on("PUT /b/k", {refused(400, "InvalidStorageClass")});
  EXPECT_THAT(error_of([&] { store().put(object_, body, attributes, {}); }).hint(),
              HasSubstr("--storage-class STANDARD"));
  on("PUT /b/k", {refused(400, "MetadataTooLarge")});
  EXPECT_THAT(error_of([&] { store().put(object_, body, attributes, {}); }).hint(), HasSubstr("--no-metadata"));
  on("PUT /b/k", {refused(403, "AccessDenied")});
  EXPECT_THAT(error_of([&] { store().put(object_, body, attributes, {}); }).hint(), Not(HasSubstr("tag")));
}

TEST_F(S3StoreTest, RenewsCredentialsThatExpiredBeforeAHead) {
  const auto keys = [](const std::string& id) {
    return answer(200, fmt::format(R"({{"AccessKeyId":"{}","SecretAccessKey":"s","Token":"t"}})", id));
  };
  world_.environment.variables.erase("AWS_ACCESS_KEY_ID");
  world_.environment.variables.erase("AWS_SECRET_ACCESS_KEY");
  world_.environment.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server_->url() + "/keys";
  on("GET /keys", {keys("OLD"), keys("FRESH")});
  on("HEAD /b/k", {answer(400, "", {{"x-amz-request-id", "r"}})});
  on("GET /b/k", {refused(400, "ExpiredToken"), answer(206, "x",
                                                       {{"ETag", "\"e\""},
                                                        {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"},
                                                        {"Content-Range", "bytes 0-0/7"}})});
  EXPECT_EQ(store().head(object_, {}).value().size, 7U);
  EXPECT_THAT(asked(), ElementsAre("GET /keys", "HEAD /b/k", "GET /b/k", "GET /keys", "GET /b/k"));
  EXPECT_THAT(server_->requests().back().headers.get("authorization"), HasSubstr("Credential=FRESH/"));
  // Once: who gives the same keys again is told why.
  on("GET /keys", {keys("FRESH")});
  on("GET /b/k", {refused(400, "ExpiredToken")});
  EXPECT_ERROR(ErrorKind::denied, "ExpiredToken", store().head(object_, {}));
}

TEST_F(S3StoreTest, SaysWhyABucketIsNotMadeElsewhere) {
  const std::string wrong = answer(400,
                                   "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'eu-west-1' is "
                                   "wrong; expecting 'us-east-1'</Message><Region>us-east-1</Region></Error>");
  on("HEAD /bbb", {answer(400, "", {{"x-amz-request-id", "r"}}), answer(404, "", {{"x-amz-request-id", "r"}})});
  on("GET /bbb?list-type=2&encoding-type=url&max-keys=1", {wrong, refused(404, "NoSuchBucket")});
  on("PUT /bbb", {wrong});
  const Error error = error_of([&] { store().create_bucket(BucketName("bbb")); });
  EXPECT_EQ(error.summary(), "the region 'eu-west-1' is wrong; expecting 'us-east-1' (AuthorizationHeaderMalformed)");
  EXPECT_THAT(error.hint(), HasSubstr("--region"));
  EXPECT_EQ(asked().back(), "PUT /bbb");
}

/// S3 begins its answer before the work is done: the failure comes in the body of a 200.
TEST_F(S3StoreTest, SeesAFailureBehindASuccess) {
  const auto failed = [](const std::string& code) {
    return answer(200, "<?xml version=\"1.0\"?>\n  <Error><Code>" + code + "</Code><Message>m</Message></Error>");
  };
  const store::CopySource from{other_, {}, {}};
  const std::vector<store::UploadedPart> parts{{1, ETag(md5_of_a), 1}};
  on("PUT /b/k", {failed("InternalError"), copied});
  on("PUT /b/k?partNumber=1&uploadId=u",
     {failed("SlowDown"), answer(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>")});
  on("POST /b/k?uploadId=u", {failed("InternalError"), completed});
  EXPECT_ERROR(ErrorKind::unavailable, "InternalError", store().copy(from, object_, {}, {}));
  EXPECT_ERROR(ErrorKind::throttled, "SlowDown", store().upload_part_copy(object_, UploadId("u"), 1, from, {}));
  EXPECT_ERROR(ErrorKind::unavailable, "InternalError", store().complete_upload(object_, UploadId("u"), parts, {}));
  // And what is passing is tried again.
  on("PUT /b/k", {failed("InternalError"), copied});
  on("PUT /b/k?partNumber=1&uploadId=u",
     {failed("SlowDown"), answer(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>")});
  on("POST /b/k?uploadId=u", {failed("InternalError"), failed("SlowDown"), completed});
  flow::Retrier retrier(outside_);
  store::RetryingStore retrying(store(), retrier);
  EXPECT_EQ(retrying.copy(from, object_, {}, {}).etag, ETag("new"));
  EXPECT_EQ(retrying.upload_part_copy(object_, UploadId("u"), 1, from, {}), ETag("p"));
  EXPECT_EQ(retrying.complete_upload(object_, UploadId("u"), parts, {}).etag, ETag("e-1"));
}

TEST_F(S3StoreTest, ReadsAllPagesOfEveryListing) {
  const auto uploads = [](const std::string& id, const std::string& next) {
    return answer(200, fmt::format("<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>{}</UploadId><Initiated>"
                                   "2025-01-23T09:05:07Z</Initiated></Upload>{}</ListMultipartUploadsResult>",
                                   id, next));
  };
  const std::string more = "<IsTruncated>true</IsTruncated>";
  const std::string next_upload = more + "<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u1</NextUploadIdMarker>";
  on("GET /b?uploads&encoding-type=url", {uploads("u1", next_upload)});
  on("GET /b?uploads&encoding-type=url&key-marker=k&upload-id-marker=u1", {uploads("u2", "")});
  EXPECT_EQ(store().list_uploads(BucketName("b"), "").size(), 2u);

  const auto parts = [](int number, const std::string& next) {
    return answer(200, fmt::format("<ListPartsResult><Part><PartNumber>{}</PartNumber><ETag>\"e\"</ETag><Size>5</Size>"
                                   "</Part>{}</ListPartsResult>",
                                   number, next));
  };
  on("GET /b/k?uploadId=u", {parts(1, more)});
  on("GET /b/k?part-number-marker=1&uploadId=u", {parts(2, "")});
  EXPECT_EQ(store().list_parts(object_, UploadId("u")).size(), 2u);

  const auto buckets = [](const std::string& name, const std::string& next) {
    return answer(200, fmt::format("<ListAllMyBucketsResult><Buckets><Bucket><Name>{}</Name><CreationDate>"
                                   "2025-01-23T09:05:07Z</CreationDate></Bucket></Buckets>{}</ListAllMyBucketsResult>",
                                   name, next));
  };
  on("GET /", {buckets("one", "<ContinuationToken>t</ContinuationToken>")});
  on("GET /?continuation-token=t", {buckets("two", "")});
  EXPECT_EQ(store().list_buckets().size(), 2u);

  // A server that does not know the words for the next page gives the first one for ever.
  on("GET /b?uploads&encoding-type=url&key-marker=k&upload-id-marker=u1", {uploads("u1", next_upload)});
  on("GET /b/k?part-number-marker=1&uploadId=u", {parts(1, more)});
  on("GET /?continuation-token=t", {buckets("one", "<ContinuationToken>t</ContinuationToken>")});
  EXPECT_EQ(error_of([&] { store().list_uploads(BucketName("b"), ""); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(error_of([&] { store().list_parts(object_, UploadId("u")); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(error_of([&] { store().list_buckets(); }).kind(), ErrorKind::corrupt);
  const std::string page =
      "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
      "</NextContinuationToken></ListBucketResult>";
  const std::string first = "GET /b?list-type=2&encoding-type=url&continuation-token=t&max-keys=1000";
  on(first, {answer(200, page)});
  store::ListRequest request;
  request.continuation = "t";
  EXPECT_EQ(error_of([&] { store().list(BucketName("b"), request); }).kind(), ErrorKind::corrupt);
}

TEST_F(S3StoreTest, TakesSilenceAboutTagsForNoneButNotFromAwsNorFromNobody) {
  on("GET /b/k?tagging", {answer(200, "", {{"x-amz-request-id", "r"}}), answer(200)});
  EXPECT_THAT(store().get_tags(object_, {}), IsEmpty());
  EXPECT_EQ(error_of([&] { store().get_tags(object_, {}); }).kind(), ErrorKind::unavailable);
  store_.reset();
  pretend_to_be_aws();
  on("GET /bucket/k?tagging", {answer(200)});
  const ObjectAddress there{BucketName("bucket"), ObjectKey("k")};
  EXPECT_EQ(error_of([&] { store().get_tags(there, {}); }).kind(), ErrorKind::unavailable);
}

TEST_F(S3StoreTest, LeavesTheETagOfAnUploadEmptyWhereTheResponseHasNone) {
  on("POST /b/k?uploadId=u", {answer(200, "<CompleteMultipartUploadResult><ETag/></CompleteMultipartUploadResult>")});
  EXPECT_EQ(store().complete_upload(object_, UploadId("u"), {{1, ETag("p"), 1}}, {}).etag, ETag());
  EXPECT_THAT(asked(), ElementsAre("POST /b/k?uploadId=u"));
}

/// HTTP requires neither Content-Length nor Last-Modified, and proxies remove them.
TEST_F(S3StoreTest, ReadsAnswersWithoutLengthOrTime) {
  const std::string head = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nConnection: close\r\n";
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  const auto part = [](const std::string& range, const std::string& content) {
    return fmt::format(
        "HTTP/1.1 206 Partial\r\nETag: \"e\"\r\nContent-Range: bytes {}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n"
        "{}\r\n0\r\n\r\n",
        range, content.size(), content);
  };
  on("HEAD /b/k", {head + "\r\n"});
  on("GET /b/k", {part("0-0/5", "h")});
  const auto info = store().head(object_, {});
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->size, 5u);
  EXPECT_EQ(info->last_modified, TimePoint());
  on("GET /b/k", {chunked + "5\r\nhello\r\n0\r\n\r\n", part("0-0/5", "h"), part("0-4/5", "hello")});
  EXPECT_EQ(store::read_all(*store().get(object_, std::nullopt, {}), 100), "hello");
  on("GET /b/k", {part("1-3/5", "ell")});
  EXPECT_EQ(store::read_all(*store().get(object_, store::ByteRange::at(1, 3), {}), 100), "ell");
}

TEST_F(S3StoreTest, ReadsAnswersWithoutLengthOfAnEmptyObject) {
  const std::string head = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nConnection: close\r\n";
  const std::string invalid = answer(416, "<Error><Code>InvalidRange</Code></Error>");
  on("HEAD /b/k", {head + "\r\n"});
  on("GET /b/k", {invalid});
  EXPECT_EQ(store().head(object_, {})->size, 0u);
  on("GET /b/k", {head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", invalid});
  EXPECT_EQ(store::read_all(*store().get(object_, std::nullopt, {}), 100), "");
}

TEST_F(S3StoreTest, SaysThatAServerTellsNoSizeAtAll) {
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nConnection: close\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  on("GET /b/k", {chunked});
  EXPECT_EQ(error_of([&] { store().get(object_, std::nullopt, {}); }).kind(), ErrorKind::unsupported);
}

TEST_F(S3StoreTest, FollowsABucketToItsRegionAndRemembers) {
  on("HEAD /b/k", {answer(301, "", {{"x-amz-bucket-region", "ap-south-1"}}), head_of("e")});
  EXPECT_EQ(store().head(object_, {})->etag, ETag("e"));
  EXPECT_EQ(asked().size(), 2u);
  EXPECT_EQ(store().head(object_, {})->etag, ETag("e"));
  EXPECT_EQ(asked().size(), 1u);
  const auto requests = server_->requests();
  EXPECT_THAT(std::string(requests.at(0).headers.get("authorization")), HasSubstr("/eu-west-1/s3/"));
  EXPECT_THAT(std::string(requests.at(1).headers.get("authorization")), HasSubstr("/ap-south-1/s3/"));
  EXPECT_THAT(std::string(requests.at(2).headers.get("authorization")), HasSubstr("/ap-south-1/s3/"));
}

TEST_F(S3StoreTest, MakesBucketsWhereAServerKnowsNoRegions) {
  on("PUT /bbb", {answer(400, "<Error><Code>InvalidLocationConstraint</Code></Error>"),
                  answer(200, "", {{"x-amz-request-id", "r"}})});
  store().create_bucket(BucketName("bbb"));
  EXPECT_THAT(asked(),
              ElementsAre("HEAD /bbb", "GET /bbb?list-type=2&encoding-type=url&max-keys=1", "PUT /bbb", "PUT /bbb"));
  EXPECT_THAT(server_->requests().back().body, IsEmpty());
}

TEST_F(S3StoreTest, ABareSuccessMakesNoBucketAndFindsNone) {
  on("HEAD /bbb", {answer(200)});
  on("PUT /bbb", {answer(200)});
  EXPECT_FALSE(store().head_bucket(BucketName("bbb")));
  EXPECT_EQ(error_of([&] { store().create_bucket(BucketName("bbb")); }).kind(), ErrorKind::unavailable);
}

TEST_F(S3StoreTest, ALookThatFailsHasMadeNoBucket) {
  on("HEAD /bbb", {answer(503)});
  const Error error = error_of([&] { store().create_bucket(BucketName("bbb")); });
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  EXPECT_TRUE(error.had_no_effect());
}

class EvidenceTest : public S3StoreTest {
 protected:
  std::optional<store::ObjectInfo> ask() {
    return store().head(object_, {.version_id = {}, .if_match = {}, .with_evidence = true});
  }
  /// The answer to a HEAD of so many bytes.
  static std::string sized(ByteCount bytes, const std::string& etag, http::Headers more = {}) {
    std::string text = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"{}\"\r\n", bytes, etag);
    text += "Last-Modified: Thu, 23 Jan 2025 09:05:07 GMT\r\n";
    for (const http::Header& header : more) text += header.name + ": " + header.value + "\r\n";
    return text + "\r\n";
  }
  static std::string part(int number) { return fmt::format("HEAD /b/k?partNumber={}", number); }
  const std::string of_three_ = std::string(md5_of_a) + "-3";
};

TEST_F(EvidenceTest, IsAskedForOnlyByWhoNeedsIt) {
  on("HEAD /b/k", {sized(25, of_three_)});
  store().head(object_, {});
  EXPECT_THAT(asked(), ElementsAre("HEAD /b/k"));
  EXPECT_EQ(server_->requests().back().headers.get("x-amz-checksum-mode"), "");
  on("GET /b/k", {answer(200, "x", {{"ETag", "e"}, {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"}})});
  store().get(object_, std::nullopt, {});
  EXPECT_EQ(server_->requests().back().headers.get("x-amz-checksum-mode"), "ENABLED");
}

TEST_F(EvidenceTest, IsTheChecksumOrTheSizeOfThePartsThatAreAlike) {
  on("HEAD /b/k", {sized(25, of_three_, {{"x-amz-checksum-crc64nvme", "rosUhgp5mIg="}})});
  EXPECT_TRUE(ask()->checksum);
  EXPECT_THAT(asked(), ElementsAre("HEAD /b/k"));
  EXPECT_EQ(server_->requests().back().headers.get("x-amz-checksum-mode"), "ENABLED");
  on("HEAD /b/k", {sized(25, of_three_)});
  on(part(1), {sized(10, of_three_)});
  on(part(2), {sized(10, of_three_)});
  EXPECT_EQ(ask()->part_bytes, 10U);
  EXPECT_THAT(asked(), ElementsAre("HEAD /b/k", part(1), part(2)));
  on(part(2), {sized(9, of_three_)});
  EXPECT_EQ(ask()->part_bytes, 0U) << "unlike ones";
  on(part(1), {sized(25, of_three_)});
  EXPECT_EQ(ask()->part_bytes, 0U) << "a server that does not know of parts";
  on(part(1), {answer(416)});
  EXPECT_EQ(ask()->part_bytes, 0U);
  on(part(1), {answer(503)});
  EXPECT_EQ(error_of([&] { ask(); }).kind(), ErrorKind::unavailable);
  for (const char* etag : {md5_of_a, "0cc175b9c0f1b6a831c399e269772661-1", "0cc175b9c0f1b6a831c399e269772661-17"}) {
    on("HEAD /b/k", {sized(25, etag)});
    asked();
    EXPECT_EQ(ask()->part_bytes, std::string_view(etag).ends_with("-1") ? 25U : 0U);
    EXPECT_THAT(asked(), ElementsAre("HEAD /b/k")) << etag;
  }
}

TEST_F(EvidenceTest, IsAskedOfManyPartsWhereTheyAreLarge) {
  constexpr ByteCount bytes = 33 << 20;
  const std::string of_twenty = std::string(md5_of_a) + "-20";
  on("HEAD /b/k", {sized(20 * bytes - 1, of_twenty)});
  for (int number = 1; number < 20; ++number) on(part(number), {sized(bytes, of_twenty)});
  EXPECT_EQ(ask()->part_bytes, bytes);
  EXPECT_EQ(asked().size(), 20U);
  on(part(19), {sized(bytes - 1, of_twenty)});
  EXPECT_EQ(ask()->part_bytes, 0U) << "unlike ones";
  on("HEAD /b/k", {sized(ByteCount{20} * (32 << 20) - 1, of_twenty)});
  asked();
  EXPECT_EQ(ask()->part_bytes, 0U);
  EXPECT_THAT(asked(), ElementsAre("HEAD /b/k")) << "many small ones";
}

TEST_F(S3StoreTest, RefusesBytesThatWereNotAskedFor) {
  on("GET /b/k", {answer(200, "0123456789", {{"ETag", "\"e\""}, {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"}})});
  EXPECT_EQ(error_of([&] { store().get(object_, store::ByteRange::at(2, 3), {}); }).kind(), ErrorKind::corrupt);
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRange", store().get(object_, store::ByteRange{3, 2, std::nullopt}, {}));
}

TEST_F(S3StoreTest, RefusesBeforeItAsks) {
  store::MemoryBody body(as_bytes("x"));
  store::ObjectAttributes eleven;
  for (int i = 0; i < 11; ++i) eleven.tags[std::to_string(i)] = "";
  EXPECT_EQ(error_of([&] { store().put(object_, body, eleven, {}); }).kind(), ErrorKind::invalid);
  EXPECT_EQ(error_of([&] { store().put({BucketName("b"), ObjectKey()}, body, {}, {}); }).kind(), ErrorKind::invalid);
  EXPECT_ERROR(ErrorKind::invalid, "InvalidArgument", store().upload_part(object_, UploadId("u"), 0, body));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidRequest", store().copy({object_, {}, {}}, object_, std::nullopt, {}));
  EXPECT_ERROR(ErrorKind::invalid, "InvalidBucketName", store().create_bucket(BucketName("Up")));
  EXPECT_THAT(asked(), IsEmpty());
}

}  // namespace
}  // namespace bale::cloud
