// AWS Signature Version 4: pure functions from a request, keys and a time to a signed request.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, and for S3
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. The three steps are separate functions
// so that tests can hold each against AWS's published examples.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "aws/credentials.hpp"
#include "base/hash.hpp"
#include "base/mutex.hpp"
#include "base/time.hpp"
#include "http/message.hpp"

namespace bale::aws {

/// How a request's path enters the signature.
enum class PathRule {
  as_sent,     ///< S3: exactly the bytes that are sent
  normalised,  ///< every other service: dot segments and "//" taken out, then percent-encoded once more
};

/// What a signature is good for.
struct SigningScope {
  std::string region;   ///< "us-east-1"
  std::string service;  ///< "s3", "sqs", "dynamodb", "sts"
  PathRule path_rule = PathRule::normalised;
};

/// In place of a body's SHA-256 where the body is not signed: over TLS, or where a checksum protects it.
inline constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing, in hex.
inline constexpr std::string_view empty_payload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The longest that a presigned URL lives.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
inline constexpr std::chrono::seconds max_presign_expiry{7 * 24 * 3600};

struct CanonicalRequest {
  std::string text;
  std::string signed_headers;  ///< names in lower case, sorted, joined by ';'
};

/// Step 1. All headers are signed, Host among them, but for those that connections and proxies may change.
/// `payload_hash` is the hex SHA-256 of the body or unsigned_payload.
CanonicalRequest make_canonical_request(const http::Request& request, PathRule rule, std::string_view payload_hash);

/// "20130524/us-east-1/s3/aws4_request".
std::string make_credential_scope(const SigningScope& scope, TimePoint time);
/// Step 2.
std::string make_string_to_sign(const SigningScope& scope, TimePoint time, std::string_view canonical_request);
/// The key of step 3: good for one day, region and service.
Sha256Digest make_signing_key(std::string_view secret_access_key, const SigningScope& scope, TimePoint time);
/// Step 3: lower-case hex.
std::string make_signature(const Sha256Digest& signing_key, std::string_view string_to_sign);

/// "20130524T000000Z": x-amz-date.
std::string to_amz_date(TimePoint time);

/// Signs requests, and keeps the signing keys of recent (key, day, region, service). Thread-safe.
class Signer {
 public:
  /// Adds x-amz-date, x-amz-security-token where the keys have one, x-amz-content-sha256 for S3, and Authorization;
  /// those that a former signature left are replaced. The request must not be changed afterwards.
  void sign(http::Request& request, const SigningScope& scope, const Credentials& credentials, TimePoint time,
            std::string_view payload_hash);
  /// Signs by query parameters instead; the body is not signed. Headers of the request become part of what whoever uses
  /// the URL has to send. Throws Error{invalid} unless `expires` is 1 s to max_presign_expiry.
  void presign(http::Request& request, const SigningScope& scope, const Credentials& credentials, TimePoint time,
               std::chrono::seconds expires);

 private:
  struct Cached {
    std::string secret, date, region, service;
    Sha256Digest key{};
  };
  Sha256Digest signing_key(const SigningScope& scope, const Credentials& credentials, TimePoint time);

  Mutex mutex_;
  std::vector<Cached> cached_ BALE_GUARDED_BY(mutex_);  // newest last, at most max_cached of them
  static constexpr std::size_t max_cached = 32;
};

}  // namespace bale::aws
