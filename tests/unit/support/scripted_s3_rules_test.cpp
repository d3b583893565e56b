// What rules make of the scripted S3 server: each action once, and that it is counted only where it took place.
#include <gmock/gmock.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "unit/support/scripted_s3_fixture.hpp"

namespace bale::testing {
namespace {

using nlohmann::json;
using std::chrono::duration;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

class ScriptedS3Rules : public ScriptedS3Test {
 protected:
  /// The one rule of the server, which has the name "it".
  void arm(json rule) {
    rule["name"] = "it";
    server_.set_rules(rule);
  }
  std::uint64_t hits() const { return server_.hits("it"); }
  json bucket() const { return server_.state()["buckets"]["b"]; }
  /// How many seconds `what` takes.
  template <typename What>
  static double seconds(const What& what) {
    const auto begin = steady_clock::now();
    what();
    return duration<double>(steady_clock::now() - begin).count();
  }
};

// Which requests

TEST_F(ScriptedS3Rules, ChooseByAllThatARequestHas) {
  const auto hit_by = [&](const json& conditions, const std::function<void()>& ask) {
    json rule = conditions;
    rule["action"] = "respond";
    arm(rule);
    ask();
    return hits() == 1;
  };
  const auto put = [&] { ask("PUT", "/b/k?x=1", {{"x-amz-meta-m", "v"}}, "x"); };
  EXPECT_TRUE(hit_by(json::object(), put));
  EXPECT_TRUE(hit_by({{"method", "^PUT$"}, {"path", "^/b/k$"}, {"operation", "PutObject"}}, put));
  EXPECT_FALSE(hit_by({{"method", "GET"}}, put));
  EXPECT_FALSE(hit_by({{"path", "^/b$"}}, put));
  EXPECT_FALSE(hit_by({{"operation", "UploadPart"}}, put));
  EXPECT_TRUE(hit_by({{"query", {"x"}}}, put));
  EXPECT_TRUE(hit_by({{"query", {{"x", "^1$"}}}}, put));
  EXPECT_FALSE(hit_by({{"query", {{"x", "2"}}}}, put));
  EXPECT_FALSE(hit_by({{"query", {"uploadId"}}}, put));
  EXPECT_FALSE(hit_by({{"without_query", {"x"}}}, put));
  EXPECT_TRUE(hit_by({{"headers", {"X-Amz-Meta-M"}}}, put));
  EXPECT_FALSE(hit_by({{"headers", {{"x-amz-meta-m", "other"}}}}, put));
  EXPECT_FALSE(hit_by({{"without_headers", {"x-amz-meta-m"}}}, put));
}

TEST_F(ScriptedS3Rules, CountRequests) {
  arm({{"action", "respond"}, {"status", 503}, {"after", 1}, {"times", 2}});
  std::vector<int> statuses;
  for (int i = 0; i < 5; ++i) statuses.push_back(ask("PUT", "/b/k", {}, "x").status);
  EXPECT_EQ(statuses, (std::vector<int>{200, 503, 503, 200, 200}));
  const json rule = server_.rules()[0];
  EXPECT_EQ(rule["matched"], 5);
  EXPECT_EQ(rule["chosen"], 2);
  EXPECT_EQ(rule["hits"], 2);
}

TEST_F(ScriptedS3Rules, RefuseWhatTheyDoNotKnow) {
  EXPECT_THROW(server_.set_rules({{"action", "explode"}}), std::invalid_argument);
  EXPECT_THROW(server_.set_rules({{"action", "delay"}, {"second", 1}}), std::invalid_argument);
  EXPECT_THROW(server_.set_rules({{"action", "cut"}, {"of", "line"}}), std::invalid_argument);
  EXPECT_THROW(server_.set_rules({{"action", "lie"}, {"path", "("}}), std::exception);
  EXPECT_THROW(server_.hits("none"), std::out_of_range);
  EXPECT_EQ(raw_ask(server_.port(), "PUT", "/-/rules", {}, R"([{"action": "explode"}])").status, 400);
  EXPECT_EQ(raw_ask(server_.port(), "PUT", "/-/rules", {}, "[").status, 400);
  EXPECT_EQ(raw_ask(server_.port(), "PUT", "/-/rules", {}, R"([{"action": "lie"}])").status, 200);
  EXPECT_EQ(json::parse(raw_ask(server_.port(), "GET", "/-/rules").body)[0]["hits"], 0);
  EXPECT_EQ(raw_ask(server_.port(), "GET", "/-/nothing").status, 404);
}

TEST_F(ScriptedS3Rules, ApplyTogether) {
  server_.set_rules({{{"name", "slow"}, {"action", "delay"}, {"seconds", 0.05}},
                     {{"name", "lost"}, {"action", "lose_answer"}},
                     {{"name", "refused"}, {"action", "respond"}}});
  EXPECT_EQ(ask("PUT", "/b/k", {}, "x").status, 0);
  EXPECT_EQ(ask("PUT", "/b/k", {}, "x").status, 503) << "one answer has one reason: this one waited";
  EXPECT_EQ(server_.hits("slow") + server_.hits("lost") + server_.hits("refused"), 3u);
}

// What they do

TEST_F(ScriptedS3Rules, Respond) {
  arm({{"action", "respond"},
       {"status", 409},
       {"code", "OperationAborted"},
       {"answer_headers", {{"Retry-After", "7"}}}});
  const RawAnswer answer = ask("PUT", "/b/k", {}, "x");
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(code(answer), "OperationAborted");
  EXPECT_EQ(answer.header("retry-after"), "7");
  EXPECT_TRUE(bucket()["objects"].empty());
  arm({{"action", "respond"}, {"status", 200}, {"body", "<html/>"}, {"early", true}});
  EXPECT_EQ(ask("PUT", "/b/k", {}, std::string(1 << 20, 'x')).body, "<html/>");
  EXPECT_EQ(hits(), 1u);
}

TEST_F(ScriptedS3Rules, LoseTheAnswerOfWhatWasDone) {
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  arm({{"action", "lose_answer"}, {"operation", "CompleteMultipartUpload"}});
  EXPECT_EQ(complete(upload, {etag}).status, 0);
  EXPECT_EQ(hits(), 1u);
  EXPECT_EQ(ask("GET", "/b/k").body, digits);
  EXPECT_EQ(code(complete(upload, {etag})), "NoSuchUpload");
}

TEST_F(ScriptedS3Rules, AnswerWithAnErrorIn200) {
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  arm({{"action", "fail_answer"}});
  const RawAnswer answer = complete(upload, {etag});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(code(answer), "InternalError");
  EXPECT_EQ(hits(), 1u);
  EXPECT_EQ(ask("HEAD", "/b/k").status, 200) << "it was done";
}

TEST_F(ScriptedS3Rules, Lie) {
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  arm({{"action", "lie"}, {"query", {"uploadId"}}});
  const RawAnswer answer = complete(upload, {etag});
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(tag(answer, "ETag"), HasSubstr("-1&quot;"));
  EXPECT_EQ(hits(), 1u);
  EXPECT_EQ(ask("HEAD", "/b/k").status, 404);
  EXPECT_EQ(bucket()["uploads"].size(), 1u) << "and it can still be completed";
}

TEST_F(ScriptedS3Rules, Cut) {
  const std::string content(100'000, 'x');
  arm({{"action", "cut"}, {"of", "request"}, {"bytes", 60'000}});
  EXPECT_EQ(ask("PUT", "/b/k", {}, content).status, 0);
  EXPECT_EQ(hits(), 1u);
  EXPECT_EQ(server_.requests()["requests"][0]["body_bytes"], 60'000);
  EXPECT_TRUE(bucket()["objects"].empty());
  arm({{"action", "cut"}, {"of", "response"}, {"method", "GET"}, {"bytes", 60'000}});
  ask("PUT", "/b/k", {}, content);
  const RawAnswer answer = ask("GET", "/b/k");
  EXPECT_EQ(answer.body.size(), 60'000u);
  EXPECT_FALSE(answer.is_whole);
  EXPECT_EQ(hits(), 1u);
  arm({{"action", "cut"}, {"of", "response"}, {"bytes", 100'000}});
  EXPECT_TRUE(ask("GET", "/b/k").is_whole);
  EXPECT_EQ(hits(), 0u) << "there was nothing left to cut off";
}

TEST_F(ScriptedS3Rules, Delay) {
  for (const char* when : {"before", "after"}) {
    arm({{"action", "delay"}, {"seconds", 0.2}, {"when", when}});
    EXPECT_GE(seconds([&] { ask("PUT", "/b/k", {}, "x"); }), 0.2);
    EXPECT_EQ(hits(), 1u);
  }
}

TEST_F(ScriptedS3Rules, HoldUntilReleased) {
  arm({{"action", "hold"}});
  std::jthread writer([&] { ask("PUT", "/b/k", {}, "x"); });
  while (hits() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(bucket()["objects"].empty());
  raw_ask(server_.port(), "POST", "/-/release/it");
  writer.join();
  EXPECT_EQ(bucket()["objects"].size(), 1u);
}

TEST_F(ScriptedS3Rules, HoldForAClientThatHasGone) {
  for (const bool anyway : {false, true}) {
    arm({{"action", "hold"}, {"anyway", anyway}});
    {
      RawConnection connection(server_.port());
      connection.send(raw_head("PUT", "/b/k", with_credentials({}), digits.size()));
      connection.send(digits);
      while (hits() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_TRUE(bucket()["objects"].empty());
    server_.release("it");
    while (server_.requests()["requests"].back()["status"].is_null())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(bucket()["objects"].size(), anyway ? 1u : 0u) << "a part in flight may arrive after its sender's end";
  }
}

TEST_F(ScriptedS3Rules, SendSpacesFirst) {
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  const std::string xml = fmt::format(
      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
      etag);
  server_.set_rules({{{"name", "spaces"}, {"action", "spaces"}, {"seconds", 0.2}},
                     {{"name", "error"}, {"action", "fail_answer"}, {"code", "InternalError"}}});
  RawConnection connection(server_.port());
  connection.send(raw_head("POST", "/b/k?uploadId=" + upload, with_credentials({{"Connection", "close"}}), xml.size()));
  connection.send(xml);
  const RawAnswer head = connection.read(false);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("transfer-encoding"), "chunked");
  std::string rest;
  EXPECT_GE(seconds([&] { rest = connection.read_all(); }), 0.15);
  EXPECT_THAT(rest, HasSubstr("1\r\n \r\n"));
  EXPECT_THAT(rest, HasSubstr("<Code>InternalError</Code>"));
  EXPECT_EQ(server_.hits("spaces") + server_.hits("error"), 2u);
}

TEST_F(ScriptedS3Rules, Throttle) {
  const std::string content(200'000, 'x');
  arm({{"action", "throttle"}, {"of", "request"}, {"bytes_per_second", 400'000}, {"times", 1}});
  const double up = seconds([&] { EXPECT_EQ(ask("PUT", "/b/k", {}, content).status, 200); });
  EXPECT_GE(up, 0.45);
  EXPECT_EQ(hits(), 1u);
  arm({{"action", "throttle"}, {"of", "response"}, {"bytes_per_second", 400'000}});
  const double down = seconds([&] { EXPECT_EQ(ask("GET", "/b/k").body, content); });
  EXPECT_GE(down, 0.45);
  EXPECT_EQ(hits(), 1u);
}

TEST_F(ScriptedS3Rules, BeSilent) {
  const std::string content(100'000, 'x');
  arm({{"action", "silence"}, {"of", "request"}, {"bytes", 50'000}, {"seconds", 0.2}});
  EXPECT_GE(seconds([&] { EXPECT_EQ(ask("PUT", "/b/k", {}, content).status, 200); }), 0.2);
  EXPECT_EQ(hits(), 1u);
  for (const int bytes : {0, 50'000}) {
    arm({{"action", "silence"}, {"of", "response"}, {"bytes", bytes}, {"seconds", 0.2}});
    EXPECT_GE(seconds([&] { EXPECT_EQ(ask("GET", "/b/k").body, content); }), 0.2);
    EXPECT_EQ(hits(), 1u);
  }
}

TEST_F(ScriptedS3Rules, FlipABit) {
  arm({{"action", "flip"}, {"of", "request"}, {"offset", 8}});
  EXPECT_EQ(code(ask("PUT", "/b/k", {{"Content-MD5", base64_md5(digits)}}, digits)), "BadDigest");
  EXPECT_EQ(hits(), 1u);
  arm({{"action", "flip"}, {"of", "stored"}, {"offset", 8}});
  EXPECT_EQ(ask("PUT", "/b/k", {}, digits).header("etag"), "\"" + to_hex_digest(Md5::of(as_bytes(digits))) + "\"");
  EXPECT_EQ(ask("GET", "/b/k").body, "123456788");
  EXPECT_EQ(hits(), 1u);
  const std::string upload = begin();
  arm({{"action", "flip"}, {"of", "stored"}, {"operation", "UploadPart"}});
  complete(upload, {upload_digits(upload)});
  EXPECT_EQ(ask("GET", "/b/k").body, "023456789");
  arm({{"action", "flip"}, {"of", "response"}, {"bit", 1}});
  EXPECT_EQ(ask("GET", "/b/k").body, "223456789");
  EXPECT_EQ(hits(), 1u);
}

TEST_F(ScriptedS3Rules, DenyActions) {
  arm({{"deny", {"s3:ListBucket"}}});
  EXPECT_EQ(ask("PUT", "/b/k", {}, "x").status, 200);
  EXPECT_EQ(ask("HEAD", "/b/k").status, 200);
  EXPECT_EQ(hits(), 0u);
  EXPECT_EQ(ask("HEAD", "/b/none").status, 403) << "absence is told only to who may list";
  EXPECT_EQ(ask("HEAD", "/b").status, 403);
  EXPECT_EQ(code(ask("GET", "/b?list-type=2")), "AccessDenied");
  EXPECT_EQ(hits(), 3u);
}

TEST_F(ScriptedS3Rules, AllowNothingElse) {
  arm({{"allow", {"s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"}}});
  const std::string upload = begin();
  const std::string etag = upload_digits(upload);
  EXPECT_EQ(code(ask("GET", "/b/k?uploadId=" + upload)), "AccessDenied");
  EXPECT_EQ(code(ask("GET", "/b?uploads")), "AccessDenied");
  EXPECT_EQ(complete(upload, {etag}).status, 200);
  EXPECT_EQ(ask("GET", "/b/k").body, digits);
  EXPECT_EQ(ask("DELETE", "/b/k?uploadId=" + begin()).status, 204);
  EXPECT_EQ(code(ask("DELETE", "/b/k")), "AccessDenied");
  EXPECT_EQ(code(ask("PUT", "/b/k", {{"x-amz-tagging", "a=b"}}, "x")), "AccessDenied");
  EXPECT_EQ(hits(), 4u);
}

TEST_F(ScriptedS3Rules, LetAnotherWrite) {
  arm({{"action", "other_writer"},
       {"operation", "Complete"},
       {"when", "after"},
       {"size", 9},
       {"metadata", {{"by", "them"}}}});
  const std::string upload = begin();
  EXPECT_EQ(complete(upload, {upload_digits(upload)}).status, 200);
  EXPECT_EQ(hits(), 1u);
  EXPECT_EQ(ask("GET", "/b/k").body, "of anothe");
  EXPECT_EQ(ask("HEAD", "/b/k").header("x-amz-meta-by"), "them");
  arm({{"action", "other_writer"}, {"body", "first"}, {"when", "before"}});
  EXPECT_EQ(ask("PUT", "/b/new", {{"If-None-Match", "*"}}, "x").status, 412);
  arm({{"action", "other_writer"}, {"remove", true}});
  EXPECT_EQ(ask("GET", "/b/new").status, 404);
  EXPECT_EQ(hits(), 1u);
}

TEST_F(ScriptedS3Rules, AbortUploads) {
  const std::string upload = begin();
  arm({{"action", "abort_uploads"}, {"operation", "UploadPart"}, {"after", 1}});
  const std::string etag = upload_digits(upload);
  EXPECT_EQ(code(part(upload, 2, digits)), "NoSuchUpload");
  EXPECT_EQ(hits(), 1u);
  EXPECT_EQ(code(complete(upload, {etag})), "NoSuchUpload");
}

TEST_F(ScriptedS3Rules, AdvanceTheClock) {
  arm({{"action", "advance"}, {"seconds", 86'400}});
  ask("PUT", "/b/a", {}, "x");
  EXPECT_EQ(hits(), 1u);
  const std::string later = bucket()["objects"][0]["modified"];
  EXPECT_GT(later, to_iso8601(std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now()) +
                              std::chrono::hours(23)));
}

}  // namespace
}  // namespace bale::testing
