// Answers that S3 did not make: what a proxy, a balancer or a captive portal says in its place is never believed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloud/enforcing_store.hpp"
#include "cloud/s3_store.hpp"
#include "contract/errors.hpp"
#include "store/retrying_store.hpp"
#include "support/fake_world.hpp"
#include "support/scripted_server.hpp"

namespace bale::cloud {
namespace {

using testing::answer;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::IsEmpty;
using testing::Received;
using testing::ScriptedServer;

const std::string page = answer(404, "404 page not found\n", {{"Content-Type", "text/plain; charset=utf-8"}});
const std::string portal = answer(200, "<!DOCTYPE html><html><body>Please log in</body></html>",
                                  {{"Content-Type", "text/html"}, {"Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT"}});
const std::string redirect = answer(302, "", {{"Location", "http://portal.example/login"}});
const std::string forbidden =
    answer(403, "<html>Blocked by your administrator</html>", {{"Content-Type", "text/html"}});
const std::string no_key = answer(404, "<Error><Code>NoSuchKey</Code></Error>");
const std::string no_version = answer(404, "<Error><Code>NoSuchVersion</Code></Error>");
const http::Headers s3{{"x-amz-request-id", "r"}};

std::string object_answer(int status, std::string_view body, const std::string& etag, http::Headers more = {}) {
  more.add("ETag", "\"" + etag + "\"");
  more.add("Last-Modified", "Thu, 23 Jan 2025 09:05:07 GMT");
  return answer(status, body, more);
}

/// A store before whose server something else may answer.
class ForeignAnswers : public ::testing::Test {
 protected:
  ForeignAnswers() {
    world_.environment.variables = {{"AWS_ACCESS_KEY_ID", "AK"},
                                    {"AWS_SECRET_ACCESS_KEY", "secret"},
                                    {"AWS_EC2_METADATA_DISABLED", "true"},
                                    {"HOME", world_.path("home").string()}};
  }
  std::string reply(const Received& request) {
    const std::scoped_lock lock(mutex_);
    methods_.push_back(request.method);
    auto& answers = answers_[request.method];
    if (answers.empty()) return answer(500);
    std::string next = answers.front();
    if (answers.size() > 1) answers.erase(answers.begin());
    // The body of an answer to HEAD stays away.
    return request.method == "HEAD" ? next.substr(0, next.find("\r\n\r\n") + 4) : next;
  }
  /// What this method is answered with, one after the other; the last for ever.
  void on(const std::string& method, std::vector<std::string> answers) {
    const std::scoped_lock lock(mutex_);
    answers_[method] = std::move(answers);
  }
  std::vector<std::string> methods() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(methods_, {});
  }
  template <typename Work>
  ErrorKind kind_of(Work work) {
    return error_of(work).kind();
  }

