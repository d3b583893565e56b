// bale mount
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalog_index.hpp"
#include "cli/catalog_places.hpp"
#include "cli/commands.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "mount/session.hpp"
#include "mount/tree_builder.hpp"
#include "os/signals.hpp"

namespace bale::cli {
namespace {

using namespace bale::literals;

constexpr ByteCount default_cache_bytes = 256_MiB;
constexpr ByteCount least_cache_bytes = 1_MiB;
constexpr std::uint64_t objects_per_status = 10'000;

struct MountCommandOptions {
  QueryOptions where;
  std::string directory, as_of, cache;
  bool allow_other = false, foreground = false;
};

recover::Query query_of(const MountCommandOptions& options) {
  recover::Query query = base_query(options.where);
  query.as_of = time_option(options.as_of, "--as-of");
  return query;
}

/// At most half of what the process may take: the rest is for what is on its way into the cache.
ByteCount cache_bytes(Context& context, const MountCommandOptions& options) {
  const ByteCount most = context.memory_limit() / 2;
  if (options.cache.empty()) return std::min(default_cache_bytes, most);
  ByteCount asked = 0;
  try {
    asked = parse_bytes(options.cache);
  } catch (const Error& error) {
    throw error.with_where("--cache");
  }
  if (asked >= least_cache_bytes && asked <= most) return asked;
  throw Error(ErrorKind::invalid,
              fmt::format("a cache of {} cannot be: between {} and half of the memory limit, {}", format_bytes(asked),
                          format_bytes(least_cache_bytes), format_bytes(most)),
              "--cache", "--memory-limit sets the limit");
}

/// Objects whose archives may not be read, by the reason.
class RefusedRows {
 public:
  void add(const Error& error) {
    // Archives of one bucket are refused for one reason.
    const auto [found, is_new] = rows_.try_emplace(rows_.size() < most_reasons ? error.summary() : std::string(),
                                                   std::pair(error, std::uint64_t{0}));
    ++found->second.second;
  }
  void tell(Context& context) const {
    for (const auto& [reason, row] : rows_) {
      emit_warning(context, fmt::format("{} cannot be read: {}; {}", format_count(row.second, "object"),
                                        row.first.what(), row.first.hint()));
    }
  }

 private:
  static constexpr std::size_t most_reasons = 20;
  std::map<std::string, std::pair<Error, std::uint64_t>> rows_;
};

std::unique_ptr<mount::Tree> read_catalog(Context& context, const MountCommandOptions& options, int& status) {
  // Out of an index, memory does not depend on how many objects there are; and what was backed up just now is shown.
  QueryOptions where = options.where;
  if (!where.no_index) where.no_index = !sync_indexes(context, where);
  mount::TreeBuilder builder(context.world());
  const catalog::ArchiveBuckets allowed = allowed_buckets(context, options.where);
  RefusedRows refused;
  const auto notes = search_each(
      context, where, query_of(options), recover::OnDamage::read_archive, [&](const catalog::Record& record) {
        if (const auto refusal = allowed.refusal_of(record)) refused.add(*refusal);
        catalog::Record restricted = record;
        allowed.restrict(restricted);
        builder.add(restricted);
        if (builder.objects() % objects_per_status == 0) {
          context.set_status(fmt::format("reading the catalog  {}", format_count(builder.objects(), "object")));
        }
        return true;
      });
  context.set_status("");
  refused.tell(context);
  status = status_of_damage(notes.damage);
  if (builder.objects() == 0) {
    throw Error(ErrorKind::not_found, "the catalog has no object to show", {},
                options.as_of.empty() ? "`bale catalog search` shows what there is"
                                      : "`bale catalog search --all-versions` shows what there is, and since when");
  }
  return builder.finish();
}

void announce(Context& context, const MountCommandOptions& options, const mount::TreeTotals& totals) {
  const bool dryrun = context.options().dryrun;
  nlohmann::ordered_json line{{"type", "mounted"}};
  add_name(line, "directory", options.directory);
  line.update(
      {{"objects", totals.objects}, {"directories", totals.directories}, {"bytes", totals.bytes}, {"dryrun", dryrun}});
  const std::string what =
      fmt::format("{} in {} ({})", format_count(totals.objects, "object"),
                  totals.directories == 1 ? "1 directory" : format_count(totals.directories) + " directories",
                  format_bytes(totals.bytes));
  const std::string place = escape_name(options.directory);
  emit(context, line,
       dryrun ? fmt::format("(dryrun) mount: {} at {}", what, place)
              : fmt::format("mounted: {} at {}; ends at Ctrl-C, or `fusermount3 -u {}`", what, place, place));
}

int run_mount(Context& context, const MountCommandOptions& options) {
  context.break_off_on_stop();
  mount::check_mount_point(context.world().files, options.directory);
  mount::MountOptions mount_options;
  mount_options.directory = options.directory;
  mount_options.allow_other = options.allow_other;
  mount_options.cache_bytes = cache_bytes(context, options);
  context.reserve_memory(mount_options.cache_bytes);
  int status = exit_ok;
  const auto tree = read_catalog(context, options, status);
  const auto say = [&] { announce(context, options, tree->totals()); };
  if (context.options().dryrun) {
    say();
    return status;
  }
  // Nothing is written anywhere, so that nothing is lost with a request that does not end.
  mount::serve(*tree, context.store(context.region()), context.budget(), context.log(), context.world(), mount_options,
               say, [status] { os::end_at_once(status); });
  return status;
}

}  // namespace

void add_mount_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("mount", "Show backups as a directory tree, read-only (FUSE)");
  const auto options = std::make_shared<MountCommandOptions>();
  command->add_option("DIR", options->directory, "where: an empty directory")->required();
  add_catalog_options(*command, options->where);
  add_allow_bucket_option(*command, options->where);
  command->add_flag("--no-index", options->where.no_index,
                    "read the catalog itself, in memory, instead of bringing its local index up to date");
  command->add_option("--bucket", options->where.bucket, "only objects of this source bucket")->type_name("NAME");
  command->add_option("--prefix", options->where.prefix, "only keys that start so");
  command->add_option("--as-of", options->as_of, "as it was then [now]")->type_name("TIME")->check(refuse_empty);
  command->add_option("--cache", options->cache, "most memory for what was read [256 MiB, or half of --memory-limit]")
      ->type_name("SIZE");
  command->add_flag("--allow-other", options->allow_other, "let other users look, too");
  command->add_flag("--foreground", options->foreground, "stay until unmounted, Ctrl-C or SIGTERM, as it always does");
  command->callback(
      [&action, options] { action = [options](Context& context) { return run_mount(context, *options); }; });
}

}  // namespace bale::cli
