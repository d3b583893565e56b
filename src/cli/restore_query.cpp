#include "cli/restore_query.hpp"

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "cli/catalog_index.hpp"

namespace bale::cli {
namespace {

/// Where the query has the columns of a record.
catalog::RecordColumns columns_of(const sqlite::Query& rows) {
  std::map<std::string, int> places;
  for (int i = 0; i < rows.columns(); ++i) places.emplace(rows.column_name(i), i);
  catalog::RecordColumns columns{};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto place = places.find(catalog::record_column_names[i]);
    const bool is_optional = catalog::record_column_names[i] == std::string_view("current_since");
    if (place == places.end() && is_optional) {
      columns[i] = catalog::no_column;
      continue;
    }
    if (place == places.end()) {
      throw Error(ErrorKind::invalid,
                  std::string("the query has no column ") + catalog::record_column_names[i] +
                      ": without all columns nothing can be restored",
                  "--query", "begin it with SELECT * FROM catalog");
    }
    columns[i] = place->second;
  }
  return columns;
}

}  // namespace

recover::SearchResult find_by_sql(Context& context, const QueryOptions& options, const std::string& sql,
                                  const recover::Query& query) {
  const OpenIndexes indexes = open_indexes(context, options);
  catalog::CatalogDatabase& database = *indexes.databases.front();
  const std::stop_callback interrupt(context.stop(), [&] { database.sql().interrupt(); });
  sqlite::Query rows = database.sql().foreign_query(sql, query_limits(context));
  const catalog::RecordColumns columns = columns_of(rows);
  recover::Selection selection(bounded(context, query));
  while (rows.step()) selection.add(catalog::record_of(rows, columns));
  recover::SearchResult found;
  if (indexes.status != exit_ok) {  // each file was named
    const ErrorKind kind = indexes.status == exit_damaged ? ErrorKind::corrupt : ErrorKind::denied;
    found.damage.push_back({Error(kind, "catalog files are damaged or cannot be read"), std::nullopt});
  }
  found.records = selection.take(found.deletions);
  return found;
}

}  // namespace bale::cli
