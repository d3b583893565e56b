#include "http/failure.hpp"

#include <stdexcept>

#include "base/printable.hpp"
#include "base/text.hpp"

namespace bale::http {
namespace {

struct Meaning {
  CURLcode result;
  ErrorKind kind;
  const char* what;
  const char* hint;
};

constexpr Meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, ErrorKind::unavailable, "the host's name cannot be resolved",
     "check the endpoint's name, the region and the network"},
    {CURLE_COULDNT_RESOLVE_PROXY, ErrorKind::unavailable, "the proxy's name cannot be resolved",
     "check HTTP_PROXY and HTTPS_PROXY"},
    {CURLE_COULDNT_CONNECT, ErrorKind::unavailable, "no connection", "check that the service runs and is reachable"},
    {CURLE_OPERATION_TIMEDOUT, ErrorKind::timeout, "no connection in time",
     "check that the service is reachable from here"},
    {CURLE_PROXY, ErrorKind::unavailable, "the proxy refuses", "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"},
    {CURLE_SSL_CACERT_BADFILE, ErrorKind::invalid, "the file of trusted authorities cannot be read",
     "check --ca-bundle, AWS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE"},
    {CURLE_SSL_CONNECT_ERROR, ErrorKind::unavailable, "the TLS handshake failed",
     "check whether the endpoint is http or https"},
    {CURLE_SEND_ERROR, ErrorKind::unavailable, "the connection broke while the request was sent", ""},
    {CURLE_SEND_FAIL_REWIND, ErrorKind::unavailable, "the connection broke while the request was sent", ""},
    {CURLE_RECV_ERROR, ErrorKind::unavailable, "the connection broke before the answer was complete", ""},
    {CURLE_GOT_NOTHING, ErrorKind::unavailable, "the connection was closed without an answer", ""},
    {CURLE_PARTIAL_FILE, ErrorKind::unavailable, "the answer ended early", ""},
    {CURLE_ABORTED_BY_CALLBACK, ErrorKind::unavailable, "a kept connection was closed without an answer", ""},
    {CURLE_OUT_OF_MEMORY, ErrorKind::unavailable, "out of memory, or the answer's head is too large", ""},
    {CURLE_URL_MALFORMAT, ErrorKind::invalid, "that is no URL", "check the endpoint"},
    {CURLE_WEIRD_SERVER_REPLY, ErrorKind::corrupt, "the answer is no HTTP", "check the endpoint's port"},
    {CURLE_UNSUPPORTED_PROTOCOL, ErrorKind::corrupt, "the answer is no HTTP", "check the endpoint's port"},
};

/// Why a certificate was refused. OpenSSL's numbers, from its x509_vfy.h; 0 (none) and 1 (not said) are what is left
/// when only the name in it is another.
Meaning refused_certificate(long verified) noexcept {
  constexpr long ok = 0, unspecified = 1, not_yet_valid = 9, has_expired = 10, hostname_mismatch = 62,
                 address_mismatch = 64;
  const auto because = [](const char* what, const char* hint) {
    return Meaning{CURLE_PEER_FAILED_VERIFICATION, ErrorKind::denied, what, hint};
  };
  switch (verified) {
    case ok:
    case unspecified:
    case hostname_mismatch:
    case address_mismatch:
      return because("the service's certificate is for another host", "write the endpoint with the name that is in it");
    case not_yet_valid:
      return because("the service's certificate is not valid yet", "check the clocks of both machines");
    case has_expired:
      return because("the service's certificate has expired",
                     "it has to be renewed on the server; if it was, check this machine's clock");
    default:
      return because("the service's certificate is not trusted",
                     "if it is your own authority's, name its file with --ca-bundle or AWS_CA_BUNDLE");
  }
}

}  // namespace

Error to_error(CURLcode result, std::string_view detail, std::string where, long verified) {
  const std::runtime_error cause(
      escape_for_terminal(redact_secrets(detail.empty() ? std::string_view(curl_easy_strerror(result)) : detail)));
  const auto error_of = [&](const Meaning& meaning) {
    return Error(meaning.kind, meaning.what, std::move(where), meaning.hint).with_cause(cause);
  };
  if (result == CURLE_PEER_FAILED_VERIFICATION) return error_of(refused_certificate(verified));
  for (const Meaning& meaning : meanings) {
    if (meaning.result == result) return error_of(meaning);
  }
  return Error(ErrorKind::unavailable, "the transfer failed", std::move(where)).with_cause(cause);
}

}  // namespace bale::http
