// JSON of Athena, and queries as people write them: whatever comes, it is an answer or a bale::Error. The first byte
// chooses the parser.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "aws/athena.hpp"
#include "catalog/athena_sql.hpp"

using namespace bale;
using namespace bale::aws;

namespace {

void parse(unsigned choice, std::string_view body) {
  const std::string where = "fuzz";
  switch (choice % 4) {
    case 0:
      if (parse_query_id(body, where).empty()) std::abort();
      break;
    case 1: {
      const QueryExecution execution = parse_query_execution(body, where);
      if (std::string(query_error(execution, "w", where).what()).empty() || execution.run_time.count() < 0)
        std::abort();
      break;
    }
    case 2: {
      QueryExecution select;
      select.is_dml = true;
      QueryPage page = parse_query_page(body, where);
      drop_names(page, select);
      for (const auto& row : page.rows) {
        if (row.size() != page.columns.size()) std::abort();
      }
      break;
    }
    default: {
      const std::string sql = catalog::to_athena_sql(body);
      if (catalog::to_athena_sql(sql) != sql) std::abort();  // what is fit for Athena stays as it is
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    parse(data[0] - 'a', {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const Error&) {
    // Refused, as it should be.
  }
  return 0;
}