  const ObjectAddress object_{BucketName("b"), ObjectKey("k")};
  const BucketName bucket_{"bucket"};
  testing::FakeWorld world_;
  os::World outside_ = world_.world();
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> answers_;
  std::vector<std::string> methods_;
  std::unique_ptr<ScriptedServer> server_ = ScriptedServer::answering([this](const Received& r) { return reply(r); });
  Session session_{outside_, os::system_processes(), SessionOptions{.endpoint_url = server_->url()}};
  S3Store client_{session_, Region("eu-west-1")};
  EnforcingStore store_{client_, world_.clock};  ///< as for any server other than AWS
};

TEST_F(ForeignAnswers, AnObjectIsAbsentOnlyWhereS3NamesTheCause) {
  on("HEAD", {answer(404, "", s3)});
  for (const std::string& said : {no_key, no_version}) {
    on("GET", {said});
    EXPECT_EQ(store_.head(object_, {}), std::nullopt);
    EXPECT_THAT(methods(), ElementsAre("HEAD", "GET"));
  }
  const std::string long_page = answer(404, std::string(300 << 10, 'x'));
  on("HEAD", {answer(404)});
  on("GET", {long_page});
  EXPECT_EQ(kind_of([&] { store_.head(object_, {}); }), ErrorKind::unavailable);
  for (const std::string& head : {answer(404), answer(404, "", s3), page, portal, redirect, forbidden}) {
    for (const std::string& get : {page, portal, redirect, forbidden, answer(404), answer(404, "", s3), answer(200),
                                   answer(404, "<Error><Code>NotFound</Code></Error>", s3)}) {
      on("HEAD", {head});
      on("GET", {get});
      EXPECT_EQ(kind_of([&] { store_.head(object_, {}); }), ErrorKind::unavailable) << head << get;
      EXPECT_EQ(kind_of([&] { store_.get(object_, std::nullopt, {}); }), ErrorKind::unavailable) << get;
    }
  }
}

TEST_F(ForeignAnswers, AreNotAskedForAgainOverTheSameConnection) {
  for (const std::string& foreign : {page, redirect, forbidden, answer(403), answer(404)}) {
    const auto balancer = ScriptedServer::answering(
        [&](const Received& request) { return request.connection == 0 ? foreign : object_answer(200, "x", "e", {}); });
    Session session(outside_, os::system_processes(), SessionOptions{.endpoint_url = balancer->url()});
    S3Store client(session, Region("eu-west-1"));
    EnforcingStore store(client, world_.clock);
    EXPECT_EQ(kind_of([&] { store.get(object_, std::nullopt, {}); }), ErrorKind::unavailable) << foreign;
    EXPECT_EQ(store::read_all(*store.get(object_, std::nullopt, {}), 10), "x") << foreign;
    EXPECT_EQ(balancer->connections(), 2);
  }
}

TEST_F(ForeignAnswers, WhoWritesOnConditionNeedNoSecondRequest) {
  const store::ReadConditions quick{.version_id = {}, .if_match = {}, .absence_unconfirmed = true};
  on("HEAD", {answer(404, "", s3)});
  EXPECT_EQ(store_.head(object_, quick), std::nullopt);
  EXPECT_THAT(methods(), ElementsAre("HEAD"));
  on("HEAD", {page});  // not even that shows S3
  on("GET", {page});
  EXPECT_EQ(kind_of([&] { store_.head(object_, quick); }), ErrorKind::unavailable);
}

TEST_F(ForeignAnswers, WhatAHeadDenouncesAGetMayShow) {
  for (const std::string& head : {page, forbidden, redirect}) {
    on("HEAD", {head});
    on("GET", {object_answer(206, "x", "e", {{"Content-Range", "bytes 0-0/7"}})});
    const auto info = store_.head(object_, {});
    ASSERT_TRUE(info);
    EXPECT_EQ(info->size, 7U);
    EXPECT_EQ(info->etag, ETag("e"));
  }
  on("HEAD", {page});
  on("GET", {answer(416, "<Error><Code>InvalidRange</Code></Error>")});
  EXPECT_EQ(kind_of([&] { store_.head(object_, {}); }), ErrorKind::unavailable) << "there, and empty";
  on("GET", {answer(404, "<Error><Code>NoSuchBucket</Code></Error>")});
  EXPECT_ERROR(ErrorKind::not_found, "NoSuchBucket", store_.head(object_, {}));
}

// An answer to HEAD has no body: what is wrong, a request with one tells.
TEST_F(ForeignAnswers, ARefusedHeadIsExplainedByAGet) {
  const auto said = [](int status, const std::string& code, const std::string& more = {}) {
    return answer(status, "<Error><Code>" + code + "</Code><Message>the reason</Message>" + more + "</Error>");
  };
  for (const int status : {301, 400, 403}) {
    on("HEAD", {answer(status, "", s3)});
    methods();
    for (const char* code : {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure"}) {
      on("GET", {said(403, code)});
      EXPECT_ERROR(ErrorKind::denied, code, store_.head(object_, {}));
      EXPECT_THAT(methods(), ElementsAre("HEAD", "GET"));
      EXPECT_ERROR(ErrorKind::denied, code, store_.head_bucket(bucket_));
      EXPECT_THAT(methods(), ElementsAre("HEAD", "GET"));
      EXPECT_ERROR(ErrorKind::denied, code, store_.create_bucket(bucket_));
      EXPECT_THAT(methods(), ElementsAre("HEAD", "GET"));
    }
    on("GET", {said(400, "AuthorizationHeaderMalformed")});
    const Error error = error_of([&] { store_.head(object_, {}); });
    EXPECT_EQ(error.summary(), "the reason (AuthorizationHeaderMalformed)");
    EXPECT_NE(error.hint().find("--region"), std::string::npos);
    on("GET", {no_key});
    EXPECT_EQ(store_.head(object_, {}), std::nullopt);
    for (const std::string& shown : {forbidden, portal}) {
      on("GET", {shown});
      EXPECT_EQ(kind_of([&] { store_.head(object_, {}); }), ErrorKind::unavailable) << "no word of a permission";
    }
    on("GET", {object_answer(206, "x", "e", {{"Content-Range", "bytes 0-0/7"}})});
    EXPECT_EQ(store_.head(object_, {}).value().size, 7U);
  }
}

TEST_F(ForeignAnswers, AfterTheGetAHeadFindsWhatHasNoFirstByte) {
  for (const char* code : {"InvalidRange", "InvalidObjectState"}) {
    on("HEAD", {answer(403, "", s3), object_answer(200, "", "e")});
    on("GET", {answer(403, fmt::format("<Error><Code>{}</Code></Error>", code))});
    methods();
    EXPECT_EQ(store_.head(object_, {}).value().etag, ETag("e"));
    EXPECT_THAT(methods(), ElementsAre("HEAD", "GET", "HEAD"));
  }
  on("HEAD", {answer(403, "", s3)});
  EXPECT_ERROR(ErrorKind::denied, "InvalidObjectState", store_.head(object_, {}));
}

TEST_F(ForeignAnswers, ARefusedHeadLeadsToTheRegionThatTheGetNames) {
  const std::string there = answer(200, "<ListBucketResult><Name>bucket</Name></ListBucketResult>");
  on("HEAD", {answer(400, "", s3)});
  on("GET",
     {answer(400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>ap-south-1</Region></Error>"), there});
  EXPECT_EQ(store_.head_bucket(bucket_).value().region, Region("ap-south-1"));
  EXPECT_THAT(methods(), ElementsAre("HEAD", "GET", "GET"));
  on("HEAD", {object_answer(200, "", "e")});
  EXPECT_TRUE(store_.head({bucket_, ObjectKey("k")}, {}));
  EXPECT_NE(server_->requests().back().headers.get("authorization").find("/ap-south-1/s3/"), std::string::npos);
}

TEST_F(ForeignAnswers, ARefusedHeadIsSignedAgainByTheServicesClock) {
  const auto dated = [](int status, const char* time) {
    return object_answer(status, "", "e", {{"Date", time}, {"x-amz-request-id", "r"}});
  };
  // The machine's clock says 2025-01-23 09:05:07.
  world_.clock.set(parse_time("2025-01-23T09:05:07Z"));
  on("HEAD", {dated(403, "Thu, 23 Jan 2025 10:30:00 GMT"), dated(200, "Thu, 23 Jan 2025 10:30:00 GMT")});
  EXPECT_TRUE(store_.head(object_, {}));
  EXPECT_THAT(methods(), ElementsAre("HEAD", "HEAD"));
  EXPECT_EQ(server_->requests().at(0).headers.get("x-amz-date"), "20250123T090507Z");
  EXPECT_EQ(server_->requests().at(1).headers.get("x-amz-date"), "20250123T103000Z");
  // The clock is right now: it is something else.
  on("HEAD", {dated(403, "Thu, 23 Jan 2025 10:33:00 GMT")});
  on("GET", {answer(403, "<Error><Code>AccessDenied</Code></Error>")});
  EXPECT_ERROR(ErrorKind::denied, "AccessDenied", store_.head(object_, {}));
  EXPECT_THAT(methods(), ElementsAre("HEAD", "GET"));
  // A proxy's clock does not count.
  on("HEAD", {answer(403, "", {{"Date", "Thu, 23 Jan 2020 10:30:00 GMT"}})});
  on("GET", {forbidden});
  EXPECT_EQ(kind_of([&] { store_.head(object_, {}); }), ErrorKind::unavailable);
  EXPECT_THAT(methods(), ElementsAre("HEAD", "GET"));
}

TEST_F(ForeignAnswers, ABucketIsAbsentOnlyWhereS3SaysSo) {
  on("HEAD", {answer(404, "", s3)});
  on("GET", {answer(404, "<Error><Code>NoSuchBucket</Code></Error>")});
  EXPECT_EQ(store_.head_bucket(bucket_), std::nullopt);
  for (const std::string& said : {page, portal, redirect, forbidden, answer(404), answer(200)}) {
    on("HEAD", {page});
    on("GET", {said});
    EXPECT_EQ(kind_of([&] { store_.head_bucket(bucket_); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.create_bucket(bucket_); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.get_versioning(bucket_); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.get_notifications(bucket_); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.list(bucket_, {}); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.list_versions(bucket_, {}); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.list_buckets(); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.list_uploads(bucket_, ""); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.get_tags(object_, {}); }), ErrorKind::unavailable) << said;
  }
}

TEST_F(ForeignAnswers, WritesAreDoneOnlyWhereS3SaysSo) {
  store::MemoryBody body(as_bytes("x"));
  const store::CopySource from{{BucketName("b"), ObjectKey("from")}, {}, {}};
  for (const std::string& said : {page, portal, redirect, forbidden, answer(404)}) {
    for (const char* method : {"PUT", "POST", "DELETE"}) on(method, {said});
    EXPECT_EQ(kind_of([&] { store_.put(object_, body, {}, {}); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.copy(from, object_, {}, {}); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.create_upload(object_, {}); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.upload_part(object_, UploadId("u"), 1, body); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] {
                store_.complete_upload(object_, UploadId("u"), {{1, ETag("p"), 1}}, {});
              }),
              ErrorKind::unavailable)
        << said;
    EXPECT_EQ(kind_of([&] { store_.abort_upload(object_, UploadId("u")); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.remove(object_, {}, {}); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.delete_bucket(bucket_); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.set_tags(object_, {}, {}); }), ErrorKind::unavailable) << said;
    EXPECT_EQ(kind_of([&] { store_.set_versioning(bucket_, store::Versioning::enabled); }), ErrorKind::unavailable)
        << said;
  }
}

TEST_F(ForeignAnswers, ADeletionWithoutASignOfS3IsHeldAgainstAGet) {
  on("DELETE", {answer(204, "", s3)});
  store_.remove(object_, {}, {});
  EXPECT_THAT(methods(), ElementsAre("DELETE"));
  on("DELETE", {answer(204)});
  on("GET", {no_key});
  store_.remove(object_, {}, {});
  EXPECT_THAT(methods(), ElementsAre("DELETE", "GET"));
  on("GET", {page});
  EXPECT_EQ(kind_of([&] { store_.remove(object_, {}, {}); }), ErrorKind::unavailable);
  on("GET", {object_answer(206, "x", "e", {{"Content-Range", "bytes 0-0/7"}})});
  EXPECT_EQ(kind_of([&] { store_.remove(object_, {}, {}); }), ErrorKind::corrupt) << "it is still there";
}

TEST_F(ForeignAnswers, TheAnswerIsTheObjectThatWasAskedFor) {
  const store::ReadConditions this_one{.version_id = {}, .if_match = ETag("wanted")};
  for (const char* method : {"GET", "HEAD"}) on(method, {object_answer(200, "torn", "other")});
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store_.get(object_, std::nullopt, this_one));
  EXPECT_ERROR(ErrorKind::precondition, "PreconditionFailed", store_.head(object_, this_one));
  for (const char* method : {"GET", "HEAD"}) on(method, {object_answer(200, "same", "wanted")});
  EXPECT_EQ(store_.get(object_, std::nullopt, this_one)->length(), 4U);
  const store::ReadConditions version{.version_id = VersionId("v1"), .if_match = {}};
  for (const char* method : {"GET", "HEAD"})
    on(method, {object_answer(200, "torn", "e", {{"x-amz-version-id", "v2"}})});
  EXPECT_EQ(kind_of([&] { store_.get(object_, std::nullopt, version); }), ErrorKind::corrupt);
  EXPECT_EQ(kind_of([&] { store_.head(object_, version); }), ErrorKind::corrupt);
}

TEST_F(ForeignAnswers, ArePassingFaultsThatAreTriedAgain) {
  flow::Retrier retrier{outside_};
  store::RetryingStore retrying(store_, retrier);
  on("HEAD", {page, portal, object_answer(200, "", "e")});
  on("GET", {page, redirect});
  EXPECT_EQ(retrying.head(object_, {})->etag, ETag("e"));
  on("GET", {page, portal, forbidden, object_answer(200, "", "e")});
  EXPECT_EQ(retrying.get(object_, std::nullopt, {})->info().etag, ETag("e"));
  on("PUT", {portal, page, object_answer(200, "", "e")});
  store::MemoryBody body(as_bytes("x"));
  EXPECT_EQ(retrying.put(object_, body, {}, {}).etag, ETag("e"));
  on("GET", {page});
  EXPECT_EQ(kind_of([&] { retrying.get(object_, std::nullopt, {}); }), ErrorKind::unavailable);
}

}  // namespace
}  // namespace bale::cloud
