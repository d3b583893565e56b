// Rows of a catalog file against those of another: whatever they hold, the comparison ends, names only what is in one
// of them, and finds nothing where both are the same.
#include <algorithm>
#include <cstdlib>

#include "catalog/file.hpp"
#include "jobs/check/rows.hpp"

using namespace bale;

namespace {

std::vector<catalog::Record> rows_of(std::string_view text) {
  std::vector<catalog::Record> rows;
  catalog::read_file_text(text, [&](catalog::Record row) { rows.push_back(std::move(row)); });
  return rows;
}

bool names(const std::vector<catalog::Record>& rows, const ObjectAddress& object) {
  return std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return check::object_of(row) == object; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t middle = std::min(text.find("\n\n"), text.size());  // two files, with an empty line between
  const auto expected = rows_of(text.substr(0, middle)), found = rows_of(text.substr(middle));
  for (const check::RowFinding& finding : check::compare_rows(expected, found).findings) {
    if (finding.what.empty() || !(names(expected, finding.object) || names(found, finding.object))) std::abort();
  }
  const bool of_bale = std::none_of(found.begin(), found.end(), check::is_of_reference);
  if (of_bale && !check::compare_rows(found, found).findings.empty()) std::abort();
  return 0;
}
