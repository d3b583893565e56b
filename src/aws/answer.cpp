#include "aws/answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "aws/xml.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

constexpr std::string_view foreign_answer = "NotFromService";

struct CodeMeaning {
  std::string_view code;
  ErrorKind kind;
  const char* hint = "";
};

constexpr const char* keys_hint = "check the access key, its secret, and whether they are this endpoint's";
constexpr const char* clock_hint = "set this machine's clock";
constexpr const char* expired_hint = "get new credentials";
constexpr const char* region_hint = "give the region of the bucket or of the endpoint with --region";

/// Sorted by code. Retry sets: botocore's (standard retry mode); S3:
/// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
constexpr auto codes = std::to_array<CodeMeaning>({
    {"AWS.SimpleQueueService.NonExistentQueue", ErrorKind::not_found, "check the queue's name and region"},
    {"AWS.SimpleQueueService.QueueDeletedRecently", ErrorKind::precondition, "try again a minute after the deletion"},
    {"AccessDenied", ErrorKind::denied, "check the permissions of these credentials"},
    {"AccessDeniedException", ErrorKind::denied, "check the permissions of these credentials"},
    {"AuthFailure", ErrorKind::denied, keys_hint},
    {"AuthorizationHeaderMalformed", ErrorKind::invalid, region_hint},
    {"BadDigest", ErrorKind::corrupt},
    {"BandwidthLimitExceeded", ErrorKind::throttled},
    {"BucketAlreadyExists", ErrorKind::precondition, "somebody else has a bucket of that name: choose another"},
    {"BucketAlreadyOwnedByYou", ErrorKind::precondition},
    {"BucketNotEmpty", ErrorKind::precondition, "delete what is in it first, all versions included"},
    {"ConditionalCheckFailedException", ErrorKind::precondition},
    {"ConditionalRequestConflict", ErrorKind::precondition},
    {"EC2ThrottledException", ErrorKind::throttled},
    {"ExpiredToken", ErrorKind::denied, expired_hint},
    {"ExpiredTokenException", ErrorKind::denied, expired_hint},
    {"IllegalLocationConstraintException", ErrorKind::invalid, region_hint},
    {"InternalError", ErrorKind::unavailable},
    {"InternalServerError", ErrorKind::unavailable},
    {"InvalidAccessKeyId", ErrorKind::denied, keys_hint},
    {"InvalidClientTokenId", ErrorKind::denied, keys_hint},
    {"InvalidDigest", ErrorKind::corrupt},
    {"InvalidLocationConstraint", ErrorKind::invalid, region_hint},
    {"InvalidObjectState", ErrorKind::denied, "the object is archived: restore it first"},
    {"InvalidRegionName", ErrorKind::invalid, region_hint},
    {"InvalidSignatureException", ErrorKind::denied, keys_hint},
    {"InvalidStorageClass", ErrorKind::invalid, "give a class that the server knows: --storage-class STANDARD"},
    {"InvalidTag", ErrorKind::invalid, "give other tags, or none: s3 cp --tagging '', restore --no-tags"},
    {"InvalidToken", ErrorKind::denied, expired_hint},
    {"LimitExceededException", ErrorKind::throttled},
    {"MetadataTooLarge", ErrorKind::invalid, "give less user metadata: s3 cp --metadata, restore --no-metadata"},
    {"NoSuchBucket", ErrorKind::not_found, "check the bucket's name and region"},
    {"NoSuchKey", ErrorKind::not_found},
    {"NoSuchUpload", ErrorKind::not_found},
    {"NoSuchVersion", ErrorKind::not_found},
    {"NotImplemented", ErrorKind::unsupported},
    {"OperationAborted", ErrorKind::unavailable},
    {"OverLimit", ErrorKind::throttled},
    {"PreconditionFailed", ErrorKind::precondition},
    {"PriorRequestNotComplete", ErrorKind::unavailable},
    {"ProvisionedThroughputExceededException", ErrorKind::throttled},
    {"QueueDoesNotExist", ErrorKind::not_found, "check the queue's name and region"},
    {"ReplicatedWriteConflictException", ErrorKind::throttled},
    {"RequestLimitExceeded", ErrorKind::throttled},
    {"RequestThrottled", ErrorKind::throttled},
    {"RequestThrottledException", ErrorKind::throttled},
    {"RequestTimeTooSkewed", ErrorKind::denied, clock_hint},
    {"RequestTimeout", ErrorKind::unavailable},
    {"RequestTimeoutException", ErrorKind::unavailable},
    {"ResourceInUseException", ErrorKind::precondition},
    {"ResourceNotFoundException", ErrorKind::not_found, "check the table's name and region"},
    {"RestoreAlreadyInProgress", ErrorKind::precondition},
    {"ServerSideEncryptionConfigurationNotFoundError", ErrorKind::not_found},
    {"ServiceUnavailable", ErrorKind::unavailable},
    {"SignatureDoesNotMatch", ErrorKind::denied, keys_hint},
    {"SlowDown", ErrorKind::throttled},
    {"ThrottledException", ErrorKind::throttled},
    {"Throttling", ErrorKind::throttled},
    {"ThrottlingException", ErrorKind::throttled},
    {"TokenRefreshRequired", ErrorKind::denied, expired_hint},
    {"TooManyRequestsException", ErrorKind::throttled},
    {"TransactionInProgressException", ErrorKind::throttled},
    {"UnrecognizedClientException", ErrorKind::denied, keys_hint},
    {"XAmzContentSHA256Mismatch", ErrorKind::corrupt},
});
static_assert(std::is_sorted(codes.begin(), codes.end(),
                             [](const CodeMeaning& a, const CodeMeaning& b) { return a.code < b.code; }));

