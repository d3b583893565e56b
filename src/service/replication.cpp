#include "service/replication.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>

#include "base/mutex.hpp"
#include "jobs/relay/relay.hpp"
#include "service/loops.hpp"
#include "service/metrics.hpp"
#include "service/report.hpp"
#include "telemetry/emf.hpp"

namespace bale::service {
namespace {

void add_once(std::vector<Region>& regions, const Region& region) {
  if (std::find(regions.begin(), regions.end(), region) == regions.end()) regions.push_back(region);
}

}  // namespace

struct Replication::Shared {
  Shared(const config::ReplicationConfig& c, ReplicationOptions o, const Ports& p, os::World& w, telemetry::Log& l,
         flow::Pools pl, flow::MemoryBudget& b)
      : config(c),
        options(std::move(o)),
        ports(p),
        health(w.clock),
        context{config,
                options,
                ports,
                w,
                give_up.get_token(),
                l,
                pl,
                b,
                counts,
                in_hand,
                health,
                registry,
                [this](auto&&... attempt) { keep(attempt...); }} {}

  void keep(const std::string& stage, const std::string& work, const std::vector<ReplicationFailure>& failures) {
    ledger.record(stage, work, failures);
    counts.failures = ledger.size();
  }

  bool concerns(const Region& region) const { return options.region.empty() || options.region == region; }

  std::vector<const config::Rule*> source_rules() const {
    std::vector<const config::Rule*> rules;
    if (!options.roles.source) return rules;
    for (const config::Rule& rule : config.rules) {
      if (concerns(rule.source.region)) rules.push_back(&rule);
    }
    return rules;
  }
  std::vector<Region> relay_regions() const {
    std::vector<Region> regions;
    if (!options.roles.relay) return regions;
    for (const config::Rule& rule : config.rules) {
      if (concerns(rule.source.region)) add_once(regions, rule.source.region);
    }
    return regions;
  }
  std::vector<Region> target_regions() const {
    std::vector<Region> regions;
    if (!options.roles.target) return regions;
    for (const config::Rule& rule : config.rules) {
      for (const Region& region : config::destination_regions(rule.destinations)) {
        if (concerns(region)) add_once(regions, region);
      }
    }
    return regions;
  }

  void start(std::vector<std::jthread>& threads);
  void start_source(const config::Rule& rule, std::vector<std::jthread>& threads);
  void start_relay(const Region& region, std::vector<std::jthread>& threads);
  void start_target(const Region& region, std::vector<std::jthread>& threads);
  void abort_stale_uploads();
  queue::QueueDepth waiting_messages() const;
  std::chrono::seconds longest_visibility() const;
  void wait_until_idle();
  void check_set_up() const;
  void write_emf();

