// Configurations: both files in one input, with a zero byte between them.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "config/replication.hpp"

using namespace bale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t middle = std::min(input.find('\0'), input.size());
  try {
    config::parse_replication_config(input.substr(0, middle), input.substr(std::min(middle + 1, input.size())));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();
  }
  return 0;
}
