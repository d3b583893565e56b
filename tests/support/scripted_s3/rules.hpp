// The rules of a scripted S3 server: what it does otherwise, to which requests, and how often.
//
// docs/testing.md describes the document. One rule has one action; a request gets the actions of all rules whose turn
// it is, but only the first of those that decide its answer (respond, lie, lose_answer, fail_answer, cut).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/mutex.hpp"
#include "http/message.hpp"

namespace bale::testing::s3 {

/// The head of a request, in parts.
struct Request {
  std::string method;
  std::string target;                        ///< as on the request line
  std::string path;                          ///< decoded: "/bucket/key"
  std::string bucket, key;                   ///< decoded
  std::map<std::string, std::string> query;  ///< decoded
  http::Headers headers;
  std::string operation;  ///< S3's name of what is asked for: "UploadPart", ...; empty: there is none
  int connection = 0;     ///< 0 for the first, ...

  bool has(const std::string& parameter) const { return query.contains(parameter); }
  std::string parameter(const std::string& name) const;
  std::string header(std::string_view name) const { return std::string(headers.get(name)); }
};

/// What a rule says.
struct Rule {
  std::string name;
  std::string action;
  nlohmann::json source;  ///< as it was given: the action's parameters are read from here

  std::optional<std::regex> method, path, operation;
  std::map<std::string, std::optional<std::regex>> query, headers;  ///< that have to be there; names of headers lower
  std::vector<std::string> without_query, without_headers;
  std::uint64_t after = 0;             ///< so many requests that match pass first
  std::optional<std::uint64_t> times;  ///< absent: without limit

  /// Returns the parameter as a number, or `otherwise`.
  double number(const char* parameter, double otherwise) const { return source.value(parameter, otherwise); }
  ByteCount bytes(const char* parameter, ByteCount otherwise) const { return source.value(parameter, otherwise); }
  std::string text(const char* parameter, const std::string& otherwise = {}) const {
    return source.value(parameter, otherwise);
  }
  /// Whether the request is one that the rule is about.
  bool matches(const Request& request) const;
};

/// Reads one rule; `number` is its place in the document. Throws std::invalid_argument, or nlohmann's exceptions, for
/// an action or a member that there is not.
Rule parse_rule(const nlohmann::json& source, std::size_t number);

/// A rule whose turn it is for one request.
struct Chosen {
  std::uint64_t id = 0;
  std::shared_ptr<const Rule> rule;
};

/// The rules of one server. Thread-safe.
class Rules {
 public:
  /// Replaces all rules, or adds to them, by a document: one rule or a list of them. Throws as parse_rule(), and
  /// changes nothing then.
  void set(const nlohmann::json& document);
  void add(const nlohmann::json& document);
  /// Returns each rule with "matched" requests, those "chosen" for its action, and "hits": how often that took place.
  nlohmann::json list() const;
  /// Returns the hits of all rules of that name together. Throws std::out_of_range where there is none.
  std::uint64_t hits(std::string_view name) const;
  /// Returns those whose turn it is, in their order, and counts them.
  std::vector<Chosen> choose(const Request& request);
  /// The rule's action took place.
  void hit(std::uint64_t id);
  /// Whether the rule is still there, and release() did not name it since it was chosen.
  bool holds(std::uint64_t id) const;
  /// Ends the "hold" of all rules of that name, for requests that come later too.
  void release(std::string_view name);

 private:
  struct Entry {
    std::uint64_t id = 0;
    std::shared_ptr<const Rule> rule;
    std::uint64_t matched = 0, chosen = 0, hits = 0;
    bool released = false;
  };
  void take(const nlohmann::json& document, bool replace);

  mutable Mutex mutex_;
  std::vector<Entry> entries_ BALE_GUARDED_BY(mutex_);
  std::uint64_t next_id_ BALE_GUARDED_BY(mutex_) = 1;
};

}  // namespace bale::testing::s3