struct StatusMeaning {
  int status;
  std::string_view code;
  ErrorKind kind;
};

constexpr std::array<StatusMeaning, 13> statuses{{{301, "PermanentRedirect", ErrorKind::invalid},
                                                  {304, "NotModified", ErrorKind::precondition},
                                                  {307, "TemporaryRedirect", ErrorKind::unavailable},
                                                  {401, "Unauthorized", ErrorKind::denied},
                                                  {403, "AccessDenied", ErrorKind::denied},
                                                  {404, "NotFound", ErrorKind::not_found},
                                                  {405, "MethodNotAllowed", ErrorKind::invalid},
                                                  {408, "RequestTimeout", ErrorKind::unavailable},
                                                  {409, "Conflict", ErrorKind::precondition},
                                                  {412, "PreconditionFailed", ErrorKind::precondition},
                                                  {416, "InvalidRange", ErrorKind::invalid},
                                                  {429, "TooManyRequests", ErrorKind::throttled},
                                                  {501, "NotImplemented", ErrorKind::unsupported}}};

const StatusMeaning& meaning_of(int status) {
  static constexpr StatusMeaning bad_request{400, "BadRequest", ErrorKind::invalid};
  static constexpr StatusMeaning server_failure{500, "ServiceUnavailable", ErrorKind::unavailable};
  const auto found = std::find_if(statuses.begin(), statuses.end(), [&](const auto& m) { return m.status == status; });
  if (found != statuses.end()) return *found;
  return status >= 500 ? server_failure : bad_request;
}

/// A header's number of `unit`s; absent when it is none. (Retry-After may be a date too, which no S3 server sends.)
std::optional<Milliseconds> wait_of(std::string_view text, Milliseconds unit) {
  constexpr Milliseconds longest = std::chrono::minutes(5);
  Milliseconds::rep number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return std::min<Milliseconds::rep>(number, longest / unit) * unit;
}

/// Whether the status alone says that the same request may work later: a page with it is as good as the service's word.
bool is_passing(int status) noexcept {
  constexpr int request_timeout = 408, too_many_requests = 429, server_failure = 500;
  return status == request_timeout || status == too_many_requests || status >= server_failure;
}

/// "text/html" of "text/html; charset=utf-8", or what the body is where no header says it.
std::string kind_of_page(const http::AnswerHead& head, std::string_view body) {
  const std::string_view type = head.headers.get("content-type");
  const std::string_view name = type.substr(0, type.find(';'));
  if (body.empty()) return "no body";
  return name.empty() ? "a body of no type" : escape_for_terminal(name.substr(0, 100));
}

/// Whether a code that says that something does not exist comes with a status that says so too: 404, or the 200 of an
/// answer that was begun before the failure. A proxy that keeps the body of an earlier answer has another status.
bool has_status_of_its_code(const ServiceFailure& failure) {
  constexpr int ok = 200, not_found = 404;
  return !failure.code.starts_with("NoSuch") || failure.status == not_found || failure.status == ok;
}

/// Decides who made the answer, and takes the code from the status where the answer has none.
void finish_failure(ServiceFailure& failure, const http::AnswerHead& head, std::string_view body) {
  if (!has_status_of_its_code(failure)) failure.code.clear();
  failure.is_from_service = !failure.code.empty() || (body.empty() && has_service_header(head));
  if (failure.code.empty()) failure.code = meaning_of(head.status).code;
  if (failure.is_from_service) return;
  failure.message = fmt::format("status {}, {}", head.status, kind_of_page(head, body));
  failure.region.clear();
}

