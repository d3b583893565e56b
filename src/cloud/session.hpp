// Who asks, from where, over which connections: what the AWS kinds of all ports share.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "aws/answer.hpp"
#include "aws/credential_provider.hpp"
#include "aws/endpoint.hpp"
#include "aws/shared_config.hpp"
#include "aws/sigv4.hpp"
#include "base/hash.hpp"
#include "base/mutex.hpp"
#include "http/client.hpp"
#include "os/process.hpp"
#include "os/world.hpp"

namespace bale::cloud {

struct SessionOptions {
  std::string endpoint_url;          ///< --endpoint-url; empty: what environment and files say
  std::string region;                ///< --region
  std::string profile;               ///< --profile
  std::string s3_endpoint_url = {};  ///< of S3 alone, from a configuration of Bale; endpoint_url counts more
  /// --ca-bundle, a PEM file of trusted authorities; empty: AWS_CA_BUNDLE, `ca_bundle` of the profile, the other
  /// variables that http::settings_from() reads, the system's.
  std::string ca_bundle;
  std::size_t idle_connections = 256;  ///< kept open unused, at most
};

/// A request that was answered with success; its body may still come in. Move-only; used by one thread at a time.
struct OpenCall {
  // Borrowed by the exchange, which therefore comes last.
  std::unique_ptr<aws::Call> call;
  std::unique_ptr<http::SpanBody> own_body;
  http::Exchange exchange;
};

/// What became of a request: an answer, or the service's refusal.
struct Outcome {
  std::optional<OpenCall> answer;
  std::optional<aws::ServiceFailure> failure;
};

struct SendOptions {
  http::Deadlines deadlines;
  std::stop_token stop;  ///< breaks the exchange off
  /// Send x-amz-checksum-sha256 with a body (S3), for the service to keep: the digest that is signed anyway. Not where
  /// the request has another checksum, or the body is not signed.
  bool with_checksum = false;
  /// The SHA-256 of the body where the caller knows it: it is signed, and the body is not read to compute it.
  std::optional<Sha256Digest> sha256 = {};
  /// The signature need not cover the body (S3): something else protects its bytes. UNSIGNED-PAYLOAD is signed in place
  /// of its digest, unless the digest is known.
  bool may_be_unsigned = false;
};

/// Connections, credentials, endpoints and the services' clock. Thread-safe; outlives every store, queue and table made
/// with it.
class Session {
 public:
  /// Reads the shared configuration files. Borrows `world` and `processes`. Asks nobody for credentials yet.
  Session(os::World& world, os::Processes& processes, const SessionOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// --region, the environment, the profile; absent when none says one.
  std::optional<std::string> region() const;
  /// Throws Error{invalid} as aws::resolve_endpoint() does.
  aws::Endpoint endpoint(aws::Service service, const std::string& region) const;
  aws::Addressing addressing() const;
  os::World& world() const noexcept { return world_; }
  /// How often the user wants a request to be tried, for whoever decorates the ports; absent when nobody said. Throws
  /// Error{invalid} as aws::resolve_max_attempts() does.
  std::optional<std::uint32_t> max_attempts() const;
  /// AWS_REQUEST_CHECKSUM_CALCULATION, else request_checksum_calculation of the profile, is not "when_required".
  bool sends_checksums() const noexcept { return sends_checksums_; }

  /// Signs the request for `region` and sends it with its own body, or with `body` (borrowed until the answer is read).
  /// Bodies are read twice, first for the signature, unless the options give their digest or do without one. A request
  /// that was refused because this machine's clock is wrong, or because the credentials had expired, is signed and sent
  /// once more (aws::skew_to_sign_again(), is_expired()). So is one with UNSIGNED-PAYLOAD that may have been refused
  /// for that; where the signed one is taken, all later bodies of the session are signed. Throws what http::Exchange
  /// and the credentials' sources throw; a refusal is no exception.
  Outcome send(aws::Call call, aws::Service service, const std::string& region, http::Body* body = nullptr,
               const SendOptions& options = {});
  /// Has the next requests sent over new connections where `failure` shows that something else answered in the place of
  /// a service (aws::is_not_from_service()): a kept connection may lead to it for ever, while a balancer leads a new
  /// one to the service. An answer whose status is a failure does this itself.
  void note_failure(const Error& failure) noexcept;
  /// From now on `stop` breaks off requests that begin (Error{cancelled}), but for those that abort an upload: for
  /// programs that end then, and finish nothing.
  void break_off_on(std::stop_token stop);
  /// A URL with which anyone can send the request until `expires`.
  std::string presign(aws::Call call, const std::string& region, std::chrono::seconds expires);
  /// The credentials with which requests are signed now. Throws what their sources throw.
  aws::Credentials credentials();

 private:
  TimePoint service_time() const;
  std::stop_token stop_for(const http::Request& request, const std::stop_token& given) const;
  /// What the signature of an attempt rests on.
  struct Signed {
    http::Method method;
    aws::Credentials credentials;
    TimePoint time;
  };
  bool mend(const aws::ServiceFailure& failure, const http::AnswerHead& head, const Signed& attempt);
  std::string hash_payload(aws::Call& call, http::Body* body, const SendOptions& options) const;

  os::World& world_;
  aws::SharedConfig config_;
  aws::PlaceOptions places_;
  http::Client client_, direct_client_;
  aws::Signer signer_;
  struct Sources;
  std::unique_ptr<Sources> sources_;
  bool sends_checksums_ = true;
  mutable Mutex mutex_;
  std::stop_token breaker_ BALE_GUARDED_BY(mutex_);
  std::atomic<bool> signs_all_payloads_{false};  ///< UNSIGNED-PAYLOAD was refused
  std::atomic<std::int64_t> skew_ms_{0};         ///< how much the services' clock is ahead
};

/// The refusal of SQS or DynamoDB as an Error. A server that knows only S3 says that the method is not allowed: the
/// hint tells where to name the right endpoint.
Error queue_or_table_error(const aws::ServiceFailure& failure, const std::string& where);

/// The rest of the answer's body. Error{corrupt} when it is longer than `most` bytes.
std::string read_text(OpenCall& answer, ByteCount most);

}  // namespace bale::cloud
