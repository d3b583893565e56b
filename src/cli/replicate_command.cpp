// bale replicate init|run|source|relay|target|backfill|status|redrive
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "archive/compress.hpp"
#include "archive/writer.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/level_options.hpp"
#include "cli/level_tables.hpp"
#include "cli/option_values.hpp"
#include "cli/orphan_printer.hpp"
#include "cli/output.hpp"
#include "config/replication.hpp"
#include "config/service_environment.hpp"
#include "http/server.hpp"
#include "jobs/collect/backfill.hpp"
#include "os/process_use.hpp"
#include "service/metrics.hpp"
#include "service/orphans.hpp"
#include "service/replication.hpp"
#include "service/setup.hpp"
#include "service/status.hpp"
#include "telemetry/registry.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

/// The options of all replicate commands; each uses its own.
struct ReplicateOptions {
  std::string config_directory;
  bool until_idle = false;
  bool once = false;
  std::string level;
  int grace_seconds = 20;
  int archives_at_once = 3;
  std::string only_region;
  std::string listen;
  bool emf = false;
  // backfill
  std::string source_bucket, prefix, suffix, since, until;
  bool restart = false;
};

config::ReplicationConfig load(Context& context, const ReplicateOptions& options) {
  return config::load_replication_config(context.world().files, options.config_directory);
}

/// Moves what waits in queues that an edited rule has left, and tells what stays.
void move_orphans(Context& context, const config::ReplicationConfig& config, bool dryrun) {
  const service::Ports ports = ports_of(context);
  const auto moved = service::move_orphaned_messages(config, service::find_orphans(config, ports), ports, dryrun);
  for (const service::MovedMessages& each : moved) {
    Json line = {{"type", "moved"}, {"queue", each.from.str()}, {"region", each.region.str()}, {"dryrun", dryrun}};
    if (!dryrun) {
      line["to"] = Json::object();
      for (const auto& [queue, messages] : each.to) line["to"][queue.str()] = messages;
      line["kept"] = each.kept;
    }
    emit_json(context, line);
    if (context.json()) continue;
    if (dryrun) {
      context.print(
          fmt::format("the messages of {} that match a rule would be moved to its queue (dryrun)", each.from.str()));
      continue;
    }
    for (const auto& [queue, messages] : each.to)
      context.print(
          fmt::format("moved {} from {} to {}", format_count(messages, "message"), each.from.str(), queue.str()));
    if (each.kept > 0)
      context.print(fmt::format("kept {} in {}: no rule is for their objects", format_count(each.kept, "message"),
                                each.from.str()));
  }
  print_orphans(context, service::find_orphans(config, ports));
}

int init(Context& context, const ReplicateOptions& options) {
  const config::ReplicationConfig config = load(context, options);
  const bool dryrun = context.options().dryrun;
  if (!dryrun) context.allow_new_store();
  const auto steps = dryrun && !context.store_exists()
                         ? service::plan_replication(config)
                         : service::set_up_replication(config, ports_of(context), context.world(), dryrun);
  Table table({{"KIND"}, {"NAME"}, {"REGION"}, {"PURPOSE"}, {"STATE"}});
  std::size_t made = 0;
  for (const service::SetupStep& step : steps) {
    const std::string state = step.exists ? "exists" : dryrun ? "missing" : "made";
    made += step.exists ? 0 : 1;
    Json line = {
        {"type", "setup"}, {"kind", step.kind}, {"name", step.name}, {"region", step.region.str()}, {"state", state}};
    if (!step.queue.empty()) line["queue"] = step.queue.str();
    emit_json(context, line);
    table.add({step.kind, step.name, step.region.str(), step.detail, state});
  }
  if (!context.json()) {
    context.print(table.text());
    context.print(fmt::format("{} of {} {}", made, steps.size(),
                              dryrun ? "would be made (dryrun)" : "made, the others were there"));
  }
  if (!dryrun || context.store_exists()) move_orphans(context, config, dryrun);
  return exit_ok;
}

