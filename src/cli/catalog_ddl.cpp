// bale catalog ddl
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.hpp"
#include "base/text.hpp"
#include "catalog/athena_ddl.hpp"
#include "cli/catalog_athena.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

struct DdlOptions {
  AthenaOptions athena;
  std::string source;
  int first_year = 0, last_year = 0;  ///< 0: ten years before, or after, this one
  bool reference = false;             ///< also the directories of the replaced program
  bool create = false;
};

/// What is made in a region: a database, a table or a view.
struct Made {
  std::string type;
  Region region;
  std::string database;
  std::string table;     ///< empty: the database itself
  std::string location;  ///< of a table
  catalog::AthenaSource source;
  std::string statement;
  std::optional<Error> failure;  ///< why there is no statement
};

std::string name_of(const Made& made) {
  return made.table.empty() ? made.database : fmt::format("{}.{}", made.database, made.table);
}

/// The sources with a backup destination, in `region` or in any, each once, in the order of the configuration. With
/// `reference`, each a second time with the region that the replaced program puts before its directories.
std::vector<catalog::AthenaSource> backed_up(const config::ReplicationConfig& config,
                                             const std::optional<Region>& region, bool reference) {
  std::vector<catalog::AthenaSource> sources;
  for (const config::Rule& rule : config.rules) {
    const bool is_backed_up =
        std::any_of(rule.destinations.begin(), rule.destinations.end(), [&](const config::Destination& destination) {
          return destination.backup && (!region || destination.region == *region);
        });
    for (const Region& leading : {Region(), rule.source.region}) {
      const catalog::AthenaSource source{rule.source.bucket, rule.source.prefix, leading};
      const bool is_known = std::find(sources.begin(), sources.end(), source) != sources.end();
      if (is_backed_up && !is_known && (reference || leading.empty())) sources.push_back(source);
    }
  }
  return sources;
}

/// Whether a source is meant by BUCKET, BUCKET/PREFIX or nothing.
bool is_chosen(const catalog::AthenaSource& source, std::string_view chosen) {
  if (chosen.starts_with("s3://")) chosen.remove_prefix(5);
  while (chosen.ends_with('/')) chosen.remove_suffix(1);
  if (chosen.empty() || chosen == source.bucket.str()) return true;
  return chosen == source.bucket.str() + "/" + source.prefix;
}

Made make_table(const config::Settings& settings, const Region& region, const catalog::AthenaSource& source,
                const std::string& database, const std::string& table, catalog::YearRange years) {
  const BucketName bucket = config::catalog_bucket(settings, region);
  Made made{"table", region, database, table, catalog::athena_location(bucket, source), source, {}, {}};
  try {
    made.statement = catalog::create_table_statement(database, table, bucket, source, years);
  } catch (const Error& error) {
    made.failure = error;
  }
  return made;
}

/// All that is to be made, in an order in which it can be.
std::vector<Made> plan(const config::ReplicationConfig& config, const DdlOptions& options, catalog::YearRange years) {
  const std::string database = options.athena.database.empty()
                                   ? catalog::athena_database_name(config.settings.stack_name)
                                   : to_lower(options.athena.database);
  // Names are made of all sources, whatever was chosen: a table keeps its name.
  const std::vector<catalog::AthenaSource> all = backed_up(config, std::nullopt, options.reference);
  const std::vector<std::string> names = catalog::athena_table_names(all);
  std::vector<Made> plan;
  for (const Region& region : catalog_regions(config)) {
    std::vector<Made> tables;
    std::vector<std::string> usable;
    for (const catalog::AthenaSource& source : backed_up(config, region, options.reference)) {
      const std::string& name =
          names[static_cast<std::size_t>(std::find(all.begin(), all.end(), source) - all.begin())];
      Made table = make_table(config.settings, region, source, database, name, years);
      if (!table.failure) usable.push_back(name);
      if (is_chosen(source, options.source)) tables.push_back(std::move(table));
    }
    if (tables.empty()) continue;
    plan.push_back({"database", region, database, {}, {}, {}, catalog::create_database_statement(database), {}});
    std::move(tables.begin(), tables.end(), std::back_inserter(plan));
    if (!options.source.empty() || usable.empty()) continue;
    plan.push_back({"view",
                    region,
                    database,
                    std::string(catalog::athena_view_name),
                    {},
                    {},
                    catalog::create_view_statement(database, usable),
                    {}});
  }
  return plan;
}

