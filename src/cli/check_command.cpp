// bale check
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "cli/catalog_places.hpp"
#include "cli/check_printer.hpp"
#include "cli/commands.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "config/replication.hpp"
#include "jobs/check/check.hpp"

namespace bale::cli {
namespace {

struct CheckOptions {
  QueryOptions where;  ///< config_directory, catalog_uri and since alone
  std::vector<std::string> archives;
  std::optional<std::string> read_data;  ///< share, or empty: all
  bool destinations = false;
  bool repair_catalog = false;
};

/// --since, by whole days: so are catalog files filed.
std::optional<TimePoint> since_of(const CheckOptions& options) {
  const auto since = time_option(options.where.since, "--since");
  if (!since) return std::nullopt;
  return std::chrono::floor<std::chrono::days>(*since);
}

check::Scope scope_of(const std::string& uri) {
  const ObjectAddress place = parse_s3_uri(uri);
  return {place.bucket, place.key.str()};
}

std::vector<check::Place> places_of(Context& context, const CheckOptions& options) {
  std::vector<check::Place> places;
  for (const recover::CatalogPlace& found : catalog_places(context, options.where)) {
    check::Place place{found.store, {found.bucket, found.prefix}, {}, since_of(options), found.allowed};
    for (const BucketName& bucket : found.backup_buckets) place.backups.push_back({bucket, ""});
    for (const std::string& uri : options.archives) place.backups.push_back(scope_of(uri));
    places.push_back(std::move(place));
  }
  return places;
}

/// The rules with a backup and normal destinations: the catalog of the first backup says what they should have.
std::vector<check::DestinationRule> destination_rules(Context& context, const CheckOptions& options) {
  const config::ReplicationConfig config =
      config::load_replication_config(context.world().files, options.where.config_directory);
  std::vector<check::DestinationRule> rules;
  for (const config::Rule& rule : config.rules) {
    const auto is_backup = [](const config::Destination& destination) { return destination.backup; };
    const auto backup = std::find_if(rule.destinations.begin(), rule.destinations.end(), is_backup);
    if (backup == rule.destinations.end()) continue;
    check::DestinationRule made{&context.store(backup->region),
                                config::catalog_bucket(config.settings, backup->region),
                                rule.source.region,
                                rule.source.bucket,
                                rule.source.prefix,
                                rule.source.suffix,
                                {},
                                &context.store(rule.source.region)};
    for (const config::Destination& destination : rule.destinations) {
      if (!destination.backup) made.destinations.push_back({&context.store(destination.region), destination.bucket});
    }
    if (!made.destinations.empty()) rules.push_back(std::move(made));
  }
  return rules;
}

void check_usage(const CheckOptions& options) {
  const bool with_config = !options.where.config_directory.empty();
  if (with_config && !options.where.catalog_uri.empty())
    throw Error(ErrorKind::invalid, "--config and --catalog are two ways to say the same", {}, "give one of them");
  if (with_config && !options.archives.empty())
    throw Error(ErrorKind::invalid, "--archives goes with --catalog; --config names the backup buckets itself");
  if (options.destinations && !with_config)
    throw Error(ErrorKind::invalid, "--destinations needs to know the rules", {}, "give --config DIR (of replicate)");
}

std::optional<check::Share> share_of(const CheckOptions& options) {
  if (!options.read_data) return std::nullopt;
  if (options.read_data->empty()) return check::Share{};
  try {
    return check::parse_share(*options.read_data);
  } catch (const Error& error) {
    throw error.with_where("--read-data");
  }
}

int exit_status_of(const check::Counts& counts) {
  if (counts.damage > 0) return exit_damaged;
  return counts.unexamined > 0 ? exit_some_failed : exit_ok;
}

int check_all(Context& context, const CheckOptions& options) {
  context.break_off_on_stop();
  check_usage(options);
  check::Options work{.read_data = share_of(options),
                      .repair = options.repair_catalog,
                      .dryrun = context.options().dryrun,
                      .at_once = context.pools().connections.size(),  // each waits for one request at a time
                      .row_bytes = context.memory_limit() / 4};
  context.reserve_memory(work.row_bytes);
  const std::vector<check::Place> places = places_of(context, options);
  const auto rules = options.destinations ? destination_rules(context, options) : std::vector<check::DestinationRule>();
  const check::Tools tools{context.pools(), context.budget(), context.world().clock, context.stop()};
  CheckPrinter printer(context);
  flow::Progress progress;
  check::Report report([&](const check::Finding& finding) { printer.add(finding); }, progress);
  try {
    const ProgressPrinter line(context, progress, "checking");
    check::check_backups(places, work, tools, report);
    check::check_destinations(rules, work, tools, report);
  } catch (const Error& error) {
    // What was found before is worth knowing; but who no longer reads gets no more.
    if (error.code() != "EPIPE") printer.print_table();
    throw;
  }
  printer.print_table();
  printer.print_hints();
  const check::Counts counts = report.counts();
  print_check_summary(context, counts, work.read_data.has_value(), options.destinations);
  return exit_status_of(counts);
}

}  // namespace

void add_check_command(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("check", "Prove that backups are whole: archives, catalog files and destinations agree");
  const auto options = std::make_shared<CheckOptions>();
  command
      ->add_option("--config", options->where.config_directory, "check the backups of this replication configuration")
      ->type_name("DIR");
  command->add_option("--catalog", options->where.catalog_uri, "check this catalog: s3://bucket[/prefix]")
      ->type_name("URI");
  add_allow_bucket_option(*command, options->where);
  command
      ->add_option("--archives", options->archives,
                   "with --catalog: where its archives are, s3://bucket[/prefix]; may be given several times")
      ->type_name("URI");
  command
      ->add_option_function<std::string>(
          "--read-data", [options](const std::string& share) { options->read_data = share; },
          "read and hash the content of all objects, or of the n-th of t shares")
      ->type_name("[N/T]")
      ->expected(0, 1);
  command
      ->add_option("--since", options->where.since,
                   "only archives that were stored on this day or later, e.g. where older ones expire")
      ->type_name("TIME");
  command->add_flag("--destinations", options->destinations,
                    "compare normal destinations with the catalog too, with --read-data by content");
  command->add_flag("--repair-catalog", options->repair_catalog,
                    "rebuild catalog files that are missing, damaged or wrong from their archives");
  command->callback(
      [&action, options] { action = [options](Context& context) { return check_all(context, *options); }; });
}

}  // namespace bale::cli
