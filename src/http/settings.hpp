// What the environment and the command line say about connections.
#pragma once

#include <string>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "os/environment.hpp"

namespace bale::http {

/// How connections are made. A value; the defaults are those of an empty environment.
struct Settings {
  std::string http_proxy;    ///< proxy URL for http origins; empty: none
  std::string https_proxy;   ///< proxy URL for https origins (CONNECT); empty: none
  std::string no_proxy;      ///< comma-separated hosts and domains that are reached directly; "*": all
  std::string ca_bundle;     ///< PEM file of trusted authorities; empty: the system's
  std::string ca_directory;  ///< directory of such files, hashed names; empty: the system's
  bool verify_tls = true;    ///< false: any certificate is accepted (--no-verify-ssl)
  std::string user_agent = "bale";
  /// Connections kept open when nobody uses them, over all origins. A connection is also given up after two minutes
  /// without use (libcurl's CURLOPT_MAXAGE_CONN).
  std::size_t max_idle_connections = 256;
};

/// Reads https_proxy, http_proxy and no_proxy (lower case wins over upper case, as in curl and botocore), and the CA
/// bundle: AWS_CA_BUNDLE, else CURL_CA_BUNDLE, else SSL_CERT_FILE; SSL_CERT_DIR. Empty variables count as not set.
Settings settings_from(const os::Environment& environment);

/// How long to wait. Zero: for ever.
struct Deadlines {
  Milliseconds connect{10'000};  ///< name resolution, TCP and TLS handshake together
  /// While waiting for the service: how long fewer than `idle_bytes` bytes may go either way. The time that a caller
  /// takes between two reads does not count.
  Milliseconds idle{60'000};
  ByteCount idle_bytes = 1;
  Milliseconds total{0};  ///< from the start of the request to the end of the answer
};

}  // namespace bale::http
