#include "service/level_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compression/cpu_benchmark.hpp"
#include "compression/level_model.hpp"
#include "compression/statistics_item.hpp"

namespace bale::service {
namespace {

constexpr double bytes_per_gib = 1ULL << 30;
constexpr int cpu_units_per_core = 1024;  // of a source's `cpu`, as ECS has it

/// The items of one source, as they were in the table.
struct SourceItems {
  std::optional<records::Item> prefix;
  std::map<std::string, records::Item> classes;  ///< by name
};
using ItemsByKey = std::map<std::string, SourceItems>;

/// A key of the table: "bucket/prefix/" or "#text-2#bucket/prefix/".
struct Key {
  std::string content_class;  ///< empty: the item of the prefix
  std::string source;
};

Key key_of(const records::Item& item) {
  const auto found = item.find(std::string(compression::settings_key_attribute));
  const auto* text = found == item.end() ? nullptr : std::get_if<std::string>(&found->second.data);
  if (text == nullptr) return {};
  const std::size_t end = text->starts_with('#') ? text->find('#', 1) : std::string::npos;
  if (end == std::string::npos) return {{}, *text};
  return {text->substr(1, end - 1), text->substr(end + 1)};
}

/// Fills in the items of the sources that `wanted` has as keys; others are of no interest and not kept.
void read_table(records::RecordStore& records, const TableName& table, ItemsByKey& wanted) {
  records::ScanRequest request;
  do {
    records::ItemPage page = records.scan(table, request);
    for (records::Item& item : page.items) {
      const Key key = key_of(item);
      const auto found = wanted.find(key.source);
      if (found == wanted.end()) continue;
      if (key.content_class.empty())
        found->second.prefix = std::move(item);
      else
        found->second.classes[key.content_class] = std::move(item);
    }
    request.start_after = std::move(page.last_key);
  } while (request.start_after);
}

compression::CostModel cost_of(const config::Rule& rule, const compression::Prices& prices) {
  std::vector<Region> far = config::destination_regions(rule.destinations);
  std::erase(far, rule.source.region);
  return {prices, far, static_cast<std::size_t>(std::max(1, rule.source.cpu / cpu_units_per_core))};
}

void add(LearnedSums& sums, const LearnedSums& more) {
  sums.trials += more.trials;
  sums.objects += more.objects;
  sums.bytes += more.bytes;
  sums.stored += more.stored;
  sums.saved += more.saved;
}

void keep_warnings(SourceLevels& source, const std::string& item, std::vector<std::string> warnings) {
  for (const std::string& warning : warnings) source.warnings.push_back(fmt::format("{}: {}", item, warning));
}

/// Nothing where there is no trial.
std::optional<ClassLevels> class_levels(std::string name, const compression::ClassStatistics& statistics,
                                        const compression::Workplace& place) {
  ClassLevels levels{.content_class = std::move(name)};
  double probed = 0, most = -1;
  for (int level = compression::min_level; level <= compression::max_level; ++level) {
    const compression::LevelSums& sums = statistics.at(level);
    if (sums.trials == 0) continue;
    add(levels.sums, {sums.trials, sums.objects, sums.bytes, sums.stored,
                      place.cost.benefit({sums.bytes, sums.stored, sums.seconds * place.cpu_factor})});
    probed += sums.probed;
    if (sums.bytes <= most) continue;
    most = sums.bytes;
    levels.most_used_level = level;
  }
  if (levels.sums.trials == 0) return std::nullopt;
  // A portion as those that were tried are on average.
  const compression::Portion portion{levels.sums.bytes / static_cast<double>(levels.sums.trials),
                                     probed / levels.sums.bytes};
  if (place.cost.per_byte() > 0) levels.best_level = compression::LevelModel(statistics).best_level(portion, place);
  return levels;
}

void add_prefix(SourceLevels& source, const records::Item& item) {
  compression::PrefixRead read = compression::read_prefix(item);
  keep_warnings(source, source.source, std::move(read.warnings));
  const compression::PrefixBenefits& benefits = read.benefits;
  source.files = benefits.total_processed_files;
  std::uint64_t most = 0;
  for (const auto& [level, benefit] : benefits.levels) {
    source.archives += benefit.trials;
    source.saved += benefit.sum_benefit;
    if (source.most_used_level && benefit.objects <= most) continue;
    most = benefit.objects;
    source.most_used_level = level;
  }
  double mean = 0;
  if (benefits.version > 0) mean = benefits.sum_cpu_factor / static_cast<double>(benefits.version);
  if (mean > 0) source.cpu_factor = mean / compression::to_foreign_factor(1);
  source.best_level = compression::inherited_level(benefits, mean);
}

SourceLevels source_levels(const config::Rule& rule, const std::string& key, const SourceItems& items,
                           const compression::CostModel& cost) {
  SourceLevels source{.region = rule.source.region, .source = key, .configured_level = rule.source.level};
  if (items.prefix) add_prefix(source, *items.prefix);
  const compression::Workplace place{cost, source.cpu_factor.value_or(1)};
  for (const auto& [name, item] : items.classes) {
    compression::ClassRead read = compression::read_class(item);
    keep_warnings(source, fmt::format("#{}#{}", name, key), std::move(read.warnings));
    read.present.add(read.before);
    if (auto levels = class_levels(name, read.present, place)) {
      add(source.sums, levels->sums);
      source.classes.push_back(std::move(*levels));
    }
  }
  std::stable_sort(source.classes.begin(), source.classes.end(),
                   [](const ClassLevels& a, const ClassLevels& b) { return a.sums.bytes > b.sums.bytes; });
  return source;
}

}  // namespace

std::optional<double> LearnedSums::saved_per_gib() const noexcept {
  if (bytes <= 0) return std::nullopt;
  return saved / (bytes / bytes_per_gib);
}

LevelStatus level_status(const config::ReplicationConfig& config,
                         const std::function<records::RecordStore&(const Region&)>& records,
                         const compression::Prices& prices) {
  LevelStatus status;
  const TableName table = config::levels_table(config.settings);
  const auto key_of_rule = [](const config::Rule& rule) {
    return compression::settings_key(rule.source.bucket, rule.source.prefix);
  };
  std::map<Region, ItemsByKey> regions;
  for (const config::Rule& rule : config.rules) regions[rule.source.region][key_of_rule(rule)];
  for (auto& [region, items] : regions) {
    try {
      read_table(records(region), table, items);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      status.unread.push_back({region, table, error});
      items.clear();
    }
  }
  for (const config::Rule& rule : config.rules) {
    // Taken out: rules that share a source are shown once.
    const auto items = regions[rule.source.region].extract(key_of_rule(rule));
    if (items) status.sources.push_back(source_levels(rule, items.key(), items.mapped(), cost_of(rule, prices)));
  }
  return status;
}

}  // namespace bale::service
