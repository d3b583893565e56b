// Metrics of the commands of `bale bucket` for CloudWatch, under the names of s3-backup-restore (docs/metrics.md).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "base/time.hpp"
#include "cli/context.hpp"

namespace bale::cli {

/// The namespace that the scripts of s3-backup-restore published under.
inline constexpr const char* recovery_namespace = "BackupRecovery";

/// Returns lines of Amazon's embedded metric format, one a metric, without line ends. As in the scripts, the dimension
/// has the name `dimension` and, as its value, the name of the metric. Pure.
std::vector<std::string> recovery_metric_lines(const std::map<std::string, double>& values,
                                               const std::string& dimension, TimePoint now);

/// Metrics of one run, written to standard output at most once a minute and at the end. Thread-safe. Borrows the
/// context.
class BucketMetrics {
 public:
  /// Writes nothing unless `is_on`.
  BucketMetrics(Context& context, std::string dimension, bool is_on);
  /// Sets a value that was measured: it is written by the next flush, also where it is 0.
  void set(const std::string& name, double value);
  /// Raises a count, which is written as what came in since the last flush.
  void add(const std::string& name, double amount = 1);
  /// Writes how many there were to do, and how many are left: the two ends of what a script published every minute.
  void tell_done(const std::string& name, std::uint64_t found, std::uint64_t left);
  /// Writes what was set and added since the last flush.
  void flush();
  /// Flushes if the last time is a minute ago.
  void flush_if_due();
  bool is_on() const noexcept { return is_on_; }

 private:
  void write(const std::map<std::string, double>& values);
  Context& context_;
  const std::string dimension_;
  const bool is_on_;
  Mutex mutex_;
  std::map<std::string, double> values_ BALE_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point flushed_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::cli
