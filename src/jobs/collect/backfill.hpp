// Existing objects turned into events, so that they are replicated as if they had just been written.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/replication.hpp"
#include "os/world.hpp"
#include "queue/message_queue.hpp"
#include "records/record_store.hpp"
#include "store/object_store.hpp"

namespace bale::collect {

/// Which objects of a source are announced: all conditions must hold.
struct BackfillFilter {
  std::string prefix;  ///< of the whole key; empty: the source's own
  std::string suffix;
  std::optional<TimePoint> since;  ///< last modified at or after
  std::optional<TimePoint> until;  ///< last modified before
};

struct BackfillResult {
  std::uint64_t objects = 0;  ///< announced by this run
  ByteCount bytes = 0;
  std::uint64_t looked_at = 0;
  bool resumed = false;   ///< an earlier run with the same filter was interrupted; this one went on where it was
  bool finished = false;  ///< false: stopped early; the same call goes on later
};

/// Lists the source's objects and sends an event for each that passes the filter to the source's queue. After each page
/// the place is remembered in `table`, durably: an interrupted run goes on there (`restart` begins anew). An object may
/// be announced twice around an interruption, never not at all. With `dryrun` only counts. Everything is borrowed.
class Backfill {
 public:
  Backfill(const config::Source& source, store::ObjectStore& store, queue::MessageQueue& queues, QueueName queue,
           records::RecordStore& records, TableName table, os::World& world);
  /// `progress` is told after each page. Throws what the ports throw; Error{invalid} when the filter's prefix cannot
  /// match the source's.
  BackfillResult run(const BackfillFilter& filter, bool restart, bool dryrun,
                     const std::function<void(const BackfillResult&)>& progress);

 private:
  const config::Source& source_;
  store::ObjectStore& store_;
  queue::MessageQueue& queues_;
  const QueueName queue_;
  records::RecordStore& records_;
  const TableName table_;
  os::World& world_;
};

}  // namespace bale::collect
