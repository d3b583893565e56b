// Whole files: with seek table, or a stream as the reference writes it.
#include "fuzz/archive_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bale::fuzz::open_and_read({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
