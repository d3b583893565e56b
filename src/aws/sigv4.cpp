#include "aws/sigv4.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

/// Headers that a connection, a proxy or curl may change on the way.
constexpr std::array<std::string_view, 12> unsigned_headers{
    "authorization", "connection",        "expect",  "keep-alive", "proxy-authenticate", "proxy-authorization", "te",
    "trailer",       "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id"};

bool is_signed(std::string_view lower_name) {
  return std::find(unsigned_headers.begin(), unsigned_headers.end(), lower_name) == unsigned_headers.end();
}

/// Without space at the ends, and runs of spaces as one.
void append_trimmed(std::string& out, std::string_view value) {
  bool pending_space = false, anything = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      pending_space = anything;
      continue;
    }
    if (pending_space) out += ' ';
    pending_space = false;
    anything = true;
    out += c;
  }
}

/// The path without dot segments and empty segments (RFC 3986, 5.2.4, and "//" as one), then encoded.
void append_normalised_path(std::string& out, std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view segment : split(path, '/')) {
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  for (const std::string_view segment : kept) {
    out += '/';
    out += percent_encode(segment);
  }
  if (kept.empty() || path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..")) out += '/';
}

/// Name and value of each parameter, sorted by encoded name, then value.
void append_canonical_query(std::string& out, std::string_view query) {
  if (query.empty()) return;
  std::vector<std::pair<std::string_view, std::string_view>> parameters;
  for (const std::string_view parameter : split(query, '&')) {
    if (parameter.empty()) continue;
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    parameters.emplace_back(parameter.substr(0, equals), parameter.substr(std::min(equals + 1, parameter.size())));
  }
  std::sort(parameters.begin(), parameters.end());
  const char* separator = "";
  for (const auto& [name, value] : parameters) {
    out += std::exchange(separator, "&");
    out += name;
    out += '=';
    out += value;
  }
}

using SignedHeaders = std::vector<std::pair<std::string, std::string>>;

/// The headers to sign, Host included, names in lower case and sorted; several of one name stay in their order.
SignedHeaders headers_to_sign(const http::Request& request) {
  SignedHeaders headers;
  headers.reserve(request.headers.size() + 1);
  if (request.headers.find("host") == nullptr) headers.emplace_back("host", request.origin.authority());
  for (const http::Header& header : request.headers) {
    std::string name = to_lower(header.name);
    if (is_signed(name)) headers.emplace_back(std::move(name), header.value);
  }
  std::stable_sort(headers.begin(), headers.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return headers;
}

void append_query(std::string& query, std::string_view name, std::string_view value) {
  if (!query.empty()) query += '&';
  query += name;
  query += '=';
  query += percent_encode(value);
}

}  // namespace

CanonicalRequest make_canonical_request(const http::Request& request, PathRule rule, std::string_view payload_hash) {
  CanonicalRequest canonical;
  std::string& text = canonical.text;
  text.reserve(1024);
  text += http::to_string(request.method);
  text += '\n';
  if (rule == PathRule::as_sent)
    text += request.path;
  else
    append_normalised_path(text, request.path);
  text += '\n';
  append_canonical_query(text, request.query);
  text += '\n';
  const SignedHeaders headers = headers_to_sign(request);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto& [name, value] = headers[i];
    if (i > 0 && name == headers[i - 1].first) {
      text.back() = ',';  // instead of the line end
    } else {
      text += name;
      text += ':';
      if (i > 0) canonical.signed_headers += ';';
      canonical.signed_headers += name;
    }
    append_trimmed(text, value);
    text += '\n';
  }
  text += '\n';
  text += canonical.signed_headers;
  text += '\n';
  text += payload_hash;
  return canonical;
}

std::string to_amz_date(TimePoint time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time - day).count();
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), seconds / 3600,
                     seconds / 60 % 60, seconds % 60);
}

std::string make_credential_scope(const SigningScope& scope, TimePoint time) {
  return fmt::format("{}/{}/{}/aws4_request", to_amz_date(time).substr(0, 8), scope.region, scope.service);
}

