// What a month costs, with Bale and without: arithmetic alone. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jobs/estimate/price_table.hpp"

namespace bale::estimate {

/// What comes in during a month.
struct Volume {
  double objects = 0;
  double bytes = 0;
};

/// What Bale would make of it: means over the bytes.
struct Prediction {
  double ratio = 1;                  ///< stored bytes for a byte
  double core_seconds_per_byte = 0;  ///< of compressing
};

struct Destination {
  Region region;
  std::string storage_class = "STANDARD";
};

/// How objects are packed: replicate's defaults.
struct Packing {
  double objects_per_archive = 1000;
  double bytes_per_archive = 256.0 * (1 << 20);
  double part_bytes = 16.0 * (1 << 20);
};

/// Dollars for a month.
struct Costs {
  double transfer = 0;
  double compute = 0;
  double requests = 0;
  double storage = 0;  ///< of what came in during the month, kept for a month
  double fixed = 0;
  double total() const noexcept { return transfer + compute + requests + storage + fixed; }
};

struct Bill {
  Costs now;     ///< S3 replicates every object as it is
  Costs normal;  ///< Bale, destinations hold the objects
  Costs backup;  ///< Bale, destinations hold the archives
  /// GiB a month from which Bale saves money; 0: from the first; nothing: never. Of normal and backup.
  std::optional<double> break_even_normal, break_even_backup;
};

/// The bill of a month. `fixed`: dollars that running Bale costs each month whatever it does. Volumes of 0 cost only
/// what is fixed.
Bill make_bill(const PriceTable& prices, const Region& from, const std::vector<Destination>& to, const Volume& volume,
               const Prediction& prediction, double fixed = 0, const Packing& packing = {});

}  // namespace bale::estimate
