// Writes objects to one region's destination buckets so that nothing newer is overwritten.
#pragma once

#include <array>
#include <mutex>

#include "archive/manifest.hpp"
#include "jobs/land/landing.hpp"
#include "records/record_store.hpp"
#include "store/object_store.hpp"
#include "transfer/multipart.hpp"

namespace bale::land {

enum class Outcome {
  written,  ///< durable at the destination
  kept,     ///< what is there is as new or newer
};

/// Writes that are ordered by the source's order of operations. Conditional requests keep two writers of one key apart
/// (If-None-Match for a new key, If-Match for a replacement); within this process writers of one key also take turns,
/// because an ETag tells only content, and content can come back (A, B, A). Thread-safe. Store and records are
/// borrowed.
class Destination {
 public:
  /// `table` remembers the order of objects whose own metadata has no room for it.
  Destination(store::ObjectStore& store, records::RecordStore& records, TableName table);

  /// Puts a whole object in one request. `body` is rewound for every attempt.
  Outcome put(const archive::Target& target, const archive::ManifestObject& object, store::Body& body);

  /// Whether an upload of the object is worth starting: false when something as new is there.
  bool is_wanted(const archive::Target& target, const archive::ManifestObject& object);
  /// Completes a multipart upload of the object under the same conditions. It is still open unless `written` comes
  /// back.
  Outcome complete(const archive::Target& target, const archive::ManifestObject& object,
                   transfer::MultipartUpload& upload);

  store::ObjectStore& store() noexcept { return store_; }

 private:
  struct Plan {
    Action action = Action::create;
    store::WriteConditions conditions;
  };
  Plan look(const ObjectAddress& address, const LandedOrder& incoming);
  std::optional<LandedOrder> landed_order(const ObjectAddress& address, const store::ObjectInfo& info);
  void remember_order(const ObjectAddress& address, const LandedOrder& order, const ETag& etag);
  template <typename Write>
  Outcome write_in_order(const ObjectAddress& address, const LandedOrder& incoming, bool remember, bool look_first,
                         Write write);
  std::mutex& lock_of(const ObjectAddress& address) noexcept;

  store::ObjectStore& store_;
  records::RecordStore& records_;
  const TableName table_;
  std::array<std::mutex, 1024> locks_;
};

}  // namespace bale::land