std::string make_string_to_sign(const SigningScope& scope, TimePoint time, std::string_view canonical_request) {
  return fmt::format("{}\n{}\n{}\n{}", algorithm, to_amz_date(time), make_credential_scope(scope, time),
                     to_hex(Sha256::of(as_bytes(canonical_request))));
}

Sha256Digest make_signing_key(std::string_view secret_access_key, const SigningScope& scope, TimePoint time) {
  const std::string first = fmt::format("AWS4{}", secret_access_key);
  const Sha256Digest date_key = hmac_sha256(as_bytes(first), as_bytes(to_amz_date(time).substr(0, 8)));
  const Sha256Digest region_key = hmac_sha256(date_key, as_bytes(scope.region));
  const Sha256Digest service_key = hmac_sha256(region_key, as_bytes(scope.service));
  return hmac_sha256(service_key, as_bytes("aws4_request"));
}

std::string make_signature(const Sha256Digest& signing_key, std::string_view string_to_sign) {
  return to_hex(hmac_sha256(signing_key, as_bytes(string_to_sign)));
}

Sha256Digest Signer::signing_key(const SigningScope& scope, const Credentials& credentials, TimePoint time) {
  const std::string date = to_amz_date(time).substr(0, 8);
  const Lock lock(mutex_);
  for (const Cached& entry : cached_) {
    if (entry.date == date && entry.secret == credentials.secret_access_key && entry.region == scope.region &&
        entry.service == scope.service)
      return entry.key;
  }
  if (cached_.size() == max_cached) cached_.erase(cached_.begin());
  cached_.push_back({credentials.secret_access_key, date, scope.region, scope.service,
                     make_signing_key(credentials.secret_access_key, scope, time)});
  return cached_.back().key;
}

void Signer::sign(http::Request& request, const SigningScope& scope, const Credentials& credentials, TimePoint time,
                  std::string_view payload_hash) {
  request.headers.remove("authorization");
  request.headers.set("x-amz-date", to_amz_date(time));
  if (scope.path_rule == PathRule::as_sent) request.headers.set("x-amz-content-sha256", std::string(payload_hash));
  if (credentials.session_token.empty())
    request.headers.remove("x-amz-security-token");
  else
    request.headers.set("x-amz-security-token", credentials.session_token);
  const CanonicalRequest canonical = make_canonical_request(request, scope.path_rule, payload_hash);
  const std::string signature =
      make_signature(signing_key(scope, credentials, time), make_string_to_sign(scope, time, canonical.text));
  request.headers.add("Authorization", fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", algorithm,
                                                   credentials.access_key_id, make_credential_scope(scope, time),
                                                   canonical.signed_headers, signature));
}

void Signer::presign(http::Request& request, const SigningScope& scope, const Credentials& credentials, TimePoint time,
                     std::chrono::seconds expires) {
  if (expires < std::chrono::seconds{1} || expires > max_presign_expiry)
    throw Error(ErrorKind::invalid, "a presigned URL lives from 1 second to 7 days", {}, "choose another expiry");
  std::string signed_headers;
  for (const auto& [name, value] : headers_to_sign(request)) {
    if (signed_headers.ends_with(name) && (signed_headers == name || signed_headers.ends_with(";" + name))) continue;
    if (!signed_headers.empty()) signed_headers += ';';
    signed_headers += name;
  }
  append_query(request.query, "X-Amz-Algorithm", algorithm);
  append_query(request.query, "X-Amz-Credential",
               fmt::format("{}/{}", credentials.access_key_id, make_credential_scope(scope, time)));
  append_query(request.query, "X-Amz-Date", to_amz_date(time));
  append_query(request.query, "X-Amz-Expires", std::to_string(expires.count()));
  if (!credentials.session_token.empty())
    append_query(request.query, "X-Amz-Security-Token", credentials.session_token);
  append_query(request.query, "X-Amz-SignedHeaders", signed_headers);
  const CanonicalRequest canonical = make_canonical_request(
      request, scope.path_rule, scope.path_rule == PathRule::as_sent ? unsigned_payload : empty_payload);
  append_query(request.query, "X-Amz-Signature",
               make_signature(signing_key(scope, credentials, time), make_string_to_sign(scope, time, canonical.text)));
}

}  // namespace bale::aws
