// Lines of catalog files: what is accepted comes back the same.
#include <cstdlib>

#include "base/error.hpp"
#include "catalog/record.hpp"

using namespace bale;
using namespace bale::catalog;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Record record = parse_json_line({reinterpret_cast<const char*>(data), size});
    const std::string line = to_json_line(record);
    // What the reference wrote lacks members that Bale adds: equal from the second time on.
    if (to_json_line(parse_json_line(line)) != line) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) std::abort();
  }
  return 0;
}
