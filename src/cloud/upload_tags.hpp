// The tags of uploads that are under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/mutex.hpp"
#include "base/names.hpp"
#include "store/object_store.hpp"

namespace bale::cloud {

/// Keeps the tags that uploads were created with until the uploads end, for those who set them afterwards. Thread-safe.
class UploadTags {
 public:
  /// The most uploads whose tags are kept. A process never has so many under way: what is older was given up.
  static constexpr std::size_t most = 4096;

  /// Keeps the tags of an upload. Beyond `most` uploads, the one that was remembered first is forgotten.
  void remember(const UploadId& upload, const store::Tags& tags);
  /// Returns the tags of an upload; absent where they were not remembered, or were forgotten.
  std::optional<store::Tags> find(const UploadId& upload) const;
  /// Does nothing where the upload is unknown.
  void forget(const UploadId& upload);

 private:
  struct Known {
    store::Tags tags;
    std::uint64_t number = 0;  ///< its key in order_
  };
  mutable Mutex mutex_;
  std::map<UploadId, Known> known_ BALE_GUARDED_BY(mutex_);
  std::map<std::uint64_t, UploadId> order_ BALE_GUARDED_BY(mutex_);
  std::uint64_t next_ BALE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bale::cloud
