// Columns and trigrams of a local catalog index: a damaged file is said to be damaged, and nothing is read outside of
// it. The first byte chooses what the rest is.
#include <cstdlib>

#include "base/error.hpp"
#include "catalog/row_block.hpp"
#include "catalog/trigrams.hpp"

using namespace bale;
using namespace bale::catalog;

namespace {

void read_columns(std::string_view encoded, std::size_t rows) {
  std::size_t bytes = 0;
  const TextColumn texts = decode_texts(encoded, rows);
  for (std::size_t row = 0; row < rows; ++row) bytes += texts.at(row).size();
  if (bytes > std::size_t{64} << 30) std::abort();
}

void read(std::string_view input) {
  const auto what = static_cast<unsigned char>(input.front());
  input.remove_prefix(1);
  const std::size_t rows = 1 + what % 100;
  if (what < 100) {
    read_columns(input, rows);
  } else if (what < 200) {
    const NumberColumn numbers = decode_numbers(input, rows);
    for (std::size_t row = 0; row < rows; ++row) static_cast<void>(numbers.at(row));
  } else if (what < 228) {
    SegmentIndex index;
    index.decode_group(1, input);
    // What was understood says the same when it is written and read again.
    const std::string again = index.encode_group(1);
    if (!again.empty() && granules_of(again, 70) != granules_of(input, 70)) std::abort();
  } else {
    static_cast<void>(granules_of(input, static_cast<TrigramBucket>(what)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    read({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) std::abort();
  }
  return 0;
}
