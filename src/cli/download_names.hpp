// Names of files for the objects of a listing that is downloaded.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "archive/file_name.hpp"
#include "cli/context.hpp"
#include "store/object_store.hpp"

namespace bale::cli {

/// Gives the objects of a listing the paths that archive::file_paths() would give them, without holding their keys.
/// Memory: the keys that are not their own paths ("a" beside "a/b", "a//b", "../a"); each takes a few requests at the
/// end. Used by one thread.
class DownloadNames {
 public:
  /// Told an object and its path below the destination; `is_directory` for a folder marker. Empty paths are the
  /// destination itself.
  using Sink = std::function<void(const store::ListedObject& object, const std::string& path, bool is_directory)>;
  /// The objects are those of `bucket` below `prefix` (empty, or with '/' at its end) for whose names relative to it
  /// `wanted` is true. The context is borrowed.
  DownloadNames(Context& context, BucketName bucket, std::string prefix, std::function<bool(std::string_view)> wanted,
                Sink sink);
  /// Adds an object, in the order of the listing; those that are not wanted are passed over. Throws what the sink
  /// throws.
  void add(const store::ListedObject& object);
  /// After the last object. Throws what the sink and the store throw.
  void finish();

 private:
  std::string relative(const store::ListedObject& object) const { return object.key.str().substr(prefix_.size()); }
  store::ListedObject take(std::int64_t number);
  archive::Taken taken_at(const std::string& path);
  archive::Taken look_at(const std::string& path);
  void keep(std::string path, bool is_directory);

  Context& context_;
  const BucketName bucket_;
  const std::string prefix_;
  const std::function<bool(std::string_view)> wanted_;
  const Sink sink_;
  archive::PathStream stream_;
  std::string last_;
  std::int64_t number_ = 0;
  std::map<std::int64_t, store::ListedObject> waiting_;    ///< that stream_ has not settled
  std::vector<store::ListedObject> odd_;                   ///< for place_of()
  std::unordered_map<std::string, archive::Taken> known_;  ///< by path; of odd objects, and what look_at() found
};

}  // namespace bale::cli
