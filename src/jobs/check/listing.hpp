// The objects of a bucket, one after the other.
#pragma once

#include <string>
#include <utility>

#include "base/error.hpp"
#include "store/object_store.hpp"

namespace bale::check {

/// Pages through a listing: one page of memory. Used by one thread. The store is borrowed.
class Listing {
 public:
  Listing(store::ObjectStore& store, BucketName bucket, std::string prefix)
      : store_(store), bucket_(std::move(bucket)) {
    request_.prefix = std::move(prefix);
  }
  const BucketName& bucket() const noexcept { return bucket_; }
  /// The present object, or null behind the last; valid until the next call. Throws what the store throws.
  const store::ListedObject* peek() {
    while (at_ == page_.objects.size()) {
      if (begun_ && page_.next.empty()) return nullptr;
      request_.continuation = begun_ ? page_.next : std::string();
      page_ = store_.list(bucket_, request_);
      begun_ = true;
      at_ = 0;
    }
    return &page_.objects[at_];
  }
  void pop() { ++at_; }

 private:
  store::ObjectStore& store_;
  const BucketName bucket_;
  store::ListRequest request_;
  store::ListPage page_;
  std::size_t at_ = 0;
  bool begun_ = false;
};

}  // namespace bale::check
