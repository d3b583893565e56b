#include "service/status.hpp"

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "store/listing.hpp"

namespace bale::service {
namespace {

struct NamedQueue {
  std::string stage;
  Region region;
  QueueName name;
};

std::vector<NamedQueue> queues_of(const config::ReplicationConfig& config) {
  std::vector<NamedQueue> sources, relays, targets;
  std::set<Region> relay_regions, target_regions;
  for (const config::Rule& rule : config.rules) {
    sources.push_back({"source", rule.source.region, config::source_queue(config.settings, rule.source)});
    if (relay_regions.insert(rule.source.region).second) {
      relays.push_back({"relay", rule.source.region, config::relay_queue(config.settings, rule.source.region)});
    }
    for (const Region& region : config::destination_regions(rule.destinations)) {
      if (target_regions.insert(region).second)
        targets.push_back({"target", region, config::target_queue(config.settings, region)});
    }
  }
  sources.insert(sources.end(), relays.begin(), relays.end());
  sources.insert(sources.end(), targets.begin(), targets.end());
  return sources;
}

QueueStatus queue_status(const NamedQueue& named, queue::MessageQueue& queues) {
  QueueStatus status{named.stage, named.region, named.name, queues.exists(named.name), {}, 0};
  if (!status.exists) return status;
  status.depth = queues.depth(named.name);
  const QueueName dead_letter = config::dead_letter_queue(named.name);
  if (queues.exists(dead_letter)) status.failed = queues.depth(dead_letter).total();
  return status;
}

std::uint64_t redrive_queue(queue::MessageQueue& queues, const QueueName& from, const QueueName& to, bool dryrun) {
  const std::uint64_t waiting = queues.depth(from).total();
  if (dryrun) return waiting;
  std::uint64_t moved = 0;
  while (moved < waiting) {
    const auto messages = queues.receive(from, queue::max_batch, Milliseconds(0), {});
    if (messages.empty()) break;  // what is left is in flight elsewhere
    std::vector<std::string> bodies;
    for (const queue::Message& message : messages) bodies.push_back(message.body);
    const auto sent = queues.send(to, bodies);
    std::vector<Receipt> done;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (!sent[i]) done.push_back(messages[i].receipt);
    }
    for (const auto& removed : queues.remove(from, done)) {
      if (removed) throw *removed;
    }
    moved += done.size();
    const auto refused = std::find_if(sent.begin(), sent.end(), [](const auto& result) { return result.has_value(); });
    if (refused != sent.end()) throw **refused;
  }
  return moved;
}

}  // namespace

StagingStatus staging_status(const Region& region, const BucketName& bucket, store::ObjectStore& store) {
  StagingStatus status{region, bucket, store.head_bucket(bucket).has_value(), 0, 0, std::nullopt};
  if (!status.exists) return status;
  store::Listing pages(store, bucket, {});
  while (const auto page = pages.next()) {
    for (const store::ListedObject& object : page->objects) {
      ++status.archives;
      status.bytes += object.size;
      if (!status.oldest || object.last_modified < *status.oldest) status.oldest = object.last_modified;
    }
  }
  return status;
}

bool ReplicationStatus::is_idle() const {
  return std::all_of(queues.begin(), queues.end(),
                     [](const QueueStatus& q) { return q.depth.total() == 0 && q.failed == 0; }) &&
         std::all_of(staging.begin(), staging.end(), [](const StagingStatus& s) { return s.archives == 0; });
}

ReplicationStatus replication_status(const config::ReplicationConfig& config, const Ports& ports) {
  ReplicationStatus status;
  for (const NamedQueue& named : queues_of(config))
    status.queues.push_back(queue_status(named, ports.queues(named.region)));
  for (const QueueStatus& queue : std::vector<QueueStatus>(status.queues)) {
    if (queue.stage == "source") continue;
    const BucketName bucket = queue.stage == "relay" ? config::outbound_bucket(config.settings, queue.region)
                                                     : config::inbound_bucket(config.settings, queue.region);
    status.staging.push_back(staging_status(queue.region, bucket, ports.store(queue.region)));
  }
  return status;
}

std::uint64_t redrive_failed(const config::ReplicationConfig& config, const Ports& ports, bool dryrun) {
  std::uint64_t moved = 0;
  for (const NamedQueue& named : queues_of(config)) {
    queue::MessageQueue& queues = ports.queues(named.region);
    const QueueName dead_letter = config::dead_letter_queue(named.name);
    if (queues.exists(dead_letter)) moved += redrive_queue(queues, dead_letter, named.name, dryrun);
  }
  return moved;
}

}  // namespace bale::service
