// What every command gets: the world, the global options, and the stores. The one place where kinds of ports are
// chosen.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/names.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/world.hpp"
#include "queue/message_queue.hpp"
#include "records/record_store.hpp"
#include "store/bucket_settings.hpp"
#include "store/object_store.hpp"
#include "telemetry/log.hpp"

namespace bale::cli {

struct AthenaAccess;  // cli/cloud_backend.hpp

enum class Output { text, json };

/// Options that every command takes.
struct GlobalOptions {
  std::string local;                 ///< --local or BALE_LOCAL: directory of the embedded backend; empty: AWS
  std::string endpoint_url;          ///< --endpoint-url alone: cloud::Session knows the other places
  std::string s3_endpoint_url = {};  ///< of S3 alone, from the configuration of raw files
  std::string region;                ///< --region, AWS_REGION, AWS_DEFAULT_REGION; empty: see Context::region()
  std::string profile;               ///< --profile alone: one that the environment chooses counts less than keys there
  std::string ca_bundle;             ///< --ca-bundle: PEM file of trusted authorities; empty: see cloud::SessionOptions
  Output output = Output::text;
  std::string log_level = "warning";
  std::string log_format = "text";
  bool no_progress = false;
  bool quiet = false;
  bool dryrun = false;
  ByteCount memory_limit = 0;   ///< bytes; 0: a quarter of what the container may use, at least 256 MiB
  std::size_t connections = 0;  ///< size of the connection pool; 0: 32
  // What resolve() makes of them and of the limit of file descriptors:
  std::size_t wanted_connections = 0;  ///< `connections` before it was fitted to the limit
  std::size_t idle_connections = 0;    ///< connections that are kept open unused
  std::size_t listen_connections = 0;  ///< of the clients of --listen, together
};

/// Exit statuses.
enum Exit : int {
  exit_ok = 0,
  exit_some_failed = 1,  ///< some items failed, each was named; also a defect in Bale itself
  exit_usage = 2,        ///< usage or configuration: invalid, unsupported
  exit_not_found = 3,
  exit_refused = 4,  ///< refused by the service or the system, or no answer from it: denied, precondition, throttled,
                     ///< unavailable, timeout
  exit_damaged = 5,
  exit_try_again = 75,     ///< of `bale raw` and `bale bucket`: could not be done now (EX_TEMPFAIL of sysexits.h)
  exit_interrupted = 130,  ///< as a shell reports SIGINT (128 + 2)
  exit_broken_pipe = 141,  ///< the reader of standard output went away (128 + SIGPIPE); says nothing on stderr
};
/// The status with which a command that ended in an error of this kind exits.
int exit_status(ErrorKind kind) noexcept;

/// Returns the options with what the environment says where the command line was silent (BALE_LOCAL, AWS_REGION,
/// AWS_DEFAULT_REGION), with defaults, and with connections that fit into `descriptors`, the file descriptors that the
/// process may open. Throws Error{invalid} for a region or number that cannot be.
GlobalOptions resolve(GlobalOptions options, const os::Environment& environment,
                      std::size_t descriptors = std::numeric_limits<std::size_t>::max());

/// Told of each failure of a request to S3 that is tried again. Called by any thread; must not throw.
using RetryWatch = std::function<void(const Error& failure)>;

/// Everything a command works with. Stores and pools are made at first use and live as long as the context.
/// Thread-safe.
class Context {
 public:
  /// `options` as resolve() gives them. Opens nothing. Throws Error{invalid} for a log level or format that cannot be.
  Context(os::World world, GlobalOptions options);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  os::World& world() noexcept { return world_; }
  const GlobalOptions& options() const noexcept { return options_; }
  telemetry::Log& log();
  /// --region or its variables; else, where AWS is asked, that of the profile; else us-east-1. Throws Error{invalid}
  /// for configuration files that cannot be read.
  Region region();
  /// The stop token of the world: requested by SIGINT and SIGTERM.
  std::stop_token stop() const { return world_.stop; }

  /// From now on a stop breaks off requests that are under way, but for those that abort an upload, and waits for locks
  /// of the embedded store: for commands that a stop ends. To be called before any port is asked for. Services and
  /// others finish what they have in hand.
  void break_off_on_stop();
  /// Gives requests from now on five seconds after a stop: for what has to be cleaned up then. Until the next
  /// break_off_on_stop().
  void clean_up_after_stop();

