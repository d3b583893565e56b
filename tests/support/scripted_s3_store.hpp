// The S3 kind of ObjectStore on a scripted S3 server in the same process.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "cloud/s3_store.hpp"
#include "cloud/session.hpp"
#include "os/process.hpp"
#include "os/world.hpp"
#include "support/scripted_s3.hpp"

namespace bale::testing {

/// Credentials that any test server takes, and nothing else: no variable of the machine leads anywhere.
class TestCredentials final : public os::Environment {
 public:
  std::optional<std::string> get(const std::string& name) const override {
    if (name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY") return "test";
    if (name == "AWS_EC2_METADATA_DISABLED") return "true";
    if (name == "AWS_CONFIG_FILE" || name == "AWS_SHARED_CREDENTIALS_FILE") return "/dev/null";
    return std::nullopt;
  }
};

/// A server and a store that asks it. The store tries everything once.
class ScriptedS3Store {
 public:
  /// `tls`: the store speaks TLS with the server, and trusts only the PEM of `ca_bundle`, a file.
  explicit ScriptedS3Store(const s3::Settings& settings = {}, SSL_CTX* tls = nullptr, const std::string& ca_bundle = {})
      : server_(settings, tls),
        session_(world_, os::system_processes(),
                 {.endpoint_url = server_.url(), .region = settings.region, .profile = {}, .ca_bundle = ca_bundle}),
        store_(session_, Region(settings.region)) {}
  ScriptedS3& server() noexcept { return server_; }
  cloud::S3Store& store() noexcept { return store_; }

 private:
  ScriptedS3 server_;
  TestCredentials environment_;
  os::World real_ = os::system_world();
  os::World world_{real_.clock, real_.entropy, environment_, real_.files, real_.terminal, {}};
  cloud::Session session_;
  cloud::S3Store store_;
};

}  // namespace bale::testing
