#include "support/scripted_s3/journal.hpp"

#include "base/text.hpp"

namespace bale::testing::s3 {
namespace {

/// Headers that say nothing about what is asked for, or are the credentials.
bool is_noted(const std::string& name) {
  return name != "authorization" && name != "x-amz-security-token" && name != "accept-encoding" && name != "accept";
}

}  // namespace

double Journal::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::uint64_t Journal::begin(const Request& request, const std::vector<Chosen>& chosen) {
  nlohmann::json headers = nlohmann::json::object(), rules = nlohmann::json::array();
  for (const http::Header& header : request.headers) {
    const std::string name = to_lower(header.name);
    if (is_noted(name)) headers[name] = header.value;
  }
  for (const Chosen& each : chosen) rules.push_back(each.rule->name);
  nlohmann::json entry = {{"connection", request.connection},
                          {"method", request.method},
                          {"path", request.path},
                          {"bucket", request.bucket},
                          {"key", request.key},
                          {"query", request.query},
                          {"operation", request.operation},
                          {"headers", std::move(headers)},
                          {"rules", std::move(rules)},
                          {"body_bytes", 0},
                          {"denied", nlohmann::json::array()},
                          {"status", nullptr},
                          {"began", seconds()},
                          {"ended", nullptr}};
  const Lock lock(mutex_);
  const std::uint64_t number = first_ + entries_.size();
  entry["number"] = number;
  entries_.push_back(std::move(entry));
  return number;
}

void Journal::change(std::uint64_t number, const std::function<void(nlohmann::json&)>& change) {
  const Lock lock(mutex_);
  if (number >= first_ && number - first_ < entries_.size()) change(entries_[number - first_]);
}

void Journal::received(std::uint64_t number, ByteCount bytes) {
  change(number, [&](nlohmann::json& entry) { entry["body_bytes"] = bytes; });
}

void Journal::digested(std::uint64_t number, const Digests& digests) {
  change(number, [&](nlohmann::json& entry) {
    entry["content_bytes"] = digests.size;
    entry["md5"] = to_hex_digest(digests.md5);
    for (const std::string& name : checksum_names()) {
      const std::string bytes = checksum_bytes(digests, name);
      if (!bytes.empty()) entry[name] = to_base64(as_bytes(bytes));
    }
  });
}

void Journal::denied(std::uint64_t number, const std::string& action) {
  change(number, [&](nlohmann::json& entry) { entry["denied"].push_back(action); });
}

void Journal::end(std::uint64_t number, int status) {
  const double now = seconds();
  change(number, [&](nlohmann::json& entry) {
    entry["status"] = status;
    entry["ended"] = now;
  });
}

nlohmann::json Journal::list() const {
  const Lock lock(mutex_);
  nlohmann::json operations = nlohmann::json::object();
  ByteCount body_bytes = 0;
  for (const nlohmann::json& entry : entries_) {
    const ByteCount bytes = entry.at("body_bytes");
    nlohmann::json& sum = operations[entry.at("operation").get<std::string>()];
    if (sum.is_null()) sum = {{"count", 0}, {"body_bytes", 0}, {"statuses", nlohmann::json::object()}};
    sum["count"] = sum["count"].get<std::uint64_t>() + 1;
    sum["body_bytes"] = sum["body_bytes"].get<ByteCount>() + bytes;
    const std::string status = entry.at("status").is_null() ? "none" : std::to_string(entry.at("status").get<int>());
    sum["statuses"][status] = sum["statuses"].value(status, 0) + 1;
    body_bytes += bytes;
  }
  return {{"count", entries_.size()},
          {"body_bytes", body_bytes},
          {"operations", std::move(operations)},
          {"requests", nlohmann::json(std::vector<nlohmann::json>(entries_.begin(), entries_.end()))}};
}

void Journal::clear() {
  const Lock lock(mutex_);
  first_ += entries_.size();
  entries_.clear();
}

}  // namespace bale::testing::s3
