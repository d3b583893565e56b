// Prometheus metrics of one run of `bale raw`, for the textfile collector of node_exporter.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/time.hpp"
#include "jobs/raw/run.hpp"
#include "os/files.hpp"
#include "telemetry/registry.hpp"

namespace bale::cli {

/// Counts what a run did. Thread-safe.
class RawMetrics {
 public:
  RawMetrics();
  void add(const raw::RunResult& result, Milliseconds took);
  void add_failure(const std::string& id, const Error& error);
  /// Writes the metrics to a file, atomically, in Prometheus's text format; does nothing with an empty name. Throws
  /// Error.
  void write(os::Files& files, const std::string& path) const;

 private:
  telemetry::Registry registry_;
};

}  // namespace bale::cli
