// The objects of a backup in the order of their keys, as they are or as they were at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jobs/bucket/sequence.hpp"
#include "store/listing.hpp"
#include "store/object_store.hpp"

namespace bale::bucket {

/// Objects of a backup, and which version of each is meant.
class BackupSequence : public store::ObjectSequence {
 public:
  /// The version of the object that next() returned last; empty: the current one.
  virtual VersionId version() const = 0;
  /// How many keys were passed over because all of their versions are newer than the time that was asked for.
  virtual std::uint64_t newer() const { return 0; }
};

/// Where a listing of a backup begins, and what it tells.
struct BackupListing {
  store::ObjectStore& store;
  BucketName bucket;
  std::string prefix = {};
  std::string start_after = {};  ///< keys greater than this
};

/// The current objects, with the status of their restores. Not thread-safe; borrows the store.
class CurrentObjects final : public BackupSequence {
 public:
  explicit CurrentObjects(const BackupListing& where);
  /// Throws what the store throws, and Error{corrupt} as store::Listing does.
  const store::ListedObject* next() override;
  VersionId version() const override { return {}; }

 private:
  store::Listing listing_;
  store::ListPage page_;
  std::size_t at_ = 0;
};

/// The objects as they were at a time: of each key the newest version that was written until then, unless that is a
/// delete marker. In a bucket that never had versions, objects that were written later are passed over: what was there
/// before is lost. Not thread-safe; borrows the store.
class ObjectsAsOf final : public BackupSequence {
 public:
  ObjectsAsOf(const BackupListing& where, TimePoint as_of);
  /// Throws what the store throws, and Error{corrupt} where the keys are out of order.
  const store::ListedObject* next() override;
  VersionId version() const override { return version_; }
  std::uint64_t newer() const override { return newer_; }

 private:
  const store::ListedVersion* next_version();
  void finish_key(const std::string& key);

  store::ObjectStore& store_;
  const BucketName bucket_;
  store::ListRequest request_;
  const TimePoint as_of_;
  store::VersionPage page_;
  std::size_t at_ = 0;
  bool is_at_end_ = false;
  std::optional<std::string> key_;  ///< of the versions that are being read
  bool is_decided_ = true;          ///< for that key
  VersionId version_;
  std::uint64_t newer_ = 0;
};

}  // namespace bale::bucket
