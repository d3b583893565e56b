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

/// An entity tag without quotes and without the mark of a weak one: `"abc"` -> abc, `W/"abc"` -> abc.
ETag parse_etag(std::string_view quoted);
/// Metadata that was not ASCII comes back as encoded words (RFC 2047); gives UTF-8. Other text stays as it is.
std::string decode_words(std::string_view text);

/// A failure as the answer tells it.
struct ServiceFailure {
  int status = 0;
  std::string code;     ///< "NoSuchKey"; made from the status where the answer has no body
  std::string message;  ///< the service's words; may be empty. Not from the service: what kind of document came instead
  std::string region;   ///< where the bucket is, or is to be signed for, when the answer says so
  std::string request_id;
  std::optional<Milliseconds> retry_after;  ///< x-amz-retry-after, else Retry-After in seconds; 5 minutes at most
  /// The answer shows that the service made it: by the service's own error document or, where the answer has no body,
  /// by an x-amz header. False for the pages of proxies, balancers and portals.
  bool is_from_service = true;
};

/// Reads the failure of S3 or STS: an Error document in XML. An answer to HEAD has no body, only a status and headers.
ServiceFailure parse_xml_failure(const http::AnswerHead& head, std::string_view body);
/// Reads the failure of SQS, DynamoDB or Athena (JSON 1.0). The older code of a query-compatible service wins:
/// "AWS.SimpleQueueService.NonExistentQueue".
ServiceFailure parse_json_failure(const http::AnswerHead& head, std::string_view body);

/// Makes the Error of a failure: its kind by the code, else by the status; a hint for what a person can mend; the wait
/// that the service asks for. A failure that is not from the service is Error{unavailable}, or Error{throttled} for
/// status 429: such a page says nothing about the object or queue, whatever its status. A 404 is Error{not_found} only
/// with a code that says what is missing ("NoSuchKey"). `where` names what was asked for ("s3://bucket/key").
Error to_error(const ServiceFailure& failure, const std::string& where);

/// Makes the Error{unavailable} of an answer that the service did not make: a proxy, a portal or another server did.
/// `what` says what is wrong with the answer ("the answer is not XML"). Its code is "NotFromService".
Error not_from_service(std::string what, const std::string& where);

/// Whether the error is one of not_from_service().
bool is_not_from_service(const Error& error) noexcept;

/// Throws not_from_service() for the body of a success that is a page: the service answers this request with nothing,
/// or with a document of its own (XML or a JSON object).
void check_no_page(std::string_view body, const std::string& where);

/// Whether a header shows that the service made the answer: S3 sends x-amz-request-id with every one.
bool has_service_header(const http::AnswerHead& head);

/// Whether the failure says that an object, or a version of it, does not exist: NoSuchKey or NoSuchVersion.
bool says_absent(const ServiceFailure& failure) noexcept;

/// Throws Error{corrupt} when the next page of a listing would be the one that was just read, which would go on for
/// ever. `next`: where the answer says that the next page starts; `asked`: where the page itself started.
void check_next(std::string_view next, std::string_view asked, const std::string& where);

/// How much the service's clock is ahead of `now`, by the answer's Date: to sign again when it said
/// RequestTimeTooSkewed. Absent without a Date.
std::optional<Milliseconds> clock_skew(const http::AnswerHead& head, TimePoint now);

/// Whether the failure says that the machine's clock is wrong.
bool is_clock_skew(std::string_view code) noexcept;

/// Decides whether to sign the request again by the service's clock: returns how much that is ahead of `now`, the
/// machine's time. `signed_at` is the time that was signed. Absent where the failure has another reason. The services
/// that say only that the signature is wrong, and answers to HEAD, which say nothing, are judged by their Date: it
/// differs from `signed_at` by more than 5 minutes, as the AWS SDKs judge.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
std::optional<Milliseconds> skew_to_sign_again(const ServiceFailure& failure, const http::AnswerHead& head,
                                               http::Method method, TimePoint signed_at, TimePoint now);

/// Decides whether a request with UNSIGNED-PAYLOAD may have been refused for that: by a server that does not know it,
/// which finds an argument or the signature wrong, or by a policy that demands signed payloads (AccessDenied).
/// https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
bool may_refuse_unsigned_payload(const ServiceFailure& failure) noexcept;

/// Whether the failure says that the credentials have expired: others may be had.
bool is_expired(std::string_view code) noexcept;

}  // namespace bale::aws
