// The objects of a backup in the order of their keys, as they are or as they were at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "flow/thread_pool.hpp"
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

/// Where a listing is read, and with what. The store and the pool are borrowed; the pool's threads are not those on
/// which the sequence is read.
struct ListedPlace {
  store::ObjectStore& store;
  BucketName bucket;
  store::SequenceOptions options;
  flow::ThreadPool& pool;
  std::size_t listers = 1;  ///< requests at once
};

/// Returns the current objects, with the status of their restores.
std::unique_ptr<store::ObjectSequence> list_objects(const ListedPlace& where);

/// The current objects. Not thread-safe.
class CurrentObjects final : public BackupSequence {
 public:
  explicit CurrentObjects(const ListedPlace& where) : objects_(list_objects(where)) {}
  const store::ListedObject* next() override { return objects_->next(); }
  VersionId version() const override { return {}; }
  std::uint64_t requests() const noexcept override { return objects_->requests(); }

 private:
  std::unique_ptr<store::ObjectSequence> objects_;
};

/// The objects as they were at a time: of each key the newest version that was written until then, unless that is a
/// delete marker. In a bucket that never had versions, objects that were written later are passed over: what was there
/// before is lost. Not thread-safe.
class ObjectsAsOf final : public BackupSequence {
 public:
  ObjectsAsOf(std::unique_ptr<store::VersionSequence> versions, TimePoint as_of)
      : versions_(std::move(versions)), as_of_(as_of) {}
  const store::ListedObject* next() override;
  VersionId version() const override { return version_; }
  std::uint64_t newer() const override { return newer_; }
  std::uint64_t requests() const noexcept override { return versions_->requests(); }

 private:
  std::unique_ptr<store::VersionSequence> versions_;
  const TimePoint as_of_;
  std::optional<std::string> key_;  ///< of the versions that are being read
  bool is_decided_ = true;          ///< for that key
  VersionId version_;
  std::uint64_t newer_ = 0;
};

/// Returns the objects of a backup as they are now, or as they were at a time.
std::unique_ptr<BackupSequence> list_backup(const ListedPlace& where, const std::optional<TimePoint>& as_of);

}  // namespace bale::bucket
