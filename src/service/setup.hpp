// What replication needs to exist: buckets, queues, notifications, a table.
#pragma once

#include <string>
#include <vector>

#include "config/replication.hpp"
#include "os/world.hpp"
#include "service/ports.hpp"

namespace bale::service {

/// One thing that is made, changed, or already as it should be.
struct SetupStep {
  std::string kind;  ///< "bucket", "queue", "notification", "table"
  std::string name;
  Region region;
  std::string detail;   ///< what it is for
  bool exists = false;  ///< nothing has to be done
  QueueName queue;      ///< of a notification: which is told; else empty
};

/// Makes what is missing and sets what differs; repeating it changes nothing. With `dryrun` only tells. Notification
/// rules that others put on the source buckets are kept. Waits for what takes its time on AWS: a table that is being
/// made, also by another, and the permission of a bucket to send to its new queue, up to 90 s. Returns every step in
/// the order taken. Throws what the ports throw, and Error{cancelled} when the world is asked to stop while it waits.
std::vector<SetupStep> set_up_replication(const config::ReplicationConfig& config, const Ports& ports, os::World& world,
                                          bool dryrun);
/// The steps that set_up_replication() would take where nothing is there yet. Needs no ports.
std::vector<SetupStep> plan_replication(const config::ReplicationConfig& config);

}  // namespace bale::service
