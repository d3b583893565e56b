#include "cli/raw_context.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "cli/output.hpp"
#include "os/environment.hpp"
#include "os/process_identity.hpp"

namespace bale::cli {
namespace {

/// The directory for state of this machine.
/// https://specifications.freedesktop.org/basedir-spec/latest/
os::fs::path default_records(const os::Environment& environment) {
  if (const auto state = os::get_line(environment, "XDG_STATE_HOME"); state && !state->empty())
    return os::fs::path(*state) / "bale" / "raw-records";
  const auto home = os::get_line(environment, "HOME");
  if (!home || home->empty()) {
    throw Error(ErrorKind::invalid, "cannot choose a directory for records: HOME is not set", {},
                "set HOME, or give a directory with --records");
  }
  return os::fs::path(*home) / ".local" / "state" / "bale" / "raw-records";
}

/// In the directory of records: where the processes of this host share the number of uploads.
constexpr const char* slots_directory = "raw-uploads";

std::string from_environment(const std::string& value, const os::Environment& environment, const char* name) {
  return value.empty() ? os::get_line(environment, name).value_or("") : value;
}

}  // namespace

void add_raw_options(CLI::App& command, RawOptions& options) {
  command.add_option("--config", options.config, "configuration, a YAML file [BALE_RAW_CONFIG]")->type_name("FILE");
  command
      .add_option("--records", options.records,
                  "where records are kept: a directory of this machine, or "
                  "dynamodb [BALE_RAW_RECORDS]")
      ->type_name("PLACE");
}

RawContext::RawContext(Context& context, const RawOptions& options) : context_(context) {
  const os::Environment& environment = context.world().environment;
  const std::string file = from_environment(options.config, environment, "BALE_RAW_CONFIG");
  if (file.empty()) {
    throw Error(ErrorKind::invalid, "missing configuration", {},
                "give --config FILE.yaml, or set BALE_RAW_CONFIG (schema: `bale config schema raw`)");
  }
  config_ = config::load_raw_config(context.world().files, file);
  if (config_.s3) context.use_s3_endpoint(config_.s3->endpoint_url);
  std::string place = from_environment(options.records, environment, "BALE_RAW_RECORDS");
  if (place.empty()) place = config_.records;
  const Region region = config_.s3 ? config_.s3->region : context.region();
  if (place == config::raw_records_in_dynamodb) {
    record_store_ = &context.records(region);
    const auto home = os::get_line(environment, "HOME");
    if (home && !home->empty()) upload_slots_ = default_records(environment) / slots_directory;
  } else if (place.empty() && !context.options().local.empty()) {
    context.allow_new_store();
    record_store_ = &context.records(region);
    upload_slots_ = os::fs::path(context.options().local) / slots_directory;
  } else {
    const os::fs::path directory = place.empty() ? default_records(environment) : os::fs::path(place);
    record_store_ = &context.local_records(directory);
    upload_slots_ = directory / slots_directory;
  }
  records_.emplace(*record_store_, config_.records_table);
  if (!config_.s3 || config_.s3->bandwidth_limit.is_unlimited()) return;
  limit_ = std::make_unique<flow::RateLimit>(context.world().clock, [this] {
    return config_.s3->bandwidth_limit.limit_at(os::local_time_of_day(context_.world().clock.now()));
  });
}

store::ObjectStore* RawContext::store() {
  if (!config_.s3) return nullptr;
  context_.allow_new_store();
  return &context_.store(config_.s3->region);
}

raw::Tools RawContext::tools() {
  return {context_.world(), context_.pools(), context_.budget(), context_.log(), progress_};
}

std::unique_ptr<raw::RawRun> RawContext::run(const raw::Tools& tools) {
  raw::RunPorts ports{.records = *records_, .record_store = *record_store_};
  ports.store = store();
  if (config_.s3) ports.is_aws = context_.store_service(config_.s3->region) == "aws";
  if (config_.s3) ports.settings = &context_.bucket_settings(config_.s3->region);
  const os::ProcessIdentity self = os::this_process(context_.world().files);
  ports.self = {.host = self.host,
                .pid = self.pid,
                .run = fmt::format("{:016x}", context_.world().entropy.next_u64()),
                .machine = self.machine,
                .process = self.started};
  ports.has_ended = [&files = context_.world().files](const records::LeaseHolder& holder) {
    return os::has_ended(files, {holder.host, holder.pid, holder.machine, holder.process});
  };
  ports.limit = limit_.get();
  ports.upload_slots = upload_slots_;
  if (config_.s3) {
    ports.stoppable_store = [this](std::stop_token stop) {
      return context_.stoppable_store(config_.s3->region, std::move(stop));
    };
  }
  return std::make_unique<raw::RawRun>(config_, ports, tools,
                                       [this](const std::string& text) { emit_warning(context_, text); });
}

void RawExit::add(const Error& error) {
  const int status = raw::exit_status_of(error);
  status_ = status_ == exit_ok || status_ == status ? status : static_cast<int>(exit_some_failed);
}

}  // namespace bale::cli