/// Redraws one line of counts while the loops run.
class CountsPrinter {
 public:
  CountsPrinter(Context& context, const service::ReplicationCounts& counts) {
    if (!context.shows_status()) return;
    thread_ = std::jthread([&context, &counts](const std::stop_token& stop) {
      while (context.world().clock.sleep_for(Milliseconds(200), stop)) {
        context.set_status(fmt::format("packed {} ({}), {}; relayed {}; landed {}, {}; failed {}",
                                       format_count(counts.objects_packed, "object"), format_bytes(counts.object_bytes),
                                       format_count(counts.archives, "archive"), format_count(counts.archives_relayed),
                                       format_count(counts.objects_landed, "object"),
                                       format_count(counts.backups, "backup"), format_count(counts.failures)));
      }
      context.set_status("");
    });
  }

 private:
  std::jthread thread_;
};

std::string megabytes_per_second(ByteCount bytes, Milliseconds elapsed) {
  if (elapsed.count() <= 0) return "-";
  return fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6 / (static_cast<double>(elapsed.count()) / 1000));
}

void print_summary(Context& context, const service::ReplicationCounts& counts, const service::Roles& roles,
                   Milliseconds elapsed) {
  emit_json(context, {{"type", "summary"},
                      {"objects_packed", counts.objects_packed.load()},
                      {"objects_gone", counts.objects_gone.load()},
                      {"deletions_packed", counts.deletions_packed.load()},
                      {"object_bytes", counts.object_bytes.load()},
                      {"archives", counts.archives.load()},
                      {"archive_bytes", counts.archive_bytes.load()},
                      {"archives_relayed", counts.archives_relayed.load()},
                      {"archives_landed", counts.archives_landed.load()},
                      {"objects_landed", counts.objects_landed.load()},
                      {"objects_kept", counts.objects_kept.load()},
                      {"backups", counts.backups.load()},
                      {"failures", counts.failures.load()},
                      {"milliseconds", elapsed.count()}});
  if (context.json()) return;
  if (roles.source) {
    using enum Align;
    Table table({{"OBJECTS", right},
                 {"BYTES", right},
                 {"ARCHIVES", right},
                 {"ARCHIVE BYTES", right},
                 {"RATIO", right},
                 {"TIME", right},
                 {"MB/S", right}});
    table.add({format_count(counts.objects_packed), format_bytes(counts.object_bytes), format_count(counts.archives),
               format_bytes(counts.archive_bytes), format_ratio(counts.object_bytes, counts.archive_bytes),
               format_duration(elapsed), megabytes_per_second(counts.object_bytes, elapsed)});
    context.print(table.text());
  }
  std::string line;
  if (counts.deletions_packed > 0)
    line += fmt::format("recorded {}; ", format_count(counts.deletions_packed, "deletion"));
  if (roles.relay) line += fmt::format("relayed {}; ", format_count(counts.archives_relayed, "archive"));
  if (roles.target) {
    line +=
        fmt::format("landed {} ({} there as new or newer), stored {}; ", format_count(counts.objects_landed, "object"),
                    format_count(counts.objects_kept), format_count(counts.backups, "backup"));
  }
  context.print(line + fmt::format("{} failed", format_count(counts.failures)));
}

/// The contexts in which the cores compress are made once a thread and kept: memory beside the budget.
void reserve_compressors(Context& context, const config::ReplicationConfig& config, int level) {
  for (const config::Rule& rule : config.rules) {
    const ByteCount one = archive::compressor_bytes(rule.source.level.value_or(level),
                                                    rule.source.frame_size.value_or(archive::default_frame_size));
    context.reserve_memory(one * context.pools().cores.size());
  }
}

/// The value of --only-region. Throws Error{invalid} for one that the configuration does not have.
Region known_region(const config::ReplicationConfig& config, const std::string& name) {
  if (name.empty()) return Region();
  if (config.settings.given)
    throw Error(ErrorKind::invalid, "needs --config: the environment names one region", "--only-region");
  std::vector<std::string> names;
  for (const config::EnabledRegion& enabled : config.settings.enabled_regions) {
    if (enabled.region.str() == name) return enabled.region;
    names.push_back(enabled.region.str());
  }
  throw Error(ErrorKind::invalid, fmt::format("'{}' is no region of the configuration", escape_name(name)),
              "--only-region", fmt::format("its regions are {}", fmt::join(names, ", ")));
}

