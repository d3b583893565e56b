// Paths for sorted keys, as archive::safe_paths() has them, without holding the keys. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bale::mount {

/// Takes the keys of one bucket in bytewise order and gives each its path: its own bytes, or the escaped form where it
/// is no safe path or another key needs it as a directory. Gives what archive::safe_paths() gives for the same keys.
/// Memory: the keys that start one another, at most one for each length. Used by one thread.
class PathStream {
 public:
  /// Told the path of the object that was added with `number`. Valid during the call.
  using Sink = std::function<void(std::string_view path, std::int64_t number)>;
  /// `plain` gets the keys that are their own paths, all of a directory one after the other; `escaped` the others, in
  /// no order that counts.
  PathStream(Sink plain, Sink escaped) : plain_(std::move(plain)), escaped_(std::move(escaped)) {}
  /// Throws Error{internal} unless `key` is greater than the key before. Throws what the sinks throw.
  void add(std::string_view key, std::int64_t number);
  /// After the last key. The stream is then as if new.
  void finish();

 private:
  struct Waiting {
    std::string key;
    std::int64_t number;
  };
  void settle_last();
  const Sink plain_, escaped_;
  std::string last_;
  bool begun_ = false;
  /// Keys that may still turn out to be a directory of a later key: each starts the next one.
  std::vector<Waiting> waiting_;
};

}  // namespace bale::mount
