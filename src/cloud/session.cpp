#include "cloud/session.hpp"

#include <algorithm>
#include <utility>

#include "aws/credential_sources.hpp"
#include "aws/retry_choice.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::cloud {
namespace {

/// Failures are short documents; what is longer comes from something else in between.
constexpr ByteCount most_failure_bytes = 256 << 10;
constexpr std::size_t hash_block = 256 << 10;

Sha256Digest digest_of(http::Body& body) {
  Sha256 hash;
  body.rewind();
  for (ByteView bytes; !(bytes = body.next(hash_block)).empty();) hash.update(bytes);
  return hash.finish();
}

bool has_checksum(const http::Headers& headers) {
  return std::any_of(headers.begin(), headers.end(),
                     [](const http::Header& header) { return to_lower(header.name).starts_with("x-amz-checksum-"); });
}

aws::SigningScope scope_of(aws::Service service, const std::string& region) {
  return {region, aws::to_string(service),
          service == aws::Service::s3 ? aws::PathRule::as_sent : aws::PathRule::normalised};
}

aws::ServiceFailure read_failure(http::Exchange& exchange, aws::Service service) {
  const http::AnswerHead head = exchange.head();
  std::string body;
  try {
    body = exchange.text(most_failure_bytes);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    body = "a long page";  // no failure of a service has that many bytes: whose it is matters, not what it says
  }
  return service == aws::Service::s3 || service == aws::Service::sts ? aws::parse_xml_failure(head, body)
                                                                     : aws::parse_json_failure(head, body);
}

/// Requests that S3 answers at once with status 200 and white space, until the copy or the completed upload is there:
/// for minutes, with hardly a byte. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
http::Deadlines deadlines_for(const http::Request& request, http::Deadlines deadlines) {
  const bool completes = request.method == http::Method::post && request.query.find("uploadId=") != std::string::npos;
  const bool copies = request.headers.find("x-amz-copy-source") != nullptr;
  if (completes || copies) deadlines.slack = std::max<Milliseconds>(deadlines.slack, std::chrono::minutes(15));
  return deadlines;
}

http::Settings direct(http::Settings settings) {
  settings.http_proxy.clear();
  settings.https_proxy.clear();
  return settings;
}

http::Settings settings_for(const os::Environment& environment, const aws::SharedConfig& config,
                            const std::string& profile, const SessionOptions& options) {
  http::Settings settings = http::settings_from(environment);
  settings.max_idle_connections = options.idle_connections;
  if (!options.ca_bundle.empty())
    settings.ca_bundle = options.ca_bundle;
  else if (!aws::get_nonempty(environment, "AWS_CA_BUNDLE"))
    settings.ca_bundle = config.get(profile, "ca_bundle").value_or(settings.ca_bundle);
  return settings;
}

bool wants_checksums(const os::Environment& environment, const aws::SharedConfig& config, const std::string& profile) {
  const auto choice = aws::get_nonempty(environment, "AWS_REQUEST_CHECKSUM_CALCULATION");
  return to_lower(choice.value_or(config.get(profile, "request_checksum_calculation").value_or(""))) != "when_required";
}

}  // namespace

struct Session::Sources {
  Sources(const aws::CredentialPlaces& where, os::Clock& clock)
      : places(where), provider([this] { return aws::find_credentials(places); }, clock) {}
  aws::CredentialPlaces places;
  aws::CredentialProvider provider;
};

Session::Session(os::World& world, os::Processes& processes, const SessionOptions& options)
    : world_(world),
      config_(aws::SharedConfig::load(world.files, world.environment)),
      places_{options.endpoint_url, options.region, aws::choose_profile(options.profile, world.environment),
              options.s3_endpoint_url},
      client_(settings_for(world.environment, config_, places_.profile.name, options), world.clock),
      direct_client_(direct(settings_for(world.environment, config_, places_.profile.name, options)), world.clock),
      sends_checksums_(wants_checksums(world.environment, config_, places_.profile.name)) {
  sources_ = std::make_unique<Sources>(
      aws::CredentialPlaces{world, config_, client_, direct_client_, processes, places_}, world.clock);
}

Session::~Session() = default;

std::optional<std::string> Session::region() const { return aws::resolve_region(places_, world_.environment, config_); }

aws::Endpoint Session::endpoint(aws::Service service, const std::string& region) const {
  return aws::resolve_endpoint(service, region, places_, world_.environment, config_);
}

aws::Addressing Session::addressing() const { return aws::resolve_addressing(config_, places_.profile.name); }

std::optional<std::uint32_t> Session::max_attempts() const {
  return aws::resolve_max_attempts(world_.environment, config_, places_.profile.name);
}

