// bale catalog search
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/wildcards.hpp"
#include "cli/catalog_athena.hpp"
#include "cli/catalog_commands.hpp"
#include "cli/catalog_index.hpp"
#include "cli/catalog_places.hpp"
#include "cli/commands.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

struct SearchOptions {
  QueryOptions where;
  std::string pattern, regex;
  std::string min_size, max_size;
  bool all_versions = false;
  bool with_deleted = false;
  std::size_t limit = 0;
};

recover::Query query_of(const SearchOptions& options) {
  recover::Query query = base_query(options.where);
  const std::string& pattern = options.pattern;
  if (has_wildcards(pattern)) {
    query.patterns.push_back(pattern);
  } else if (without_escapes(pattern) == pattern) {
    query.contains = pattern;
  } else {
    query.paths.push_back(pattern);
    query.patterns.push_back("*" + pattern + "*");
  }
  if (!options.regex.empty()) query.regex = std::make_shared<recover::KeyRegex>(options.regex);
  if (!options.min_size.empty()) query.min_size = parse_bytes(options.min_size);
  if (!options.max_size.empty()) query.max_size = parse_bytes(options.max_size);
  query.all_versions = options.all_versions;
  query.with_deleted = options.with_deleted;
  return query;
}

/// Shows what is found as it comes: lines of JSON, or a table in pieces that are long enough for even columns.
class FoundRecords {
 public:
  explicit FoundRecords(Context& context) : context_(context), table_(empty_table()) {}

  void add(const catalog::Record& record) {
    ++count_;
    if (context_.json()) {
      nlohmann::ordered_json line = {{"type", "record"}};
      line.update(nlohmann::ordered_json::parse(catalog::to_json_line(record)));
      add_key_bytes(line, record.object_path);
      return emit_json(context_, line);
    }
    table_.add({to_timestamp(record.last_modified), record.deleted ? "deleted" : format_size(record.object_size),
                escape_name(to_uri(record.source_bucket, record.object_path)), escape_name(record.backup_file)});
    if (++rows_ == most_rows) show();
  }
  void show() {
    if (!table_.empty()) context_.print(table_.text());
    table_ = empty_table();
    rows_ = 0;
  }
  std::size_t count() const noexcept { return count_; }

 private:
  static constexpr std::size_t most_rows = 10'000;
  static Table empty_table() { return Table({{"MODIFIED"}, {"SIZE", Align::right}, {"SOURCE"}, {"BACKUP"}}); }
  Context& context_;
  Table table_;
  std::size_t rows_ = 0, count_ = 0;
};

int search(Context& context, const SearchOptions& options) {
  context.break_off_on_stop();
  const recover::Query query = query_of(options);
  FoundRecords found(context);
  bool is_cut = false;
  // The catalog alone is asked: archives may lie in a class that cannot be read, and a search should cost little.
  const auto search_in = [&](const QueryOptions& where) {
    return search_each(context, where, query, recover::OnDamage::tell, [&](const catalog::Record& record) {
      is_cut = options.limit > 0 && found.count() == options.limit;
      if (!is_cut) found.add(record);
      return !is_cut;
    });
  };
  recover::SearchNotes notes = search_in(options.where);
  if (found.count() == 0) {
    if (const auto where = newer_than_indexes(context, options.where)) notes = search_in(*where);
  }
  if (!context.json()) {
    found.show();
    context.print(is_cut ? fmt::format("the first {} are shown; there are more", format_count(found.count()))
                         : fmt::format("{} found", format_count(found.count())));
  }
  if (const int status = status_of_damage(notes.damage); status != exit_ok) return status;
  return found.count() == 0 ? exit_not_found : exit_ok;
}

void add_search_command(CLI::App& catalog, Action& action) {
  CLI::App* command = catalog.add_subcommand("search", "Search object names in the catalog");
  const auto options = std::make_shared<SearchOptions>();
  command->add_option("PATTERN", options->pattern,
                      "part of a key, or a pattern with * and ? for the whole key; \\* is a literal * [all]");
  command->add_option("--regex", options->regex, "only keys of which some part matches (RE2's syntax)")
      ->type_name("EXPR")
      ->check(refuse_empty);
  add_query_options(*command, options->where);
  command->add_option("--min-size", options->min_size, "only objects of at least this size")
      ->type_name("SIZE")
      ->check(refuse_empty);
  command->add_option("--max-size", options->max_size, "only objects of at most this size")
      ->type_name("SIZE")
      ->check(refuse_empty);
  command->add_flag("--all-versions", options->all_versions, "every backed-up version, not only the newest");
  command->add_flag("--deleted", options->with_deleted, "also objects whose deletion was recorded");
  command->add_option("--limit", options->limit, "show at most this many")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 40).description(""));
  command->callback([&action, options] { action = [options](Context& context) { return search(context, *options); }; });
}

}  // namespace

void add_catalog_command(CLI::App& app, Action& action) {
  CLI::App* catalog = app.add_subcommand("catalog", "Find objects in backups");
  catalog->require_subcommand(1);
  add_catalog_sync_command(*catalog, action);
  add_search_command(*catalog, action);
  add_catalog_sql_command(*catalog, action);
  add_catalog_stats_command(*catalog, action);
  add_catalog_ddl_command(*catalog, action);
}

}  // namespace bale::cli