  const config::ReplicationConfig& config;
  const ReplicationOptions options;
  const Ports& ports;
  std::stop_source give_up;  ///< requested `grace` after the world's stop
  std::stop_source idle;     ///< requested when the loops should end: idle, or the world's stop
  ReplicationCounts counts;
  std::atomic<std::uint64_t> in_hand{0};
  FailureLedger ledger;
  Health health;
  telemetry::Registry registry{all_metrics()};
  LoopContext context;
  std::map<Region, std::unique_ptr<RegionLevels>> levels;
  std::vector<std::unique_ptr<SourceLoop>> sources;
  std::vector<std::unique_ptr<ArchiveLoop>> archives;
  std::vector<std::unique_ptr<land::Lander>> landers;
};

void Replication::Shared::start_source(const config::Rule& rule, std::vector<std::jthread>& threads) {
  std::unique_ptr<RegionLevels>& known = levels[rule.source.region];
  if (!known) {
    const TableName table = config::levels_table(config.settings);
    const bool is_kept = !options.level && !table.empty();
    known = std::make_unique<RegionLevels>(is_kept ? &ports.records(rule.source.region) : nullptr, table,
                                           options.levels, context.world, context.log);
  }
  sources.push_back(std::make_unique<SourceLoop>(context, rule, *known));
  threads.emplace_back([this, loop = sources.back().get()] { loop->run(idle.get_token()); });
}

void Replication::Shared::start_relay(const Region& region, std::vector<std::jthread>& threads) {
  const auto work = [this, region](const ObjectAddress& archive) {
    const relay::RelayResult result = relay::relay_archive(
        config, region, archive, ports.store, context.pools.connections, context.budget, context.world, context.log);
    if (result.was_there) ++counts.archives_relayed;
    return std::vector<ReplicationFailure>();
  };
  archives.push_back(std::make_unique<ArchiveLoop>(context, "relay", region,
                                                   config::relay_queue(config.settings, region),
                                                   config::outbound_bucket(config.settings, region), work));
  threads.emplace_back([this, loop = archives.back().get()] { loop->run(idle.get_token()); });
}

void Replication::Shared::start_target(const Region& region, std::vector<std::jthread>& threads) {
  landers.push_back(std::make_unique<land::Lander>(config, region, ports.store(region), ports.records(region),
                                                   context.world, context.log, context.pools, context.budget));
  const auto work = [this, lander = landers.back().get()](const ObjectAddress& archive) {
    const auto started = context.world.clock.steady();
    const land::LandResult result = [&] {
      try {
        return lander->land(archive, context.give_up);
      } catch (const std::exception&) {
        if (current_error().kind() != ErrorKind::cancelled) report_unlanded(registry);
        throw;
      }
    }();
    report_landed(registry, result, std::chrono::duration_cast<Milliseconds>(context.world.clock.steady() - started));
    if (result.was_there && result.failures.empty()) ++counts.archives_landed;
    counts.objects_landed += result.objects_written;
    counts.objects_kept += result.objects_kept;
    counts.backups += result.backup_buckets.size();
    std::vector<ReplicationFailure> failed;
    for (const land::LandFailure& failure : result.failures) failed.push_back({"target", failure.what, failure.error});
    return failed;
  };
  archives.push_back(std::make_unique<ArchiveLoop>(context, "target", region,
                                                   config::target_queue(config.settings, region),
                                                   config::inbound_bucket(config.settings, region), work));
  for (std::size_t i = 0; i < options.archives_at_once; ++i) {
    threads.emplace_back([this, loop = archives.back().get()] { loop->run(idle.get_token()); });
  }
}

void Replication::Shared::start(std::vector<std::jthread>& threads) {
  for (const config::Rule* rule : source_rules()) start_source(*rule, threads);
  for (const Region& region : relay_regions()) start_relay(region, threads);
  for (const Region& region : target_regions()) start_target(region, threads);
}

/// What a process that died half-way through an archive left in a staging bucket. Nobody else writes there, and no
/// upload of a living process takes a day.
void Replication::Shared::abort_stale_uploads() {
  const TimePoint oldest = context.world.clock.now() - std::chrono::hours(24);
  for (const config::Rule* rule : source_rules()) {
    const BucketName bucket = config::outbound_bucket(config.settings, rule->source.region);
    const std::string prefix =
        rule->source.bucket.empty() ? "" : config::archive_prefix(rule->source.bucket, rule->source.prefix);
    try {
      store::ObjectStore& store = ports.store(rule->source.region);
      for (const store::ListedUpload& upload : store.list_uploads(bucket, prefix)) {
        if (upload.initiated >= oldest) continue;
        store.abort_upload({bucket, upload.key}, upload.upload_id);
        context.log.info("source.sweep", "aborted an upload that a dead process left",
                         {{"archive", to_uri(bucket, upload.key)}});
      }
    } catch (const Error& error) {
      // It only costs space; the next start tries again.
      context.log.warning("source.sweep", error.what(), {{"bucket", bucket.str()}});
    }
  }
}

void Replication::Shared::check_set_up() const {
  const auto check = [&](const Region& region, const QueueName& name) {
    if (ports.queues(region).exists(name)) return;
    throw Error(ErrorKind::not_found, fmt::format("the queue {} does not exist", name.str()), region.str(),
                config.settings.given ? "check SQS_QUEUE_URL and the region"
                                      : "run `bale replicate init` with the same configuration first");
  };
  for (const config::Rule* rule : source_rules())
    check(rule->source.region, config::source_queue(config.settings, rule->source));
  for (const Region& region : relay_regions()) check(region, config::relay_queue(config.settings, region));
  for (const Region& region : target_regions()) check(region, config::target_queue(config.settings, region));
}

/// Read in the direction in which data flow: a message is deleted only after the next queue has its successor, so that
/// work moving on while this reads is counted once or twice, never not at all.
queue::QueueDepth Replication::Shared::waiting_messages() const {
  queue::QueueDepth waiting;
  const auto add = [&](const Region& region, const QueueName& name) {
    const queue::QueueDepth depth = ports.queues(region).depth(name);
    waiting.visible += depth.visible;
    waiting.in_flight += depth.in_flight;
    waiting.delayed += depth.delayed;
  };
  for (const config::Rule* rule : source_rules())
    add(rule->source.region, config::source_queue(config.settings, rule->source));
  for (const Region& region : relay_regions()) add(region, config::relay_queue(config.settings, region));
  for (const Region& region : target_regions()) add(region, config::target_queue(config.settings, region));
  return waiting;
}

std::chrono::seconds Replication::Shared::longest_visibility() const {
  std::chrono::seconds longest{0};
  for (const config::Rule& rule : config.rules) longest = std::max(longest, rule.source.visibility_timeout);
  return longest;
}

void Replication::Shared::write_emf() {
  const EmfOptions& emf = *options.emf;
  const auto changes = registry.take_changes();
  for (const std::string& line : telemetry::to_emf_lines(changes, emf.name_space, context.world.clock.now()))
    emf.write(line);
}

/// Tells why nothing moves when every message left is held, and not by this process.
class ForeignWorkNotice {
 public:
  ForeignWorkNotice(os::Clock& clock, telemetry::Log& log, std::chrono::seconds visibility)
      : clock_(clock), log_(log), visibility_(visibility) {}

