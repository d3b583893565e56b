#include "jobs/bucket/restore_sequence.hpp"

#include <utility>

#include "store/parallel_listing.hpp"

namespace bale::bucket {

std::unique_ptr<store::ObjectSequence> list_objects(const ListedPlace& where) {
  store::SequenceOptions options = where.options;
  options.with_restore_status = true;
  if (where.listers <= 1)
    return std::make_unique<store::StreamedListing>(where.store, where.bucket, options, where.pool);
  return std::make_unique<store::ParallelListing>(where.store, where.bucket, options, where.pool,
                                                  store::ListingSplit{.listers = where.listers});
}

const store::ListedObject* ObjectsAsOf::next() {
  while (const store::ListedVersion* version = versions_->next()) {
    if (!key_ || version->key.str() != *key_) {
      if (!is_decided_) ++newer_;
      key_ = version->key.str();
      is_decided_ = false;
    }
    if (is_decided_ || version->last_modified > as_of_) continue;
    is_decided_ = true;
    if (version->is_delete_marker) continue;
    version_ = version->version_id;
    return version;
  }
  if (!is_decided_) ++newer_;
  is_decided_ = true;
  return nullptr;
}

std::unique_ptr<BackupSequence> list_backup(const ListedPlace& where, const std::optional<TimePoint>& as_of) {
  if (!as_of) return std::make_unique<CurrentObjects>(where);
  store::SequenceOptions options = where.options;
  options.with_restore_status = true;
  return std::make_unique<ObjectsAsOf>(
      std::make_unique<store::StreamedVersions>(where.store, where.bucket, options, where.pool), *as_of);
}

}  // namespace bale::bucket
