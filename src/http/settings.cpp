#include "http/settings.hpp"

#include <algorithm>
#include <initializer_list>

namespace bale::http {
namespace {

std::string first_set(const os::Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto value = os::get_line(environment, name)) return *value;
  }
  return {};
}

/// An entry of no_proxy in its parts.
struct Exception {
  std::string_view host, port;  ///< without brackets; no port: all of them
};

/// Reads "host", "host:port", "::1", "[::1]" or "[::1]:port".
Exception read_exception(std::string_view entry) {
  if (entry.starts_with('[')) {
    const std::size_t end = entry.find(']');
    if (end == std::string_view::npos) return {entry, {}};
    const std::string_view rest = entry.substr(end + 1);
    return {entry.substr(1, end - 1), rest.starts_with(':') ? rest.substr(1) : std::string_view()};
  }
  const std::size_t colon = entry.find(':');
  if (colon == std::string_view::npos || entry.find(':', colon + 1) != std::string_view::npos) return {entry, {}};
  return {entry.substr(0, colon), entry.substr(colon + 1)};
}

}  // namespace

std::string no_proxy_for(const Origin& origin, std::string_view no_proxy) {
  constexpr std::uint16_t http_port = 80, https_port = 443;
  const std::string port = std::to_string(origin.port != 0 ? origin.port : origin.is_tls() ? https_port : http_port);
  constexpr std::string_view separators = ", \t";
  std::string hosts;
  while (!no_proxy.empty()) {
    const std::size_t length = std::min(no_proxy.find_first_of(separators), no_proxy.size());
    const Exception exception = read_exception(no_proxy.substr(0, length));
    no_proxy.remove_prefix(std::min(length + 1, no_proxy.size()));
    if (exception.host.empty() || (!exception.port.empty() && exception.port != port)) continue;
    if (!hosts.empty()) hosts += ',';
    hosts += exception.host;
  }
  return hosts;
}

Settings settings_from(const os::Environment& environment) {
  Settings settings;
  settings.http_proxy = first_set(environment, {"http_proxy", "HTTP_PROXY"});
  settings.https_proxy = first_set(environment, {"https_proxy", "HTTPS_PROXY"});
  settings.no_proxy = first_set(environment, {"no_proxy", "NO_PROXY"});
  settings.ca_bundle = first_set(environment, {"AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"});
  settings.ca_directory = first_set(environment, {"SSL_CERT_DIR"});
  return settings;
}

}  // namespace bale::http
