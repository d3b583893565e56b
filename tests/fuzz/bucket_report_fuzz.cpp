// Lines of reports that `bale bucket backup --from-report` reads.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "jobs/bucket/report.hpp"

using namespace bale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    bucket::key_to_copy({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();
  }
  return 0;
}
