// Catalog records in, verified objects out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "catalog/record.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"

namespace bale::recover {

/// Where restored objects go: a directory, or a bucket with a prefix before every key.
struct RestoreTarget {
  std::optional<os::fs::path> directory;
  BucketName bucket;
  std::string prefix;
  std::string storage_class;  ///< in a bucket; empty: the object's own, STANDARD for those of an archive class
};

struct RestoreOptions {
  bool overwrite = false;  ///< replace what is there and different
  bool dryrun = false;
  std::size_t at_once = 16;
};

enum class RestoreFate { restored, same, failed };

/// What became of one record.
struct RestoredObject {
  const catalog::Record* record = nullptr;
  std::string destination;  ///< path or URI
  RestoreFate fate = RestoreFate::failed;
  ByteCount bytes_read = 0;  ///< of the archive
  std::optional<Error> error;
};

/// Restores each record by one ranged read of its archive (of another copy of it where one is gone or archived),
/// verifies its SHA-256, and only then lets it take its name (a file is renamed into place, an upload completed). What
/// is there with the same content is left; what is there and different is kept unless `overwrite`; a directory never
/// gives way to a file, and no symbolic link is followed. One failing object does not keep the others back. `archives`
/// gives the store that holds a record's archive; `done` is told of each object, one call at a time. Everything is
/// borrowed.
class Restore {
 public:
  Restore(std::function<store::ObjectStore&(const catalog::Record&)> archives, store::ObjectStore* destination,
          RestoreTarget target, RestoreOptions options, os::World& world, flow::Pools pools,
          flow::MemoryBudget& budget);

  /// Records must be of distinct keys. Throws Error{invalid} when two would get the same name.
  void run(const std::vector<catalog::Record>& records, const std::function<void(const RestoredObject&)>& done);

 private:
  RestoredObject restore_one(const catalog::Record& record, const std::string& path);
  void restore_file(const catalog::Record& record, const std::string& name, RestoredObject& object);
  std::optional<store::WriteConditions> look_at(const catalog::Record& record, const ObjectAddress& address);
  void restore_object(const catalog::Record& record, RestoredObject& object);
  ByteCount read(const catalog::Record& record, const std::function<void(ByteView)>& sink);
  ByteCount read_copy(const catalog::Record& record, const ObjectAddress& copy,
                      const std::function<void(ByteView)>& sink);
  bool same_object(const catalog::Record& record, const ObjectAddress& address, const store::ObjectInfo& there);
  bool same_file(const catalog::Record& record, const os::fs::path& path);

  std::function<store::ObjectStore&(const catalog::Record&)> archives_;
  store::ObjectStore* destination_;
  const RestoreTarget target_;
  const RestoreOptions options_;
  os::World& world_;
  flow::Pools pools_;
  flow::MemoryBudget& budget_;
};

}  // namespace bale::recover
