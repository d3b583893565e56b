// Objects in the order of their keys, whoever lists them.
#pragma once

#include <deque>
#include <optional>

#include "store/listing.hpp"
#include "store/object_store.hpp"

namespace bale::store {

/// Objects in bytewise order of their keys.
class ObjectSequence {
 public:
  virtual ~ObjectSequence() = default;
  /// Returns the next object, valid until the next call; null at the end. Throws what the listing throws.
  virtual const ListedObject* next() = 0;
};

}  // namespace bale::store

namespace bale::bucket {

/// The objects of a listing, page by page. Not thread-safe; borrows the store.
class PagedSequence final : public store::ObjectSequence {
 public:
  PagedSequence(store::ObjectStore& store, BucketName bucket, std::string prefix)
      : listing_(store, std::move(bucket), {.prefix = std::move(prefix)}) {}
  const store::ListedObject* next() override {
    while (at_ == page_.objects.size()) {
      auto page = listing_.next();
      if (!page) return nullptr;
      page_ = std::move(*page);
      at_ = 0;
    }
    return &page_.objects[at_++];
  }

 private:
  store::Listing listing_;
  store::ListPage page_;
  std::size_t at_ = 0;
};

}  // namespace bale::bucket