  void look(const queue::QueueDepth& waiting, std::uint64_t in_hand) {
    if (waiting.visible + waiting.delayed > 0 || waiting.in_flight == 0 || in_hand > 0) {
      since_.reset();
      return;
    }
    const auto now = clock_.steady();
    if (!since_) {
      since_ = now;
      told_ = now - again_after + patience;
      latest_ = clock_.now() + visibility_;
    }
    if (now - told_ < again_after) return;
    told_ = now;
    log_.warning(
        "replicate.wait",
        fmt::format(
            "waiting for {} message{} in flight, back in the queue by {}: another process holds what is in flight, "
            "or held it when it died, or it failed and is tried again",
            waiting.in_flight, waiting.in_flight == 1 ? "" : "s", to_timestamp(latest_)));
  }

 private:
  static constexpr std::chrono::seconds patience{2};  ///< shorter waits need no explanation
  static constexpr std::chrono::seconds again_after{60};
  os::Clock& clock_;
  telemetry::Log& log_;
  const std::chrono::seconds visibility_;
  std::optional<std::chrono::steady_clock::time_point> since_;
  std::chrono::steady_clock::time_point told_{};
  TimePoint latest_{};
};

void Replication::Shared::wait_until_idle() {
  // A destination of one rule may be the source of another: work can pass from the end of the line to its start, once
  // per rule.
  const std::size_t looks_needed = config.rules.size() + 1;
  std::size_t looks = 0;
  int silent = 0;
  ForeignWorkNotice notice(context.world.clock, context.log, longest_visibility());
  while (looks < looks_needed && !context.world.stop.stop_requested()) {
    Milliseconds pause(20);
    const auto started = context.world.clock.steady();
    try {
      const queue::QueueDepth waiting = waiting_messages();
      notice.look(waiting, in_hand);
      looks = waiting.total() == 0 ? looks + 1 : 0;
      silent = 0;
      // Counting a long queue takes a while: at most a tenth of a core goes into it.
      const auto taken = std::chrono::duration_cast<Milliseconds>(context.world.clock.steady() - started);
      pause = std::clamp<Milliseconds>(taken * 9, pause, Milliseconds(500));
    } catch (const Error& error) {
      context.log.error("replicate.depth", error.what());
      pause = pause_after(silent++);
      looks = 0;
    }
    if (looks < looks_needed) context.world.clock.sleep_for(pause, context.world.stop);
  }
}

Replication::Replication(const config::ReplicationConfig& config, ReplicationOptions options, const Ports& ports,
                         os::World& world, telemetry::Log& log, flow::Pools pools, flow::MemoryBudget& budget)
    : shared_(std::make_unique<Shared>(config, std::move(options), ports, world, log, pools, budget)) {}

Replication::~Replication() = default;

void Replication::run() {
  Shared& shared = *shared_;
  shared.check_set_up();
  shared.abort_stale_uploads();
  const std::stop_token stopped = shared.context.world.stop;
  // Work in hand gets `grace` to finish, then it is given back.
  const std::jthread guard([&shared, stopped](const std::stop_token& done) {
    os::Clock& clock = shared.context.world.clock;
    while (!stopped.stop_requested() && clock.sleep_for(Milliseconds(100), done)) {
    }
    if (stopped.stop_requested() && clock.sleep_for(shared.options.grace, done)) shared.give_up.request_stop();
  });
  // No new work is taken after a stop request, nor when everything is done: the loops know one token for both.
  const std::stop_callback end_loops(stopped, [&shared] { shared.idle.request_stop(); });
  std::jthread emf;
  if (shared.options.emf) {
    emf = std::jthread([&shared](const std::stop_token& done) {
      while (shared.context.world.clock.sleep_for(shared.options.emf->interval, done)) shared.write_emf();
    });
  }
  {
    std::vector<std::jthread> threads;
    shared.start(threads);
    if (shared.options.until_idle) {
      shared.wait_until_idle();
      shared.idle.request_stop();
    }
  }  // joins the loops
  if (!shared.options.emf) return;
  emf = {};
  shared.write_emf();
}

telemetry::Registry& Replication::metrics() const noexcept { return shared_->registry; }

std::uint64_t Replication::in_hand() const noexcept { return shared_->in_hand; }

std::vector<LoopReport> Replication::health() const { return shared_->health.report(); }

const ReplicationCounts& Replication::counts() const noexcept { return shared_->counts; }

std::vector<ReplicationFailure> Replication::failures() const { return shared_->ledger.failures(); }

}  // namespace bale::service
