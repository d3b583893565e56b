#include "http/settings.hpp"

#include <initializer_list>

namespace bale::http {
namespace {

std::string first_set(const os::Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::string value = environment.get(name).value_or("");
    if (!value.empty()) return value;
  }
  return {};
}

}  // namespace

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