/// A store of this machine names its queues; only the last part of a URL is such a name.
void name_queue_locally(config::GivenPlaces& given) {
  const std::string& url = given.queue.str();
  given.queue = QueueName(url.substr(url.find_last_of('/') + 1));
}

/// What the services are to do: --config, or for a source or target alone the environment.
config::ReplicationConfig service_config(Context& context, const ReplicateOptions& options,
                                         const service::Roles& roles) {
  if (!options.config_directory.empty()) return load(context, options);
  const os::Environment& environment = context.world().environment;
  config::ReplicationConfig config =
      roles.source ? config::source_from_environment(environment) : config::target_from_environment(environment);
  if (!context.options().local.empty()) name_queue_locally(*config.settings.given);
  config::Source& source = config.rules.front().source;
  const Region region = roles.source ? source.region : config.rules.front().destinations.front().region;
  // At least a second: messages are held by extending it three times as often.
  source.visibility_timeout =
      std::max(std::chrono::seconds(1), context.queues(region).visibility_timeout(config.settings.given->queue));
  return config;
}

/// /healthz and /metrics, when --listen asks for them.
std::unique_ptr<http::Server> serve_status(Context& context, const ReplicateOptions& options,
                                           const service::Replication& replication) {
  const std::string listen =
      options.listen.empty() ? os::get_line(context.world().environment, "BALE_LISTEN").value_or("") : options.listen;
  if (listen.empty()) return nullptr;
  const http::ListenAddress address = http::parse_listen_address(listen);
  const auto health = [&replication] {
    const auto loops = replication.health();
    return http::Page{service::all_healthy(loops) ? 200 : 503, "application/json", service::health_json(loops)};
  };
  const auto metrics = [&context, &replication] {
    return http::Page{
        200, std::string(telemetry::prometheus_content_type),
        service::metrics_text(replication.metrics(), replication.counts(), replication.in_hand(), replication.health(),
                              os::process_use(context.world().files), BALE_VERSION)};
  };
  auto server = std::make_unique<http::Server>(
      address, std::map<std::string, http::Server::Handler>{{"/healthz", health}, {"/metrics", metrics}},
      context.world().clock, http::ServerLimits{.connections = context.options().listen_connections});
  context.log().info("service.listen", "health and metrics are served",
                     {{"host", address.host}, {"port", server->port()}});
  return server;
}

/// Metrics for CloudWatch on standard output: with --emf, and where a stack of the replaced system is taken over, whose
/// dashboards expect them. AWS_EMF_NAMESPACE and AWS_EMF_DISABLE_METRIC_EXTRACTION are what Amazon's own libraries
/// read.
std::optional<service::EmfOptions> emf_options(Context& context, const ReplicateOptions& options,
                                               const config::Settings& settings) {
  const os::Environment& environment = context.world().environment;
  const bool is_disabled = os::get_line(environment, "AWS_EMF_DISABLE_METRIC_EXTRACTION").value_or("") == "true";
  if (!options.emf && (!settings.given || is_disabled)) return std::nullopt;
  const std::string name_space = os::get_line(environment, "AWS_EMF_NAMESPACE").value_or("");
  const auto write = [&context](const std::string& line) {
    try {
      context.world().terminal.out(line + "\n");
    } catch (const Error& error) {  // replication goes on without metrics
      context.log().warning("service.emf", error.what());
    }
  };
  return service::EmfOptions{name_space.empty() ? settings.stack_name : name_space, write};
}

