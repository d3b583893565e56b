#include "cli/catalog_places.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalog_index.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "config/replication.hpp"

namespace bale::cli {
namespace {

/// Where the archives of a region's catalog may be.
std::vector<BucketName> backup_buckets(const config::ReplicationConfig& config, const Region& region) {
  std::vector<BucketName> buckets;
  for (const config::Rule& rule : config.rules) {
    for (const config::Destination& destination : rule.destinations) {
      const bool known = std::find(buckets.begin(), buckets.end(), destination.bucket) != buckets.end();
      if (destination.backup && destination.region == region && !known) buckets.push_back(destination.bucket);
    }
  }
  return buckets;
}

std::vector<Region> backup_regions(const config::ReplicationConfig& config) {
  std::vector<Region> regions;
  for (const config::Rule& rule : config.rules) {
    for (const config::Destination& destination : rule.destinations) {
      const bool known = std::find(regions.begin(), regions.end(), destination.region) != regions.end();
      if (destination.backup && !known) regions.push_back(destination.region);
    }
  }
  return regions;
}

void tell_damage(Context& context, const std::vector<recover::CatalogDamage>& damaged) {
  for (const recover::CatalogDamage& damage : damaged) {
    if (damage.replaced_by) {
      emit_warning(context, fmt::format("{}; the list in the archive itself was read instead: {}", damage.error.what(),
                                        to_uri(*damage.replaced_by)));
    } else {
      emit_failure(context, "the catalog is incomplete", damage.error);
    }
  }
}

void tell_exact_names(Context& context, const std::set<std::string>& names) {
  for (const std::string& name : names) {
    emit_warning(context, fmt::format("an object has the very name {}: only this object is used, other matches of "
                                      "the pattern are left out; write ** instead of one * to match them all",
                                      escape_name(name)));
  }
}

/// A local index is a copy of what is in the catalog: that it cannot be used says nothing about any backup.
void tell_unusable_index(Context& context, const Error& error) {
  emit_warning(context, fmt::format("the local index cannot be used, and the catalog itself is read: {}; `bale "
                                    "catalog sync --rebuild` makes it anew",
                                    error.what()));
}

}  // namespace

void add_catalog_options(CLI::App& command, QueryOptions& options) {
  command.add_option("--config", options.config_directory, "the catalogs of this replication configuration")
      ->type_name("DIR");
  command.add_option("--catalog", options.catalog_uri, "this catalog: s3://bucket[/prefix]")->type_name("URI");
  command.add_option("--index", options.index_directory, "where local indexes are [~/.cache/bale/catalogs]")
      ->type_name("DIR");
}

void add_query_options(CLI::App& command, QueryOptions& options) {
  add_catalog_options(command, options);
  command.add_flag("--no-index", options.no_index, "read the catalog itself, also where it has a local index");
  command.add_option("--bucket", options.bucket, "only objects of this source bucket")
      ->type_name("NAME")
      ->check(refuse_empty);
  command.add_option("--prefix", options.prefix, "only keys that start so");
  command.add_option("--since", options.since, "only objects modified at or after this time")
      ->type_name("TIME")
      ->check(refuse_empty);
  command.add_option("--until", options.until, "only objects modified before this time")
      ->type_name("TIME")
      ->check(refuse_empty);
}

void add_allow_bucket_option(CLI::App& command, QueryOptions& options) {
  command
      .add_option("--allow-bucket", options.allowed_buckets,
                  "read archives in this bucket too, though it is no backup destination of --config; repeatable")
      ->type_name("BUCKET")
      ->allow_extra_args(false)
      ->check(refuse_empty);
}

catalog::ArchiveBuckets allowed_buckets(Context& context, const QueryOptions& options) {
  catalog::ArchiveBuckets allowed;
  for (const std::string& bucket : options.allowed_buckets)
    allowed.add(is_s3_uri(bucket) ? parse_s3_uri(bucket).bucket : BucketName(bucket));
  if (options.config_directory.empty()) return allowed;
  const config::ReplicationConfig config =
      config::load_replication_config(context.world().files, options.config_directory);
  for (const config::Rule& rule : config.rules) {
    allowed.add_source(rule.source.bucket);
    for (const config::Destination& destination : rule.destinations) {
      if (destination.backup) allowed.add_backup(rule.source.bucket, destination.bucket);
    }
  }
  return allowed;
}

std::vector<recover::CatalogPlace> named_catalogs(Context& context, const QueryOptions& options) {
  if (!options.catalog_uri.empty()) {
    const ObjectAddress place = parse_s3_uri(options.catalog_uri);
    return {{&context.store(context.region()), place.bucket, place.key.str(), {}, {}}};
  }
  if (options.config_directory.empty()) {
    throw Error(ErrorKind::invalid, "no catalog was named", {},
                "give --config DIR (of replicate) or --catalog s3://bucket");
  }
  const config::ReplicationConfig config =
      config::load_replication_config(context.world().files, options.config_directory);
  std::vector<recover::CatalogPlace> places;
  for (const Region& region : backup_regions(config)) {
    places.push_back({&context.store(region),
                      config::catalog_bucket(config.settings, region),
                      "",
                      backup_buckets(config, region),
                      {}});
  }
  if (places.empty()) {
    throw Error(ErrorKind::invalid, "the configuration has no backup destination, so there is no catalog",
                options.config_directory, "set \"backup\": true on a destination");
  }
  return places;
}

std::vector<recover::CatalogPlace> catalog_places(Context& context, const QueryOptions& options) {
  std::vector<recover::CatalogPlace> places = named_catalogs(context, options);
  const catalog::ArchiveBuckets allowed = allowed_buckets(context, options);
  for (recover::CatalogPlace& place : places) {
    place.allowed = allowed;
    if (options.no_index) continue;
    try {
      auto index = open_index(context, options, place, /*make=*/false);
      if (!index) continue;
      if (!synced_at(*index)) {
        emit_warning(context,
                     fmt::format("the local index of {} is not complete, and the catalog itself is read: `bale "
                                 "catalog sync` completes it",
                                 place.bucket.str()));
        continue;
      }
      if (is_of_another_store(context, place, *index)) {
        emit_warning(context, fmt::format("the local index of {} is of a store that was here before, and the catalog "
                                          "itself is read: `bale catalog sync` makes the index anew",
                                          place.bucket.str()));
        continue;
      }
      warn_of_gaps(context, place, *index);
      place.index = std::move(index);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      tell_unusable_index(context, error);
    }
  }
  return places;
}

recover::Query base_query(const QueryOptions& options) {
  recover::Query query;
  query.bucket = BucketName(options.bucket);
  query.prefix = options.prefix;
  query.since = time_option(options.since, "--since");
  query.until = time_option(options.until, "--until");
  return query;
}

recover::Query bounded(Context& context, recover::Query query) {
  query.most_memory = context.memory_limit() / 4;
  query.now = context.world().clock.now();
  return query;
}

recover::SearchResult find_records(Context& context, const QueryOptions& options, const recover::Query& query,
                                   recover::OnDamage on_damage) {
  recover::SearchResult found = recover::search(catalog_places(context, options), bounded(context, query),
                                                context.pools().connections, on_damage, context.stop());
  for (const Error& error : found.unusable_indexes) tell_unusable_index(context, error);
  tell_damage(context, found.damage);
  tell_exact_names(context, found.exact_names);
  return found;
}

recover::SearchNotes search_each(Context& context, const QueryOptions& options, const recover::Query& query,
                                 recover::OnDamage on_damage,
                                 const std::function<bool(const catalog::Record&)>& visit) {
  recover::SearchNotes notes = recover::search_each(catalog_places(context, options), bounded(context, query),
                                                    context.pools().connections, on_damage, context.stop(), visit);
  for (const Error& error : notes.unusable_indexes) tell_unusable_index(context, error);
  tell_damage(context, notes.damage);
  tell_exact_names(context, notes.exact_names);
  return notes;
}

recover::Replacements ask_again(Context& context, const QueryOptions& options, const recover::Query& query,
                                const recover::GoneObjects& gone, bool exact_version) {
  emit_warning(context, fmt::format("archives of {} are gone: the catalog is asked again",
                                    format_count(gone.errors.size(), "object")));
  recover::AgainOptions how;
  how.exact_version = exact_version;
  QueryOptions where = options;
  if (!options.no_index && !context.options().dryrun) {
    const SyncedAgain again = sync_known_indexes(context, options);
    how.is_new_store = again.is_of_new_store;
    where.no_index = again.needs_files;
  }
  return recover::find_replacements(catalog_places(context, where), bounded(context, query), gone, how,
                                    context.pools().connections, recover::OnDamage::read_archive, context.stop());
}

bool may_be_incomplete(const std::vector<recover::CatalogDamage>& damage) {
  return std::any_of(damage.begin(), damage.end(), [](const recover::CatalogDamage& d) { return !d.replaced_by; });
}

bool is_lost(const Error& error) { return error.kind() == ErrorKind::corrupt || error.code() == "NoSuchBucket"; }

int status_of_damage(const std::vector<recover::CatalogDamage>& damage) {
  int status = exit_ok;
  for (const recover::CatalogDamage& each : damage) {
    if (each.replaced_by) continue;
    if (is_lost(each.error)) return exit_damaged;
    status = exit_some_failed;
  }
  return status;
}

void add_key_bytes(nlohmann::ordered_json& line, const ObjectKey& key) {
  if (!is_utf8(key.str())) line["key_base64"] = to_base64(as_bytes(key.str()));
}

}  // namespace bale::cli
