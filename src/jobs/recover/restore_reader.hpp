// Reads what a plan says and hands it to a destination, object by object. Internal to jobs/recover.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "archive/reader.hpp"
#include "base/mutex.hpp"
#include "jobs/recover/restore.hpp"
#include "jobs/recover/restore_plan.hpp"

namespace bale::recover {

/// What became of the record of this index. Thread-safe.
using Settle = std::function<void(std::size_t index, RestoreFate fate, const std::optional<Error>& error)>;

/// What readers of archives need. Borrowed, but for the functions.
struct RestoreTools {
  const catalog::RecordList& records;
  std::function<store::ObjectStore&(const catalog::Record&)> archives;
  RestoreDestination& destination;
  const RestoreOptions& options;
  os::World& world;
  flow::Pools pools;
  flow::MemoryBudget& budget;
  Settle settle;
};

/// Records that are read together: those that are not had yet, and why. Touched by one thread at a time.
struct ReadBatch {
  std::vector<std::size_t> records;                  ///< indices into the list of all
  std::vector<archive::LocatedObject> objects;       ///< of the same order; empty for records without a place
  std::map<std::size_t, std::optional<Error>> left;  ///< by position in `records`

  explicit ReadBatch(std::vector<std::size_t> indices);
  /// Of several errors (of several copies), the one that says most stays: damage, then an archive that is asleep.
  void blame(std::size_t position, const Error& error);
  void blame_all(const Error& error);
};

/// Reads archives, several ranges at once, and delivers on pools.connections while it reads on. Memory: one ticket for
/// each range, taken before its request and given back by the deliveries, which need no other.
class RestoreReader {
 public:
  explicit RestoreReader(RestoreTools tools) : tools_(std::move(tools)) {}
  /// Settles every record of the plans but those whose archive is asleep in every place: these are returned. Throws
  /// Error{cancelled}, what os::is_of_whole_target() is true of, and what is no Error.
  std::vector<std::size_t> read(const std::vector<ArchivePlan>& plans);
  std::uint64_t requests() const noexcept { return requests_; }
  ByteCount bytes_read() const noexcept { return bytes_; }

 private:
  /// One archive while it is read.
  struct Work {
    const ArchivePlan& plan;
    store::ObjectStore& store;
    std::atomic<std::size_t> first_copy{0};  ///< the one that was read last
    std::atomic<bool> is_asleep{false};      ///< in every place
  };
  using ReadCopy = std::function<void(const ObjectAddress& copy, ReadBatch& batch)>;

  /// Runs reads on threads of their own, and waits until all that they read is delivered.
  void run_at_once(const std::vector<std::function<void()>>& tasks, std::size_t at_once);
  bool is_streamed(const archive::LocatedRange& range) const;
  void from_copies(Work& work, ReadBatch& batch, const ReadCopy& read);
  void read_range(Work& work, const archive::LocatedRange& range);
  void read_pieces(store::ObjectStore& store, const ObjectAddress& copy, ReadBatch& batch,
                   const archive::LocatedRange& range);
  void read_places(store::ObjectStore& store, const ObjectAddress& copy, ReadBatch& batch,
                   const archive::LocatedRange& range);
  void read_alone(Work& work, std::size_t index);
  void read_unplaced(Work& work);
  void deliver(std::shared_ptr<const void> memory, std::vector<std::pair<std::size_t, ByteView>> objects);
  void check_stop() const;

  friend class RangePieces;
  const RestoreTools tools_;
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<ByteCount> bytes_{0};
  Mutex mutex_;
  std::vector<std::size_t> asleep_ BALE_GUARDED_BY(mutex_);
  flow::TaskGroup deliveries_;  ///< last: waits for what uses the others
};

/// Writes one object to the destination and settles it, whatever comes of it. Bytes as RestoreDestination::receive()
/// has them. Nothing is thrown but Error{cancelled} and what os::is_of_whole_target() is true of. Calls come one after
/// the other.
class SettledWrite {
 public:
  /// `size`: how many bytes are going to be written.
  SettledWrite(const RestoreTools& tools, std::size_t index, ByteCount size)
      : tools_(tools), index_(index), size_(size) {}
  /// False when the object is settled: it failed.
  bool write(ByteView bytes);
  void finish();
  bool is_settled() const noexcept { return is_settled_; }

 private:
  template <typename Step>
  bool guarded(Step step);
  void refused(Error error);
  const RestoreTools& tools_;
  const std::size_t index_;
  const ByteCount size_;
  bool is_settled_ = false;
  std::unique_ptr<archive::ObjectReceiver> receiver_;
};

/// Reads objects of an archive that has to be opened, of which the records know no place: all in one pass, but for
/// those that the destination takes with tickets, which are read one by one. Takes what it settled out of batch.left;
/// errors of single objects are blamed, others thrown. `requests` and `bytes` are raised.
void read_opened(const RestoreTools& tools, store::ObjectStore& store, const ObjectAddress& copy, ReadBatch& batch,
                 std::atomic<std::uint64_t>& requests, std::atomic<ByteCount>& bytes);

}  // namespace bale::recover
