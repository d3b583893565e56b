// Which catalogs a command searches.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "jobs/recover/restore_again.hpp"
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
  std::string index_directory;               ///< --index: where local indexes are
  bool no_index = false;                     ///< read the catalog itself, also where it has an index
  std::vector<std::string> allowed_buckets;  ///< --allow-bucket: archives may be read there too
};

void add_query_options(CLI::App& command, QueryOptions& options);

/// Adds the options that say which catalog: --config, --catalog, --index.
void add_catalog_options(CLI::App& command, QueryOptions& options);

/// Adds --allow-bucket, for a command that reads archives which the catalog names.
void add_allow_bucket_option(CLI::App& command, QueryOptions& options);

/// Returns the buckets that archives may be read from: with --config the backup destinations of each source, and those
/// of --allow-bucket. With --catalog alone, a person vouches for the catalog: every bucket, or those of --allow-bucket
/// where there are any. Throws InvalidConfig, and Error{not_found} for a missing configuration.
catalog::ArchiveBuckets allowed_buckets(Context& context, const QueryOptions& options);

/// The catalogs that the command line names, without their indexes. Throws Error{invalid} when it names none.
std::vector<recover::CatalogPlace> named_catalogs(Context& context, const QueryOptions& options);
/// The same, to be searched: with the index of each that has one which can be used. Warns of an index that cannot, or
/// that was not synced for long.
std::vector<recover::CatalogPlace> catalog_places(Context& context, const QueryOptions& options);
/// The conditions that both commands share.
recover::Query base_query(const QueryOptions& options);

/// The query, with the present time, and with a quarter of the memory limit for what is found.
recover::Query bounded(Context& context, recover::Query query);

/// Searches, and tells the user of every damaged catalog file that could hold what is wanted: as a warning where its
/// archive stood in for it, else as a failure. With catalogs of several regions, an object that is in more than one
/// comes once.
recover::SearchResult find_records(Context& context, const QueryOptions& options, const recover::Query& query,
                                   recover::OnDamage on_damage);
/// The same, one record after the other, as recover::search_each() has it.
recover::SearchNotes search_each(Context& context, const QueryOptions& options, const recover::Query& query,
                                 recover::OnDamage on_damage, const std::function<bool(const catalog::Record&)>& visit);
/// Asks the catalogs again about objects whose archives are gone: brings the indexes that are there up to date (not in
/// a dry run), and looks for other backups of the objects. Says so in a warning.
recover::Replacements ask_again(Context& context, const QueryOptions& options, const recover::Query& query,
                                const recover::GoneObjects& gone, bool exact_version);
/// Whether rows may be missing from what was found.
bool may_be_incomplete(const std::vector<recover::CatalogDamage>& damage);
/// Whether this error about a catalog file means lost data (the file is damaged, or its bucket is gone), and not only
/// that the file cannot be read now.
bool is_lost(const Error& error);
/// The exit status that damage of a catalog gives a command which is otherwise done: exit_damaged where rows are lost,
/// exit_some_failed where files cannot be read, exit_ok where archives were read instead.
int status_of_damage(const std::vector<recover::CatalogDamage>& damage);

/// Adds `key_base64` to a line of JSON whose other members can only show the key: one that is not UTF-8.
void add_key_bytes(nlohmann::ordered_json& line, const ObjectKey& key);

}  // namespace bale::cli