ServiceFailure start_failure(const http::AnswerHead& head) {
  ServiceFailure failure;
  failure.status = head.status;
  failure.region = head.headers.get("x-amz-bucket-region");
  failure.request_id = head.headers.get("x-amz-request-id");
  if (failure.request_id.empty()) failure.request_id = head.headers.get("x-amzn-requestid");
  failure.retry_after = wait_of(head.headers.get("x-amz-retry-after"), Milliseconds(1));
  if (!failure.retry_after) failure.retry_after = wait_of(head.headers.get("retry-after"), std::chrono::seconds(1));
  return failure;
}

std::string text_member(const nlohmann::json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// One "=?UTF-8?B?...?=" at the start of `text`: its bytes are appended and its length returned; 0 when it is none.
std::size_t decode_word(std::string_view text, std::string& out) {
  if (!text.starts_with("=?")) return 0;
  const std::size_t charset_end = text.find('?', 2);
  if (charset_end == std::string_view::npos || charset_end + 2 >= text.size() || text[charset_end + 2] != '?') return 0;
  const std::size_t content = charset_end + 3;
  const std::size_t end = text.find("?=", content);
  if (end == std::string_view::npos || to_lower(text.substr(2, charset_end - 2)) != "utf-8") return 0;
  std::string encoded(text.substr(content, end - content));
  const char encoding = text[charset_end + 1];
  try {
    if (encoding == 'B' || encoding == 'b') {
      out += from_base64(encoded);
    } else if (encoding == 'Q' || encoding == 'q') {
      // Quoted-printable's =XX is percent encoding by another name; a '%' of its own has to survive.
      std::string percent;
      for (const char c : encoded) percent += c == '=' ? "%" : c == '_' ? "%20" : c == '%' ? "%25" : std::string(1, c);
      out += percent_decode(percent);
    } else {
      return 0;
    }
  } catch (const Error&) {
    return 0;  // no base64: then it is text that looks like a word
  }
  return end + 2;
}

}  // namespace

ETag parse_etag(std::string_view quoted) {
  if (quoted.starts_with("W/\"")) quoted.remove_prefix(2);  // by a proxy that may change the encoding
  if (quoted.size() >= 2 && quoted.front() == '"' && quoted.back() == '"') quoted = quoted.substr(1, quoted.size() - 2);
  return ETag(quoted);
}

std::string decode_words(std::string_view text) {
  std::string out;
  bool after_word = false;
  while (!text.empty()) {
    std::string bytes;
    const std::size_t spaces = after_word ? std::min(text.find_first_not_of(' '), text.size()) : 0;
    if (const std::size_t length = decode_word(text.substr(spaces), bytes)) {
      out += bytes;  // space between two words is not part of the text
      text.remove_prefix(spaces + length);
      after_word = true;
    } else {
      out += text.front();
      text.remove_prefix(1);
      after_word = false;
    }
  }
  return out;
}

ServiceFailure parse_xml_failure(const http::AnswerHead& head, std::string_view body) {
  ServiceFailure failure = start_failure(head);
  pugi::xml_document document;
  if (!body.empty() && body.size() <= most_xml_bytes && document.load_buffer(body.data(), body.size())) {
    pugi::xml_node error = document.document_element();
    const bool is_alone = !error.next_sibling();  // a page may follow what a cache has kept
    const bool is_wrapped = std::string_view(error.name()) == "ErrorResponse";  // by STS, and old S3 dialects
    if (is_wrapped) error = error.child("Error");
    if (is_alone && std::string_view(error.name()) == "Error") {
      failure.code = child_text(error, "Code");
      failure.message = child_text(error, "Message");
      if (failure.region.empty()) failure.region = child_text(error, "Region");
    }
  }
  finish_failure(failure, head, body);
  // S3's answer to a read of a version that is a delete marker: the object is absent there.
  const bool is_of_marker = head.headers.get("x-amz-delete-marker") == "true";
  if (is_of_marker && failure.is_from_service && failure.code == "MethodNotAllowed") {
    constexpr int not_found = 404;
    failure.status = not_found;
    failure.code = "NoSuchKey";
  }
  return failure;
}

ServiceFailure parse_json_failure(const http::AnswerHead& head, std::string_view body) {
  ServiceFailure failure = start_failure(head);
  const nlohmann::json document = parse_json(body);
  if (document.is_object()) {
    failure.code = text_member(document, "__type");
    failure.message = text_member(document, "message");
    if (failure.message.empty()) failure.message = text_member(document, "Message");
  }
  if (failure.code.empty()) failure.code = head.headers.get("x-amzn-errortype");
  failure.code = failure.code.substr(failure.code.find('#') + 1);  // npos + 1 is 0
  failure.code = failure.code.substr(0, failure.code.find(':'));
  const std::string_view query = head.headers.get("x-amzn-query-error");
  if (!query.empty()) failure.code = query.substr(0, query.find(';'));
  finish_failure(failure, head, body);
  return failure;
}

