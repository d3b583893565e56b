#include "store/parallel_listing.hpp"

#include <utility>

namespace bale::store {

ParallelListing::ParallelListing(ObjectStore& store, const BucketName& bucket, SequenceOptions options,
                                 flow::ThreadPool& pool, ListingSplit split)
    : store_(store),
      bucket_(bucket),
      options_(std::move(options)),
      pool_(pool),
      plan_(split, options_.page_keys, options_.prefix, options_.start_after, options_.until) {
  const Lock lock(mutex_);
  start_requests();
}

ParallelListing::~ParallelListing() {
  Lock lock(mutex_);
  is_closed_ = true;
  changed_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return plan_.asked() == 0; });
}

void ParallelListing::start_requests() {
  while (!failure_ && !is_closed_) {
    RangePlan::Range* const range = plan_.next_request();
    if (range == nullptr) return;
    try {
      pool_.submit([this, range] { read_page(*range); });
    } catch (...) {
      plan_.failed(*range);
      throw;
    }
  }
}

/// Asks for one page of the range, and then for what is to be asked for next.
void ParallelListing::read_page(RangePlan::Range& range) {
  std::optional<ListPage> page;
  RangePlan::PageNotes notes;
  std::exception_ptr failure;
  try {
    check_stop(options_, bucket_);
    if (!range.listing) {
      ListRequest request = to_request(options_);
      request.start_after = range.after;
      range.listing = std::make_unique<Listing>(store_, bucket_, std::move(request));
    }
    ++requests_;
    page = range.listing->next();
    if (page) notes = RangePlan::note(range, page->objects);
  } catch (...) {
    failure = std::current_exception();
  }
  const Lock lock(mutex_);  // notified under the lock: the waiter may destroy this as soon as it has it
  if (failure) {
    plan_.failed(range);
    if (!failure_) failure_ = failure;
  } else {
    const bool is_last = !page || page->next.empty();
    try {
      plan_.answered(range, page ? std::move(page->objects) : std::vector<ListedObject>(), std::move(notes), is_last);
      start_requests();
    } catch (...) {
      failure_ = std::current_exception();  // no memory
    }
  }
  changed_.notify_all();
}

bool ParallelListing::take_page() {
  Lock lock(mutex_);
  for (;;) {
    if (failure_) std::rethrow_exception(failure_);
    if (auto objects = plan_.take()) {
      page_ = std::move(*objects);
      start_requests();
      return true;
    }
    if (plan_.is_at_end()) return false;
    changed_.wait(lock);
  }
}

const ListedObject* ParallelListing::next() {
  if (index_ == page_.size()) {
    page_.clear();
    index_ = 0;
    if (!take_page()) return nullptr;
  }
  check_stop(options_, bucket_);
  return &page_[index_++];
}

}  // namespace bale::store
