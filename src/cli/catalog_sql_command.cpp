// bale catalog sql
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalog_athena.hpp"
#include "cli/catalog_commands.hpp"
#include "cli/catalog_index.hpp"
#include "cli/result_writer.hpp"

namespace bale::cli {
namespace {

struct SqlOptions {
  QueryOptions where;
  AthenaOptions athena;
  std::string sql, engine = "local";
  std::optional<ResultFormat> format;
};

std::string type_name(sqlite::ValueType type) {
  switch (type) {
    case sqlite::ValueType::integer: return "bigint";
    case sqlite::ValueType::real: return "double";
    default: return "varchar";
  }
}

/// An expression has no declared type in SQLite: what a column holds is seen in the first row, unless that has NULL.
std::vector<ResultColumn> columns_of(const sqlite::Query& rows, bool has_row) {
  std::vector<ResultColumn> columns;
  for (int i = 0; i < rows.columns(); ++i)
    columns.push_back({rows.column_name(i), !has_row          ? std::string()
                                            : rows.is_null(i) ? rows.declared_type(i)
                                                              : type_name(rows.type(i))});
  return columns;
}

/// The values of the present row. Throws Error{invalid} when together they have more than `most` bytes.
ResultRow row_of(const sqlite::Query& rows, ByteCount most) {
  ByteCount bytes = 0;
  for (int i = 0; i < rows.columns(); ++i) {
    bytes += rows.view(i).size();
    if (bytes <= most) continue;
    throw Error(ErrorKind::invalid, fmt::format("a row of the result is too big: more than {}", format_bytes(most)),
                "--memory-limit", "raise the limit, or ask for less");
  }
  ResultRow row;
  for (int i = 0; i < rows.columns(); ++i) row.push_back(rows.is_null(i) ? ResultValue() : ResultValue(rows.text(i)));
  return row;
}

/// Returns the exit status.
int run_local_query(Context& context, const SqlOptions& options, ResultWriter& writer) {
  const OpenIndexes indexes = open_indexes(context, options.where);
  catalog::CatalogDatabase& database = *indexes.databases.front();
  const std::stop_callback interrupt(context.stop(), [&] { database.sql().interrupt(); });
  std::optional<sqlite::Query> rows(database.sql().foreign_query(options.sql, query_limits(context)));
  bool has_row = rows->step();
  const bool looks_again = !has_row;
  if (looks_again) {
    // Before it says that there is no row: what is newer than the index.
    rows.reset();
    newer_than_indexes(context, options.where);
    rows.emplace(database.sql().foreign_query(options.sql, query_limits(context)));
    has_row = rows->step();
  }
  const ByteCount most_row = context.memory_limit() / 32;
  writer.begin(columns_of(*rows, has_row));
  for (; has_row; has_row = rows->step()) writer.add(row_of(*rows, most_row));
  writer.finish();
  if (!looks_again) tell_age(context, indexes);
  return indexes.status;
}

int sql(Context& context, const SqlOptions& options) {
  context.break_off_on_stop();
  const ResultFormat usual = context.json() ? ResultFormat::jsonl : ResultFormat::table;
  ResultWriter writer(context,
                      {.format = options.format.value_or(usual), .line_type = context.json() ? "row" : std::string()});
  if (options.engine == "athena") {
    AthenaOptions athena = options.athena;
    athena.config_directory = options.where.config_directory;
    run_athena_query(context, athena, options.sql, writer);
    return exit_ok;
  }
  return run_local_query(context, options, writer);
}

}  // namespace

void add_catalog_sql_command(CLI::App& catalog, Action& action) {
  CLI::App* command = catalog.add_subcommand("sql", "Ask the catalog a question in SQL");
  const auto options = std::make_shared<SqlOptions>();
  command->add_option("SQL", options->sql, "one query of the table `catalog`")->required();
  add_catalog_options(*command, options->where);
  command->add_option("--engine", options->engine, "who answers: the local index, or Athena")
      ->type_name("local|athena")
      ->check(CLI::IsMember({"local", "athena"}).description(""))
      ->capture_default_str();
  const std::map<std::string, ResultFormat> formats{
      {"table", ResultFormat::table}, {"csv", ResultFormat::csv}, {"jsonl", ResultFormat::jsonl}};
  command->add_option("--format", options->format, "how rows are written [table; jsonl with --output json]")
      ->transform(CLI::CheckedTransformer(formats).description(""))
      ->type_name("table|csv|jsonl");
  add_athena_options(*command, options->athena);
  command->callback([&action, options] { action = [options](Context& context) { return sql(context, *options); }; });
}

}  // namespace bale::cli
