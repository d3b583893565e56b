// A table of prices: what is accepted has only prices that a bill can be made of.
#include <cmath>
#include <cstdlib>

#include "base/error.hpp"
#include "jobs/estimate/price_table.hpp"

using namespace bale;
using namespace bale::estimate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const PriceTable prices = parse_price_table({reinterpret_cast<const char*>(data), size});
    const Region from("eu-west-1"), to("us-east-1");
    for (const double price : {prices.transfer_between(from, to), prices.storage_of("STANDARD"),
                               prices.put_to("STANDARD"), prices.get, prices.queue, prices.compute}) {
      if (!std::isfinite(price) || price < 0) std::abort();
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();
  }
  return 0;
}
