// The catalog in Athena: queries that run there, and the tables that they need.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "cli/commands.hpp"
#include "cli/context.hpp"
#include "cli/result_writer.hpp"
#include "config/replication.hpp"

namespace bale::cli {

/// Where in Athena, and as whom: what is empty follows from the configuration.
struct AthenaOptions {
  std::string config_directory;  ///< --config; empty: region, workgroup and database are given
  std::string workgroup;         ///< --workgroup; empty: "{stack}-catalog-workgroup"
  std::string database;          ///< --database; empty: "{stack}_catalog_db"
  std::string results;           ///< --results: s3://bucket/prefix/ for results; empty: the workgroup's
};
/// --workgroup, --database and --results. (--config is the command's own.)
void add_athena_options(CLI::App& command, AthenaOptions& options);

/// The regions that have a catalog, each once, in the order of the configuration.
std::vector<Region> catalog_regions(const config::ReplicationConfig& config);

/// Where queries go.
struct AthenaPlace {
  Region region;
  std::string workgroup;
  std::string database;  ///< for names without one; may be empty
};
/// The place that the options mean. The region is the only one that has a backup destination; of several, the one of
/// --region or its variables. Throws Error{invalid} where that is none of them, or where something is not said.
AthenaPlace athena_place(Context& context, const AthenaOptions& options);

/// What a query took.
struct AthenaUse {
  std::string query_id;
  ByteCount bytes_scanned = 0;
  Milliseconds run_time{0};  ///< as Athena counts it, time in the queue included
};

/// Runs one statement of any kind in a workgroup and waits for its end, without its results.
/// The time and the bytes so far are shown as the status line. Where the wait ends early (interrupted, or Athena not to
/// be reached any more) the query is stopped. Throws Error{cancelled} when interrupted, Error{unsupported} with
/// --local, what aws::query_error() makes of a failed query, and otherwise as AthenaClient does after retries.
AthenaUse run_athena_statement(Context& context, const AthenaPlace& place, const std::string& results,
                               const std::string& sql);

/// Answers `sql`, one statement that only reads, into `sink` (from its begin() to its finish()), and says on standard
/// error what was scanned and how long it took: a line, or with --output json an object of type "query". With --dryrun
/// says what would be asked, and asks nothing. The name catalog_table_name of the documented queries is the view
/// `catalog`. Throws Error{invalid} for a statement that would change something, and as run_athena_statement() does.
AthenaUse run_athena_query(Context& context, const AthenaOptions& options, const std::string& sql, ResultWriter& sink);

/// `bale catalog ddl`, below the command `catalog`.
void add_catalog_ddl_command(CLI::App& catalog, Action& action);

}  // namespace bale::cli