int run_loops(Context& context, const ReplicateOptions& options, service::Roles roles) {
  const config::ReplicationConfig config = service_config(context, options, roles);
  if (context.options().dryrun) {
    throw Error(ErrorKind::unsupported, "replicate services have no --dryrun", {},
                "`bale replicate status` shows what is waiting; `bale replicate backfill --dryrun` counts what would "
                "be announced");
  }
  service::ReplicationOptions service_options;
  service_options.roles = roles;
  service_options.until_idle = options.until_idle || options.once;
  service_options.region = known_region(config, options.only_region);
  service_options.level = level_of(options.level, !context.options().local.empty());
  if (roles.source && !service_options.level) {
    service_options.levels = level_options(context, config, service_options.until_idle);
  } else {
    service_options.levels.prices = compression::read_prices(context.world().environment).prices;
    service_options.levels.cores = context.pools().cores.size();
  }
  service_options.grace = std::chrono::seconds(options.grace_seconds);
  service_options.archives_at_once = static_cast<std::size_t>(options.archives_at_once);
  service_options.emf = emf_options(context, options, config.settings);
  if (roles.source)
    reserve_compressors(context, config, service_options.level.value_or(service_options.levels.most_level));
  const service::Ports ports = ports_of(context);
  service::Replication replication(config, service_options, ports, context.world(), context.log(), context.pools(),
                                   context.budget());
  const auto server = serve_status(context, options, replication);
  const auto started = context.world().clock.steady();
  {
    const CountsPrinter printer(context, replication.counts());
    replication.run();
  }
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started);
  for (const service::ReplicationFailure& failure : replication.failures()) {
    emit_failure(context,
                 fmt::format("{} failed{}: {}", failure.stage,
                             failure.attempts == 1 ? "" : fmt::format(" ({} attempts)", failure.attempts),
                             escape_name(failure.what)),
                 failure.error);
  }
  try {
    print_summary(context, replication.counts(), roles, elapsed);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::cancelled) throw;
    context.log().warning("service.summary", error.what());  // the service itself ended in order
  }
  if (service_options.until_idle && context.stop().stop_requested()) return exit_interrupted;
  return replication.counts().failures > 0 ? exit_some_failed : exit_ok;
}

void backfill_source(Context& context, const config::ReplicationConfig& config, const config::Source& source,
                     const ReplicateOptions& options) {
  const collect::BackfillFilter filter{options.prefix, options.suffix, time_option(options.since, "--since"),
                                       time_option(options.until, "--until")};
  collect::Backfill backfill(source, context.store(source.region), context.queues(source.region),
                             config::source_queue(config.settings, source), context.records(source.region),
                             config::replication_table(config.settings), context.world());
  const std::string name = to_uri(source.bucket, ObjectKey(source.prefix.empty() ? "" : source.prefix + "/"));
  const auto progress = [&](const collect::BackfillResult& so_far) {
    context.set_status(fmt::format("{}: {} of {} announced", name, format_count(so_far.objects),
                                   format_count(so_far.looked_at, "object")));
  };
  const bool dryrun = context.options().dryrun;
  const collect::BackfillResult result = backfill.run(filter, options.restart, dryrun, progress);
  context.set_status("");
  emit(context,
       {{"type", "backfill"},
        {"source", name},
        {"objects", result.objects},
        {"bytes", result.bytes},
        {"looked_at", result.looked_at},
        {"resumed", result.resumed},
        {"finished", result.finished},
        {"dryrun", dryrun}},
       fmt::format("{}{}{}: {} of {} ({}) {}", dryrun ? "(dryrun) " : "", name, result.resumed ? " (resumed)" : "",
                   format_count(result.objects), format_count(result.looked_at, "object"), format_bytes(result.bytes),
                   dryrun ? "would be announced" : "announced"));
}

int backfill(Context& context, const ReplicateOptions& options) {
  const config::ReplicationConfig config = load(context, options);
  bool any = false;
  for (const config::Rule& rule : config.rules) {
    if (!options.source_bucket.empty() && rule.source.bucket.str() != options.source_bucket) continue;
    any = true;
    backfill_source(context, config, rule.source, options);
  }
  if (!any) {
    throw Error(ErrorKind::not_found,
                fmt::format("no source of the configuration has the bucket '{}'", options.source_bucket),
                options.config_directory, "see `bale config check` for the sources");
  }
  if (context.stop().stop_requested()) return exit_interrupted;
  if (!context.options().dryrun) context.print("next: `bale replicate run` brings them over");
  return exit_ok;
}

