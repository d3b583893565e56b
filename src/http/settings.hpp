// What the environment and the command line say about connections.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "http/message.hpp"
#include "os/environment.hpp"

namespace bale::http {

/// How connections are made. A value; the defaults are those of an empty environment.
struct Settings {
  std::string http_proxy;   ///< proxy URL for http origins; empty: none
  std::string https_proxy;  ///< proxy URL for https origins (CONNECT); empty: none
  /// Hosts, domains, addresses and networks that are reached directly, separated by commas or spaces, each with a port
  /// or for all ports: "localhost,.example.com,10.0.0.0/8,[fd00::1]:9000". "*" alone: all.
  std::string no_proxy;
  std::string ca_bundle;     ///< PEM file of trusted authorities; empty: the system's
  std::string ca_directory;  ///< directory of such files, hashed names; empty: the system's
  bool verify_tls = true;    ///< false: any certificate is accepted (--no-verify-ssl)
  std::string user_agent = "bale";
  /// Most connections that stay open while unused, over all origins. The one that was unused longest is closed first.
  std::size_t max_idle_connections = 256;
  /// A connection that was unused for longer is closed.
  std::chrono::seconds max_idle_time{118};
  /// A connection that was opened longer ago is not reused: a service that moves to other addresses, or adds servers
  /// behind a load balancer, is followed.
  std::chrono::seconds max_connection_age{300};
};

/// Reads https_proxy, http_proxy and no_proxy (lower case wins over upper case, as in curl and botocore), and the CA
/// bundle: AWS_CA_BUNDLE, else CURL_CA_BUNDLE, else SSL_CERT_FILE; SSL_CERT_DIR. Empty variables count as not set.
/// Throws what os::get_line() throws.
Settings settings_from(const os::Environment& environment);

/// Returns the entries of `no_proxy` that hold for the origin's port, without their ports and brackets: in the form
/// that libcurl compares with a host.
std::string no_proxy_for(const Origin& origin, std::string_view no_proxy);

/// How long to wait. Zero: for ever.
struct Deadlines {
  Milliseconds connect{10'000};  ///< name resolution, TCP and TLS handshake together
  /// How long the service may be silent, with no byte moving in either direction.
  Milliseconds idle{60'000};
  Milliseconds total{0};  ///< from the start of the request to the end of the answer
  /// The bytes of an exchange, in both directions, justify a wait of one second per `least_rate` bytes. Waiting for
  /// longer than they justify is allowed for `slack` in all; faster transfer makes up for it, but is not saved up.
  /// So an exchange of n bytes ends after slack + n / least_rate.
  ///
  /// `idle` and `slack` count time spent waiting for the network, not what the caller's sink, body or pauses take.
  Milliseconds slack{60'000};
  ByteCount least_rate = 1024;  ///< bytes per second; 64 connections over a line of 0.5 Mbit/s reach it
};

}  // namespace bale::http
