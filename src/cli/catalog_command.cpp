// bale catalog search, sql
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalog_athena.hpp"
#include "cli/catalog_places.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

struct SearchOptions {
  QueryOptions where;
  std::string pattern;
  bool all_versions = false;
  bool with_deleted = false;
  std::size_t limit = 0;
};

int search(Context& context, const SearchOptions& options) {
  recover::Query query = base_query(options.where);
  const bool is_pattern = options.pattern.find_first_of("*?") != std::string::npos;
  if (is_pattern)
    query.patterns.push_back(options.pattern);
  else
    query.contains = options.pattern;
  query.all_versions = options.all_versions;
  query.with_deleted = options.with_deleted;
  // The catalog alone is asked: archives may lie in a class that cannot be read, and a search should cost little.
  const recover::SearchResult found = find_records(context, options.where, query, recover::OnDamage::tell);
  const std::vector<catalog::Record>& records = found.records;
  using enum Align;
  Table table({{"MODIFIED"}, {"SIZE", right}, {"SOURCE"}, {"BACKUP"}});
  std::size_t shown = 0;
  for (const catalog::Record& record : records) {
    if (options.limit > 0 && shown == options.limit) break;
    ++shown;
    if (context.json()) {
      nlohmann::ordered_json line = {{"type", "record"}};
      line.update(nlohmann::ordered_json::parse(catalog::to_json_line(record)));
      add_key_bytes(line, record.object_path);
      emit_json(context, line);
    } else {
      table.add({to_timestamp(record.last_modified), record.deleted ? "deleted" : format_bytes(record.object_size),
                 escape_name(to_uri(record.source_bucket, record.object_path)), escape_name(record.backup_file)});
    }
  }
  if (!context.json() && !table.empty()) context.print(table.text());
  if (!context.json()) {
    context.print(shown == records.size()
                      ? fmt::format("{} found", format_count(shown))
                      : fmt::format("{} of {} found are shown", format_count(shown), format_count(records.size())));
  }
  if (may_be_incomplete(found)) return exit_damaged;
  return records.empty() ? exit_not_found : exit_ok;
}

struct SqlOptions {
  AthenaOptions athena;
  std::string sql, engine;
  std::optional<ResultFormat> format;
};

int sql(Context& context, const SqlOptions& options) {
  const ResultFormat usual = context.json() ? ResultFormat::jsonl : ResultFormat::table;
  ResultWriter writer(context,
                      {.format = options.format.value_or(usual), .line_type = context.json() ? "row" : std::string()});
  run_athena_query(context, options.athena, options.sql, writer);
  return exit_ok;
}

void add_sql_command(CLI::App& catalog, Action& action) {
  CLI::App* command = catalog.add_subcommand("sql", "Ask the catalog a question in SQL");
  const auto options = std::make_shared<SqlOptions>();
  command->add_option("SQL", options->sql, "one query of the table `catalog`")->required();
  command->add_option("--config", options->athena.config_directory, "a replication configuration: whose catalog")
      ->type_name("DIR");
  command->add_option("--engine", options->engine, "who answers")
      ->type_name("athena")
      ->check(CLI::IsMember({"athena"}).description(""))
      ->required();
  const std::map<std::string, ResultFormat> formats{
      {"table", ResultFormat::table}, {"csv", ResultFormat::csv}, {"jsonl", ResultFormat::jsonl}};
  command->add_option("--format", options->format, "how rows are written [table; jsonl with --output json]")
      ->transform(CLI::CheckedTransformer(formats).description(""))
      ->type_name("table|csv|jsonl");
  add_athena_options(*command, options->athena);
  command->callback([&action, options] { action = [options](Context& context) { return sql(context, *options); }; });
}

}  // namespace

void add_catalog_command(CLI::App& app, Action& action) {
  CLI::App* catalog = app.add_subcommand("catalog", "Find objects in backups");
  catalog->require_subcommand(1);
  CLI::App* command = catalog->add_subcommand("search", "Search object names in the catalog");
  const auto options = std::make_shared<SearchOptions>();
  command->add_option("PATTERN", options->pattern, "part of a key, or a pattern with * and ? for the whole key [all]");
  add_query_options(*command, options->where);
  command->add_flag("--all-versions", options->all_versions, "every backed-up version, not only the newest");
  command->add_flag("--deleted", options->with_deleted, "also objects whose deletion was recorded");
  command->add_option("--limit", options->limit, "show at most this many")->type_name("N");
  command->callback([&action, options] { action = [options](Context& context) { return search(context, *options); }; });
  add_sql_command(*catalog, action);
  add_catalog_ddl_command(*catalog, action);
}

}  // namespace bale::cli
