// Completion reports of S3 Batch Operations: the first byte says how they are cut into pieces, or that it is a
// manifest.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "jobs/bucket/batch_job.hpp"

using namespace bale;

namespace {

/// The rows, as one text; "!" and the place where the report is refused.
std::string rows_of(std::string_view text, std::size_t piece) {
  std::string rows;
  bucket::BatchReportReader reader([&](const bucket::BatchTask& task) {
    rows += task.object.bucket.str() + "\x1F" + task.object.key.str() + "\x1F" + task.message + "\x1E";
  });
  try {
    for (std::size_t i = 0; i < text.size(); i += piece) reader.read(text.substr(i, piece));
    reader.finish();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) std::abort();
    rows += "!" + error.where();
  }
  return rows;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'm') {
    try {
      bucket::parse_report_manifest(text);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) std::abort();
    }
    return 0;
  }
  // However it is cut, it says the same.
  if (rows_of(text, std::max<std::size_t>(data[0] % 16, 1)) != rows_of(text, std::max<std::size_t>(text.size(), 1)))
    std::abort();
  return 0;
}