void print_queues(Context& context, const service::ReplicationStatus& status) {
  using enum Align;
  Table table({{"STAGE"}, {"REGION"}, {"QUEUE"}, {"WAITING", right}, {"IN FLIGHT", right}, {"FAILED", right}});
  for (const service::QueueStatus& queue : status.queues) {
    emit_json(context, {{"type", "queue"},
                        {"stage", queue.stage},
                        {"region", queue.region.str()},
                        {"queue", queue.queue.str()},
                        {"exists", queue.exists},
                        {"waiting", queue.depth.visible + queue.depth.delayed},
                        {"in_flight", queue.depth.in_flight},
                        {"failed", queue.failed}});
    if (!queue.exists)
      table.add({queue.stage, queue.region.str(), queue.queue.str(), "missing", "-", "-"});
    else
      table.add({queue.stage, queue.region.str(), queue.queue.str(),
                 format_count(queue.depth.visible + queue.depth.delayed), format_count(queue.depth.in_flight),
                 format_count(queue.failed)});
  }
  if (!context.json()) context.print(table.text());
}

void print_staging(Context& context, const service::ReplicationStatus& status) {
  using enum Align;
  Table table({{"STAGING BUCKET"}, {"REGION"}, {"ARCHIVES", right}, {"BYTES", right}, {"OLDEST"}});
  for (const service::StagingStatus& staging : status.staging) {
    const std::string oldest = staging.oldest ? to_timestamp(*staging.oldest) : "-";
    emit_json(context, {{"type", "staging"},
                        {"region", staging.region.str()},
                        {"bucket", staging.bucket.str()},
                        {"exists", staging.exists},
                        {"archives", staging.archives},
                        {"bytes", staging.bytes},
                        {"oldest", oldest}});
    if (!staging.exists)
      table.add({staging.bucket.str(), staging.region.str(), "missing", "-", "-"});
    else
      table.add({staging.bucket.str(), staging.region.str(), format_count(staging.archives),
                 format_bytes(staging.bytes), oldest});
  }
  if (!context.json()) context.print(table.text());
}

int status(Context& context, const ReplicateOptions& options) {
  context.break_off_on_stop();
  const config::ReplicationConfig config = load(context, options);
  const service::ReplicationStatus status = service::replication_status(config, ports_of(context));
  const service::Orphans orphans = service::find_orphans(config, ports_of(context));
  print_queues(context, status);
  if (!context.json()) context.print("");
  print_staging(context, status);
  print_orphans(context, orphans);
  if (!context.json()) context.print("");
  print_learned_levels(context, config);
  if (context.json()) return exit_ok;
  bool missing = false, failed = false, waiting = false, held = false;
  for (const service::QueueStatus& queue : status.queues) {
    missing |= !queue.exists;
    failed |= queue.failed > 0;
    waiting |= queue.depth.visible + queue.depth.delayed > 0;
    held |= queue.depth.in_flight > 0;
  }
  context.print("");
  if (orphans.any_waiting()) {
    context.print(
        "messages or archives wait where no rule looks: `bale replicate init` moves the messages that match a rule");
  }
  if (missing)
    context.print("not set up: run `bale replicate init`");
  else if (failed)
    context.print("messages failed: see the log for the reasons, mend them, then `bale replicate redrive`");
  else if (held && !waiting)
    context.print("under way: a service holds what is in flight; what a dead one held comes back after its timeout");
  else if (!status.is_idle())
    context.print("under way");
  else if (!orphans.any_waiting())
    context.print("idle: nothing waiting, nothing under way");
  return exit_ok;
}

int redrive(Context& context, const ReplicateOptions& options) {
  const config::ReplicationConfig config = load(context, options);
  const bool dryrun = context.options().dryrun;
  const std::uint64_t moved = service::redrive_failed(config, ports_of(context), dryrun);
  emit(context, {{"type", "redrive"}, {"messages", moved}, {"dryrun", dryrun}},
       fmt::format("{}{} {} tried again", dryrun ? "(dryrun) " : "", format_count(moved, "failed message"),
                   dryrun ? "would be" : "will be"));
  return exit_ok;
}

using Options = std::shared_ptr<ReplicateOptions>;

