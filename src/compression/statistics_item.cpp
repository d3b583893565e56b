#include "compression/statistics_item.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/text.hpp"

namespace bale::compression {
namespace {

using records::Map;
using records::Number;
using records::Update;
using records::Value;

constexpr const char* generation_attribute = "Generation";
constexpr const char* updated_attribute = "LastUpdated";
constexpr const char* levels_attribute = "LevelStats";
// Twelve decimals hold a hundred-millionth of a cent; with twenty digits before the point a sum stays below the 38
// digits that a number may have.
constexpr int decimals = 12;
constexpr double most_exact = 1e20;
constexpr double most_count = 9e15;  // beyond it a double does not count by ones

Number exact(double value) { return {fmt::format("{:.{}f}", value, decimals)}; }
Number exact(std::uint64_t value) { return {std::to_string(value)}; }

std::string sums_attribute(std::uint64_t generation) { return fmt::format("Sums{}", generation); }

std::int64_t seconds_of(TimePoint time) { return to_epoch_ms(time) / 1000; }

/// Reads numbers out of maps and keeps note of those that are none.
class Reader {
 public:
  explicit Reader(std::vector<std::string>& warnings) : warnings_(warnings) {}

  /// An absent number is 0.
  double number(const Map& map, const std::string& name, const std::string& where) {
    const auto found = map.find(name);
    if (found == map.end()) return 0;
    if (const auto* number = std::get_if<Number>(&found->second.data)) {
      double value = 0;
      const std::string& digits = number->digits;
      const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (failure == std::errc() && end == digits.data() + digits.size() && std::abs(value) <= most_exact) return value;
    }
    warn(where, name, "is not a number that Bale can use");
    return 0;
  }
  /// An absent count is 0.
  std::uint64_t count(const Map& map, const std::string& name, const std::string& where) {
    const double value = number(map, name, where);
    if (value >= 0 && value <= most_count && value == std::floor(value)) return static_cast<std::uint64_t>(value);
    warn(where, name, "is not a count");
    return 0;
  }
  /// Nothing, where there is none or it is no map.
  const Map* map(const Map& item, const std::string& name, const std::string& where) {
    const auto found = item.find(name);
    if (found == item.end()) return nullptr;
    const auto* inner = std::get_if<Map>(&found->second.data);
    if (inner == nullptr) warn(where, name, "is not a map");
    return inner;
  }
  /// Calls `use(level, map)` for every level of a map of levels.
  template <typename Use>
  void levels(const Map& item, const std::string& name, int least, const Use& use) {
    const Map* const levels = map(item, name, "the item");
    if (levels == nullptr) return;
    for (const auto& [text, value] : *levels) {
      const std::optional<int> level = level_of(text);
      if (!level || *level < least) {
        warn(name, text, "is not a level");
      } else if (const Map* const sums = map(*levels, text, name)) {
        use(*level, *sums, fmt::format("{}.{}", name, text));
      }
    }
  }
  std::size_t warnings() const noexcept { return warnings_.size(); }

 private:
  static std::optional<int> level_of(const std::string& text) {
    int level = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), level);
    if (failure != std::errc() || end != text.data() + text.size() || level < min_level || level > max_level)
      return std::nullopt;
    return level;
  }
  void warn(const std::string& where, const std::string& name, std::string_view what) {
    warnings_.push_back(fmt::format("'{}' of {} {}", escape_for_terminal(name), where, what));
  }
  std::vector<std::string>& warnings_;
};

ClassStatistics read_sums(const Map& item, std::uint64_t generation, Reader& reader) {
  ClassStatistics statistics;
  reader.levels(item, sums_attribute(generation), min_level, [&](int level, const Map& map, const std::string& where) {
    const std::size_t before = reader.warnings();
    LevelSums sums;
    sums.trials = reader.count(map, "trials", where);
    sums.objects = reader.count(map, "objects", where);
    sums.bytes = reader.number(map, "bytes", where);
    sums.probed = reader.number(map, "probed", where);
    sums.stored = reader.number(map, "stored", where);
    sums.seconds = reader.number(map, "seconds", where);
    sums.log_sum = reader.number(map, "log_sum", where);
    sums.log_square = reader.number(map, "log_square", where);
    // A level is believed as a whole or not at all.
    const bool counts = sums.trials > 0 && sums.bytes > 0 && sums.probed > 0 && sums.stored > 0;
    if (counts && sums.seconds >= 0 && reader.warnings() == before) statistics.at(level) = sums;
  });
  return statistics;
}

/// The level as a step of a path.
std::string step(int level) { return std::to_string(level); }

Update set_if_absent(Update::Path path, Value value) {
  Update update;
  update.set.push_back({std::move(path), std::move(value), true});
  return update;
}

}  // namespace

std::string settings_key(const BucketName& bucket, std::string_view prefix) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return prefix.empty() ? bucket.str() + "/" : fmt::format("{}/{}/", bucket.str(), prefix);
}

