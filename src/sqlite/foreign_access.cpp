#include "sqlite/foreign_access.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "sqlite/declaring.hpp"

namespace bale::sqlite {
namespace {

/// Names, each between two spaces, of functions that compute a result from their arguments (and the clock, and random
/// bytes) and reach nothing else. https://www.sqlite.org/lang_corefunc.html, lang_aggfunc.html, lang_datefunc.html,
/// lang_mathfunc.html, windowfunctions.html, json1.html
constexpr std::string_view allowed_functions =
    " "
    "-> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws "
    "cos cosh count cume_dist current_date current_time current_timestamp date datetime degrees "
    "dense_rank exp first_value floor format glob group_concat hex ifnull iif instr json json_array "
    "json_array_length json_error_position json_extract json_group_array json_group_object json_insert "
    "json_object json_patch json_quote json_remove json_replace json_set json_type json_valid julianday "
    "lag last_value lead length like likelihood likely ln log log10 log2 lower ltrim match max min mod "
    "nth_value ntile nullif octet_length percent_rank pi pow power printf quote radians random "
    "randomblob rank replace round row_number rtrim sign sin sinh soundex sqlite_version sqrt strftime "
    "string_agg substr substring sum tan tanh time timediff total trim trunc typeof unhex unicode "
    "unixepoch unlikely upper zeroblob ";

/// Table-valued functions that read their arguments alone.
constexpr auto allowed_modules = std::to_array<std::string_view>({"json_each", "json_tree"});

/// SQLite's names do not tell letters A-Z of either case apart.
std::string lower(const char* name) {
  std::string text = name == nullptr ? "" : name;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return text;
}

template <typename List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// A connection without a file that SQLite's own printf() runs on.
class PrintfConnection {
 public:
  PrintfConnection() = default;
  ~PrintfConnection() { sqlite3_close(handle_); }
  PrintfConnection(const PrintfConnection&) = delete;
  PrintfConnection& operator=(const PrintfConnection&) = delete;

  /// Gives the result of printf() to `context`, or fails it. Nothing is thrown through SQLite.
  void run(sqlite3_context* context, int count, sqlite3_value** values) noexcept {
    if (handle_ == nullptr && sqlite3_open(":memory:", &handle_) != SQLITE_OK)
      return sqlite3_result_error_nomem(context);
    sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH,
                  sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1));
    sqlite3_stmt* const statement = prepare(count);
    if (statement == nullptr) return sqlite3_result_error_nomem(context);
    for (int i = 0; i < count; ++i) sqlite3_bind_value(statement, i + 1, values[i]);
    const int code = sqlite3_step(statement);
    const bool is_null = sqlite3_column_type(statement, 0) == SQLITE_NULL;
    if (code != SQLITE_ROW)
      sqlite3_result_error_code(context, code);
    else if (is_null)
      sqlite3_result_error_toobig(context);
    else
      sqlite3_result_value(context, sqlite3_column_value(statement, 0));
    sqlite3_finalize(statement);
  }

 private:
  sqlite3_stmt* prepare(int count) noexcept {
    sqlite3_str* const sql = sqlite3_str_new(handle_);
    // With a character in front the result is never empty, for which printf() gives NULL too.
    sqlite3_str_appendall(sql, "SELECT substr(printf('.' || ?");
    for (int i = 1; i < count; ++i) sqlite3_str_appendall(sql, ",?");
    sqlite3_str_appendall(sql, "), 2)");
    char* const text = sqlite3_str_finish(sql);
    sqlite3_stmt* statement = nullptr;
    if (text != nullptr) sqlite3_prepare_v2(handle_, text, -1, &statement, nullptr);
    sqlite3_free(text);
    return statement;
  }

  sqlite3* handle_ = nullptr;
};

void checked_printf(sqlite3_context* context, int count, sqlite3_value** values) {
  if (count == 0 || sqlite3_value_type(values[0]) == SQLITE_NULL) return sqlite3_result_null(context);
  static_cast<PrintfConnection*>(sqlite3_user_data(context))->run(context, count, values);
}

}  // namespace

void add_checked_printf(sqlite3* handle) {
  for (const char* name : {"printf", "format"}) {
    const auto destroy = [](void* connection) { delete static_cast<PrintfConnection*>(connection); };
    const int code = sqlite3_create_function_v2(handle, name, -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                                new PrintfConnection, checked_printf, nullptr, nullptr, destroy);
    if (code != SQLITE_OK) throw Error(ErrorKind::internal, "cannot add a function to the database");
  }
}

ForeignAccess::ForeignAccess(Database& database) : database_(database) {
  for (const char* sql : {"SELECT name FROM pragma_module_list", "SELECT name FROM sqlite_schema"}) {
    Query names = database_.made_query(sql, {});
    while (names.step()) other_tables_.push_back(lower(names.text(0).c_str()));
  }
  std::erase_if(other_tables_, [&](const std::string& name) {
    return contains(database_.program_tables_, name) || contains(allowed_modules, name);
  });
  // SQLite declares the tables of modules at their first use, as if by CREATE TABLE.
  database_.made_query("SELECT 1 FROM json_each('[]'), json_tree('[]')", {});
  sqlite3_set_authorizer(database_.handle_, authorize, this);
}

ForeignAccess::~ForeignAccess() { sqlite3_set_authorizer(database_.handle_, nullptr, nullptr); }

int ForeignAccess::authorize(void* self, int action, const char* first, const char* second, const char*, const char*) {
  if (Declaring::is_under_way()) return SQLITE_OK;
  auto& access = *static_cast<ForeignAccess*>(self);
  bool is_allowed = false;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: is_allowed = true; break;
    case SQLITE_READ: is_allowed = access.may_read(first, second); break;
    case SQLITE_FUNCTION:
      is_allowed = allowed_functions.find(" " + lower(second) + " ") != std::string_view::npos;
      break;
    default: break;
  }
  if (!is_allowed) access.has_denied_ = true;
  return is_allowed ? SQLITE_OK : SQLITE_DENY;
}

/// SQLite asks for every column that is read, with the name of a real table. For a table of which no column is read it
/// asks once with an empty column; that name may also be the query's own, of a WITH clause.
bool ForeignAccess::may_read(const char* table, const char* column) const {
  const std::string name = lower(table);
  if (contains(database_.program_tables_, name) || contains(allowed_modules, name)) return true;
  if (column != nullptr && *column != '\0') return false;
  const bool is_of_sqlite = name.starts_with("sqlite_") || name.starts_with("pragma_");
  return !is_of_sqlite && !contains(other_tables_, name);
}

HeldLimits::HeldLimits(sqlite3* handle, const ForeignLimits& limits)
    : handle_(handle),
      // -1 asks, and changes nothing.
      length_before_(sqlite3_limit(handle, SQLITE_LIMIT_LENGTH,
                                   limits.value_bytes > 0 ? static_cast<int>(limits.value_bytes) : -1)),
      heap_before_(sqlite3_hard_heap_limit64(
          limits.heap_bytes > 0 ? static_cast<std::int64_t>(sqlite3_memory_used()) + limits.heap_bytes : -1)) {}

HeldLimits::~HeldLimits() {
  sqlite3_hard_heap_limit64(heap_before_);
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, length_before_);
}

}  // namespace bale::sqlite
