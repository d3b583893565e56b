// What failed and has not been mended since.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/mutex.hpp"

namespace bale::service {

/// One thing that failed; it will be tried again, and goes to the dead-letter queue in the end.
struct ReplicationFailure {
  std::string stage;  ///< "source", "relay" or "target"
  std::string what;   ///< URI of an object or archive, or the number of a message
  Error error;        ///< of the newest attempt
  std::uint32_t attempts = 1;
};

/// Remembers, for each piece of work (an object to be packed, an archive to be landed), what the newest attempt at it
/// left failed. Work that succeeds later is forgotten: it did not fail in the end. Thread-safe. Keeps the details of at
/// most `most_kept` failures; those beyond are only counted, and stay counted.
class FailureLedger {
 public:
  static constexpr std::size_t most_kept = 10'000;

  /// An attempt at `work` ended: `failures` (none: it succeeded) replace what earlier attempts said.
  void record(const std::string& stage, const std::string& work, std::vector<ReplicationFailure> failures);
  /// How many things stand as failed.
  std::uint64_t size() const;
  /// By stage and work.
  std::vector<ReplicationFailure> failures() const;

 private:
  mutable Mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::vector<ReplicationFailure>> of_work_ BALE_GUARDED_BY(mutex_);
  std::uint64_t kept_ BALE_GUARDED_BY(mutex_) = 0;
  std::uint64_t beyond_ BALE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bale::service
