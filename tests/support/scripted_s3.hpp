// An S3 server in memory that follows rules: for what no stand-in server shows, in C++ and black-box tests alike.
//
// It answers as S3 does, conditions, checksums, owners and versions included, except where a rule says otherwise: lost
// answers, a 200 with an error in its body, an upload that is said to be complete and is not, denied actions, slow and
// silent connections, damaged bytes, another writer. It notes all requests. Signatures are not checked, but there must
// be one. docs/testing.md describes the rules; over HTTP they are at /-/rules, and the rest beside them.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "support/scripted_s3/operations.hpp"

namespace bale::testing {

/// A running server on a free port of 127.0.0.1, until it is destroyed. Thread-safe.
class ScriptedS3 {
 public:
  /// Speaks TLS where `tls` is given, which is borrowed. Throws std::runtime_error where no port can be listened on.
  explicit ScriptedS3(s3::Settings settings = {}, SSL_CTX* tls = nullptr);
  ~ScriptedS3();
  ScriptedS3(const ScriptedS3&) = delete;
  ScriptedS3& operator=(const ScriptedS3&) = delete;

  std::uint16_t port() const noexcept;
  std::string url() const;  ///< "http://127.0.0.1:port", or https

  /// Replaces the rules, or adds to them. Throws std::invalid_argument, or nlohmann's exceptions, for what is no rule.
  void set_rules(const nlohmann::json& rules);
  void add_rules(const nlohmann::json& rules);
  /// Returns the rules, each with "matched", "chosen" and "hits": see s3::Rules::list().
  nlohmann::json rules() const;
  /// Returns how often the action of the rules of that name took place. Throws std::out_of_range for no such rule.
  std::uint64_t hits(std::string_view name) const;
  /// Ends what rules of that name hold.
  void release(std::string_view name);

  /// Makes a bucket, or changes one that is there: {"region", "owner", "foreign", "versioning"}, each optional.
  void set_bucket(const std::string& name, const nlohmann::json& properties = nlohmann::json::object());
  /// Moves the server's clock.
  void advance(Milliseconds time);

  /// Returns the requests since forget_requests(), and sums: see s3::Journal::list().
  nlohmann::json requests() const;
  void forget_requests();
  /// Returns the buckets with their objects and uploads.
  nlohmann::json state() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bale::testing
