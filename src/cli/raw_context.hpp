// What every command of `bale raw` opens: the configuration, the records, the store, and the tools of the jobs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/context.hpp"
#include "config/raw.hpp"
#include "flow/progress.hpp"
#include "flow/rate_limit.hpp"
#include "jobs/raw/record.hpp"
#include "jobs/raw/run.hpp"
#include "jobs/raw/tools.hpp"
#include "telemetry/registry.hpp"

namespace CLI {
class App;
}

namespace bale::cli {

/// Options that every command of `bale raw` takes.
struct RawOptions {
  std::string config;   ///< --config or BALE_RAW_CONFIG
  std::string records;  ///< --records or BALE_RAW_RECORDS: a directory, or "dynamodb"
};

/// Adds --config and --records to a command.
void add_raw_options(CLI::App& command, RawOptions& options);

/// The surroundings of one command of `bale raw`. Borrows the context.
class RawContext {
 public:
  /// Loads the configuration. Records are in the embedded store of --local where it is given; else where
  /// `options.records`, the configuration or the default says: ~/.local/state/bale/raw-records. Throws as
  /// load_raw_config() does, Error{invalid} where no configuration is named.
  RawContext(Context& context, const RawOptions& options);

  Context& context() noexcept { return context_; }
  const config::RawConfig& config() const noexcept { return config_; }
  raw::RawRecords& records() noexcept { return *records_; }
  /// The store of the configured region; null where the configuration has no section s3.
  store::ObjectStore* store();
  flow::Progress& progress() noexcept { return progress_; }
  raw::Tools tools();
  /// A run; `remark` of it is a warning on standard error. Valid as long as this object and `tools`.
  std::unique_ptr<raw::RawRun> run(const raw::Tools& tools);

 private:
  Context& context_;
  config::RawConfig config_;
  records::RecordStore* record_store_ = nullptr;
  std::optional<raw::RawRecords> records_;
  os::fs::path upload_slots_;
  flow::Progress progress_;
  std::unique_ptr<flow::RateLimit> limit_;
};

/// Exit status of a run over several raw files: 0 without failures, the failures' status where they agree, else 1.
class RawExit {
 public:
  void add(const Error& error);
  int status() const noexcept { return status_; }

 private:
  int status_ = exit_ok;
};

}  // namespace bale::cli
