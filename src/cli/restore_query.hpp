// What a query in SQL says is to be restored.
#pragma once

#include <string>

#include "cli/catalog_places.hpp"

namespace bale::cli {

/// The records that a query of the local index gives, of each key the newest of them, as far as they also meet `query`
/// (a time, a bucket). The query must give whole rows (SELECT * FROM catalog WHERE ...): Error{invalid} otherwise, with
/// the column that is missing.
recover::SearchResult find_by_sql(Context& context, const QueryOptions& options, const std::string& sql,
                                  const recover::Query& query);

}  // namespace bale::cli
