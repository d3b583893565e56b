#include "cli/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "base/text.hpp"
#include "cli/cloud_backend.hpp"
#include "cli/output.hpp"
#include "cli/status_terminal.hpp"
#include "embedded/backend.hpp"
#include "os/machine.hpp"

namespace bale::cli {
namespace {

using namespace literals;

constexpr const char* default_region = "us-east-1";
constexpr std::size_t default_connections = 32;
/// A service answers after milliseconds, as from another continent after a hundred: what waits costs nothing but its
/// buffers.
constexpr std::size_t default_cloud_connections = 64;
/// What libcurl keeps for a connection: buffers to receive and to send, see http/client.cpp.
constexpr ByteCount connection_memory = 512_KiB;
/// What is cleaned up after a stop takes a few dozen requests, of a fraction of a second each.
constexpr Milliseconds most_cleanup{5'000};
constexpr Milliseconds stop_interval{200};  ///< how often a stop is looked for
constexpr std::size_t max_connections = 1024;
constexpr ByteCount least_memory = 64_MiB;  // a few frames of the default size
/// Code, libraries, SQLite's page caches, the stacks of the pools and what the allocator keeps: measured by
/// tests/e2e/test_memory.py.
constexpr ByteCount own_memory = 64_MiB;
constexpr ByteCount least_default_memory = 256_MiB;  // the default limit is at least this

void take_from(std::string& value, const os::Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (value.empty()) value = os::get_line(environment, name).value_or("");
  }
}

/// A region becomes part of names (buckets, directories, hosts): nothing but what AWS uses.
void check_region(const std::string& region) {
  const bool legal = std::all_of(region.begin(), region.end(),
                                 [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (legal && region.size() <= 63) return;
  throw Error(ErrorKind::invalid, fmt::format("'{}' is not a region", escape_name(region)), {},
              "write a name like eu-central-1: a-z, 0-9 and '-'");
}

/// Shares the file descriptors out: some for strangers, some for files and databases, the rest for connections.
void fit_descriptors(GlobalOptions& options, std::size_t limit) {
  constexpr std::size_t for_files = 56, default_idle = 256;
  // A socket and the two ends that wake libcurl; a data file and what a reader of the database has open.
  const std::size_t each = options.local.empty() ? 3 : 4;
  options.listen_connections = std::clamp<std::size_t>(limit / 16, 4, 256);
  const std::size_t reserved = for_files + options.listen_connections;
  const std::size_t possible = std::max<std::size_t>(limit > reserved ? (limit - reserved) / each : 0, 2);
  options.wanted_connections = options.connections;
  // As many may be idle, kept for other hosts; the embedded store keeps none.
  options.connections = std::min(options.connections, options.local.empty() ? possible / 2 : possible);
  options.idle_connections = std::min(possible - options.connections, std::max(default_idle, options.connections));
}

telemetry::Format parse_format(const std::string& name) {
  if (name == "text") return telemetry::Format::text;
  if (name == "json") return telemetry::Format::json;
  throw Error(ErrorKind::invalid, fmt::format("'{}' is not a log format", escape_name(name)), "--log-format",
              "use text or json");
}

/// One port per region, made at first use.
template <typename Port>
using PerRegion = std::map<Region, std::unique_ptr<Port>>;

template <typename Port, typename Make>
Port& cached(PerRegion<Port>& ports, const Region& region, Make make) {
  check_region(region.str());
  std::unique_ptr<Port>& port = ports[region];
  if (!port) port = make();
  return *port;
}

/// Only what begins a store makes its directory and what is in it: anywhere else a missing one is a misspelt name.
void check_store(os::Files& files, const std::string& local, bool may_make) {
  const auto found = files.info_followed(local);
  if (found && found->type != os::FileType::directory) {
    throw Error(ErrorKind::invalid, "--local (BALE_LOCAL) is not a directory", escape_name(local),
                "name the directory of a store");
  }
  if (may_make || embedded::Backend::exists(local, files)) return;
  throw Error(ErrorKind::not_found,
              found ? "there is no store in the directory of --local (BALE_LOCAL)"
                    : "there is no store: the directory of --local (BALE_LOCAL) does not exist",
              escape_name(local), "check the name; `bale s3 mb` or `bale replicate init` begins a new store");
}

}  // namespace

int exit_status(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::not_found: return exit_not_found;
    case ErrorKind::denied:
    case ErrorKind::precondition:
    case ErrorKind::throttled:
    case ErrorKind::unavailable:
    case ErrorKind::timeout: return exit_refused;
    case ErrorKind::corrupt: return exit_damaged;
    case ErrorKind::invalid:
    case ErrorKind::unsupported: return exit_usage;
    case ErrorKind::cancelled: return exit_interrupted;
    case ErrorKind::internal: return exit_some_failed;
  }
  return exit_some_failed;
}

GlobalOptions resolve(GlobalOptions options, const os::Environment& environment, std::size_t descriptors) {
  take_from(options.local, environment, {"BALE_LOCAL"});
  take_from(options.region, environment, {"AWS_REGION", "AWS_DEFAULT_REGION"});
  check_region(options.region);
  if (options.connections == 0)
    options.connections = options.local.empty() ? default_cloud_connections : default_connections;
  if (options.connections > max_connections) {
    throw Error(ErrorKind::invalid, fmt::format("{} is not in 1-{}", options.connections, max_connections),
                "--connections");
  }
  if (options.memory_limit != 0 && options.memory_limit < least_memory) {
    throw Error(ErrorKind::invalid,
                fmt::format("{} is too little memory to work with", format_bytes(options.memory_limit)),
                "--memory-limit", fmt::format("use at least {}", format_bytes(least_memory)));
  }
  fit_descriptors(options, descriptors);
  return options;
}

struct Context::Parts {
  Parts(os::World outside, const GlobalOptions& options)
      : terminal(outside.terminal, !options.quiet && !options.no_progress && options.output == Output::text,
                 options.output == Output::json ? StatusTerminal::Kind::json : StatusTerminal::Kind::text),
        world{outside.clock, outside.entropy, outside.environment, outside.files, terminal, outside.stop},
        log(world, telemetry::parse_level(options.log_level), parse_format(options.log_format)) {}

