// S3, SQS and DynamoDB of all regions under one directory.
#pragma once

#include <memory>

#include "base/names.hpp"
#include "embedded/lost_files.hpp"
#include "os/world.hpp"
#include "queue/message_queue.hpp"
#include "records/record_store.hpp"
#include "store/bucket_settings.hpp"
#include "store/object_store.hpp"

namespace bale::embedded {

struct Core;

/// A directory that behaves as S3, SQS and DynamoDB do. Buckets belong to a region and are reached from all; queues and
/// tables are seen in their region only. Thread-safe; several processes may use one directory at once. What survives
/// kill -9 and power cuts, and why: docs/adr/0003 and docs/adr/0004.
class Backend {
 public:
  /// Opens the directory, making it when it is missing, and removes what processes that died have left in it. Files of
  /// objects that it does not know are moved to lost+found: see lost().
  /// `world` is borrowed. Once `stop` is requested, nothing waits longer than half a second for locks of other
  /// processes: the call then throws Error{cancelled}. Throws Error: denied, unavailable, corrupt; unsupported when a
  /// newer Bale wrote it.
  static std::unique_ptr<Backend> open(const os::fs::path& directory, os::World& world,
                                       const std::stop_token& stop = {});
  /// Whether the directory holds a store, be it one that has lost its database, which open() tells. Changes nothing.
  static bool exists(const os::fs::path& directory, os::Files& files);
  ~Backend();

  /// Returns what was found and kept when the directory was opened. Empty most often.
  const LostFiles& lost() const noexcept;

  /// The ports as seen from one region. They borrow the backend.
  std::unique_ptr<store::ObjectStore> store(const Region& region);
  std::unique_ptr<store::BucketSettings> bucket_settings(const Region& region);
  std::unique_ptr<queue::MessageQueue> queues(const Region& region);
  std::unique_ptr<records::RecordStore> records(const Region& region);

 private:
  explicit Backend(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace bale::embedded