/// What breaks a request off.
std::stop_token Session::stop_for(const http::Request& request, const std::stop_token& given) const {
  const bool aborts = request.method == http::Method::del && request.query.find("uploadId=") != std::string::npos;
  if (given.stop_possible() || aborts) return given;
  const Lock lock(mutex_);
  return breaker_;
}

void Session::break_off_on(std::stop_token stop) {
  const Lock lock(mutex_);
  breaker_ = std::move(stop);
}

TimePoint Session::service_time() const { return world_.clock.now() + Milliseconds(skew_ms_.load()); }

/// Whether the refusal was about the signature's time or age, and the next attempt knows better.
bool Session::mend(const aws::ServiceFailure& failure, const http::AnswerHead& head, const Signed& attempt) {
  if (const auto skew = aws::skew_to_sign_again(failure, head, attempt.method, attempt.time, world_.clock.now())) {
    skew_ms_ = skew->count();
    return true;
  }
  if (!aws::is_expired(failure.code)) return false;
  sources_->provider.refuse(attempt.credentials);
  return true;
}

/// Returns what is signed for the payload of a request: its SHA-256 in hex. Adds the checksum that the options ask for.
std::string Session::hash_payload(aws::Call& call, http::Body* body, const SendOptions& options) const {
  if (body == nullptr && call.body.empty()) return std::string(aws::empty_payload);
  const Sha256Digest digest = options.sha256    ? *options.sha256
                              : body != nullptr ? digest_of(*body)
                                                : Sha256::of(as_bytes(call.body));
  if (options.with_checksum && sends_checksums_ && !has_checksum(call.request.headers))
    call.request.headers.set("x-amz-checksum-sha256", to_base64({digest.data(), digest.size()}));
  return to_hex_digest(digest);
}

Outcome Session::send(aws::Call call, aws::Service service, const std::string& region, http::Body* body,
                      const SendOptions& options) {
  auto held = std::make_unique<aws::Call>(std::move(call));
  bool is_unsigned = body != nullptr && options.may_be_unsigned && !options.sha256 && !signs_all_payloads_;
  std::string payload_hash = is_unsigned ? std::string(aws::unsigned_payload) : hash_payload(*held, body, options);
  const aws::SigningScope scope = scope_of(service, region);
  bool was_unsigned = false;
  for (bool first = true;;) {
    const Signed attempt{held->request.method, sources_->provider.get(), service_time()};
    signer_.sign(held->request, scope, attempt.credentials, attempt.time, payload_hash);
    http::Exchange exchange(client_, deadlines_for(held->request, options.deadlines),
                            stop_for(held->request, options.stop));
    auto own = held->body.empty() ? nullptr : std::make_unique<http::SpanBody>(std::string_view(held->body));
    http::Body* const sent = body != nullptr ? body : own.get();
    if (sent != nullptr) sent->rewind();
    const http::AnswerHead& head = exchange.send(held->request, sent);
    if (head.is_success()) {
      if (was_unsigned) signs_all_payloads_ = true;
      return {OpenCall{std::move(held), std::move(own), std::move(exchange)}, std::nullopt};
    }
    const http::AnswerHead failed_head = head;
    aws::ServiceFailure failure = read_failure(exchange, service);
    if (!failure.is_from_service) client_.close_idle(held->request.origin);
    if (std::exchange(first, false) && mend(failure, failed_head, attempt)) continue;
    if (!is_unsigned || !aws::may_refuse_unsigned_payload(failure)) return {std::nullopt, std::move(failure)};
    is_unsigned = false;
    was_unsigned = true;
    payload_hash = hash_payload(*held, body, options);
  }
}

void Session::note_failure(const Error& failure) noexcept {
  if (aws::is_not_from_service(failure)) client_.close_all_idle();
}

std::string Session::presign(aws::Call call, const std::string& region, std::chrono::seconds expires) {
  signer_.presign(call.request, scope_of(aws::Service::s3, region), sources_->provider.get(), service_time(), expires);
  return http::url_of(call.request);
}

aws::Credentials Session::credentials() { return sources_->provider.get(); }

Error queue_or_table_error(const aws::ServiceFailure& failure, const std::string& where) {
  Error error = aws::to_error(failure, where);
  constexpr int method_not_allowed = 405;
  if (failure.status != method_not_allowed) return error;
  // An object store refuses the POST: waiting makes it no queue.
  return Error(ErrorKind::invalid, error.summary(), where,
               "does this endpoint speak SQS and DynamoDB? Set AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_DYNAMODB")
      .with_code(error.code());
}

std::string read_text(OpenCall& answer, ByteCount most) { return answer.exchange.text(most); }

}  // namespace bale::cloud