std::string class_key(std::string_view settings_key, const ContentClass& content_class) {
  return fmt::format("#{}#{}", content_class.name(), settings_key);
}

records::Item key_item(const std::string& key) { return {{std::string(settings_key_attribute), Value(key)}}; }

PrefixRead read_prefix(const records::Item& item) {
  PrefixRead read;
  Reader reader(read.warnings);
  const std::string where = "the item";
  reader.levels(item, levels_attribute, 1, [&](int level, const Map& map, const std::string& place) {
    const std::size_t before = reader.warnings();
    LevelBenefit benefit;
    benefit.sum_benefit = reader.number(map, "sum_benefit", place);
    benefit.trials = reader.count(map, "trials", place);
    // Items of the first days have no objects: one for each trial.
    benefit.objects = map.contains("objects") ? reader.count(map, "objects", place) : benefit.trials;
    if (reader.warnings() == before) read.benefits.levels[level] = benefit;
  });
  read.benefits.sum_cpu_factor = reader.number(item, "SumCpuFactor", where);
  read.benefits.total_processed_files = reader.count(item, "TotalProcessedFiles", where);
  read.benefits.version = reader.count(item, "Version", where);
  return read;
}

ClassRead read_class(const records::Item& item) {
  ClassRead read;
  Reader reader(read.warnings);
  read.generation = reader.count(item, generation_attribute, "the item");
  read.present = read_sums(item, read.generation, reader);
  if (read.generation > 0) read.before = read_sums(item, read.generation - 1, reader);
  return read;
}

records::Update add_to_prefix(const PrefixBenefits& more, TimePoint now) {
  Update update;
  update.set.push_back({{updated_attribute}, Value(seconds_of(now))});
  update.add.push_back({{"SumCpuFactor"}, exact(more.sum_cpu_factor)});
  update.add.push_back({{"TotalProcessedFiles"}, exact(more.total_processed_files)});
  update.add.push_back({{"Version"}, exact(more.version)});
  for (const auto& [level, benefit] : more.levels) {
    update.add.push_back({{levels_attribute, step(level), "sum_benefit"}, exact(benefit.sum_benefit)});
    update.add.push_back({{levels_attribute, step(level), "trials"}, exact(benefit.trials)});
    update.add.push_back({{levels_attribute, step(level), "objects"}, exact(benefit.objects)});
  }
  return update;
}

std::vector<records::Update> make_prefix_places(const PrefixBenefits& more) {
  std::vector<Update> updates{set_if_absent({levels_attribute}, Value(Map{}))};
  for (const auto& [level, benefit] : more.levels) {
    // All three at once: the other program expects them.
    Map empty{{"sum_benefit", Value(std::int64_t{0})},
              {"trials", Value(std::int64_t{0})},
              {"objects", Value(std::int64_t{0})}};
    updates.push_back(set_if_absent({levels_attribute, step(level)}, Value(std::move(empty))));
  }
  return updates;
}

records::Update add_to_class(const ClassStatistics& more, std::uint64_t generation, TimePoint now) {
  Update update;
  update.set.push_back({{updated_attribute}, Value(seconds_of(now))});
  const std::string sums = sums_attribute(generation);
  for (int level = min_level; level <= max_level; ++level) {
    const LevelSums& of_level = more.at(level);
    if (of_level.trials == 0) continue;
    const auto add = [&](const char* name, Number amount) {
      update.add.push_back({{sums, step(level), name}, std::move(amount)});
    };
    add("trials", exact(of_level.trials));
    add("objects", exact(of_level.objects));
    add("bytes", exact(of_level.bytes));
    add("probed", exact(of_level.probed));
    add("stored", exact(of_level.stored));
    add("seconds", exact(of_level.seconds));
    add("log_sum", exact(of_level.log_sum));
    add("log_square", exact(of_level.log_square));
  }
  return update;
}

std::vector<records::Update> make_class_places(const ClassStatistics& more, std::uint64_t generation) {
  const std::string sums = sums_attribute(generation);
  Update item = set_if_absent({generation_attribute}, Value(Number{std::to_string(generation)}));
  item.set.push_back({{sums}, Value(Map{}), true});
  std::vector<Update> updates{std::move(item)};
  for (int level = min_level; level <= max_level; ++level)
    if (more.at(level).trials > 0) updates.push_back(set_if_absent({sums, step(level)}, Value(Map{})));
  return updates;
}

records::Update begin_generation(std::uint64_t next, std::uint64_t last) {
  Update update;
  update.set.push_back({{generation_attribute}, Value(Number{std::to_string(next)})});
  update.set.push_back({{sums_attribute(next)}, Value(Map{})});
  if (last > 0) update.remove.push_back({sums_attribute(last - 1)});
  return update;
}

}  // namespace bale::compression
