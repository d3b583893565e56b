// Names of files below a directory for keys that may be anything: objects that are extracted, restored, downloaded or
// mounted. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace bale::archive {

/// A key that gets a name in a directory.
struct NamedKey {
  std::string_view key;
  bool is_directory = false;  ///< is_folder_marker() of the object
};

/// Returns whether an object stands for a directory: it is empty and its key ends with '/', as consoles make them. The
/// empty key stands for the directory that all others are in.
bool is_folder_marker(std::string_view key, ByteCount size) noexcept;

/// How a key's path differs from the key, apart from "." components and repeated '/', which are left out silently
/// as tar does.
enum class NameChange {
  none,
  leading_slash,  ///< the key is absolute: its '/' is left out, as tar does
  escaped,        ///< a component is written in another way
};
NameChange change_of(std::string_view key, std::string_view path);

/// Returns the key without empty and "." components: "./a//b" and "/a/b/" become "a/b".
std::string normalised(std::string_view key);

/// Returns whether the key is its own path below a directory: at least one component, none empty, "." or ".." or longer
/// than 255 bytes, no NUL.
bool is_file_path(std::string_view key) noexcept;

/// What has a path.
enum class Taken { nothing, file, directory };

/// Returns the path for a key: normalised(), with a component escaped where it must be, in its own directory. ".."
/// becomes "%2E%2E" and a NUL "%00"; a component of more than 255 bytes is cut, and gets '%' and 8 hexadecimal digits
/// of its hash; so does one that something else has the name of, by `taken`. The path is one that `taken` knows nothing
/// at (a directory is allowed where `key` is one). Empty for a directory that is the root itself.
std::string place_of(const NamedKey& key, const std::function<Taken(const std::string& path)>& taken);

/// Returns the paths of keys that are to lie in one directory, in their order. Keys that are their own paths keep them,
/// unless another of them needs the path as a directory ("a" beside "a/b"); these, and all others, have place_of(). Two
/// keys never share a file's path. Throws Error{invalid} when a key comes twice.
std::vector<std::string> file_paths(const std::vector<NamedKey>& keys);

/// Takes the keys of one listing in bytewise order and tells which are their own paths, without holding the keys.
/// Memory: a chain of keys that are prefixes of one another. Used by one thread.
class PathStream {
 public:
  /// Told a path or key, and the number that it was added with. Valid during the call.
  using Sink = std::function<void(std::string_view path, std::int64_t number)>;
  struct Sinks {
    Sink file;       ///< files whose keys are their own paths, all of a directory one after the other
    Sink directory;  ///< directories of the same kind, without the '/' at the end; in that order too
    Sink odd;        ///< the keys of all others, in no particular order: for place_of() when the paths are known
  };
  explicit PathStream(Sinks sinks) : sinks_(std::move(sinks)) {}
  /// Throws Error{invalid} unless `key` is greater than the key before. Throws what the sinks throw.
  void add(const NamedKey& key, std::int64_t number);
  /// After the last key. The stream is then as if new.
  void finish();

 private:
  struct Waiting {
    std::string key;
    std::int64_t number;
  };
  void settle_last();
  const Sinks sinks_;
  std::string last_;
  bool begun_ = false;
  /// Keys that may still turn out to be a directory of a later key: each starts the next one.
  std::vector<Waiting> waiting_;
};

}  // namespace bale::archive
