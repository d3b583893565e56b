#include "support/scripted_s3/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/text.hpp"

namespace bale::testing::s3 {
namespace {

/// Members that every rule may have.
const std::set<std::string> common = {"name",    "action",        "method",          "path",  "operation", "query",
                                      "headers", "without_query", "without_headers", "after", "times"};

/// The actions, and the members of each.
const std::map<std::string, std::set<std::string>>& actions() {
  static const std::map<std::string, std::set<std::string>> all = {
      {"respond", {"status", "code", "message", "body", "answer_headers", "early"}},
      {"lie", {}},
      {"lose_answer", {"reset"}},
      {"fail_answer", {"status", "code", "message"}},
      {"cut", {"of", "bytes", "reset"}},
      {"delay", {"seconds", "when", "anyway"}},
      {"hold", {"when", "anyway"}},
      {"throttle", {"of", "bytes_per_second"}},
      {"silence", {"of", "bytes", "seconds"}},
      {"flip", {"of", "offset", "bit"}},
      {"deny", {"deny", "allow"}},
      {"other_writer", {"when", "body", "size", "metadata", "remove"}},
      {"abort_uploads", {"when"}},
      {"spaces", {"seconds"}},
      {"advance", {"seconds", "when"}}};
  return all;
}

/// Values of members that take one of few.
const std::map<std::string, std::set<std::string>> choices = {{"of", {"request", "response", "stored"}},
                                                              {"when", {"before", "after"}}};

const std::set<std::string> decide_the_answer = {"respond", "lie", "lose_answer", "fail_answer", "cut"};
/// Actions of conditions that last; all others are there once, where nothing is said.
const std::set<std::string> last = {"deny", "throttle"};

std::optional<std::regex> pattern(const nlohmann::json& source, const char* member) {
  if (!source.contains(member)) return std::nullopt;
  return std::regex(source.at(member).get<std::string>());
}

/// ["name", ...], or {"name": "pattern of its value", ...}.
std::map<std::string, std::optional<std::regex>> patterns(const nlohmann::json& source, const char* member) {
  std::map<std::string, std::optional<std::regex>> found;
  if (!source.contains(member)) return found;
  if (source.at(member).is_array()) {
    for (const std::string name : source.at(member)) found.emplace(name, std::nullopt);
  } else {
    for (const auto& [name, value] : source.at(member).items())
      found.emplace(name, std::regex(value.get<std::string>()));
  }
  return found;
}

/// Refuses what would silently never be looked at.
void check_members(const nlohmann::json& source, const std::string& action) {
  const auto known = actions().find(action);
  if (known == actions().end()) throw std::invalid_argument(fmt::format("there is no action '{}'", action));
  for (const auto& [name, value] : source.items()) {
    if (!common.contains(name) && !known->second.contains(name))
      throw std::invalid_argument(fmt::format("a rule of action '{}' has no member '{}'", action, name));
    const auto choice = choices.find(name);
    if (choice != choices.end() && !choice->second.contains(value.get<std::string>()))
      throw std::invalid_argument(fmt::format("'{}' cannot be {}", name, value.dump()));
  }
}

bool finds(const std::optional<std::regex>& pattern, const std::string& text) {
  return !pattern || std::regex_search(text, *pattern);
}

}  // namespace

std::string Request::parameter(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

bool Rule::matches(const Request& request) const {
  if (!finds(method, request.method) || !finds(path, request.path) || !finds(operation, request.operation))
    return false;
  for (const auto& [member, value] : query) {
    if (!request.has(member) || !finds(value, request.parameter(member))) return false;
  }
  for (const auto& [member, value] : headers) {
    const std::string* const header = request.headers.find(member);
    if (header == nullptr || !finds(value, *header)) return false;
  }
  return std::none_of(without_query.begin(), without_query.end(),
                      [&](const std::string& member) { return request.has(member); }) &&
         std::none_of(without_headers.begin(), without_headers.end(),
                      [&](const std::string& member) { return request.headers.find(member) != nullptr; });
}

Rule parse_rule(const nlohmann::json& source, std::size_t number) {
  if (!source.is_object()) throw std::invalid_argument("a rule is an object");
  Rule rule;
  rule.source = source;
  const bool denies = source.contains("deny") || source.contains("allow");
  rule.action = source.value("action", denies ? "deny" : "");
  check_members(source, rule.action);
  rule.name = source.value("name", fmt::format("{} {}", rule.action, number));
  rule.method = pattern(source, "method");
  rule.path = pattern(source, "path");
  rule.operation = pattern(source, "operation");
  rule.query = patterns(source, "query");
  rule.headers = patterns(source, "headers");
  rule.without_query = source.value("without_query", std::vector<std::string>());
  rule.without_headers = source.value("without_headers", std::vector<std::string>());
  rule.after = source.value("after", std::uint64_t{0});
  if (!source.contains("times")) {
    if (!last.contains(rule.action)) rule.times = 1;
  } else if (!source.at("times").is_null()) {
    rule.times = source.at("times").get<std::uint64_t>();
  }
  return rule;
}

void Rules::take(const nlohmann::json& document, bool replace) {
  const nlohmann::json rules = document.is_array() ? document : nlohmann::json::array({document});
  std::vector<std::shared_ptr<const Rule>> parsed;
  for (const nlohmann::json& rule : rules)
    parsed.push_back(std::make_shared<const Rule>(parse_rule(rule, parsed.size())));
  const Lock lock(mutex_);
  if (replace) entries_.clear();
  for (auto& rule : parsed) entries_.push_back({next_id_++, std::move(rule)});
}

void Rules::set(const nlohmann::json& document) { take(document, true); }
void Rules::add(const nlohmann::json& document) { take(document, false); }

nlohmann::json Rules::list() const {
  const Lock lock(mutex_);
  nlohmann::json all = nlohmann::json::array();
  for (const Entry& entry : entries_) {
    nlohmann::json rule = entry.rule->source;
    rule["name"] = entry.rule->name;
    rule["action"] = entry.rule->action;
    rule["matched"] = entry.matched;
    rule["chosen"] = entry.chosen;
    rule["hits"] = entry.hits;
    all.push_back(std::move(rule));
  }
  return all;
}

std::uint64_t Rules::hits(std::string_view name) const {
  const Lock lock(mutex_);
  std::optional<std::uint64_t> hits;
  for (const Entry& entry : entries_) {
    if (entry.rule->name == name) hits = hits.value_or(0) + entry.hits;
  }
  if (!hits) throw std::out_of_range(fmt::format("there is no rule '{}'", name));
  return *hits;
}

std::vector<Chosen> Rules::choose(const Request& request) {
  const Lock lock(mutex_);
  std::vector<Chosen> chosen;
  bool decided = false;
  for (Entry& entry : entries_) {
    const Rule& rule = *entry.rule;
    if (!rule.matches(request) || ++entry.matched <= rule.after) continue;
    if (rule.times && entry.chosen >= *rule.times) continue;
    if (decide_the_answer.contains(rule.action) && std::exchange(decided, true)) continue;
    ++entry.chosen;
    chosen.push_back({entry.id, entry.rule});
  }
  return chosen;
}

void Rules::hit(std::uint64_t id) {
  const Lock lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.id == id) ++entry.hits;
  }
}

bool Rules::holds(std::uint64_t id) const {
  const Lock lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.id == id && !entry.released; });
}

void Rules::release(std::string_view name) {
  const Lock lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.rule->name == name) entry.released = true;
  }
}

}  // namespace bale::testing::s3
