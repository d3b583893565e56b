// bale config: check, schema
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/orphan_printer.hpp"
#include "cli/output.hpp"
#include "config/raw.hpp"
#include "config/replication.hpp"

namespace bale::cli {
namespace {

using nlohmann::ordered_json;

std::string source_text(const config::Source& source) {
  std::string text = source.bucket.str() + "/";
  if (!source.prefix.empty()) text += source.prefix + "/";
  return text + (source.suffix.empty() ? "" : "*" + source.suffix);
}

std::string destination_text(const config::Destination& destination) {
  std::string text = fmt::format("{} in {}", destination.bucket.str(), destination.region.str());
  if (destination.backup) text += ", backup";
  if (!destination.storage_class.empty()) text += ", " + destination.storage_class;
  if (!destination.kms_key_arn.empty()) text += ", KMS";
  return text;
}

std::string rules_table(const config::ReplicationConfig& config) {
  Table table({{"Source"}, {"Region"}, {"Destination"}, {"Queue"}});
  for (const config::Rule& rule : config.rules) {
    bool first = true;
    for (const config::Destination& destination : rule.destinations) {
      table.add({first ? source_text(rule.source) : "", first ? rule.source.region.str() : "",
                 destination_text(destination), first ? config::source_queue(config.settings, rule.source).str() : ""});
      first = false;
    }
  }
  return table.text();
}

/// What each region of the configuration has of Bale's own.
struct Staging {
  Region region;
  std::vector<BucketName> buckets;
  std::vector<QueueName> queues;
};

std::vector<Staging> staging_of(const config::Settings& settings) {
  std::vector<Staging> all;
  for (const config::EnabledRegion& enabled : settings.enabled_regions) {
    Staging staging{.region = enabled.region};
    if (enabled.source) {
      staging.buckets.push_back(config::outbound_bucket(settings, enabled.region));
      staging.queues.push_back(config::relay_queue(settings, enabled.region));
    }
    if (enabled.target) {
      staging.buckets.push_back(config::inbound_bucket(settings, enabled.region));
      staging.buckets.push_back(config::catalog_bucket(settings, enabled.region));
      staging.queues.push_back(config::target_queue(settings, enabled.region));
    }
    all.push_back(std::move(staging));
  }
  return all;
}

template <typename Names>
std::vector<std::string> texts(const Names& names) {
  std::vector<std::string> all;
  for (const auto& name : names) all.push_back(name.str());
  return all;
}

std::string staging_table(const config::Settings& settings) {
  Table table({{"Region"}, {"Staging buckets"}, {"Queues"}});
  for (const Staging& staging : staging_of(settings)) {
    const std::size_t rows = std::max(staging.buckets.size(), staging.queues.size());
    for (std::size_t i = 0; i < rows; ++i) {
      table.add({i == 0 ? staging.region.str() : "", i < staging.buckets.size() ? staging.buckets[i].str() : "",
                 i < staging.queues.size() ? staging.queues[i].str() : ""});
    }
  }
  return table.text();
}

ordered_json rule_json(const config::ReplicationConfig& config, const config::Rule& rule) {
  ordered_json destinations = ordered_json::array();
  for (const config::Destination& destination : rule.destinations) {
    destinations.push_back({{"bucket", destination.bucket.str()},
                            {"region", destination.region.str()},
                            {"backup", destination.backup},
                            {"storage_class", destination.storage_class}});
  }
  return {{"type", "rule"},
          {"bucket", rule.source.bucket.str()},
          {"region", rule.source.region.str()},
          {"prefix", rule.source.prefix},
          {"suffix", rule.source.suffix},
          {"queue", config::source_queue(config.settings, rule.source).str()},
          {"destinations", destinations}};
}

void print_summary(Context& context, const config::ReplicationConfig& config) {
  if (!context.json()) {
    const auto count = [](std::size_t n, std::string_view what) {
      return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
    };
    context.print(fmt::format("stack {}, account {}: {}, {}\n", config.settings.stack_name, config.settings.account,
                              count(config.rules.size(), "rule"),
                              count(config.settings.enabled_regions.size(), "region")));
    context.print(rules_table(config) + "\n");
    context.print(staging_table(config.settings));
    return;
  }
  for (const config::Rule& rule : config.rules) emit_json(context, rule_json(config, rule));
  for (const Staging& staging : staging_of(config.settings)) {
    emit_json(context, {{"type", "staging"},
                        {"region", staging.region.str()},
                        {"buckets", texts(staging.buckets)},
                        {"queues", texts(staging.queues)}});
  }
}

/// "20.0 MiB/s", or by times of day: "08:00-18:00 20.0 MiB/s, 18:00-08:00 unlimited".
std::string bandwidth_text(const config::BandwidthSchedule& schedule) {
  if (schedule.is_unlimited()) return "unlimited";
  std::vector<std::string> texts;
  for (const auto& [from, to, rate] : schedule.periods) {
    std::string text = rate ? format_bytes(*rate) + "/s" : "unlimited";
    if (from != to) {
      const auto time = [](std::chrono::minutes at) {
        return fmt::format("{:02}:{:02}", at.count() / 60, at.count() % 60);
      };
      text = fmt::format("{}-{} {}", time(from), time(to), text);
    }
    texts.push_back(std::move(text));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string or_default(const std::string& text, std::string_view otherwise) {
  return text.empty() ? std::string(otherwise) : escape_for_terminal(text);
}

void print_raw_summary(Context& context, const config::RawConfig& config) {
  const bool is_s3 = config.backup_type == config::BackupType::s3;
  ordered_json json = {{"type", "raw"},
                       {"backup_type", config::to_string(config.backup_type)},
                       {"layout", config::to_string(config.layout)},
                       {"purging_verification_type", config::to_string(config.purging_verification)},
                       {"pool_path", escape_for_terminal(config.pool_path.native())},
                       {"records_table", config.records_table.str()}};
  Table table({{"Setting"}, {"Value"}});
  table.add({"backup_type", std::string(config::to_string(config.backup_type))});
  table.add({"pool_path", or_default(config.pool_path.native(), "none: local copies are not made")});
  if (is_s3) {
    const config::RawS3& s3 = *config.s3;
    json["region"] = s3.region.str();
    json["bucket_prefix"] = s3.bucket_prefix;
    json["part_bytes"] = s3.part_bytes;
    table.add({"buckets", fmt::format("{}-{{project}} in {}{}", to_lower(s3.bucket_prefix), s3.region.str(),
                                      s3.auto_create_buckets ? ", made where missing" : "")});
    table.add({"part size", format_bytes(s3.part_bytes)});
    table.add({"bandwidth", bandwidth_text(s3.bandwidth_limit)});
  }
  table.add({"layout", std::string(config::to_string(config.layout))});
  table.add({"purging verified by", std::string(config::to_string(config.purging_verification))});
  table.add({"records", config.records_table.str()});
  for (const auto& [name, path] : config.instruments)
    table.add({fmt::format("instrument {}", escape_for_terminal(name)), escape_for_terminal(path.native())});
  if (context.json())
    emit_json(context, json);
  else
    context.print(table.text());
}

struct CheckOptions {
  std::string directory;
  std::string file;  ///< of YAML, instead of the directory
  bool stack = false;
};

int check_files(Context& context, const CheckOptions& options) {
  const std::string& file =
      options.file.empty() && config::is_yaml_name(options.directory) ? options.directory : options.file;
  if (!file.empty()) {
    print_raw_summary(context, config::load_raw_config(context.world().files, file));
    return exit_ok;
  }
  const config::ReplicationConfig config = config::load_replication_config(context.world().files, options.directory);
  print_summary(context, config);
  // A store of this machine can be looked at without being asked for; the services of AWS want credentials.
  const bool is_local = !context.options().local.empty() && context.store_exists();
  if (options.stack || is_local) print_orphans(context, service::find_orphans(config, ports_of(context)));
  return exit_ok;
}

int check(Context& context, const CheckOptions& options) {
  context.break_off_on_stop();
  try {
    return check_files(context, options);
  } catch (const config::InvalidConfig& error) {
    if (!context.json()) throw;
    for (const config::Finding& finding : error.findings()) {
      ordered_json json = {{"type", "finding"}, {"file", finding.file}, {"path", finding.path}};
      if (finding.line != 0) json.update({{"line", finding.line}, {"column", finding.column}});
      json["message"] = finding.message;
      emit_json(context, json);
    }
    throw;
  }
}

void add_config_check_command(CLI::App& config, Action& action) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* command = config.add_subcommand("check", "Validate a configuration and show what it means");
  CLI::Option_group* what = command->add_option_group("Configuration");
  what->add_option("file", options->file, "YAML file with a section backup, of raw file backup")
      ->type_name("FILE.yaml");
  what->add_option("--config", options->directory, "directory of settings.json and replication_config.json")
      ->type_name("DIR");
  what->require_option(1);
  command->add_flag(
      "--stack", options->stack,
      "ask the services too, and name queues, staged archives and notifications of the stack that no rule "
      "uses [on with --local]");
  command->callback([&action, options] { action = [options](Context& context) { return check(context, *options); }; });
}

void add_config_schema_command(CLI::App& config, Action& action) {
  const auto name = std::make_shared<std::string>();
  CLI::App* command = config.add_subcommand("schema", "Print the JSON Schema of a configuration file");
  command->add_option("file", *name, "settings, replication or raw")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>{"settings", "replication", "raw"}).description(""));
  command->callback([&action, name] {
    action = [name](Context& context) {
      context.world().terminal.out(*name == "settings"      ? config::settings_schema()
                                   : *name == "replication" ? config::replication_schema()
                                                            : config::raw_schema());
      return exit_ok;
    };
  });
}

}  // namespace

void add_config_command(CLI::App& app, Action& action) {
  CLI::App* config = app.add_subcommand("config", "Check configuration files, print their schemas");
  config->require_subcommand(1);
  add_config_check_command(*config, action);
  add_config_schema_command(*config, action);
}

}  // namespace bale::cli
