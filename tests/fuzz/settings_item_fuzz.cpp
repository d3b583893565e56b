// Items of the settings table, which other programs write, too: whatever is in them, sums can be worked with.
#include <cmath>
#include <cstdlib>

#include "base/error.hpp"
#include "compression/statistics_item.hpp"

using namespace bale;
using namespace bale::compression;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const records::Item item = records::from_dynamodb_json({reinterpret_cast<const char*>(data), size});
    const PrefixRead prefix = read_prefix(item);
    for (const auto& [level, benefit] : prefix.benefits.levels) {
      if (level < min_level || level > max_level || !std::isfinite(benefit.sum_benefit)) std::abort();
    }
    if (!std::isfinite(prefix.benefits.sum_cpu_factor)) std::abort();
    ClassRead read = read_class(item);
    read.present.add(read.before);
    for (int level = min_level; level <= max_level; ++level) {
      const LevelSums& sums = read.present.at(level);
      for (const double sum : {sums.bytes, sums.probed, sums.stored, sums.seconds}) {
        if (!std::isfinite(sum) || sum < 0) std::abort();
      }
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();  // no item at all
  }
  return 0;
}
