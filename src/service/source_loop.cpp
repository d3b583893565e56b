#include <algorithm>
#include <map>
#include <memory>

#include "compression/cost_model.hpp"
#include "compression/statistics_item.hpp"
#include "config/permitted.hpp"
#include "service/loops.hpp"

namespace bale::service {
namespace {

using collect::Batch;

std::unique_ptr<TargetDirectory> targets_for(const LoopContext& context, const config::Rule& rule) {
  const config::Settings& settings = context.config.settings;
  if (!settings.given) return std::make_unique<RuleTargets>(rule);
  return std::make_unique<TableTargets>(context.ports.records(rule.source.region), settings.given->parameters,
                                        settings.stack_name, rule.source.prefix, context.world.clock);
}

/// What a batch, and the description of an archive that is packed, may each take: with two batches that are packed and
/// one that is gathered, five sixteenths of the memory for all rules together.
ByteCount memory_share(const LoopContext& context) {
  constexpr ByteCount least = 1 << 20;
  return std::max(least, context.budget.limit() / 16 / std::max<std::size_t>(1, context.config.rules.size()));
}

pack::PackPlan plan_of(const LoopContext& context, const config::Source& source, const BucketName& bucket) {
  pack::PackPlan plan;
  plan.source_bucket = bucket;
  plan.source_region = source.region;
  plan.prefix = source.prefix;
  plan.outbound_bucket = config::outbound_bucket(context.config.settings, source.region);
  plan.archive_prefix = config::archive_prefix(bucket, source.prefix);
  plan.frame_size = source.frame_size.value_or(archive::default_frame_size);
  plan.max_bytes = source.batch.max_bytes;
  plan.level = source.level.value_or(context.options.level.value_or(archive::default_level));
  plan.description_bytes = memory_share(context);
  return plan;
}

/// What goes into one archive: items of one round and bucket.
using Group = std::pair<std::size_t, BucketName>;

/// Items of a batch by group, as indices.
std::map<Group, std::vector<std::size_t>> by_group(const Batch& batch) {
  std::map<Group, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < batch.items.size(); ++i)
    groups[{batch.items[i].round, batch.items[i].event.bucket}].push_back(i);
  return groups;
}

std::vector<pack::Item> items_of(const Batch& batch, const std::vector<std::size_t>& indices) {
  std::vector<pack::Item> items;
  items.reserve(indices.size());
  for (const std::size_t i : indices) {
    const store::ObjectEvent& event = batch.items[i].event;
    items.push_back({event.key, event.size, event.etag, event.version_id, event.sequencer, event.time, event.deleted,
                     event.ask_source, batch.messages[batch.items[i].messages.back()].sent});
  }
  return items;
}

/// Whether a failure of a whole archive may come from one of its objects: what concerns the service, the outbound
/// bucket or permissions would fail for each object alone, too.
bool may_be_one_objects(const Error& error) {
  return error.kind() == ErrorKind::invalid || error.kind() == ErrorKind::corrupt ||
         error.kind() == ErrorKind::unsupported || error.kind() == ErrorKind::internal;
}

/// Of every version a backup keeps a record, by which the state at any time is known. Where destinations are looked up
/// later, some may be backups.
collect::Versions versions_of(const LoopContext& context, const config::Rule& rule) {
  const auto is_backup = [](const config::Destination& destination) { return destination.backup; };
  const bool any = std::any_of(rule.destinations.begin(), rule.destinations.end(), is_backup);
  return any || context.config.settings.given ? collect::Versions::each : collect::Versions::newest;
}

Milliseconds since(std::chrono::steady_clock::time_point start, std::chrono::steady_clock::time_point end) {
  return std::chrono::duration_cast<Milliseconds>(end - start);
}

Route route_of(const pack::PackPlan& plan) {
  Route route{plan.source_bucket, plan.prefix, {}};
  for (const archive::Target& target : plan.targets) {
    if (std::find(route.regions.begin(), route.regions.end(), target.region) == route.regions.end())
      route.regions.push_back(target.region);
  }
  return route;
}

/// Those that archives are paid to go to.
std::vector<Region> far_regions(const Route& route, const Region& source) {
  std::vector<Region> far = route.regions;
  std::erase(far, source);
  return far;
}

std::vector<Worth> worth_of(const compression::CostModel& cost, const pack::PackResult& result) {
  std::vector<Worth> worth;
  for (const pack::PackedArchive& archive : result.archives) {
    const double saved = static_cast<double>(archive.object_bytes) - static_cast<double>(archive.archive_bytes);
    worth.push_back({saved * cost.per_byte(), archive.core_seconds * cost.per_core_second()});
  }
  return worth;
}

void log_failure(telemetry::Log& log, const std::string& what, const Error& error) {
  log.error("pack.failed", error.what(), {{"object", what}, {"hint", error.hint()}});
}

}  // namespace

