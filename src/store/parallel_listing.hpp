// A listing that many listers read at the same time, in the order of its keys.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <vector>

#include "base/mutex.hpp"
#include "flow/thread_pool.hpp"
#include "store/listing.hpp"
#include "store/range_plan.hpp"

namespace bale::store {

/// A sequence whose key ranges are listed at the same time, as RangePlan chooses them. It asks for some pages more than
/// there are: about one in ten where keys lie evenly, and never more than twice as many pages as a streamed listing
/// plus one a lister. Where a request fails, next() throws at once: a failed range is never left out.
class ParallelListing final : public ObjectSequence {
 public:
  /// Asks for the first page at once. Borrows the store and the pool, of which it uses up to split.listers threads;
  /// next() is not to be called on one of its threads.
  ParallelListing(ObjectStore& store, const BucketName& bucket, SequenceOptions options, flow::ThreadPool& pool,
                  ListingSplit split = {});
  /// Waits for the requests under way.
  ~ParallelListing() override;
  const ListedObject* next() override;
  std::uint64_t requests() const noexcept override { return requests_; }

 private:
  void start_requests() BALE_REQUIRES(mutex_);
  void read_page(RangePlan::Range& range);
  bool take_page();

  ObjectStore& store_;
  const BucketName bucket_;
  const SequenceOptions options_;
  flow::ThreadPool& pool_;
  std::atomic<std::uint64_t> requests_{0};
  std::vector<ListedObject> page_;
  std::size_t index_ = 0;  ///< in page_, of the next object
  Mutex mutex_;
  std::condition_variable changed_;
  RangePlan plan_ BALE_GUARDED_BY(mutex_);
  std::exception_ptr failure_ BALE_GUARDED_BY(mutex_);
  bool is_closed_ BALE_GUARDED_BY(mutex_) = false;
};

}  // namespace bale::store