  /// Tells `watch` of requests to S3 that are tried again. To be called before any port is asked for; what it uses
  /// outlives the context.
  void watch_retries(RetryWatch watch);

  /// Lets the ports make the embedded store when it is missing: for the commands that a store begins with. To be called
  /// before any port is asked for.
  void allow_new_store() noexcept { may_make_store_ = true; }
  /// Whether the embedded store is there; true for other kinds.
  bool store_exists();
  /// Sets the address of S3 that a configuration names, where --endpoint-url is silent. To be called before any port is
  /// asked for.
  void use_s3_endpoint(const std::string& url) { options_.s3_endpoint_url = url; }
  /// Replaces --profile. To be called before any port is asked for.
  void use_profile(const std::string& name) { options_.profile = name; }
  /// Replaces --connections, fitted to the limit of file descriptors. To be called before any port is asked for.
  void use_connections(std::size_t connections);
  /// Replaces --log-level. Throws Error{invalid} for a level that cannot be. To be called before other threads log.
  void use_log_level(const std::string& level);

  /// The ports as seen from a region: of the embedded store with --local, else of AWS. With --local but without
  /// allow_new_store(), throws Error{not_found} where the embedded store is missing; without --local, Error{invalid}
  /// for configuration files or an endpoint that cannot be read.
  store::ObjectStore& store(const Region& region);
  store::BucketSettings& bucket_settings(const Region& region);
  /// Which service the stores of a region are of: buckets of one service have distinct names. "file:///..." of the
  /// embedded store, else as CloudBackend::s3_service() says.
  std::string store_service(const Region& region);
  /// As store(), without what Bale does in the place of a server that leaves something out: to examine the server. The
  /// embedded store leaves nothing out, and is store() itself.
  store::ObjectStore& bare_store(const Region& region);
  /// As store(), with requests that are not tried again once `stop` is requested. Null of the embedded store, which
  /// tries nothing again. Valid as long as the context.
  std::unique_ptr<store::ObjectStore> stoppable_store(const Region& region, std::stop_token stop);
  queue::MessageQueue& queues(const Region& region);
  records::RecordStore& records(const Region& region);
  /// Returns the records of an embedded store in `directory`, which is made where missing, whatever --local says: for
  /// state of this machine. The first call's directory is used by all. Valid as long as the context.
  records::RecordStore& local_records(const os::fs::path& directory);
  /// Athena in a region, valid as long as the context. Throws Error{unsupported} with --local, where there is none;
  /// otherwise as the ports do.
  AthenaAccess athena(const Region& region);

  /// As CloudBackend::credentials_end(); absent with --local.
  std::optional<TimePoint> credentials_end();

  flow::Pools pools();
  /// For data in flight: the memory limit, less what the program itself needs and what was reserved.
  flow::MemoryBudget& budget();
  /// Bytes that the process may take: --memory-limit, or its default.
  ByteCount memory_limit() const;
  /// Takes memory that the command uses beside the budget (compression contexts of the cores) off the limit, but at
  /// most half of it. To be called before the first budget(); the largest of several calls counts.
  void reserve_memory(ByteCount bytes);

  bool json() const noexcept { return options_.output == Output::json; }
  /// Writes a result line (the newline is added); nothing with --quiet in text mode. Control characters but line ends
  /// and tabs are escaped.
  void print(std::string_view line);
  /// Writes results as they are, without escaping anything: the bytes of an object.
  void print_bytes(ByteView bytes);
  /// Shows one line at the bottom of the terminal on stderr, in place of the one before; empty: none. Other output goes
  /// above it. Does nothing where progress is not to be shown (--no-progress, --quiet, stderr is no terminal).
  void set_status(std::string_view line);
  /// Whether set_status() shows anything.
  bool shows_status() const noexcept;

 private:
  struct Parts;
  GlobalOptions options_;
  bool may_make_store_ = false;
  std::unique_ptr<Parts> parts_;
  os::World world_;  ///< its terminal keeps the status line below what is written
};

}  // namespace bale::cli