Milliseconds poll_wait(bool until_idle) noexcept { return until_idle ? Milliseconds(200) : Milliseconds(10'000); }

Milliseconds pause_after(int failures) noexcept { return Milliseconds(std::min(60'000, 250 << std::min(failures, 8))); }

SourceLoop::SourceLoop(LoopContext& context, const config::Rule& rule, RegionLevels& levels)
    : context_(context),
      rule_(rule),
      collector_(context.ports.queues(rule.source.region), config::source_queue(context.config.settings, rule.source),
                 rule.source, versions_of(context, rule), context.world, context.log, memory_share(context)),
      targets_(targets_for(context, rule)),
      levels_(levels) {}

void SourceLoop::run(std::stop_token stop) {
  Health::Loop& health = context_.health.add("source " + rule_.source.region.str());
  Packings packings;
  int failures = 0;
  while (!stop.stop_requested()) {
    std::shared_ptr<const Batch> gathered;  // held: to be handed on, or given back
    try {
      const Milliseconds first_wait = poll_wait(context_.options.until_idle);
      if (auto batch = collector_.next(first_wait, context_.options.until_idle, stop))
        gathered = std::make_shared<const Batch>(std::move(*batch));
      health.answered();
      finish(packings, gathered ? most_packings - 1 : most_packings);
      failures = 0;
      if (!gathered) continue;
      if (context_.world.stop.stop_requested()) {
        collector_.give_back(*gathered);
        break;
      }
      packings.push_back(std::async(std::launch::async, [this, &health, gathered] { pack(*gathered, health); }));
    } catch (const std::exception&) {
      tell(current_error(), health);
      if (gathered) collector_.give_back(*gathered);
      context_.world.clock.sleep_for(pause_after(failures++), stop);
    }
  }
  collector_.give_back_later();
  while (!packings.empty()) {
    try {
      finish(packings, 0);
    } catch (const std::exception&) {
      tell(current_error(), health);
    }
  }
}

/// Waits until at most `most` are left, and takes away those that have ended. Throws what one of them threw, which is
/// not among the others then.
void SourceLoop::finish(Packings& packings, std::size_t most) {
  const auto has_ended = [](const std::future<void>& packing) {
    return packing.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  while (!packings.empty() && (packings.size() > most || has_ended(packings.front()))) {
    std::future<void> first = std::move(packings.front());
    packings.pop_front();
    first.get();
  }
}

/// Of a failure that concerns no object.
void SourceLoop::tell(const Error& error, Health::Loop& health) {
  health.failed(error);
  context_.log.error("source.loop", error.what(),
                     {{"queue", config::source_queue(context_.config.settings, rule_.source).str()}});
}

void SourceLoop::pack(const Batch& batch, Health::Loop& health) {
  const InHand in_hand(context_.in_hand, batch.messages.size());
  const Health::Loop::Work working(health);
  const auto started = context_.world.clock.steady();
  const flow::Ticket memory = context_.budget.charge(batch.memory);
  try {
    const std::vector<collect::Failure> failures = pack_items(batch);
    const auto packed = context_.world.clock.steady();
    collector_.settle(batch, failures);
    report_batch(context_.registry, since(started, packed), since(packed, context_.world.clock.steady()));
  } catch (const std::exception&) {
    // Held messages would come to nobody. Of what is settled already, nothing comes back.
    collector_.give_back(batch);
    if (current_error().kind() != ErrorKind::cancelled) throw;
  }
}

/// Packs one archive, or a few, for each round and bucket. One that cannot be packed does not keep the others back.
std::vector<collect::Failure> SourceLoop::pack_items(const Batch& batch) {
  std::vector<collect::Failure> failures;
  for (const auto& [group, indices] : by_group(batch)) {
    const BucketName& bucket = group.second;
    if (!rule_.source.bucket.empty() && bucket != rule_.source.bucket) {
      for (const std::size_t i : indices) refuse(batch, i, failures);
      continue;
    }
    pack_apart(bucket, batch, indices, failures);
  }
  return failures;
}

/// Packs items of one bucket. Where that fails for what one of them may be, each half is packed alone, down to single
/// items, so that the others do not fail with it.
void SourceLoop::pack_apart(const BucketName& bucket, const Batch& batch, const std::vector<std::size_t>& indices,
                            std::vector<collect::Failure>& failures) {
  try {
    pack_bucket(bucket, batch, indices, failures);
  } catch (const std::exception&) {
    const Error error = current_error();
    if (error.kind() == ErrorKind::cancelled) throw error;
    log_failure(context_.log, "a batch of " + bucket.str(), error);
    if (indices.size() > 1 && may_be_one_objects(error)) {
      const auto middle = indices.begin() + static_cast<std::ptrdiff_t>(indices.size() / 2);
      pack_apart(bucket, batch, {indices.begin(), middle}, failures);
      pack_apart(bucket, batch, {middle, indices.end()}, failures);
      return;
    }
    for (const std::size_t i : indices) fail(batch, i, error, failures);
  }
}

void SourceLoop::pack_bucket(const BucketName& bucket, const Batch& batch, const std::vector<std::size_t>& indices,
                             std::vector<collect::Failure>& failures) {
  pack::PackPlan plan = plan_of(context_, rule_.source, bucket);
  plan.targets = targets_->targets_of(bucket);
  const Route route = route_of(plan);
  const LevelOptions& options = context_.options.levels;
  const compression::CostModel cost(options.prices, far_regions(route, plan.source_region), options.cores);
  BatchLevels levels(levels_.chooser(), compression::settings_key(bucket, plan.prefix), cost);
  // Where nothing crosses regions there is no transfer to save; what a backup saves in storage is not reckoned with.
  const bool is_chosen = !rule_.source.level && !context_.options.level && cost.per_byte() > 0;
  if (is_chosen) plan.levels = &levels;
  const std::vector<pack::Item> items = items_of(batch, indices);
  const pack::PackResult result = pack_planned(std::move(plan), items, route);
  if (!result.archives.empty()) levels.learn();
  report_packed(context_.registry, route, items, result, worth_of(cost, result), context_.world.clock.now());
  count(bucket, batch, indices, result, failures);
}

pack::PackResult SourceLoop::pack_planned(pack::PackPlan plan, const std::vector<pack::Item>& items,
                                          const Route& route) {
  store::ObjectStore& store = context_.ports.store(rule_.source.region);
  pack::Packer packer(std::move(plan), store, store, context_.world, context_.log, context_.pools, context_.budget);
  try {
    return packer.pack(items, context_.give_up);
  } catch (const std::exception&) {
    if (current_error().kind() != ErrorKind::cancelled) report_unpacked(context_.registry, route);
    throw;
  }
}

/// Counts what became of the items of a batch, and tells of those that failed.
void SourceLoop::count(const BucketName& bucket, const Batch& batch, const std::vector<std::size_t>& indices,
                       const pack::PackResult& result, std::vector<collect::Failure>& failures) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const pack::ItemResult& item = result.items[i];
    const store::ObjectEvent& event = batch.items[indices[i]].event;
    if (item.fate == pack::Fate::failed) {
      log_failure(context_.log, to_uri(bucket, event.key), *item.error);
      fail(batch, indices[i], *item.error, failures);
      continue;
    }
    ++(item.fate == pack::Fate::gone       ? context_.counts.objects_gone
       : item.fate == pack::Fate::recorded ? context_.counts.deletions_packed
                                           : context_.counts.objects_packed);
    context_.attempted("source", to_uri(bucket, event.key), {});
  }
  for (const pack::PackedArchive& archive : result.archives) {
    ++context_.counts.archives;
    context_.counts.object_bytes += archive.object_bytes;
    context_.counts.archive_bytes += archive.archive_bytes;
  }
}

/// Of an event of a bucket that is not the rule's: its message is left to the dead-letter queue.
void SourceLoop::refuse(const Batch& batch, std::size_t item, std::vector<collect::Failure>& failures) {
  const store::ObjectEvent& event = batch.items[item].event;
  const Error error = config::foreign_event(config::source_queue(context_.config.settings, rule_.source),
                                            {event.bucket, event.key}, rule_.source.bucket);
  log_failure(context_.log, to_uri(event.bucket, event.key), error);
  fail(batch, item, error, failures);
}

void SourceLoop::fail(const Batch& batch, std::size_t item, const Error& error,
                      std::vector<collect::Failure>& failures) {
  const store::ObjectEvent& event = batch.items[item].event;
  const std::string what = to_uri(event.bucket, event.key);
  context_.attempted("source", what, {{"source", what, error}});
  failures.push_back({item, error});
}

}  // namespace bale::service