Error not_from_service(std::string what, const std::string& where) {
  return Error(
             ErrorKind::unavailable, std::move(what), where,
             "a proxy, a portal or another server seems to answer in the place of the service: check the endpoint and "
             "what is between it and this machine")
      .with_code(std::string(foreign_answer));
}

bool is_not_from_service(const Error& error) noexcept { return error.code() == foreign_answer; }

void check_no_page(std::string_view body, const std::string& where) {
  const std::size_t start = body.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return;
  pugi::xml_document document;
  const bool is_xml = body[start] == '<' && document.load_buffer(body.data(), body.size()) &&
                      to_lower(document.document_element().name()) != "html";
  if (!is_xml && !parse_json(body).is_object())
    throw not_from_service("the answer is a page, not the service's", where);
}

bool has_service_header(const http::AnswerHead& head) {
  return std::any_of(head.headers.begin(), head.headers.end(),
                     [](const http::Header& header) { return to_lower(header.name).starts_with("x-amz"); });
}

bool says_absent(const ServiceFailure& failure) noexcept {
  return failure.is_from_service && (failure.code == "NoSuchKey" || failure.code == "NoSuchVersion");
}

Error to_error(const ServiceFailure& failure, const std::string& where) {
  if (!failure.is_from_service && !is_passing(failure.status))
    return not_from_service("the answer is not the service's: " + failure.message, where);
  const auto known =
      std::lower_bound(codes.begin(), codes.end(), failure.code,
                       [](const CodeMeaning& meaning, const std::string& c) { return meaning.code < c; });
  const bool is_known = known != codes.end() && known->code == failure.code;
  ErrorKind kind = is_known ? known->kind : meaning_of(failure.status).kind;
  if (kind == ErrorKind::not_found && !failure.code.starts_with("NoSuch") && !is_known) kind = ErrorKind::unavailable;
  const std::string code = escape_for_terminal(failure.code);
  const std::string what =
      failure.message.empty() ? code : fmt::format("{} ({})", escape_for_terminal(failure.message), code);
  const Error error = Error(kind, what, where, is_known ? known->hint : "").with_code(failure.code);
  return failure.retry_after ? error.with_retry_after(*failure.retry_after) : error;
}

void check_next(std::string_view next, std::string_view asked, const std::string& where) {
  if (next.empty() || next != asked) return;
  throw Error(ErrorKind::corrupt, "the listing does not go on: its next page is the same one again", where,
              "the service, or a proxy before it, does not page as AWS does");
}

std::optional<Milliseconds> clock_skew(const http::AnswerHead& head, TimePoint now) {
  const std::optional<TimePoint> date = parse_http_date(head.headers.get("date"));
  if (!date) return std::nullopt;
  return *date - now;
}

bool is_clock_skew(std::string_view code) noexcept {
  return code == "RequestTimeTooSkewed" || code == "RequestExpired" || code == "RequestInTheFuture";
}

std::optional<Milliseconds> skew_to_sign_again(const ServiceFailure& failure, const http::AnswerHead& head,
                                               http::Method method, TimePoint signed_at, TimePoint now) {
  if (!failure.is_from_service) return std::nullopt;
  const std::optional<Milliseconds> skew = clock_skew(head, now);
  if (!skew || is_clock_skew(failure.code)) return skew;
  constexpr int bad_request = 400, forbidden = 403;
  const bool is_silent = method == http::Method::head && (failure.status == bad_request || failure.status == forbidden);
  const bool may_be_time =
      is_silent || failure.code == "InvalidSignatureException" || failure.code == "SignatureDoesNotMatch";
  constexpr Milliseconds least_skew = std::chrono::minutes(5);
  const Milliseconds off = *skew - std::chrono::duration_cast<Milliseconds>(signed_at - now);
  return may_be_time && (off > least_skew || off < -least_skew) ? skew : std::nullopt;
}

bool may_refuse_unsigned_payload(const ServiceFailure& failure) noexcept {
  constexpr std::array<std::string_view, 5> codes_of_it{"AccessDenied", "InvalidArgument", "InvalidDigest",
                                                        "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch"};
  constexpr int bad_request = 400, forbidden = 403;
  return failure.is_from_service && (failure.status == bad_request || failure.status == forbidden) &&
         std::find(codes_of_it.begin(), codes_of_it.end(), failure.code) != codes_of_it.end();
}

bool is_expired(std::string_view code) noexcept {
  return code == "ExpiredToken" || code == "ExpiredTokenException" || code == "TokenRefreshRequired";
}

}  // namespace bale::aws
