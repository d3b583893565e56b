// What a stack made for rules that the configuration does not have any more.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/replication.hpp"
#include "service/ports.hpp"
#include "service/status.hpp"

namespace bale::service {

/// A queue with a name of this stack that no rule uses.
struct OrphanedQueue {
  Region region;
  QueueName queue;
  queue::QueueDepth depth;
  std::uint64_t failed = 0;  ///< messages in its dead-letter queue
  bool is_source = false;    ///< of a rule's events; else of archives between regions
};

/// A rule of a bucket that tells such a queue, or one that is gone, of the bucket's objects.
struct OrphanedNotification {
  Region region;
  BucketName bucket;
  store::NotificationRule rule;
  QueueName queue;
};

/// What find_orphans() found.
struct Orphans {
  std::vector<OrphanedQueue> queues;
  std::vector<OrphanedNotification> notifications;
  std::vector<StagingStatus> staging;  ///< with archives, of regions that are no source, or no target, any more
  std::vector<Error> unseen;           ///< what could not be looked at
  /// Returns whether messages or archives wait that no service will ever look at.
  bool any_waiting() const;
};

/// Looks for queues, staging buckets and notification rules of the stack that the configuration does not use: in its
/// regions, and in those that the names of staging buckets tell. Queues of another stack, whose name begins with this
/// one's, are left out as far as their names tell. What cannot be looked at (no permission, no answer) is in
/// Orphans::unseen. Throws Error{cancelled} alone.
Orphans find_orphans(const config::ReplicationConfig& config, const Ports& ports);

/// What became of the messages of an orphaned queue and its dead-letter queue.
struct MovedMessages {
  Region region;
  QueueName from;
  std::map<QueueName, std::uint64_t> to;  ///< how many went where
  std::uint64_t kept = 0;                 ///< of objects that no rule is for, or that are no events
};

/// Moves the messages of orphaned source queues whose objects a rule is for to that rule's queue, those of dead-letter
/// queues to its dead-letter queue. A message is deleted after it was sent; one of several objects that different rules
/// are for goes to each of them. The others stay, and so do messages that somebody holds. Returns one entry for each
/// queue that had messages. With `dryrun` nothing is moved and the entries have nothing but names: to look at a message
/// is to receive it.
std::vector<MovedMessages> move_orphaned_messages(const config::ReplicationConfig& config, const Orphans& orphans,
                                                  const Ports& ports, bool dryrun);

}  // namespace bale::service
