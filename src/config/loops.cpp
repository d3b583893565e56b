// Loops: rules that would copy an object for ever.
//
// What a rule writes into a bucket is a set of keys; another rule takes those of them that pass its filters. A normal
// destination keeps the key, so along a chain the filters add up: only keys that pass all of them go on. A backup
// destination makes new keys, those of its archives, from whatever came. So a state is a rule with the set of keys that
// reach it; the states are finite, and there is a loop just if the graph of states has a cycle.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "config/replication.hpp"

namespace bale::config {
namespace {

constexpr char any_digit = '\x01';  // in a template: 0-9
constexpr char any_hex = '\x02';    // 0-9 a-f

/// The names of archives: "backup_{epoch_ms}_{8 hex}.tar.zst". Milliseconds have 13 digits until the year 2286.
const std::string archive_name = "backup_" + std::string(13, any_digit) + "_" + std::string(8, any_hex) + ".tar.zst";

bool stands_for(char pattern, char c) {
  const bool digit = c >= '0' && c <= '9';
  if (pattern == any_digit) return digit;
  if (pattern == any_hex) return digit || (c >= 'a' && c <= 'f');
  return pattern == c;
}

/// Whether a text of the template `pattern` can end with `suffix`.
bool can_end_with(const std::string& pattern, const std::string& suffix) {
  return suffix.size() <= pattern.size() &&
         std::equal(suffix.rbegin(), suffix.rend(), pattern.rbegin(), [](char c, char p) { return stands_for(p, c); });
}

/// All keys that start with `prefix` and end with `suffix`; with `archives`, only those of archives below that prefix.
struct KeySet {
  std::string prefix;  ///< with '/' at its end, or empty
  std::string suffix;
  bool archives = false;
  friend auto operator<=>(const KeySet&, const KeySet&) = default;
};

KeySet keys_of(const Source& source) {
  return {source.prefix.empty() ? "" : source.prefix + "/", source.suffix, false};
}

/// Those of `keys` that pass a rule's filters; nothing when there are none.
std::optional<KeySet> filtered(const KeySet& keys, const Source& source) {
  const KeySet filter = keys_of(source);
  KeySet left = keys;
  // The name of an archive has no '/', so a prefix that reaches beyond that of the archives matches none.
  if (!keys.prefix.starts_with(filter.prefix)) {
    if (keys.archives || !filter.prefix.starts_with(keys.prefix)) return std::nullopt;
    left.prefix = filter.prefix;
  }
  if (!keys.suffix.ends_with(filter.suffix)) {
    if (!filter.suffix.ends_with(keys.suffix)) return std::nullopt;
    left.suffix = filter.suffix;
  }
  if (left.archives && !can_end_with(left.prefix + archive_name, left.suffix)) return std::nullopt;
  return left;
}

struct State {
  std::size_t rule = 0;
  KeySet keys;
  friend auto operator<=>(const State&, const State&) = default;
};

std::string place(const Source& source) {
  std::string text = source.bucket.str();
  if (!source.prefix.empty()) text += "/" + source.prefix + "/";
  if (!source.suffix.empty()) text += source.prefix.empty() ? "/*" + source.suffix : "*" + source.suffix;
  return text;
}

/// Depth-first search for a cycle among states.
class LoopFinder {
 public:
  explicit LoopFinder(const std::vector<Rule>& rules) : rules_(rules) {}

  std::optional<std::string> find() {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (visit({i, keys_of(rules_[i].source)})) return describe();
    }
    return std::nullopt;
  }

 private:
  enum class Mark { open, done };

  /// True when `state` is on a cycle or leads to one; path_ then ends with it.
  bool visit(const State& state) {
    const auto [mark, fresh] = marks_.try_emplace(state, Mark::open);
    if (!fresh) {
      if (mark->second == Mark::open) path_.push_back(state);
      return mark->second == Mark::open;
    }
    path_.push_back(state);
    for (const State& next : successors(state)) {
      if (visit(next)) return true;
    }
    path_.pop_back();
    mark->second = Mark::done;
    return false;
  }

  std::vector<State> successors(const State& state) const {
    const Rule& rule = rules_[state.rule];
    std::vector<State> next;
    for (const Destination& destination : rule.destinations) {
      const KeySet written =
          destination.backup ? KeySet{archive_prefix(rule.source.bucket, rule.source.prefix), "", true} : state.keys;
      for (std::size_t i = 0; i < rules_.size(); ++i) {
        if (rules_[i].source.bucket != destination.bucket) continue;
        if (auto keys = filtered(written, rules_[i].source)) next.push_back({i, std::move(*keys)});
      }
    }
    return next;
  }

  /// "a/x/ -> b -> a/x/": the part of the path that is the cycle, from the rule that stands first in the file.
  std::string describe() const {
    const auto closing = path_.end() - 1;
    std::vector<std::size_t> cycle;
    for (auto state = std::find(path_.begin(), closing, *closing); state != closing; ++state)
      cycle.push_back(state->rule);
    std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
    cycle.push_back(cycle.front());
    std::string text;
    for (const std::size_t rule : cycle) text += (text.empty() ? "" : " -> ") + place(rules_[rule].source);
    return text;
  }

  const std::vector<Rule>& rules_;
  std::map<State, Mark> marks_;
  std::vector<State> path_;
};

}  // namespace

std::optional<std::string> find_replication_loop(const std::vector<Rule>& rules) { return LoopFinder(rules).find(); }

}  // namespace bale::config
