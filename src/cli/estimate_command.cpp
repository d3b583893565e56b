// bale estimate
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "jobs/estimate/estimate.hpp"
#include "jobs/estimate/price_table.hpp"
#include "os/files.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double gib = 1ULL << 30;
constexpr std::chrono::hours month{24 * 30};

struct EstimateOptions {
  std::string uri;
  std::vector<std::string> to;
  std::string storage_class = "STANDARD";
  std::string prices;
  std::string monthly;
  std::string sample = "64MiB";
  double fixed = 0;
  bool show_prices = false;
};

/// Everything that is known when it is printed.
struct Report {
  const EstimateOptions& options;
  Region from;
  estimate::PriceTable prices;
  std::vector<estimate::Destination> to;
  estimate::Findings findings;
  estimate::Volume volume;
  bool volume_is_all = false;  ///< nothing came in lately: everything that is there counts as one month
  estimate::Bill bill;
};

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

estimate::PriceTable read_prices(Context& context, const std::string& path) {
  if (path.empty()) return estimate::parse_price_table(estimate::default_price_table());
  try {
    return estimate::parse_price_table(os::read_text_file(context.world().files, path, 1 << 20));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) throw;
    throw error.with_where(fmt::format("{}: {}", path, error.where()));
  }
}

/// What comes in during a month: as the user says, else what came in during the last 30 days, else all there is.
void settle_volume(Report& report, TimePoint now) {
  const estimate::Inventory& inventory = report.findings.inventory;
  estimate::Amount amount = inventory.since(now - month);
  if (amount.bytes == 0) {
    amount = inventory.all();
    report.volume_is_all = true;
  }
  report.volume = {static_cast<double>(amount.objects), static_cast<double>(amount.bytes)};
  if (report.options.monthly.empty()) return;
  const double bytes = static_cast<double>(parse_bytes(report.options.monthly));
  const estimate::Amount& all = inventory.all();
  const double mean = all.objects == 0 ? 1 << 20 : static_cast<double>(all.bytes) / static_cast<double>(all.objects);
  report.volume = {std::ceil(bytes / std::max(1.0, mean)), bytes};
  report.volume_is_all = false;
}

Json json_of(const estimate::Costs& costs) {
  return {{"transfer", costs.transfer}, {"compute", costs.compute}, {"requests", costs.requests},
          {"storage", costs.storage},   {"fixed", costs.fixed},     {"total", costs.total()}};
}

Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

void print_json(Context& context, const Report& report) {
  const estimate::Inventory& inventory = report.findings.inventory;
  const estimate::Predicted& predicted = report.findings.predicted;
  for (const estimate::ClassPrediction& each : predicted.classes)
    emit_json(context, {{"type", "class"},
                        {"class", each.name},
                        {"samples", each.samples},
                        {"share", each.share},
                        {"level", each.level},
                        {"ratio", each.ratio}});
  emit_json(context, {{"type", "estimate"},
                      {"objects", inventory.all().objects},
                      {"bytes", inventory.all().bytes},
                      {"samples", predicted.samples},
                      {"sample_bytes", predicted.sample_bytes},
                      {"unread", report.findings.unread},
                      {"ratio", predicted.mean.ratio},
                      {"ratio_error", predicted.error},
                      {"monthly_objects", report.volume.objects},
                      {"monthly_bytes", report.volume.bytes},
                      {"prices_dated", report.prices.dated},
                      {"now", json_of(report.bill.now)},
                      {"bale_objects", json_of(report.bill.normal)},
                      {"bale_archives", json_of(report.bill.backup)},
                      {"break_even_gib_objects", json_of(report.bill.break_even_normal)},
                      {"break_even_gib_archives", json_of(report.bill.break_even_backup)}});
}

void print_sample(Context& context, const Report& report) {
  const estimate::Inventory& inventory = report.findings.inventory;
  const estimate::Predicted& predicted = report.findings.predicted;
  context.print(
      fmt::format("{}, {}", format_count(inventory.all().objects, "object"), format_bytes(inventory.all().bytes)));
  for (const auto& [storage_class, amount] : inventory.by_storage_class())
    if (inventory.by_storage_class().size() > 1)
      context.print(fmt::format("  {}: {}, {}", escape_for_terminal(storage_class),
                                format_count(amount.objects, "object"), format_bytes(amount.bytes)));
  if (predicted.samples == 0) return context.print("nothing to look into: the figures below are without compression");
  context.print(fmt::format("looked into {} ({}): {} is left of the bytes, give or take {} (95 %)\n",
                            format_count(predicted.samples, "object"), format_bytes(predicted.sample_bytes),
                            percent(predicted.mean.ratio), percent(predicted.error)));
  Table table(
      {{"CLASS"}, {"SHARE", Align::right}, {"SAMPLES", Align::right}, {"LEVEL", Align::right}, {"LEFT", Align::right}});
  for (const estimate::ClassPrediction& each : predicted.classes)
    table.add(
        {each.name, percent(each.share), format_count(each.samples), std::to_string(each.level), percent(each.ratio)});
  context.print(table.text());
}

