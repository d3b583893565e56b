// The objects of a bucket, one after the other.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "store/listing.hpp"

namespace bale::check {

/// A listing whose present object can be looked at before it is passed: one page of memory. Used by one thread. The
/// store is borrowed.
class Listing {
 public:
  Listing(store::ObjectStore& store, BucketName bucket, std::string prefix)
      : bucket_(bucket), pages_(store, std::move(bucket), {.prefix = std::move(prefix)}) {}
  const BucketName& bucket() const noexcept { return bucket_; }
  /// The present object, or null behind the last; valid until the next call. Throws as store::Listing::next() does.
  const store::ListedObject* peek() {
    while (page_ && at_ == page_->objects.size()) {
      page_ = pages_.next();
      at_ = 0;
    }
    return page_ ? &page_->objects[at_] : nullptr;
  }
  void pop() { ++at_; }

 private:
  const BucketName bucket_;
  store::Listing pages_;
  std::optional<store::ListPage> page_ = store::ListPage{};  ///< absent behind the last
  std::size_t at_ = 0;
};

}  // namespace bale::check
