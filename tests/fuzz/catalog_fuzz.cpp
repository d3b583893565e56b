// A catalog file: whatever it holds, sound rows come out and nothing else does; what was read is written and read the
// same.
#include <cstdlib>

#include "base/error.hpp"
#include "catalog/file.hpp"

using namespace bale;
using namespace bale::catalog;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<Record> rows;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto damage = read_file_text(text, [&](Record row) { rows.push_back(std::move(row)); });
  if (rows.empty() && !damage) std::abort();
  if (rows.empty()) return 0;
  // Times of the reference may have fractions: equal from the second time on.
  const std::string written = to_file_text(rows);
  std::vector<Record> again;
  if (read_file_text(written, [&](Record row) { again.push_back(std::move(row)); })) std::abort();
  if (to_file_text(again) != written) std::abort();
  return 0;
}
