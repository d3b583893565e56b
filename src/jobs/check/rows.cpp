#include "jobs/check/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/text.hpp"

namespace bale::check {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_shown = 80;  // bytes of a value in a message

/// Members that say again, in other words, what another one says.
bool is_derived(std::string_view member) {
  return member == "backup_date" || member == "creation_time" || member == "creation_date" ||
         member.ends_with("_base64");
}

std::string shown(const Json* value) {
  if (value == nullptr) return "absent";
  std::string text =
      value->is_string() ? value->get<std::string>() : value->dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > most_shown) text.replace(most_shown, std::string::npos, "...");
  return text.empty() ? "empty" : escape_for_terminal(text);
}

/// Which members of two rows differ, for people; empty where none does.
std::string differences(const catalog::Record& expected, const catalog::Record& found) {
  const Json in_archive = Json::parse(catalog::to_json_line(expected));
  const Json in_catalog = Json::parse(catalog::to_json_line(found));
  std::set<std::string> names;
  for (const auto& [name, value] : in_archive.items()) names.insert(name);
  for (const auto& [name, value] : in_catalog.items()) names.insert(name);
  std::string text;
  for (const std::string& name : names) {
    const auto left = in_catalog.find(name), right = in_archive.find(name);
    const Json* const here = left == in_catalog.end() ? nullptr : &*left;
    const Json* const there = right == in_archive.end() ? nullptr : &*right;
    const bool equal = here != nullptr && there != nullptr && *here == *there;
    if (equal || is_derived(name)) continue;
    text += fmt::format("{}{} is {}, in the archive {}", text.empty() ? "" : "; ", name, shown(here), shown(there));
  }
  return text;
}

std::string_view without_slashes(std::string_view prefix) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return prefix;
}

/// What a row of the replaced program would say of an object, in the spelling of `row`.
catalog::Record as_reference(const catalog::Record& expected, const catalog::Record& row) {
  catalog::Record made = row;
  made.backup_file = expected.backup_file;
  made.source_bucket = expected.source_bucket;
  if (without_slashes(row.source_prefix) != without_slashes(expected.source_prefix))
    made.source_prefix = expected.source_prefix;
  made.object_name = expected.object_name;
  made.object_path = expected.object_path;
  if (row.object_size) made.object_size = expected.object_size;
  made.last_modified = std::chrono::floor<std::chrono::seconds>(expected.last_modified);
  return made;
}

/// Which expected rows there are for a key, and which of them a row was found for.
class Comparison {
 public:
  explicit Comparison(const std::vector<catalog::Record>& expected) : expected_(expected), seen_(expected.size()) {
    for (std::size_t i = 0; i < expected.size(); ++i) by_key_[key_of(expected[i])].push_back(i);
  }

  void take(const catalog::Record& row) {
    const auto found = by_key_.find(key_of(row));
    if (found == by_key_.end()) {
      return add(FindingType::surplus_row, row,
                 row.deleted ? "the archive records no such deletion" : "the archive has no such object");
    }
    std::optional<std::string> first;
    std::optional<std::size_t> best;
    for (const std::size_t i : found->second) {
      if (seen_[i] && !is_of_reference(row)) continue;
      std::string text = difference(expected_[i], row);
      if (text.empty()) return see(i, row);
      if (!best) {
        first = std::move(text);
        best = i;
      }
    }
    if (!best) return add(FindingType::surplus_row, row, more_than_one);
    odd_.push_back({*best, is_of_reference(row), {FindingType::different_row, object_of(row), *first}});
  }

  RowComparison finish() {
    for (Odd& odd : odd_) {
      // Of a key that the replaced program packed several times, the manifest as it is read has the newest alone.
      if (seen_[odd.nearest] && odd.of_reference) continue;
      if (seen_[odd.nearest]) odd.finding = {FindingType::surplus_row, odd.finding.object, more_than_one};
      seen_[odd.nearest] = true;
      result_.findings.push_back(std::move(odd.finding));
    }
    for (std::size_t i = 0; i < expected_.size(); ++i) {
      if (seen_[i]) continue;
      result_.findings.push_back({FindingType::missing_row, object_of(expected_[i]),
                                  expected_[i].deleted ? "its deletion is in the archive, but in no row"
                                                       : "it is in the archive, but in no row of the catalog"});
    }
    return std::move(result_);
  }

 private:
  static constexpr const char* more_than_one = "the file has more than one row for it";
  /// A row that differs from the expected one that is nearest.
  struct Odd {
    std::size_t nearest;
    bool of_reference;
    RowFinding finding;
  };

  /// The names of the object; the deletion of a key is another thing than its content.
  static std::string key_of(const catalog::Record& row) {
    return fmt::format("{}{}/{}", row.deleted ? '-' : '+', row.source_bucket.str(), row.object_path.str());
  }

  static std::string difference(const catalog::Record& expected, const catalog::Record& row) {
    catalog::Record wanted = is_of_reference(row) ? as_reference(expected, row) : expected;
    wanted.archive_etag = row.archive_etag;  // of the archive as it was stored, which does not know it
    return wanted == row ? std::string() : differences(wanted, row);
  }

  void see(std::size_t index, const catalog::Record& row) {
    seen_[index] = true;
    if (expected_[index].sha256.empty() && !row.sha256.empty()) result_.more_hashes[index] = row.sha256;
  }

  void add(FindingType type, const catalog::Record& row, std::string what) {
    result_.findings.push_back({type, object_of(row), std::move(what)});
  }

  const std::vector<catalog::Record>& expected_;
  std::vector<bool> seen_;
  std::unordered_map<std::string, std::vector<std::size_t>> by_key_;
  std::vector<Odd> odd_;
  RowComparison result_;
};

}  // namespace

ObjectAddress object_of(const catalog::Record& row) { return {row.source_bucket, row.object_path}; }

std::vector<ObjectAddress> objects_of(const std::vector<catalog::Record>& rows) {
  std::vector<ObjectAddress> objects;
  objects.reserve(rows.size());
  for (const catalog::Record& row : rows) objects.push_back(object_of(row));
  return objects;
}

bool is_of_reference(const catalog::Record& row) noexcept {
  return row.archive_key.empty() && row.archive_bucket.empty() && row.sha256.empty() && !row.location;
}

RowComparison compare_rows(const std::vector<catalog::Record>& expected, const std::vector<catalog::Record>& found) {
  Comparison comparison(expected);
  for (const catalog::Record& row : found) comparison.take(row);
  return comparison.finish();
}

}  // namespace bale::check
