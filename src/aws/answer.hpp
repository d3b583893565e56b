// What all services say in the same way: header values and failures.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/names.hpp"
#include "base/time.hpp"
#include "http/message.hpp"

namespace bale::aws {

/// A request, and the body it goes out with where that is not streamed.
struct Call {
  http::Request request;
  std::string body;
};

/// Reads "Thu, 23 Jan 2025 09:05:07 GMT". Absent when it is none.
std::optional<TimePoint> parse_http_date(std::string_view text);
/// An entity tag without quotes: `"abc"` -> abc.
ETag parse_etag(std::string_view quoted);
/// Metadata that was not ASCII comes back as encoded words (RFC 2047); gives UTF-8. Other text stays as it is.
std::string decode_words(std::string_view text);

/// A failure as the service tells it.
struct ServiceFailure {
  int status = 0;
  std::string code;     ///< "NoSuchKey"; made from the status where the answer has no body
  std::string message;  ///< the service's words; may be empty
  std::string region;   ///< where the bucket is, or is to be signed for, when the answer says so
  std::string request_id;
  std::optional<Milliseconds> retry_after;  ///< x-amz-retry-after, else Retry-After in seconds; 5 minutes at most
};

/// Reads the failure of S3 (XML, or nothing but a status for HEAD).
ServiceFailure parse_xml_failure(const http::AnswerHead& head, std::string_view body);
/// Reads the failure of SQS or DynamoDB (JSON 1.0). The older code of a query-compatible service wins:
/// "AWS.SimpleQueueService.NonExistentQueue".
ServiceFailure parse_json_failure(const http::AnswerHead& head, std::string_view body);

/// The Error of a failure: kind by code, else by status; hint for what people can mend; the wait that the service asks
/// for. `where` names the thing asked
/// for ("s3://bucket/key").
Error to_error(const ServiceFailure& failure, const std::string& where);

/// Throws Error{corrupt} when the next page of a listing would be the one that was just read, which would go on for
/// ever. `next`: where the answer says that the next page starts; `asked`: where the page itself started.
void check_next(std::string_view next, std::string_view asked, const std::string& where);

/// How much the service's clock is ahead of `now`, by the answer's Date: to sign again when it said
/// RequestTimeTooSkewed. Absent without a Date.
std::optional<Milliseconds> clock_skew(const http::AnswerHead& head, TimePoint now);

/// Whether the failure says that the machine's clock is wrong.
bool is_clock_skew(std::string_view code) noexcept;

}  // namespace bale::aws
