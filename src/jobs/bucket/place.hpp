// The two sides of a job between buckets, and the keys that Bale keeps for itself.
#pragma once

#include <string>
#include <string_view>

#include "store/object_store.hpp"

namespace bale::bucket {

/// Keys below this prefix of a bucket are Bale's own (the journal): no job copies, compares or tags them.
inline constexpr std::string_view own_prefix = ".bale/";

inline bool is_own_key(std::string_view key) noexcept { return key.starts_with(own_prefix); }

/// A bucket, or what is below a prefix of it. The store is borrowed.
struct Side {
  store::ObjectStore* store = nullptr;
  BucketName bucket;
  std::string prefix = {};

  /// Returns the address of the object with this name below the prefix.
  ObjectAddress at(std::string_view name) const { return {bucket, ObjectKey(prefix + std::string(name))}; }
  std::string uri() const { return to_uri(bucket, ObjectKey(prefix)); }
};

}  // namespace bale::bucket
