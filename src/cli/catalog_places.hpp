// Which catalogs a command searches.
#pragma once

#include <string>
#include <vector>

#include "cli/context.hpp"
#include "jobs/recover/search.hpp"

namespace CLI {
class App;
}

namespace bale::cli {

/// Options by which `catalog` and `restore` are told where the catalog is and what is wanted of it.
struct QueryOptions {
  std::string config_directory;  ///< --config: the catalog buckets of every region with a backup destination
  std::string catalog_uri;       ///< --catalog s3://bucket[/prefix]: this one
  std::string bucket, prefix, since, until;
};

void add_query_options(CLI::App& command, QueryOptions& options);

/// The catalogs to be searched. Throws Error{invalid} when the command line names none.
std::vector<recover::CatalogPlace> catalog_places(Context& context, const QueryOptions& options);
/// The conditions that both commands share.
recover::Query base_query(const QueryOptions& options);

/// Searches and tells the user of damaged lines. With catalogs of several regions, an object that is in more than one
/// comes once.
std::vector<catalog::Record> find_records(Context& context, const QueryOptions& options, const recover::Query& query);

}  // namespace bale::cli
