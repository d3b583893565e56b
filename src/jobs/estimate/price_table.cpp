#include "jobs/estimate/price_table.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/json.hpp"

namespace bale::estimate {
namespace {

using Json = nlohmann::json;

constexpr double highest_price = 10'000;

// List prices of aws.amazon.com/s3/pricing, /sqs/pricing and /fargate/pricing (Spot), North Virginia where a price has
// no region of its own. Transfer is charged by the region that sends.
constexpr std::string_view built_in = R"({
  "dated": "2025-01",
  "note": "AWS list prices, us-east-1 unless a region is named; compare them with the price pages",
  "transfer": {
    "*": {"*": 0.02},
    "us-east-1": {"us-east-2": 0.01, "*": 0.02},
    "us-east-2": {"us-east-1": 0.01, "*": 0.02},
    "ap-northeast-1": {"*": 0.09},
    "ap-northeast-2": {"*": 0.08},
    "ap-south-1": {"*": 0.086},
    "ap-southeast-1": {"*": 0.09},
    "ap-southeast-2": {"*": 0.098},
    "sa-east-1": {"*": 0.138},
    "af-south-1": {"*": 0.147}
  },
  "storage": {
    "STANDARD": 0.023, "INTELLIGENT_TIERING": 0.023, "STANDARD_IA": 0.0125, "ONEZONE_IA": 0.01,
    "GLACIER_IR": 0.004, "GLACIER": 0.0036, "DEEP_ARCHIVE": 0.00099, "*": 0.023
  },
  "put": {
    "STANDARD": 0.005, "INTELLIGENT_TIERING": 0.005, "STANDARD_IA": 0.01, "ONEZONE_IA": 0.01,
    "GLACIER_IR": 0.02, "GLACIER": 0.03, "DEEP_ARCHIVE": 0.05, "*": 0.005
  },
  "get": 0.0004,
  "queue": 0.4,
  "compute": 0.0001975
}
)";

Error wrong(const std::string& where, std::string what) {
  return Error(ErrorKind::invalid, std::move(what), where, "docs/estimate.md shows a table of prices");
}

const Json& member(const Json& object, const std::string& name) {
  const auto found = object.find(name);
  if (found == object.end()) throw wrong(name, "the table has no such member");
  return *found;
}

double price(const Json& value, const std::string& where) {
  if (!value.is_number()) throw wrong(where, "is not a price: a number of US dollars");
  const auto dollars = value.get<double>();
  if (!(dollars >= 0 && dollars <= highest_price))
    throw wrong(where, fmt::format("{} is not a price in dollars", dollars));
  return dollars;
}

PriceTable::ByName prices(const Json& value, const std::string& where) {
  if (!value.is_object() || value.empty()) throw wrong(where, "is not an object of names and prices");
  PriceTable::ByName all;
  for (const auto& [name, of_name] : value.items()) all[name] = price(of_name, where + "." + name);
  return all;
}

std::string text(const Json& value, const std::string& where) {
  if (!value.is_string()) throw wrong(where, "is not a string");
  return value.get<std::string>();
}

double of(const PriceTable::ByName& prices, std::string_view name) {
  auto found = prices.find(name);
  if (found == prices.end()) found = prices.find("*");
  return found->second;
}

}  // namespace

std::string_view default_price_table() { return built_in; }

PriceTable parse_price_table(std::string_view json) {
  const Json root = parse_json<Json>(json);
  if (root.is_discarded() || !root.is_object()) throw wrong("the table of prices", "is not a JSON object");
  PriceTable table;
  table.dated = text(member(root, "dated"), "dated");
  if (root.contains("note")) table.note = text(root["note"], "note");
  const Json& transfer = member(root, "transfer");
  if (!transfer.is_object()) throw wrong("transfer", "is not an object of regions");
  for (const auto& [from, to] : transfer.items()) {
    table.transfer[from] = prices(to, "transfer." + from);
    if (!table.transfer[from].contains("*"))
      throw wrong("transfer." + from, "has no price for \"*\", every other region");
  }
  if (!table.transfer.contains("*")) throw wrong("transfer", "has no prices for \"*\", every other region");
  table.storage = prices(member(root, "storage"), "storage");
  table.put = prices(member(root, "put"), "put");
  for (const auto& [name, by_class] : {std::pair{"storage", &table.storage}, {"put", &table.put}})
    if (!by_class->contains("*")) throw wrong(name, "has no price for \"*\", every other storage class");
  table.get = price(member(root, "get"), "get");
  table.queue = price(member(root, "queue"), "queue");
  table.compute = price(member(root, "compute"), "compute");
  return table;
}

double PriceTable::transfer_between(const Region& from, const Region& to) const {
  if (from == to) return 0;
  auto found = transfer.find(from.str());
  if (found == transfer.end()) found = transfer.find("*");
  return of(found->second, to.str());
}

double PriceTable::storage_of(std::string_view storage_class) const { return of(storage, storage_class); }

double PriceTable::put_to(std::string_view storage_class) const { return of(put, storage_class); }

}  // namespace bale::estimate
