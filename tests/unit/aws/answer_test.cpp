#include "aws/answer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using http::AnswerHead;

TEST(Failures, OfS3AreReadFromXmlHeadersAndStatus) {
  const AnswerHead head{
      301, {{"x-amz-bucket-region", "eu-west-1"}, {"x-amz-request-id", "r"}, {"x-amz-retry-after", "1500"}}};
  const ServiceFailure failure = parse_xml_failure(
      head, "<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code><Message>go</Message></Error>");
  EXPECT_EQ(failure.status, 301);
  EXPECT_EQ(failure.code, "PermanentRedirect");
  EXPECT_EQ(failure.message, "go");
  EXPECT_EQ(failure.region, "eu-west-1");
  EXPECT_EQ(failure.request_id, "r");
  EXPECT_EQ(failure.retry_after, Milliseconds(1500));
  EXPECT_EQ(
      parse_xml_failure({400, {}}, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>")
          .region,
      "us-west-2");
  EXPECT_EQ(parse_xml_failure({404, {}}, "").code, "NotFound");
  EXPECT_EQ(parse_xml_failure({502, {}}, "<html>bad gateway").code, "ServiceUnavailable");
  EXPECT_EQ(parse_xml_failure({503, {{"x-amz-retry-after", "soon"}}}, "").retry_after, std::nullopt);
}

/// What a caller acts on, of an answer to S3 or to a service that speaks JSON.
Error s3_error(const AnswerHead& head, std::string_view body) { return to_error(parse_xml_failure(head, body), "s3"); }
Error json_error(const AnswerHead& head, std::string_view body) {
  return to_error(parse_json_failure(head, body), "json");
}

TEST(Failures, ThatTheServiceDidNotMakeSayNothing) {
  const http::Headers html{{"Content-Type", "text/html; charset=utf-8"}};
  const http::Headers page_of_amz{{"x-amz-request-id", "forwarded"}};
  constexpr std::string_view pages[] = {
      "404 page not found\n",
      "<html><body>Not Found</body></html>",
      "<!DOCTYPE html><html><head><title>404</title></head><body><Code>NoSuchKey</Code></body></html>",
      "<Fault><Code>NoSuchKey</Code></Fault>",
      "<Error><Message>no code</Message></Error>",
      R"({"message":"no Route matched with those values"})",
      R"({"Code":"NoSuchKey"})",
      "NoSuchKey",
  };
  for (const int status : {302, 307, 400, 401, 403, 404, 405, 407, 410, 412}) {
    for (const std::string_view page : pages) {
      for (const http::Headers& headers : {http::Headers{}, html, page_of_amz}) {
        SCOPED_TRACE(fmt::format("{} {}", status, page));
        const Error error = s3_error({status, headers}, page);
        EXPECT_EQ(error.kind(), ErrorKind::unavailable);
        EXPECT_NE(error.hint(), "");
        EXPECT_EQ(error.code(), "NotFromService");
        EXPECT_FALSE(says_absent(parse_xml_failure({status, headers}, page)));
        EXPECT_EQ(json_error({status, headers}, page).kind(), ErrorKind::unavailable);
      }
    }
    EXPECT_EQ(s3_error({status, {}}, "").kind(), ErrorKind::unavailable) << status << " without a body";
    EXPECT_EQ(json_error({status, {}}, "").kind(), ErrorKind::unavailable) << status << " without a body";
  }
  EXPECT_NE(s3_error({404, html}, "<html>").summary().find("status 404, text/html"), std::string::npos);
  EXPECT_EQ(s3_error({429, html}, "<html>").kind(), ErrorKind::throttled);
}

TEST(Failures, AreNotFoundOnlyWithACodeThatSaysWhat) {
  const http::Headers s3{{"x-amz-request-id", "r"}};
  EXPECT_EQ(s3_error({404, s3}, "").kind(), ErrorKind::unavailable) << "no word of what is missing";
  EXPECT_EQ(s3_error({404, s3}, "<Error><Code>NotFound</Code></Error>").kind(), ErrorKind::unavailable);
  EXPECT_EQ(s3_error({404, s3}, "<Error><Code>NoSuchTagSet</Code></Error>").kind(), ErrorKind::not_found);
  EXPECT_TRUE(says_absent(parse_xml_failure({404, {}}, "<Error><Code>NoSuchKey</Code></Error>")));
  EXPECT_TRUE(says_absent(parse_xml_failure({404, {}}, "<Error><Code>NoSuchVersion</Code></Error>")));
  EXPECT_FALSE(says_absent(parse_xml_failure({404, {}}, "<Error><Code>NoSuchBucket</Code></Error>")));
  EXPECT_EQ(s3_error({403, s3}, "").kind(), ErrorKind::denied) << "S3's answer to a HEAD";
}

TEST(Failures, SayThatAKeyIsAbsentInADocumentAndAStatusOfTheirOwn) {
  const std::string absent = "<Error><Code>NoSuchKey</Code></Error>";
  for (const int status : {301, 400, 401, 403, 405, 410, 500, 502, 503}) {
    EXPECT_FALSE(says_absent(parse_xml_failure({status, {}}, absent))) << status;
    EXPECT_NE(s3_error({status, {}}, absent).kind(), ErrorKind::not_found) << status;
  }
  for (const std::string& body :
       {"<Oops>" + absent + "</Oops>", "<html><body>" + absent + "</body></html>", absent + "<html>page</html>",
        "<Errors><Error><Code>AccessDenied</Code></Error>" + absent + "</Errors>",
        std::string("<Error><Code>NoSuchKey"), std::string("<Code>NoSuchKey</Code>")}) {
    EXPECT_FALSE(says_absent(parse_xml_failure({404, {}}, body))) << body;
    EXPECT_EQ(s3_error({404, {}}, body).kind(), ErrorKind::unavailable) << body;
  }
  EXPECT_TRUE(says_absent(parse_xml_failure({404, {}}, "<?xml version=\"1.0\"?>\n" + absent + "\n")));
}

TEST(Failures, SayThatAVersionIsADeleteMarker) {
  const std::string refused = "<Error><Code>MethodNotAllowed</Code></Error>";
  const http::Headers marker{{"x-amz-request-id", "r"}, {"x-amz-delete-marker", "true"}};
  EXPECT_TRUE(says_absent(parse_xml_failure({405, marker}, refused)));
  EXPECT_EQ(s3_error({405, marker}, refused).kind(), ErrorKind::not_found);
  EXPECT_EQ(s3_error({405, marker}, "<html>page</html>").kind(), ErrorKind::unavailable);
  EXPECT_EQ(s3_error({405, {{"x-amz-request-id", "r"}}}, refused).kind(), ErrorKind::invalid);
}

TEST(Successes, ThatArePagesAreRefused) {
  for (const std::string_view body :
       {"", "  \n", "<Response/>", "<?xml version=\"1.0\"?><A><B/></A>", "{}", R"({"a":1})"})
    EXPECT_NO_THROW(check_no_page(body, "here")) << body;
  for (const std::string_view body :
       {"OK", "<html></html>", "<!DOCTYPE html><HTML></HTML>", "<html><br>", "[]", "\"x\""})
    EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", check_no_page(body, "here"));
}

TEST(Failures, SayHowLongToWait) {
  const auto wait_of = [](const http::Headers& headers) {
    return to_error(parse_xml_failure({503, headers}, ""), "here").retry_after();
  };
  EXPECT_EQ(wait_of({}), std::nullopt);
  EXPECT_EQ(wait_of({{"x-amz-retry-after", "1500"}}), Milliseconds(1500));
  EXPECT_EQ(wait_of({{"Retry-After", "3"}}), std::chrono::seconds(3));
  EXPECT_EQ(wait_of({{"x-amz-retry-after", "10"}, {"Retry-After", "3"}}), Milliseconds(10));
  EXPECT_EQ(wait_of({{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"}}), std::nullopt);
  EXPECT_EQ(wait_of({{"Retry-After", "-1"}}), std::nullopt);
  EXPECT_EQ(wait_of({{"Retry-After", "9000000000000000000"}}), std::chrono::minutes(5));
}

TEST(Listings, EndWhenAPageIsItsOwnNext) {
  EXPECT_NO_THROW(check_next("", "", "here"));
  EXPECT_NO_THROW(check_next("b", "a", "here"));
  EXPECT_ERROR(ErrorKind::corrupt, "", check_next("b", "b", "here"));
}

TEST(Failures, OfJsonServicesAreReadFromAllTheirForms) {
  EXPECT_EQ(parse_json_failure({400, {}},
                               R"({"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"m"})")
                .code,
            "ValidationException");
  const ServiceFailure old =
      parse_json_failure({400, {{"x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"}}},
                         R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","Message":"M"})");
  EXPECT_EQ(old.code, "AWS.SimpleQueueService.NonExistentQueue");
  EXPECT_EQ(old.message, "M");
  EXPECT_EQ(parse_json_failure({400, {{"x-amzn-errortype", "AccessDeniedException:http://x"}}}, "").code,
            "AccessDeniedException");
  EXPECT_EQ(parse_json_failure({500, {}}, "[1").code, "ServiceUnavailable");
  const std::string deep = R"({"__type":"a#X","nested":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  EXPECT_EQ(parse_json_failure({500, {}}, deep).code, "ServiceUnavailable");
}

TEST(Failures, HaveTheKindThatACallerActsOn) {
  const auto kind = [](int status, const char* code) {
    ServiceFailure failure;
    failure.status = status;
    failure.code = code;
    const Error error = to_error(failure, "s3://b");
    EXPECT_EQ(error.code(), code);
    EXPECT_EQ(error.where(), "s3://b");
    return error.kind();
  };
  EXPECT_EQ(kind(404, "NoSuchKey"), ErrorKind::not_found);
  EXPECT_EQ(kind(403, "InvalidObjectState"), ErrorKind::denied);
  EXPECT_EQ(kind(409, "BucketNotEmpty"), ErrorKind::precondition);
  EXPECT_EQ(kind(409, "OperationAborted"), ErrorKind::unavailable);
  EXPECT_EQ(kind(412, "PreconditionFailed"), ErrorKind::precondition);
  EXPECT_EQ(kind(416, "InvalidRange"), ErrorKind::invalid);
  EXPECT_EQ(kind(501, "NotImplemented"), ErrorKind::unsupported);
  EXPECT_EQ(kind(400, "Unheard"), ErrorKind::invalid);
  EXPECT_EQ(kind(403, "Unheard"), ErrorKind::denied);
  EXPECT_EQ(kind(503, "Unheard"), ErrorKind::unavailable);
  EXPECT_EQ(kind(400, "ItemCollectionSizeLimitExceededException"), ErrorKind::invalid);  // not to be tried again
  for (const char* code :
       {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
        "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
        "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "SlowDown",
        "EC2ThrottledException"})
    EXPECT_EQ(kind(400, code), ErrorKind::throttled) << code;
  for (const char* code : {"RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"})
    EXPECT_EQ(kind(400, code), ErrorKind::unavailable) << code;
}

TEST(Failures, AreSafeToPrint) {
  ServiceFailure failure{400, "C\x1b", "m\n\x1b[31m", {}, {}, {}};
  EXPECT_EQ(std::string(to_error(failure, "w").what()), "m\\x0a\\x1b[31m (C\\x1b) (w)");
}

TEST(ClockSkew, IsMeasuredFromTheAnswersDate) {
  const AnswerHead head{403, {{"Date", "Thu, 23 Jan 2025 09:05:07 GMT"}}};
  EXPECT_EQ(clock_skew(head, parse_time("2025-01-23T08:05:07Z")), std::chrono::hours(1));
  EXPECT_EQ(clock_skew({403, {}}, {}), std::nullopt);
  EXPECT_TRUE(is_clock_skew("RequestTimeTooSkewed"));
  EXPECT_FALSE(is_clock_skew("AccessDenied"));
}

TEST(ClockSkew, ExplainsAlsoWhatSaysLittle) {
  using http::Method;
  const AnswerHead head{403, {{"Date", "Thu, 23 Jan 2025 09:05:07 GMT"}}};
  const auto skew = [&](const char* code, Method method, const char* signed_at, int status = 403) {
    ServiceFailure failure;
    failure.status = status;
    failure.code = code;
    const TimePoint now = parse_time("2025-01-23T08:05:07Z");
    return skew_to_sign_again(failure, head, method, parse_time(signed_at), now).has_value();
  };
  for (const char* old : {"2025-01-23T08:05:07Z", "2025-01-23T08:59:00Z", "2025-01-23T09:11:00Z"}) {
    for (const char* code : {"SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed"})
      EXPECT_TRUE(skew(code, Method::post, old)) << code << old;
    EXPECT_TRUE(skew("AccessDenied", Method::head, old));
    EXPECT_TRUE(skew("BadRequest", Method::head, old, 400));
    EXPECT_FALSE(skew("AccessDenied", Method::get, old));
    EXPECT_FALSE(skew("NotFound", Method::head, old, 404));
  }
  for (const char* good : {"2025-01-23T09:05:07Z", "2025-01-23T09:01:00Z", "2025-01-23T09:09:00Z"}) {
    EXPECT_FALSE(skew("SignatureDoesNotMatch", Method::post, good)) << good;
    EXPECT_FALSE(skew("AccessDenied", Method::head, good)) << good;
    EXPECT_TRUE(skew("RequestTimeTooSkewed", Method::get, good)) << "the service's word";
  }
  ServiceFailure page;
  page.status = 403;
  page.is_from_service = false;
  EXPECT_EQ(skew_to_sign_again(page, head, Method::head, {}, {}), std::nullopt);
}

TEST(Expired, AreCredentialsThatMayBeRenewed) {
  for (const char* code : {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
    EXPECT_TRUE(is_expired(code)) << code;
  EXPECT_FALSE(is_expired("AccessDenied"));
}

}  // namespace
}  // namespace bale::aws