void print_bill(Context& context, const Report& report) {
  const estimate::Bill& bill = report.bill;
  std::string regions;
  for (const estimate::Destination& each : report.to) regions += (regions.empty() ? "" : ", ") + each.region.str();
  context.print(fmt::format("\na month of {} ({}){}, from {} to {}:\n",
                            format_count(bytes_of(report.volume.objects), "object"),
                            format_bytes(bytes_of(report.volume.bytes)), report.volume_is_all ? ", all there is" : "",
                            report.from.str(), regions));
  Table table(
      {{"US DOLLARS"}, {"NOW", Align::right}, {"BALE, OBJECTS", Align::right}, {"BALE, ARCHIVES", Align::right}});
  const auto row = [&](const char* name, double estimate::Costs::*part) {
    table.add(
        {name, format_dollars(bill.now.*part), format_dollars(bill.normal.*part), format_dollars(bill.backup.*part)});
  };
  row("transfer", &estimate::Costs::transfer);
  row("compute", &estimate::Costs::compute);
  row("requests", &estimate::Costs::requests);
  row("storage", &estimate::Costs::storage);
  row("fixed", &estimate::Costs::fixed);
  table.add({"total", format_dollars(bill.now.total()), format_dollars(bill.normal.total()),
             format_dollars(bill.backup.total())});
  context.print(table.text());
  const auto verdict = [&](const char* what, const estimate::Costs& bale, const std::optional<double>& from) {
    const double saved = bill.now.total() - bale.total();
    std::string text =
        fmt::format("{}: {} {} a month", what, saved < 0 ? "costs" : "saves", format_dollars(std::abs(saved)));
    if (!from) text += "; does not pay at any volume";
    if (from && bale.fixed > 0) text += fmt::format("; pays from {} a month", format_bytes(bytes_of(*from * gib)));
    context.print(text);
  };
  context.print("");
  verdict("objects at the destination", bill.normal, bill.break_even_normal);
  verdict("archives at the destination", bill.backup, bill.break_even_backup);
  context.print(fmt::format("prices of {}: {}", escape_for_terminal(report.prices.dated),
                            escape_for_terminal(report.prices.note)));
}

int run(Context& context, const EstimateOptions& options) {
  context.break_off_on_stop();
  if (options.show_prices) {
    context.print(estimate::default_price_table());
    return exit_ok;
  }
  if (options.uri.empty() || options.to.empty())
    throw Error(ErrorKind::invalid, "what is estimated is not said", "estimate",
                "bale estimate s3://bucket/prefix --to REGION");
  const ObjectAddress where = parse_s3_uri(options.uri);
  check_bucket_name(where.bucket);
  const ByteCount sample = parse_bytes(options.sample);
  // Transfer is charged by where the bucket is, not by where one asks from.
  const std::optional<store::BucketInfo> bucket = context.store(context.region()).head_bucket(where.bucket);
  const Region from = bucket && !bucket->region.empty() ? bucket->region : context.region();
  const estimate::PriceTable table = read_prices(context, options.prices);
  compression::Prices prices{.compute_per_minute = table.compute};
  std::vector<Region> regions;
  std::vector<estimate::Destination> to;
  for (const std::string& name : options.to) {
    regions.emplace_back(name);
    to.push_back({regions.back(), options.storage_class});
    prices.transfer_to[regions.back()] = table.transfer_between(from, regions.back());
  }
  const estimate::Place place{context.store(from), context.world(), context.pools(), where.bucket, where.key.str()};
  const auto listed = [&](std::uint64_t objects) {
    context.set_status(fmt::format("listed  {}", format_count(objects, "object")));
  };
  Report report{
      .options = options,
      .from = from,
      .prices = table,
      .to = to,
      .findings = estimate::examine(place, {.bytes = sample}, compression::CostModel(prices, regions, 1), listed)};
  context.set_status("");
  settle_volume(report, context.world().clock.now());
  report.bill = estimate::make_bill(table, from, to, report.volume, report.findings.predicted.mean, options.fixed);
  if (report.findings.first_unread)
    emit_warning(context,
                 fmt::format("{} could not be read and {} left out; the first: {}",
                             format_count(report.findings.unread, "object"), report.findings.unread == 1 ? "is" : "are",
                             message_of(*report.findings.first_unread)));
  if (context.json()) {
    print_json(context, report);
  } else {
    print_sample(context, report);
    print_bill(context, report);
  }
  return exit_ok;
}

}  // namespace

void add_estimate_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("estimate", "Foresee what replicating a bucket costs, with Bale and without");
  const auto options = std::make_shared<EstimateOptions>();
  command->add_option("URI", options->uri, "s3://bucket[/prefix]: what would be replicated");
  command->add_option("--to", options->to, "destination regions")->type_name("REGION")->delimiter(',');
  command->add_option("--storage-class", options->storage_class, "at the destinations")->capture_default_str();
  command->add_option("--prices", options->prices, "a table of prices instead of the one built in")->type_name("FILE");
  command->add_option("--monthly", options->monthly, "bytes that come in a month [what came in the last 30 days]")
      ->type_name("SIZE");
  command->add_option("--sample", options->sample, "most bytes to read")->type_name("SIZE")->capture_default_str();
  command->add_option("--fixed", options->fixed, "dollars a month that running Bale costs you whatever it does")
      ->check(CLI::NonNegativeNumber)
      ->type_name("DOLLARS");
  command->add_flag("--show-prices", options->show_prices, "print the table of prices, to be changed and given back");
  command->callback([&action, options] { action = [options](Context& context) { return run(context, *options); }; });
}

}  // namespace bale::cli
