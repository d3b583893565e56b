// bale catalog stats
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "catalog/statistics.hpp"
#include "cli/catalog_commands.hpp"
#include "cli/catalog_index.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

using catalog::Period;
using catalog::PeriodTotals;

struct StatsOptions {
  QueryOptions where;
  Period by = Period::day;
};

/// What a source has in backups up to a period, and how much that grew.
struct Growth {
  ByteCount total = 0;
  std::optional<double> percent;  ///< absent for the first period of a source
};

Growth grow(ByteCount before, ByteCount bytes) {
  Growth growth{before + bytes, std::nullopt};
  if (before > 0) growth.percent = 100.0 * static_cast<double>(bytes) / static_cast<double>(before);
  return growth;
}

std::string source_of(const PeriodTotals& totals) {
  return totals.source_prefix.empty() ? totals.source_bucket.str()
                                      : totals.source_bucket.str() + "/" + totals.source_prefix;
}

/// How often the packed bytes go into the objects'; only where all of them have a place and a size.
std::string ratio_of(const PeriodTotals& totals) {
  return totals.unplaced > 0 || totals.unsized > 0 ? "-" : format_ratio(totals.bytes, totals.packed);
}

nlohmann::ordered_json json_of(const PeriodTotals& totals, const Growth& growth) {
  nlohmann::ordered_json line{{"type", "totals"}, {"source_bucket", totals.source_bucket.str()}};
  add_name(line, "source_prefix", totals.source_prefix);
  line.update({{"period", totals.period},
               {"objects", totals.objects},
               {"deletions", totals.deletions},
               {"archives", totals.archives},
               {"bytes", totals.bytes},
               {"objects_without_size", totals.unsized}});
  line["packed_bytes"] = totals.unplaced > 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(totals.packed);
  line["total_bytes"] = growth.total;
  line["growth_percent"] = growth.percent ? nlohmann::ordered_json(*growth.percent) : nlohmann::ordered_json();
  return line;
}

/// The totals that the options ask for, from indexes that are open.
std::vector<PeriodTotals> totals_in(Context& context, const StatsOptions& options, const OpenIndexes& opened) {
  std::vector<catalog::IndexFile*> indexes;
  for (const auto& database : opened.databases) indexes.push_back(&database->file());
  std::vector<PeriodTotals> all = catalog::totals_of(indexes, options.by, context.stop());
  std::erase_if(all, [&](const PeriodTotals& totals) {
    const bool other_bucket = !options.where.bucket.empty() && totals.source_bucket.str() != options.where.bucket;
    return other_bucket || !totals.source_prefix.starts_with(options.where.prefix);
  });
  return all;
}

int stats(Context& context, const StatsOptions& options) {
  context.break_off_on_stop();
  const OpenIndexes opened = open_indexes(context, options.where);
  std::vector<PeriodTotals> all = totals_in(context, options, opened);
  const bool looks_again = all.empty();
  // Before it says that there is nothing: what is newer than the index.
  if (looks_again && newer_than_indexes(context, options.where)) all = totals_in(context, options, opened);
  using enum Align;
  Table table({{"SOURCE"},
               {"BACKED UP"},
               {"OBJECTS", right},
               {"DELETED", right},
               {"SIZE", right},
               {"PACKED", right},
               {"RATIO", right},
               {"ARCHIVES", right},
               {"TOTAL", right},
               {"GROWTH", right}});
  ByteCount before = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const PeriodTotals& totals = all[i];
    if (i == 0 || source_of(all[i - 1]) != source_of(totals)) before = 0;
    const Growth growth = grow(before, totals.bytes);
    before = growth.total;
    emit_json(context, json_of(totals, growth));
    table.add({escape_name(source_of(totals)), totals.period.empty() ? "all" : totals.period,
               format_count(totals.objects), format_count(totals.deletions), format_bytes(totals.bytes),
               totals.unplaced > 0 ? "-" : format_bytes(totals.packed), ratio_of(totals), format_count(totals.archives),
               format_bytes(growth.total), growth.percent ? fmt::format("{:+.1f} %", *growth.percent) : "-"});
  }
  std::uint64_t unsized = 0;
  for (const PeriodTotals& totals : all) unsized += totals.unsized;
  if (!context.json()) context.print(all.empty() ? "nothing is in the catalog, or nothing of this" : table.text());
  if (unsized > 0) {
    emit_warning(context, fmt::format("the catalog does not say the size of {}: sizes and totals are of the others",
                                      format_count(unsized, "object")));
  }
  if (!looks_again) tell_age(context, opened);
  if (opened.status != exit_ok) return opened.status;
  return all.empty() ? exit_not_found : exit_ok;
}

}  // namespace

void add_catalog_stats_command(CLI::App& catalog, Action& action) {
  CLI::App* command = catalog.add_subcommand("stats", "Show what was backed up when: size, ratio, growth");
  const auto options = std::make_shared<StatsOptions>();
  add_catalog_options(*command, options->where);
  command->add_option("--bucket", options->where.bucket, "only this source bucket")->type_name("NAME");
  command->add_option("--prefix", options->where.prefix, "only sources whose prefix starts so");
  const std::map<std::string, Period> periods{{"day", Period::day}, {"month", Period::month}, {"source", Period::all}};
  command->add_option("--by", options->by, "what a line is about [day]")
      ->transform(CLI::CheckedTransformer(periods).description(""))
      ->type_name("day|month|source");
  command->callback([&action, options] { action = [options](Context& context) { return stats(context, *options); }; });
}

}  // namespace bale::cli
