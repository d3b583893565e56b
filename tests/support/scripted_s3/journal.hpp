// The requests that a scripted S3 server got, and what became of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/mutex.hpp"
#include "support/scripted_s3/operations.hpp"

namespace bale::testing::s3 {

/// Notes requests in the order in which their heads came. Thread-safe.
class Journal {
 public:
  /// Notes a request that has come, and returns its number.
  std::uint64_t begin(const Request& request, const std::vector<Chosen>& chosen);
  /// So many bytes of its body have come in all, as they were on the wire.
  void received(std::uint64_t number, ByteCount bytes);
  /// The whole body is there.
  void digested(std::uint64_t number, const Digests& digests);
  /// An action was denied to it.
  void denied(std::uint64_t number, const std::string& action);
  /// Its answer is sent now, with this status; 0: it gets none, or not the whole of it.
  void end(std::uint64_t number, int status);
  /// Returns {"count", "body_bytes", "operations": {name: {"count", "body_bytes", "statuses"}}, "requests": [...]}.
  nlohmann::json list() const;
  /// Forgets all; numbers go on.
  void clear();

 private:
  void change(std::uint64_t number, const std::function<void(nlohmann::json&)>& change);
  double seconds() const;

  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  mutable Mutex mutex_;
  std::uint64_t first_ BALE_GUARDED_BY(mutex_) = 0;  ///< number of the first of entries_
  std::deque<nlohmann::json> entries_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::testing::s3
