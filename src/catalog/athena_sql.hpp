// A query as a person writes it, made fit for Athena. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bale::catalog {

/// The name that stands for the table in the documented queries of the replaced program.
constexpr std::string_view documented_table_name = "catalog_table_name";

/// The one statement of `sql`, without the semicolon that may end it, and with the view athena_view_name wherever
/// documented_table_name is a name; strings, quoted names and comments stay as they are. Throws Error{invalid} for
/// none, for more than one, and for one that is not SELECT, WITH, VALUES, TABLE, SHOW, DESCRIBE or EXPLAIN.
std::string to_athena_sql(std::string_view sql);

}  // namespace bale::catalog