  void tell_fitted(const GlobalOptions& options) {
    if (options.connections >= options.wanted_connections) return;
    log.warning(
        "connections.fitted",
        fmt::format("{} connections are used instead of {}: the process may open only {} files; raise `ulimit -n`",
                    options.connections, options.wanted_connections, os::descriptor_limit()));
  }

  embedded::Backend& open_embedded(const GlobalOptions& options, bool may_make) BALE_REQUIRES(mutex) {
    if (!embedded_backend) {
      check_store(world.files, options.local, may_make);
      tell_fitted(options);
      embedded_backend = embedded::Backend::open(options.local, world, breaker);
      tell_lost_files(options, embedded_backend->lost());
    }
    return *embedded_backend;
  }

  void tell_lost_files(const GlobalOptions& options, const embedded::LostFiles& lost) {
    if (lost.count == 0) return;
    std::string names;
    for (const os::fs::path& file : lost.first) names += "\n  " + escape_name(file.native());
    if (lost.count > lost.first.size()) names += fmt::format("\n  and {} more", lost.count - lost.first.size());
    const char* const cause = lost.is_database_older
                                  ? "the database of the store is older than its files (it was brought back from a "
                                    "copy, or its write-ahead log is lost)"
                                  : "the database of the store does not know some of its files";
    const std::string text =
        fmt::format("{}; {} moved to {}: copy back what is wanted with `bale s3 cp`, and remove the rest{}", cause,
                    format_count(lost.count, "file"),
                    escape_name((os::fs::path(options.local) / embedded::lost_directory).native()), names);
    emit_warning(terminal, options.output == Output::json, text);
  }

  CloudBackend& open_cloud(const GlobalOptions& options) BALE_REQUIRES(mutex) {
    if (!cloud_backend) {
      tell_fitted(options);
      cloud_backend = std::make_unique<CloudBackend>(world, options, log, retry_watch);
      cloud_backend->break_off_on(breaker);
    }
    return *cloud_backend;
  }

