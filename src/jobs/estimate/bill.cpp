#include "jobs/estimate/bill.hpp"

#include <algorithm>
#include <cmath>

namespace bale::estimate {
namespace {

constexpr double gib = 1ULL << 30;
constexpr double thousand = 1000, million = 1'000'000;
// libzstd's decompression and the checks beside it, on one core: docs/benchmarks.md.
constexpr double landing_bytes_per_core_second = 400e6;
// Of an object at its source: its tags, and its bytes.
constexpr double gets_per_object = 2;
// Receive, extend and delete, ten messages a request.
constexpr double queue_requests_per_message = 0.3;

/// What does not depend on how much comes in is left out here: costs are proportional to the volume.
struct Month {
  const PriceTable& prices;
  const Region& from;
  const std::vector<Destination>& to;
  const Volume& volume;
  double archives = 0;
  double archive_bytes = 0;
};

double transfer(const Month& month, double bytes) {
  double dollars = 0;
  for (const Destination& each : month.to)
    dollars += bytes / gib * month.prices.transfer_between(month.from, each.region);
  return dollars;
}

double storage(const Month& month, double bytes) {
  double dollars = 0;
  for (const Destination& each : month.to) dollars += bytes / gib * month.prices.storage_of(each.storage_class);
  return dollars;
}

/// PUTs at every destination, in its own storage class.
double put_requests(const Month& month, double requests) {
  double dollars = 0;
  for (const Destination& each : month.to) dollars += requests / thousand * month.prices.put_to(each.storage_class);
  return dollars;
}

Costs now(const Month& month) {
  Costs costs;
  costs.transfer = transfer(month, month.volume.bytes);
  costs.requests = put_requests(month, month.volume.objects) + month.volume.objects / thousand * month.prices.get;
  costs.storage = storage(month, month.volume.bytes);
  return costs;
}

/// The source's part of Bale, which both kinds of destination have: reading, packing, and moving archives.
Costs packing(const Month& month, const Prediction& prediction, const Packing& plan) {
  Costs costs;
  costs.transfer = transfer(month, month.archive_bytes);
  costs.compute = month.volume.bytes * prediction.core_seconds_per_byte / 60 * month.prices.compute;
  const double staging_puts = month.archives * 2 + month.archive_bytes / plan.part_bytes;
  const auto regions = static_cast<double>(month.to.size());
  costs.requests =
      month.volume.objects * gets_per_object / thousand * month.prices.get +
      staging_puts * (1 + regions) / thousand * month.prices.put_to("STANDARD") +
      (month.volume.objects + month.archives * regions) * queue_requests_per_message / million * month.prices.queue;
  return costs;
}

std::optional<double> break_even(const Costs& now, const Costs& bale, double bytes) {
  const double saved = now.total() - (bale.total() - bale.fixed);
  if (saved <= 0) return std::nullopt;
  return bale.fixed * (bytes / gib) / saved;
}

}  // namespace

Bill make_bill(const PriceTable& prices, const Region& from, const std::vector<Destination>& to, const Volume& volume,
               const Prediction& prediction, double fixed, const Packing& plan) {
  Month month{prices, from, to, volume};
  month.archives =
      std::ceil(std::max(volume.objects / plan.objects_per_archive, volume.bytes / plan.bytes_per_archive));
  month.archive_bytes = volume.bytes * prediction.ratio;
  const auto regions = static_cast<double>(to.size());
  Bill bill;
  bill.now = now(month);

  bill.normal = packing(month, prediction, plan);
  bill.normal.compute += regions * volume.bytes / landing_bytes_per_core_second / 60 * prices.compute;
  bill.normal.requests +=
      put_requests(month, volume.objects) + regions * month.archive_bytes / plan.part_bytes / thousand * prices.get;
  bill.normal.storage = storage(month, volume.bytes);
  bill.normal.fixed = fixed;

  bill.backup = packing(month, prediction, plan);
  // The archive is copied, and its catalog file written.
  bill.backup.requests +=
      put_requests(month, month.archives) + regions * month.archives / thousand * prices.put_to("STANDARD");
  bill.backup.storage = storage(month, month.archive_bytes);
  bill.backup.fixed = fixed;

  if (volume.bytes > 0) {
    bill.break_even_normal = break_even(bill.now, bill.normal, volume.bytes);
    bill.break_even_backup = break_even(bill.now, bill.backup, volume.bytes);
  }
  return bill;
}

}  // namespace bale::estimate
