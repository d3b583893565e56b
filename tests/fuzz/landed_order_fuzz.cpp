// The mark of an object at a destination, in metadata that anybody may write: what is read is written and read the
// same.
#include <cstdlib>

#include "catalog/landed_order.hpp"

using namespace bale::catalog;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto order = parse_order({reinterpret_cast<const char*>(data), size});
  if (order && parse_order(to_text(*order)) != order) std::abort();
  return 0;
}