CLI::App* add_command(CLI::App& parent, const Options& options, Action& action, const char* name,
                      const char* description, std::function<int(Context&, const ReplicateOptions&)> run,
                      bool needs_config = true) {
  CLI::App* command = parent.add_subcommand(name, description);
  CLI::Option* config =
      command
          ->add_option("--config", options->config_directory, "directory of settings.json and replication_config.json")
          ->type_name("DIR");
  if (needs_config) config->required();
  command->callback([&action, options, run = std::move(run)] {
    action = [options, run](Context& context) { return run(context, *options); };
  });
  return command;
}

void add_service_options(CLI::App& command, const Options& options) {
  command.add_option("--only-region", options->only_region, "work for this region only [all of the configuration]")
      ->type_name("NAME");
  command.add_option("--grace", options->grace_seconds, "after SIGTERM, seconds until work in hand is given back")
      ->capture_default_str()
      ->check(CLI::Range(0, 3600));
  command
      .add_option("--listen", options->listen,
                  "serve /healthz and /metrics here, on 127.0.0.1 without a host; port 0 is one that is free "
                  "[BALE_LISTEN]")
      ->type_name("[HOST:]PORT");
  command.add_flag("--emf", options->emf,
                   "write metrics for CloudWatch to standard output every minute, in its embedded metric format [on "
                   "where a stack's variables are taken over]");
}

void add_level(CLI::App& command, const Options& options) {
  command
      .add_option("--level", options->level,
                  "zstd level of sources that configure none: 1-22, 0 stores, auto saves the most money [auto; 12 with "
                  "--local]")
      ->type_name("LEVEL");
}

void add_landing(CLI::App& command, const Options& options) {
  command.add_option("--archives-at-once", options->archives_at_once, "archives landing at once in a region")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
}

std::function<int(Context&, const ReplicateOptions&)> loops(service::Roles roles) {
  return [roles](Context& context, const ReplicateOptions& options) { return run_loops(context, options, roles); };
}

}  // namespace

void add_replicate_command(CLI::App& app, Action& action) {
  CLI::App* replicate = app.add_subcommand("replicate", "Replicate buckets across regions through archives");
  replicate->require_subcommand(1);
  const auto options = std::make_shared<ReplicateOptions>();
  add_command(*replicate, options, action, "init",
              "Make the buckets, queues, notifications and table that the configuration needs", init);
  CLI::App* run = add_command(*replicate, options, action, "run", "Source, relay and target together, in one process",
                              loops({.source = true, .relay = true, .target = true}));
  run->add_flag("--until-idle", options->until_idle, "return when all queues are empty");
  add_service_options(*run, options);
  add_level(*run, options);
  add_landing(*run, options);
  const auto add_service = [&](const char* name, const char* description, service::Roles roles) {
    CLI::App* command = add_command(*replicate, options, action, name, description, loops(roles), roles.relay);
    command->add_flag("--once", options->once, "work the queues empty and return");
    add_service_options(*command, options);
    return command;
  };
  add_level(*add_service("source", "Pack new objects into archives in the outbound bucket", {.source = true}), options);
  add_service("relay", "Bring archives from outbound to inbound buckets, where S3 replication does not",
              {.relay = true});
  add_landing(*add_service("target", "Land archives at their destinations", {.target = true}), options);
  CLI::App* fill =
      add_command(*replicate, options, action, "backfill", "Announce existing objects, as if they were new", backfill);
  fill->add_option("--source", options->source_bucket, "only this source bucket")->type_name("BUCKET");
  fill->add_option("--prefix", options->prefix, "only keys that start so");
  fill->add_option("--suffix", options->suffix, "only keys that end so");
  fill->add_option("--since", options->since, "only objects modified at or after this time")->type_name("TIME");
  fill->add_option("--until", options->until, "only objects modified before this time")->type_name("TIME");
  fill->add_flag("--restart", options->restart, "begin anew, also where an earlier run was interrupted");
  add_command(*replicate, options, action, "status", "Queue depths, archives under way, failures, levels learned",
              status);
  add_command(*replicate, options, action, "redrive", "Give messages of the dead-letter queues another chance",
              redrive);
}

}  // namespace bale::cli