  /// What `make` makes of the backend that was chosen, either kind of which has the same functions.
  template <typename Port, typename Make>
  Port& open(PerRegion<Port>& ports, const Region& region, const GlobalOptions& options, bool may_make, Make make)
      BALE_REQUIRES(mutex) {
    if (!options.local.empty()) {
      embedded::Backend& backend = open_embedded(options, may_make);
      return cached(ports, region, [&] { return make(backend); });
    }
    CloudBackend& backend = open_cloud(options);
    return cached(ports, region, [&] { return make(backend); });
  }

  void break_off_on(const std::stop_token& stop) BALE_REQUIRES(mutex) {
    breaker = stop;
    if (cloud_backend) cloud_backend->break_off_on(stop);
  }

  StatusTerminal terminal;
  os::World world;
  telemetry::Log log;
  Mutex mutex;
  std::unique_ptr<embedded::Backend> embedded_backend BALE_GUARDED_BY(mutex);
  std::unique_ptr<CloudBackend> cloud_backend BALE_GUARDED_BY(mutex);
  std::unique_ptr<embedded::Backend> state_backend BALE_GUARDED_BY(mutex);  ///< of local_records()
  std::unique_ptr<records::RecordStore> local_records BALE_GUARDED_BY(mutex);
  RetryWatch retry_watch BALE_GUARDED_BY(mutex);
  std::stop_token breaker BALE_GUARDED_BY(mutex);  ///< what breaks requests off
  std::jthread grace BALE_GUARDED_BY(mutex);       ///< requests a stop when the time for cleaning up is over
  PerRegion<store::ObjectStore> stores BALE_GUARDED_BY(mutex), bare_stores BALE_GUARDED_BY(mutex);
  PerRegion<store::BucketSettings> bucket_settings BALE_GUARDED_BY(mutex);
  PerRegion<queue::MessageQueue> queues BALE_GUARDED_BY(mutex);
  PerRegion<records::RecordStore> records BALE_GUARDED_BY(mutex);
  ByteCount reserved_memory BALE_GUARDED_BY(mutex) = 0;
  std::unique_ptr<flow::MemoryBudget> budget BALE_GUARDED_BY(mutex);
  // Last, so that they are joined before what their tasks use is gone.
  std::unique_ptr<flow::ThreadPool> connections BALE_GUARDED_BY(mutex), cores BALE_GUARDED_BY(mutex);
};

Context::Context(os::World world, GlobalOptions options)
    : options_(std::move(options)),
      parts_(std::make_unique<Parts>(std::move(world), options_)),
      world_(parts_->world) {}

Context::~Context() = default;

telemetry::Log& Context::log() { return parts_->log; }

void Context::use_connections(std::size_t connections) {
  options_.connections = std::clamp<std::size_t>(connections, 1, max_connections);
  fit_descriptors(options_, os::descriptor_limit());
}

void Context::use_log_level(const std::string& level) { parts_->log.set_least(telemetry::parse_level(level)); }

Region Context::region() {
  if (!options_.region.empty()) return Region(options_.region);
  if (!options_.local.empty()) return Region(default_region);
  const Lock lock(parts_->mutex);
  return Region(parts_->open_cloud(options_).region().value_or(default_region));
}

void Context::break_off_on_stop() {
  const Lock lock(parts_->mutex);
  parts_->break_off_on(world_.stop);
  parts_->grace = {};
}

void Context::clean_up_after_stop() {
  const Lock lock(parts_->mutex);
  std::stop_source over;
  parts_->break_off_on(over.get_token());
  parts_->grace = std::jthread([over, &world = parts_->world](const std::stop_token& end) mutable {
    while (!world.stop.stop_requested()) {
      if (!world.clock.sleep_for(stop_interval, end)) return;
    }
    if (world.clock.sleep_for(most_cleanup, end)) over.request_stop();
  });
}

void Context::watch_retries(RetryWatch watch) {
  const Lock lock(parts_->mutex);
  parts_->retry_watch = std::move(watch);
}

bool Context::store_exists() {
  return options_.local.empty() || embedded::Backend::exists(options_.local, world_.files);
}

store::ObjectStore& Context::store(const Region& region) {
  const Lock lock(parts_->mutex);
  return parts_->open(parts_->stores, region, options_, may_make_store_,
                      [&](auto& backend) { return backend.store(region); });
}

store::BucketSettings& Context::bucket_settings(const Region& region) {
  const Lock lock(parts_->mutex);
  return parts_->open(parts_->bucket_settings, region, options_, may_make_store_,
                      [&](auto& backend) { return backend.bucket_settings(region); });
}

store::ObjectStore& Context::bare_store(const Region& region) {
  if (!options_.local.empty()) return store(region);
  const Lock lock(parts_->mutex);
  CloudBackend& backend = parts_->open_cloud(options_);
  return cached(parts_->bare_stores, region, [&] { return backend.bare_store(region); });
}

std::unique_ptr<store::ObjectStore> Context::stoppable_store(const Region& region, std::stop_token stop) {
  if (!options_.local.empty()) return nullptr;
  const Lock lock(parts_->mutex);
  return parts_->open_cloud(options_).stoppable_store(region, std::move(stop));
}

std::string Context::store_service(const Region& region) {
  if (!options_.local.empty()) return "file://" + os::fs::absolute(options_.local).lexically_normal().native();
  const Lock lock(parts_->mutex);
  return parts_->open_cloud(options_).s3_service(region);
}

queue::MessageQueue& Context::queues(const Region& region) {
  const Lock lock(parts_->mutex);
  return parts_->open(parts_->queues, region, options_, may_make_store_,
                      [&](auto& backend) { return backend.queues(region); });
}

records::RecordStore& Context::records(const Region& region) {
  const Lock lock(parts_->mutex);
  return parts_->open(parts_->records, region, options_, may_make_store_,
                      [&](auto& backend) { return backend.records(region); });
}

records::RecordStore& Context::local_records(const os::fs::path& directory) {
  const Lock lock(parts_->mutex);
  if (!parts_->local_records) {
    world_.files.make_private_directories(directory);
    parts_->state_backend = embedded::Backend::open(directory, parts_->world, parts_->breaker);
    parts_->local_records = parts_->state_backend->records(Region(default_region));
  }
  return *parts_->local_records;
}

AthenaAccess Context::athena(const Region& region) {
  if (!options_.local.empty()) {
    throw Error(ErrorKind::unsupported, "there is no Athena in a directory", "--local (BALE_LOCAL)",
                "leave --engine athena away: the same SQL runs on this machine");
  }
  check_region(region.str());
  const Lock lock(parts_->mutex);
  return parts_->open_cloud(options_).athena(region);
}

std::optional<TimePoint> Context::credentials_end() {
  if (!options_.local.empty()) return std::nullopt;
  const Lock lock(parts_->mutex);
  return parts_->open_cloud(options_).credentials_end();
}

flow::Pools Context::pools() {
  const Lock lock(parts_->mutex);
  if (!parts_->connections) {
    parts_->connections = std::make_unique<flow::ThreadPool>(options_.connections, "connection");
    parts_->cores = std::make_unique<flow::ThreadPool>(os::usable_cores(world_.files), "core");
  }
  return {*parts_->connections, *parts_->cores};
}

ByteCount Context::memory_limit() const {
  if (options_.memory_limit != 0) return options_.memory_limit;
  return std::max(os::usable_memory(world_.files) / 4, least_default_memory);
}

flow::MemoryBudget& Context::budget() {
  const Lock lock(parts_->mutex);
  if (!parts_->budget) {
    const ByteCount limit = memory_limit();
    const ByteCount for_connections = options_.local.empty() ? options_.connections * connection_memory : 0;
    const ByteCount beside = own_memory + for_connections + parts_->reserved_memory;
    parts_->budget = std::make_unique<flow::MemoryBudget>(limit - std::min(beside, limit / 2));
  }
  return *parts_->budget;
}

void Context::reserve_memory(ByteCount bytes) {
  const Lock lock(parts_->mutex);
  parts_->reserved_memory = std::max(parts_->reserved_memory, bytes);
}

void Context::print(std::string_view line) {
  if (options_.quiet && options_.output == Output::text) return;
  world_.terminal.out(std::string(line) + "\n");
}

void Context::print_bytes(ByteView bytes) { parts_->terminal.out_bytes(bytes); }

void Context::set_status(std::string_view line) { parts_->terminal.set_status(line); }
bool Context::shows_status() const noexcept { return parts_->terminal.shows_status(); }

}  // namespace bale::cli