catalog::YearRange years_of(Context& context, const DdlOptions& options) {
  constexpr int either_way = 10;
  const int now = std::stoi(to_date(context.world().clock.now()).substr(0, 4));
  const catalog::YearRange years{options.first_year != 0 ? options.first_year : now - either_way,
                                 options.last_year != 0 ? options.last_year : now + either_way};
  if (years.first <= years.last) return years;
  throw Error(ErrorKind::invalid, fmt::format("the years {} to {} are none", years.first, years.last),
              "--first-year, --last-year");
}

nlohmann::ordered_json line_of(const Made& made) {
  nlohmann::ordered_json line = {{"type", made.type}, {"region", made.region.str()}, {"database", made.database}};
  if (!made.table.empty()) line["table"] = made.table;
  if (made.type == "table") {
    line["source_bucket"] = made.source.bucket.str();
    add_name(line, "source_prefix", made.source.prefix);
    add_name(line, "location", made.location);
  }
  line["statement"] = made.statement;
  return line;
}

std::string heading_of(const Made& made) {
  std::string heading = fmt::format("-- {} {} in {}", made.type, name_of(made), made.region.str());
  if (made.type == "table") heading += ": " + escape_name(catalog::athena_directory(made.source));
  return heading;
}

/// Makes one thing; false when that failed, which was told.
bool create(Context& context, const Made& made, const AthenaOptions& options, const std::string& workgroup,
            std::size_t place, std::size_t count) {
  context.set_status(fmt::format("Athena: {} of {}  {}", place, count, name_of(made)));
  try {
    // The database of the context would have to be there: every name of a statement has its own.
    const AthenaUse use = run_athena_statement(context, {made.region, workgroup, {}}, options.results, made.statement);
    nlohmann::ordered_json line = line_of(made);
    line["created"] = true;
    line["query_id"] = use.query_id;
    emit(context, line, fmt::format("made {} {} in {}", made.type, name_of(made), made.region.str()));
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::unsupported) throw;
    emit_failure(context, fmt::format("{} {} in {} was not made", made.type, name_of(made), made.region.str()), error);
    return false;
  }
}

int ddl(Context& context, const DdlOptions& options) {
  context.break_off_on_stop();
  const config::ReplicationConfig config =
      config::load_replication_config(context.world().files, options.athena.config_directory);
  const std::vector<Made> all = plan(config, options, years_of(context, options));
  if (all.empty() && options.source.empty()) {
    throw Error(ErrorKind::invalid, "the configuration has no backup destination, so there is no catalog",
                options.athena.config_directory, "set \"backup\": true on a destination");
  }
  if (all.empty()) {
    throw Error(ErrorKind::not_found, "the configuration backs up no such source", escape_name(options.source),
                "`bale config check --config DIR` lists the sources");
  }
  const std::string workgroup =
      options.athena.workgroup.empty() ? config.settings.stack_name + "-catalog-workgroup" : options.athena.workgroup;
  const bool runs = options.create && !context.options().dryrun;
  bool failed = false;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Made& made = all[i];
    if (made.failure) {
      emit_failure(context, fmt::format("no {} for {}", made.type, escape_name(made.location)), *made.failure);
      failed = true;
    } else if (runs) {
      failed = !create(context, made, options.athena, workgroup, i + 1, all.size()) || failed;
    } else {
      emit_lines(context, line_of(made), fmt::format("{}\n{};\n", heading_of(made), made.statement));
    }
  }
  return failed ? exit_some_failed : exit_ok;
}

}  // namespace

void add_catalog_ddl_command(CLI::App& catalog, Action& action) {
  CLI::App* command = catalog.add_subcommand("ddl", "Print, or make, the tables with which Athena reads catalogs");
  const auto options = std::make_shared<DdlOptions>();
  command->add_option("--config", options->athena.config_directory, "a replication configuration: its backups' sources")
      ->type_name("DIR")
      ->required();
  command->add_option("--source", options->source, "only the tables of this source")->type_name("BUCKET[/PREFIX]");
  constexpr int least_year = 1970, most_year = 9999;
  command->add_option("--first-year", options->first_year, "earliest year of a backup [ten years ago]")
      ->type_name("YYYY")
      ->check(CLI::Range(least_year, most_year).description(""));
  command->add_option("--last-year", options->last_year, "latest year of a backup [in ten years]")
      ->type_name("YYYY")
      ->check(CLI::Range(least_year, most_year).description(""));
  command->add_flag("--reference", options->reference,
                    "also tables of catalogs that S3 Cross-Region Compressor wrote below the source's region");
  command->add_flag("--create", options->create, "run the statements in Athena, in the regions of the catalogs");
  add_athena_options(*command, options->athena);
  command->callback([&action, options] { action = [options](Context& context) { return ddl(context, *options); }; });
}

}  // namespace bale::cli
