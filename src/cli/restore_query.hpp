// What a query in SQL says is to be restored.
#pragma once

#include <optional>
#include <string>

#include "cli/catalog_places.hpp"

namespace bale::cli {

/// The records that a query of the local index gives, of each key the newest of them; with `as_of`, of those that
/// were there by then. The query must give whole rows (SELECT * FROM catalog WHERE ...): Error{invalid} otherwise, with
/// the column that is missing.
recover::SearchResult find_by_sql(Context& context, const QueryOptions& options, const std::string& sql,
                                  const std::optional<TimePoint>& as_of);

}  // namespace bale::cli
