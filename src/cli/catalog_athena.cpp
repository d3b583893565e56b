#include "cli/catalog_athena.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/text.hpp"
#include "catalog/athena_ddl.hpp"
#include "catalog/athena_sql.hpp"
#include "cli/cloud_backend.hpp"
#include "cli/output.hpp"

namespace bale::cli {
namespace {

/// A query of little data takes a second or two; one that runs for minutes is not asked every second.
constexpr Milliseconds first_pause{200}, longest_pause{5'000};

/// Athena takes 32 to 128 characters.
std::string new_token(os::Entropy& entropy) {
  return fmt::format("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64());
}

/// Tells Athena that nobody waits any more. What it says to that changes nothing: the error of the wait is what counts.
void stop_quietly(cloud::AthenaClient& client, const cloud::QueryId& query) {
  try {
    client.stop(query);
  } catch (const Error&) {
    // It ends at the workgroup's limits then.
  }
}

void start_and_stop_quietly(cloud::AthenaClient& client, const cloud::QueryStart& start) {
  try {
    client.stop(client.start(start));
  } catch (const Error&) {
    // It ends at the workgroup's limits then.
  }
}

std::string status_of(const cloud::QueryExecution& execution, Milliseconds waited) {
  return fmt::format("Athena: {}  {}  {} scanned",
                     execution.state == cloud::QueryState::queued ? "in the queue" : "running", format_duration(waited),
                     format_bytes(execution.bytes_scanned));
}

/// Waits for the query's end, whatever that is.
cloud::QueryExecution wait_for(Context& context, AthenaAccess athena, const cloud::QueryId& query) {
  os::World& world = context.world();
  const auto begun = world.clock.steady();
  for (Milliseconds pause = first_pause;; pause = std::min(pause * 3 / 2, longest_pause)) {
    cloud::QueryExecution now = flow::retry(athena.retrier, [&] { return athena.client.describe(query); });
    if (now.state != cloud::QueryState::queued && now.state != cloud::QueryState::running) return now;
    context.set_status(status_of(now, std::chrono::duration_cast<Milliseconds>(world.clock.steady() - begun)));
    if (!world.clock.sleep_for(pause, world.stop))
      throw Error(ErrorKind::cancelled, "interrupted; the query was stopped", athena.client.where_of(query));
  }
}

struct FinishedQuery {
  cloud::QueryId id;
  cloud::QueryExecution execution;  ///< its state is succeeded, failed or cancelled
};

/// Starts a query. When an interrupt breaks the request off, Athena may have started the query, whose id nobody has.
/// The same request with the same token then gives its id, and the query is stopped.
cloud::QueryId start_query(Context& context, AthenaAccess athena, const cloud::QueryStart& start) {
  bool was_sent = false;
  try {
    return flow::retry(athena.retrier, [&] {
      if (context.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
      was_sent = true;
      return athena.client.start(start);
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::cancelled || !was_sent) throw;
    context.clean_up_after_stop();
    start_and_stop_quietly(athena.client, start);
    throw;
  }
}

FinishedQuery finish_query(Context& context, AthenaAccess athena, const cloud::QueryStart& start) {
  const cloud::QueryId id = start_query(context, athena, start);
  try {
    cloud::QueryExecution execution = wait_for(context, athena, id);
    context.set_status({});
    return {id, std::move(execution)};
  } catch (...) {
    context.set_status({});
    context.clean_up_after_stop();
    stop_quietly(athena.client, id);
    throw;
  }
}

AthenaUse use_of(const FinishedQuery& query) {
  return {query.id.str(), query.execution.bytes_scanned, query.execution.run_time};
}

void check_succeeded(const cloud::AthenaClient& client, const FinishedQuery& query, const std::string& workgroup) {
  if (query.execution.state != cloud::QueryState::succeeded)
    throw cloud::query_error(query.execution, workgroup, client.where_of(query.id));
}

/// What it took, on standard error: also of a query that has failed, since its bytes are on the bill.
void report_use(Context& context, const AthenaPlace& place, const AthenaUse& use) {
  os::Terminal& terminal = context.world().terminal;
  if (context.json()) {
    const nlohmann::ordered_json line = {{"type", "query"},
                                         {"engine", "athena"},
                                         {"query_id", use.query_id},
                                         {"region", place.region.str()},
                                         {"workgroup", place.workgroup},
                                         {"database", place.database},
                                         {"bytes_scanned", use.bytes_scanned},
                                         {"run_time_ms", use.run_time.count()}};
    return terminal.err(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
  if (context.options().quiet) return;
  terminal.err(fmt::format("{} scanned in {} (query {}, workgroup {} in {})\n", format_bytes(use.bytes_scanned),
                           format_duration(use.run_time), escape_for_terminal(use.query_id),
                           escape_for_terminal(place.workgroup), place.region.str()));
}

void write_results(Context& context, AthenaAccess athena, const FinishedQuery& query, ResultWriter& sink) {
  std::string continuation;
  bool is_first = true;
  do {
    cloud::QueryPage page = flow::retry(athena.retrier, [&] { return athena.client.results(query.id, continuation); });
    if (is_first) {
      std::vector<ResultColumn> columns;
      for (const cloud::QueryColumn& column : page.columns) columns.push_back({column.name, column.type});
      sink.begin(std::move(columns));
      cloud::drop_names(page, query.execution);
    }
    is_first = false;
    for (ResultRow& row : page.rows) sink.add(std::move(row));
    continuation = page.next;
    if (!continuation.empty() && context.stop().stop_requested())
      throw Error(ErrorKind::cancelled, "interrupted while the results came in", athena.client.where_of(query.id));
  } while (!continuation.empty());
  sink.finish();
}

Region choose_region(Context& context, const config::ReplicationConfig& config) {
  const std::vector<Region> regions = catalog_regions(config);
  if (regions.empty()) {
    throw Error(ErrorKind::invalid, "the configuration has no backup destination, so there is no catalog", {},
                "set \"backup\": true on a destination");
  }
  if (regions.size() == 1) return regions.front();
  Region asked = context.region();
  if (std::find(regions.begin(), regions.end(), asked) != regions.end()) return asked;
  std::string names;
  for (const Region& region : regions) names += (names.empty() ? "" : ", ") + region.str();
  throw Error(ErrorKind::invalid,
              fmt::format("there are catalogs in {} regions, and none in {}", regions.size(), asked.str()), {},
              fmt::format("choose one with --region: {}", names));
}

}  // namespace

std::vector<Region> catalog_regions(const config::ReplicationConfig& config) {
  std::vector<config::Destination> backups;
  for (const config::Rule& rule : config.rules) {
    std::copy_if(rule.destinations.begin(), rule.destinations.end(), std::back_inserter(backups),
                 [](const config::Destination& destination) { return destination.backup; });
  }
  return config::destination_regions(backups);
}

void add_athena_options(CLI::App& command, AthenaOptions& options) {
  command.add_option("--workgroup", options.workgroup, "Athena's workgroup [{stack}-catalog-workgroup]")
      ->type_name("NAME");
  command.add_option("--database", options.database, "Athena's database [{stack}_catalog_db]")->type_name("NAME");
  command.add_option("--results", options.results, "where Athena puts results: s3://bucket/prefix/ [the workgroup's]")
      ->type_name("URI");
}

AthenaPlace athena_place(Context& context, const AthenaOptions& options) {
  if (options.config_directory.empty()) {
    if (options.workgroup.empty() || options.database.empty()) {
      throw Error(ErrorKind::invalid, "nothing says where in Athena the catalog is", {},
                  "give --config DIR (of replicate), or --workgroup and --database");
    }
    return {context.region(), options.workgroup, options.database};
  }
  const config::ReplicationConfig config =
      config::load_replication_config(context.world().files, options.config_directory);
  const std::string& stack = config.settings.stack_name;
  return {choose_region(context, config), options.workgroup.empty() ? stack + "-catalog-workgroup" : options.workgroup,
          options.database.empty() ? catalog::athena_database_name(stack) : options.database};
}

AthenaUse run_athena_statement(Context& context, const AthenaPlace& place, const std::string& results,
                               const std::string& sql) {
  const AthenaAccess athena = context.athena(place.region);
  const FinishedQuery query = finish_query(
      context, athena, {sql, place.database, place.workgroup, results, new_token(context.world().entropy)});
  check_succeeded(athena.client, query, place.workgroup);
  return use_of(query);
}

AthenaUse run_athena_query(Context& context, const AthenaOptions& options, const std::string& sql, ResultWriter& sink) {
  const std::string statement = catalog::to_athena_sql(sql);
  const AthenaPlace place = athena_place(context, options);
  const AthenaAccess athena = context.athena(place.region);
  if (context.options().dryrun) {
    emit_lines(context,
               {{"type", "dryrun"},
                {"region", place.region.str()},
                {"workgroup", place.workgroup},
                {"database", place.database},
                {"statement", statement}},
               fmt::format("would ask {} in workgroup {} in {}:\n{}", place.database, place.workgroup,
                           place.region.str(), escape_lines(statement)));
    return {};
  }
  const FinishedQuery query =
      finish_query(context, athena,
                   {statement, place.database, place.workgroup, options.results, new_token(context.world().entropy)});
  if (query.execution.state == cloud::QueryState::succeeded) write_results(context, athena, query, sink);
  report_use(context, place, use_of(query));
  check_succeeded(athena.client, query, place.workgroup);
  return use_of(query);
}

}  // namespace bale::cli
