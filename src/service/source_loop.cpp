#include <algorithm>

#include "service/loops.hpp"

namespace bale::service {
namespace {

using collect::Batch;

std::vector<archive::Target> targets_of(const config::Rule& rule) {
  std::vector<archive::Target> targets;
  for (const config::Destination& d : rule.destinations)
    targets.push_back({d.region, d.bucket, d.kms_key_arn, d.storage_class, d.backup});
  return targets;
}

pack::PackPlan plan_of(const LoopContext& context, const config::Rule& rule) {
  const config::Source& source = rule.source;
  pack::PackPlan plan;
  plan.source_bucket = source.bucket;
  plan.source_region = source.region;
  plan.prefix = source.prefix;
  plan.outbound_bucket = config::outbound_bucket(context.config.settings, source.region);
  plan.archive_prefix = config::archive_prefix(source.bucket, source.prefix);
  plan.targets = targets_of(rule);
  plan.level = source.level.value_or(context.options.level);
  plan.frame_size = source.frame_size.value_or(archive::default_frame_size);
  return plan;
}

std::vector<pack::Item> items_of(const Batch& batch) {
  std::vector<pack::Item> items;
  items.reserve(batch.items.size());
  for (const collect::BatchItem& item : batch.items) {
    const store::ObjectEvent& event = item.event;
    items.push_back({event.key, event.size, event.etag, event.version_id, event.sequencer, event.time, event.deleted});
  }
  return items;
}

void log_failure(telemetry::Log& log, const std::string& what, const Error& error) {
  log.error("pack.failed", error.what(), {{"object", what}, {"hint", error.hint()}});
}

}  // namespace

Milliseconds pause_after(int failures) noexcept { return Milliseconds(std::min(60'000, 250 << std::min(failures, 8))); }

SourceLoop::SourceLoop(LoopContext& context, const config::Rule& rule)
    : context_(context),
      rule_(rule),
      collector_(context.ports.queues(rule.source.region), config::source_queue(context.config.settings, rule.source),
                 rule.source, context.world, context.log),
      packer_(plan_of(context, rule), context.ports.store(rule.source.region), context.ports.store(rule.source.region),
              context.world, context.log, context.pools, context.budget) {}

void SourceLoop::run(std::stop_token stop) {
  std::future<void> packing;
  int failures = 0;
  while (!stop.stop_requested()) {
    try {
      // A short first wait while idle is being watched for; else the longest that SQS allows costs the fewest requests.
      const Milliseconds first_wait = context_.options.until_idle ? Milliseconds(200) : Milliseconds(queue::max_wait);
      auto batch = collector_.next(first_wait, context_.options.until_idle, stop);
      if (packing.valid()) packing.get();
      failures = 0;
      if (!batch) continue;
      if (context_.world.stop.stop_requested()) {
        collector_.give_back(*batch);
        break;
      }
      packing = std::async(std::launch::async, [this, held = std::move(*batch)]() mutable { pack(std::move(held)); });
    } catch (const std::exception&) {
      const Error error = current_error();
      context_.log.error("source.loop", error.what(), {{"bucket", rule_.source.bucket.str()}});
      context_.world.clock.sleep_for(pause_after(failures++), stop);
    }
  }
  if (packing.valid()) packing.get();
}

void SourceLoop::pack(Batch batch) {
  const InHand in_hand(context_.in_hand, batch.messages.size());
  try {
    collector_.settle(batch, pack_items(batch));
  } catch (const std::exception&) {
    const Error error = current_error();
    if (error.kind() == ErrorKind::cancelled) return collector_.give_back(batch);
    fail(batch, error);
  }
}

std::vector<collect::Failure> SourceLoop::pack_items(const Batch& batch) {
  const pack::PackResult result = packer_.pack(items_of(batch), context_.give_up);
  std::vector<collect::Failure> failures;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const pack::ItemResult& item = result.items[i];
    const store::ObjectEvent& event = batch.items[i].event;
    const std::string what = to_uri(rule_.source.bucket, event.key);
    if (item.fate != pack::Fate::failed) {
      ++(item.fate == pack::Fate::gone ? context_.counts.objects_gone
         : event.deleted               ? context_.counts.deletions_packed
                                       : context_.counts.objects_packed);
      context_.attempted("source", what, {});
      continue;
    }
    context_.attempted("source", what, {{"source", what, *item.error}});
    log_failure(context_.log, what, *item.error);
    failures.push_back({i, *item.error});
  }
  for (const pack::PackedArchive& archive : result.archives) {
    ++context_.counts.archives;
    context_.counts.object_bytes += archive.object_bytes;
    context_.counts.archive_bytes += archive.archive_bytes;
  }
  return failures;
}

void SourceLoop::fail(const Batch& batch, const Error& error) {
  log_failure(context_.log, "a batch of " + rule_.source.bucket.str(), error);
  std::vector<collect::Failure> failures;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const std::string what = to_uri(rule_.source.bucket, batch.items[i].event.key);
    context_.attempted("source", what, {{"source", what, error}});
    failures.push_back({i, error});
  }
  collector_.settle(batch, failures);
}

}  // namespace bale::service
