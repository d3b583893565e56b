#include "cli/level_tables.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/context.hpp"
#include "cli/level_options.hpp"
#include "cli/output.hpp"
#include "service/level_status.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;
using service::ClassLevels;
using service::LearnedSums;
using service::LevelStatus;
using service::SourceLevels;

template <typename Value>
Json json_of(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string cell(const std::optional<int>& level) { return level ? std::to_string(*level) : "-"; }
std::string cell_of_dollars(const std::optional<double>& amount) { return amount ? format_dollars(*amount) : "-"; }
std::string ratio_of(const LearnedSums& sums) { return format_ratio(bytes_of(sums.bytes), bytes_of(sums.stored)); }

/// Members that a class and a source have alike.
void add_sums(Json& line, const LearnedSums& sums) {
  line["trials"] = sums.trials;
  line["objects"] = sums.objects;
  line["bytes"] = bytes_of(sums.bytes);
  line["stored_bytes"] = bytes_of(sums.stored);
  line["ratio"] = sums.bytes > 0 ? Json(sums.stored / sums.bytes) : Json(nullptr);
  line["saved_dollars"] = sums.saved;
  line["saved_dollars_per_gib"] = json_of(sums.saved_per_gib());
}

void print_json(Context& context, const LevelStatus& status) {
  for (const SourceLevels& source : status.sources) {
    for (const ClassLevels& each : source.classes) {
      Json line = {{"type", "level"},
                   {"region", source.region.str()},
                   {"source", source.source},
                   {"class", each.content_class},
                   {"best_level", json_of(each.best_level)},
                   {"most_used_level", each.most_used_level}};
      add_sums(line, each.sums);
      emit_json(context, line);
    }
    Json line = {{"type", "source_levels"},
                 {"region", source.region.str()},
                 {"source", source.source},
                 {"configured_level", json_of(source.configured_level)},
                 {"best_level", json_of(source.best_level)},
                 {"most_used_level", json_of(source.most_used_level)},
                 {"files", source.files},
                 {"archive_trials", source.archives},
                 {"all_saved_dollars", source.saved},
                 {"cpu_factor", json_of(source.cpu_factor)}};
    add_sums(line, source.sums);
    line["warnings"] = source.warnings;
    emit_json(context, line);
  }
  for (const service::UnreadTable& each : status.unread)
    emit_json(context, {{"type", "levels_unread"},
                        {"region", each.region.str()},
                        {"table", each.table.str()},
                        {"exists", each.error.kind() != ErrorKind::not_found},
                        {"message", message_of(each.error)}});
}

Table table_of_classes(const LevelStatus& status) {
  using enum Align;
  Table table({{"LEARNED FROM"},
               {"CLASS"},
               {"TRIALS", right},
               {"BEST LEVEL", right},
               {"MOST USED", right},
               {"RATIO", right},
               {"SAVED", right},
               {"PER GIB", right}});
  for (const SourceLevels& source : status.sources) {
    for (const ClassLevels& each : source.classes)
      table.add({source.source, each.content_class, format_count(each.sums.trials), cell(each.best_level),
                 std::to_string(each.most_used_level), ratio_of(each.sums), format_dollars(each.sums.saved),
                 cell_of_dollars(each.sums.saved_per_gib())});
  }
  return table;
}

Table table_of_sources(const LevelStatus& status) {
  using enum Align;
  Table table({{"SOURCE"},
               {"FILES", right},
               {"BEST LEVEL", right},
               {"MOST USED", right},
               {"RATIO", right},
               {"CPU FACTOR", right},
               {"SAVED", right}});
  for (const SourceLevels& source : status.sources) {
    if (source.is_empty()) continue;
    const std::string best =
        source.configured_level ? fmt::format("{} (set)", *source.configured_level) : cell(source.best_level);
    table.add({source.source, format_count(source.files), best, cell(source.most_used_level), ratio_of(source.sums),
               source.cpu_factor ? fmt::format("{:.2f}", *source.cpu_factor) : "-", format_dollars(source.saved)});
  }
  return table;
}

void print_text(Context& context, const LevelStatus& status) {
  const Table classes = table_of_classes(status), sources = table_of_sources(status);
  if (!classes.empty()) context.print(classes.text() + "\n");
  if (!sources.empty()) context.print(sources.text());
  if (sources.empty() && status.unread.empty()) context.print("levels: nothing learned yet");
  for (const service::UnreadTable& each : status.unread) {
    const std::string name = fmt::format("levels: {} of {}", each.table.str(), each.region.str());
    context.print(each.error.kind() == ErrorKind::not_found
                      ? name + " is not there; `bale replicate init` makes it"
                      : fmt::format("{} cannot be read: {}", name, message_of(each.error)));
  }
  for (const SourceLevels& source : status.sources)
    for (const std::string& warning : source.warnings)
      context.print("levels: left out: " + escape_for_terminal(warning));
}

}  // namespace

void print_learned_levels(Context& context, const config::ReplicationConfig& config) {
  const auto records = [&context](const Region& region) -> records::RecordStore& { return context.records(region); };
  const LevelStatus status = service::level_status(config, records, configured_prices(context));
  if (context.json())
    print_json(context, status);
  else
    print_text(context, status);
}

}  // namespace bale::cli
