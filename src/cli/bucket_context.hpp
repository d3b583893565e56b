// What the commands of `bale bucket` open: both sides, the journal, limits and counters.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/bucket_options.hpp"
#include "cli/context.hpp"
#include "cli/s3_names.hpp"
#include "flow/adaptive_limit.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/bucket/compare.hpp"
#include "jobs/bucket/cost.hpp"
#include "jobs/bucket/journal_keeper.hpp"
#include "jobs/bucket/metered_store.hpp"
#include "jobs/bucket/place.hpp"
#include "jobs/bucket/tools.hpp"
#include "store/listing.hpp"

namespace CLI {
class App;
}

namespace bale::cli {

/// Hours of --last-modified-since where nobody says others: as in s3-backup-restore.
inline constexpr std::uint32_t default_last_modified_since = 48;

/// Options that compare, backup and tag-deleted take, besides those of BucketArguments.
struct BucketWork {
  // The source where it is reached otherwise than the destination. Empty: as the global options say.
  std::string source_profile, source_endpoint_url, source_region, source_ca_bundle, source_local;
  std::string manifest, manifest_schema;  ///< in the place of the source's listing; empty: none
  std::string journal;  ///< a directory, or s3://bucket/prefix; empty: below .bale/ of the destination
  bool no_journal = false;
  std::uint64_t rate_limit = 0;     ///< requests a second; 0: none
  std::size_t listers = 16;         ///< requests at once of one listing
  std::string prices;               ///< file of a price table; empty: the one that is built in
  std::vector<FilterRule> filters;  ///< of --include and --exclude, in their order
};

/// Adds them to a command.
void add_bucket_work_options(CLI::App& command, BucketWork& work);

/// The surroundings of one command. Borrows the context and the options.
class BucketContext {
 public:
  /// Opens both sides. Throws Error{not_found} NoSuchBucket where a bucket does not exist, Error{invalid} where one
  /// side is inside the other. With `may_lack_destination` that bucket may be yet to be made.
  BucketContext(Context& context, const BucketOptions& options, const BucketWork& work,
                bool may_lack_destination = false);
  ~BucketContext();
  BucketContext(const BucketContext&) = delete;
  BucketContext& operator=(const BucketContext&) = delete;

  Context& context() noexcept { return context_; }
  const bucket::Side& source() const noexcept { return source_; }
  const bucket::Side& destination() const noexcept { return destination_; }
  /// Which service the source is of; see Context::store_service().
  std::string source_service() { return source_context().store_service(source_context().region()); }
  /// Threads for the requests of listings, of both sides.
  flow::ThreadPool& listing_pool();
  /// The objects of a side that the options let take part: --prefix. Valid as long as this object.
  std::unique_ptr<store::ObjectSequence> list(const bucket::Side& side);
  /// Those of the source, from --manifest where it is given.
  std::unique_ptr<store::ObjectSequence> list_source();
  /// The same with all versions.
  std::unique_ptr<store::VersionSequence> list_versions(const bucket::Side& side);
  /// Whether a name takes part: --include and --exclude. Empty where all do.
  bucket::NameFilter filter() const;
  /// Whether the store of the destination has to be sent the bytes, because it cannot read the source.
  bool needs_streaming();
  bucket::Tools tools();
  /// The journal; one that remembers nothing where the options want none.
  bucket::JournalKeeper& journal(bool versions = false);
  /// Its entries, or null: none, or the right to read them is missing, which is a warning.
  std::unique_ptr<bucket::EntrySequence> entries();
  flow::AdaptiveLimit& limit() noexcept { return *limit_; }
  flow::Progress& progress() noexcept { return progress_; }

  /// Requests so far, of both sides and of the journal.
  bucket::RequestCounts requests() const;
  std::uint64_t retries() const noexcept { return retries_; }
  std::uint64_t slow_downs() const noexcept { return slow_downs_; }
  /// Prices of copies in this class. Throws Error{invalid} for a table that cannot be read.
  bucket::Prices prices(const std::string& storage_class);

  /// Writes what the journal was told, also after a stop; a failure is a warning.
  void save_journal() noexcept;
  void warn(const std::string& text);

 private:
  Context& source_context() { return other_ ? *other_ : context_; }
  void open_sides(const BucketOptions& options, bool may_lack_destination);
  void check_sides();

  Context& context_;
  const BucketWork& work_;
  std::unique_ptr<Context> other_;  ///< of the source, where it is reached otherwise
  std::atomic<std::uint64_t> retries_{0}, slow_downs_{0};
  std::unique_ptr<flow::AdaptiveLimit> limit_;
  flow::Progress progress_;
  bucket::Meter meter_, journal_meter_;
  std::unique_ptr<bucket::MeteredStore> source_store_, destination_store_, journal_store_;
  bucket::Side source_, destination_;
  const std::string prefix_;  ///< behind that of either side
  Region source_region_, destination_region_;
  std::unique_ptr<bucket::JournalFiles> journal_files_;
  std::unique_ptr<bucket::JournalKeeper> journal_;
  std::unique_ptr<flow::ThreadPool> listing_pool_;
};

/// Adds requests, their price, retries and time to a summary.
void add_requests(nlohmann::ordered_json& summary, const bucket::RequestCounts& requests, double dollars,
                  const BucketContext& bucket, Milliseconds elapsed);
/// "requests: 3 LIST, 2,000 COPY; about $0.0102".
std::string requests_text(const bucket::RequestCounts& requests, double dollars);

/// Runs a command. A failure that may pass is told and gives exit_try_again.
int run_bucket_command(Context& context, const char* what, const std::function<int()>& run);

/// A file of JSON lines that is complete when it is closed. Thread-safe. Does nothing without a path.
class ReportFile {
 public:
  /// Throws Error where the file cannot be made.
  ReportFile(Context& context, const std::string& path);
  ~ReportFile();
  void add(const nlohmann::ordered_json& line);
  /// Gives the file its name. Throws Error.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bale::cli
