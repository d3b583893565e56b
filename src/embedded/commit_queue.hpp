// Group commit: concurrent writers share one transaction, and one sync.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <stop_token>

#include "base/mutex.hpp"
#include "embedded/database.hpp"

namespace bale::embedded {

class StoreClock;

/// What a piece of work sees of the transaction it is part of.
class WriteContext {
 public:
  explicit WriteContext(Database& connection, const StoreClock* clock = nullptr)
      : database(connection), clock_(clock) {}
  Database& database;
  /// The next of the directory's numbers: strictly increasing over all processes.
  std::int64_t next_sequence();
  /// The number that next_sequence() gave last, in any process.
  std::int64_t last_sequence();
  /// Makes the next number larger than `least`.
  void raise_sequence(std::int64_t least);
  /// The time of the store: see StoreClock. To be called only where the CommitQueue has one.
  std::int64_t time() const;
  /// Messages were sent, or became visible: whoever waits for some shall look once the commit is done.
  void wake_receivers() noexcept { wake_ = true; }

 private:
  friend class CommitQueue;
  void store_sequence();
  const StoreClock* clock_;
  std::int64_t sequence_ = -1, stored_ = -1;
  bool wake_ = false;
};

/// The one writer of a process. Work is queued; the first in line takes all that wait, runs each as a part of its own
/// inside one transaction, commits, and hands out the results: one that throws is undone alone and fails alone.
/// Thread-safe. Work runs on any of the waiting threads, never two at once, and must not wait for other work.
class CommitQueue {
 public:
  using Work = std::function<void(WriteContext&)>;
  /// `committed` is called after every commit, on the thread that committed, before anybody hears of it.
  struct Committed {
    bool receivers_wake = false;   ///< WriteContext::wake_receivers() was called
    bool foreign_commits = false;  ///< another process has committed since the last time
    std::int64_t number = 0;       ///< the highest one given out, where the commit is on stable storage; else 0
  };
  /// `clock` is kept with the commits, where there is one; it is borrowed. `stop` ends waits for other processes.
  CommitQueue(const std::filesystem::path& file, std::function<void(const Committed&)> committed,
              StoreClock* clock = nullptr, std::stop_token stop = {});

  /// Returns when the work is committed; throws what it threw, or Error when the commit failed: nothing is done then.
  void run(Database::Durability durability, const Work& work);

 private:
  struct Request {
    const Work* work;
    Database::Durability durability;
    std::exception_ptr failure;
    bool done = false;
    std::condition_variable changed;
  };
  void commit(const std::vector<Request*>& group);
  static void run_parts(WriteContext& context, const std::vector<Request*>& group);

  Database database_;  // used by the first in line only
  std::int64_t data_version_ = 0;
  StoreClock* const clock_;
  const std::function<void(const Committed&)> committed_;
  Mutex mutex_;
  std::deque<Request*> waiting_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::embedded
