#include "jobs/bucket/cost.hpp"

#include <algorithm>

namespace bale::bucket {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

double dollars(std::uint64_t count, double of_thousand) { return static_cast<double>(count) * of_thousand / 1000; }

}  // namespace

double price_of(const RequestCounts& requests, const Prices& prices) {
  return dollars(requests.list + requests.tag, prices.put) + dollars(requests.head + requests.get, prices.get) +
         dollars(requests.put + requests.copy, prices.put_to_class);
}

bool bills_at_least(std::string_view storage_class) noexcept {
  return storage_class == "STANDARD_IA" || storage_class == "ONEZONE_IA" || storage_class == "GLACIER_IR";
}

void StorageEstimate::add(ByteCount size, std::string_view storage_class, bool is_kept_standard) {
  ++objects;
  bytes += size;
  ByteCount charged = size;
  if (bills_at_least(storage_class) && size < least_billed_bytes) {
    charged = least_billed_bytes;
    ++small;
    small_bytes += size;
  }
  billed += charged;
  if (is_kept_standard)
    ++kept_standard;
  else
    in_class += charged;
}

double month_of(const StorageEstimate& estimate, const Prices& prices) {
  const ByteCount standard = estimate.billed - estimate.in_class;
  return static_cast<double>(estimate.in_class) / gib * prices.storage +
         static_cast<double>(standard) / gib * prices.standard;
}

double month_in_standard(const StorageEstimate& estimate, const Prices& prices) {
  return static_cast<double>(estimate.bytes) / gib * prices.standard;
}

}  // namespace bale::bucket
