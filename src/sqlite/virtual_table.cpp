#include "sqlite/virtual_table.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <exception>
#include <optional>

#include "base/error.hpp"
#include "sqlite/declaring.hpp"

// SQLite calls these functions from C: nothing may be thrown through it. What a table throws is kept, and thrown again
// by the step of the query that SQLite then fails.

namespace bale::sqlite {
namespace {

/// The table, as SQLite holds it.
struct Connected {
  sqlite3_vtab base{};  // first: SQLite knows this part
  Table* table = nullptr;
};

struct Cursor {
  sqlite3_vtab_cursor base{};  // first
  Table* table = nullptr;
  std::unique_ptr<Rows> rows;
  bool at_end = true;
};

Cursor& cursor_of(sqlite3_vtab_cursor* base) { return *reinterpret_cast<Cursor*>(base); }

/// Runs `step`; what it throws becomes the message of the table, and SQLite's error.
template <typename Step>
int guarded(sqlite3_vtab* table, Step step) noexcept {
  try {
    step();
    return SQLITE_OK;
  } catch (const Error& error) {
    sqlite3_free(table->zErrMsg);
    table->zErrMsg = sqlite3_mprintf("%s", error.what());
    return error.kind() == ErrorKind::cancelled ? SQLITE_INTERRUPT
           : error.kind() == ErrorKind::corrupt ? SQLITE_CORRUPT
           : is_transient(error.kind())         ? SQLITE_IOERR
                                                : SQLITE_ERROR;
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  } catch (const std::exception& error) {
    sqlite3_free(table->zErrMsg);
    table->zErrMsg = sqlite3_mprintf("%s", error.what());
    return SQLITE_ERROR;
  }
}

std::string declaration_of(const Table& table) {
  std::string text = "CREATE TABLE t(";
  const char* separator = "";
  for (const Column& column : table.columns()) {
    text += fmt::format("{}\"{}\" {}", separator, column.name, column.type == ColumnType::text ? "TEXT" : "INTEGER");
    separator = ",";
  }
  return text + ")";
}

int connect(sqlite3* database, void* table, int, const char* const*, sqlite3_vtab** result, char**) {
  const Declaring declaring;
  const int code = sqlite3_declare_vtab(database, declaration_of(*static_cast<Table*>(table)).c_str());
  if (code != SQLITE_OK) return code;
  auto* connected = new (std::nothrow) Connected;
  if (connected == nullptr) return SQLITE_NOMEM;
  connected->table = static_cast<Table*>(table);
  *result = &connected->base;
  return SQLITE_OK;
}

int disconnect(sqlite3_vtab* table) {
  delete reinterpret_cast<Connected*>(table);
  return SQLITE_OK;
}

std::optional<Comparison> comparison_of(unsigned char op) {
  switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ: return Comparison::equal;
    case SQLITE_INDEX_CONSTRAINT_LT: return Comparison::less;
    case SQLITE_INDEX_CONSTRAINT_LE: return Comparison::less_or_equal;
    case SQLITE_INDEX_CONSTRAINT_GT: return Comparison::greater;
    case SQLITE_INDEX_CONSTRAINT_GE: return Comparison::greater_or_equal;
    case SQLITE_INDEX_CONSTRAINT_LIKE: return Comparison::like;
    case SQLITE_INDEX_CONSTRAINT_GLOB: return Comparison::glob;
    case SQLITE_INDEX_CONSTRAINT_MATCH: return Comparison::match;
    default: return std::nullopt;
  }
}

/// How much of the table such a condition is expected to leave: enough for SQLite to join in the right order.
double share_left(Comparison comparison, int column) {
  if (comparison == Comparison::equal) return column < 0 ? 1e-7 : 1e-3;
  return 0.3;
}

/// The plan that SQLite is given, and gives back to filter(): "column:comparison;" for every condition.
int best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  constexpr double table_rows = 1e7;
  std::string plan;
  int arguments = 0;
  double rows = table_rows;
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    const auto comparison = comparison_of(constraint.op);
    if (!comparison || constraint.usable == 0) continue;
    if (constraint.iColumn < 0 && *comparison != Comparison::equal) continue;
    // Text is compared by its bytes here.
    if (constraint.iColumn >= 0 && std::string_view(sqlite3_vtab_collation(info, i)) != "BINARY") continue;
    plan += fmt::format("{}:{};", constraint.iColumn, static_cast<int>(*comparison));
    info->aConstraintUsage[i].argvIndex = ++arguments;
    info->aConstraintUsage[i].omit = *comparison == Comparison::match ? 1 : 0;
    rows *= share_left(*comparison, constraint.iColumn);
  }
  info->idxStr = sqlite3_mprintf("%s", plan.c_str());
  if (info->idxStr == nullptr) return SQLITE_NOMEM;
  info->needToFreeIdxStr = 1;
  info->estimatedCost = rows + 100;
  info->estimatedRows = static_cast<sqlite3_int64>(rows) + 1;
  return SQLITE_OK;
}

/// The condition of an argument; absent where its type is not the column's: SQLite alone knows what that means.
std::optional<Condition> condition_of(const Table& table, int column, Comparison comparison, sqlite3_value* value) {
  const bool is_text = column >= 0 && table.columns().at(static_cast<std::size_t>(column)).type == ColumnType::text;
  const int type = sqlite3_value_type(value);
  if (is_text && type == SQLITE_TEXT) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_value_text(value));
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
    return Condition{column, comparison, std::string(bytes, size)};
  }
  if (comparison == Comparison::match) throw Error(ErrorKind::invalid, "MATCH needs a column of text, and a text");
  const bool is_pattern = comparison == Comparison::like || comparison == Comparison::glob;
  if (!is_text && type == SQLITE_INTEGER && !is_pattern)
    return Condition{column, comparison, static_cast<std::int64_t>(sqlite3_value_int64(value))};
  return std::nullopt;
}

int open_cursor(sqlite3_vtab* table, sqlite3_vtab_cursor** result) {
  auto* cursor = new (std::nothrow) Cursor;
  if (cursor == nullptr) return SQLITE_NOMEM;
  cursor->table = reinterpret_cast<Connected*>(table)->table;
  *result = &cursor->base;
  return SQLITE_OK;
}

int close_cursor(sqlite3_vtab_cursor* cursor) {
  delete &cursor_of(cursor);
  return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor* base, int, const char* plan, int count, sqlite3_value** values) {
  Cursor& cursor = cursor_of(base);
  return guarded(base->pVtab, [&] {
    std::vector<Condition> conditions;
    char* text = const_cast<char*>(plan);  // strtol takes it so; it is only read
    for (int i = 0; i < count; ++i) {
      const int column = static_cast<int>(std::strtol(text, &text, 10));
      const auto comparison = static_cast<Comparison>(std::strtol(text + 1, &text, 10));
      ++text;  // the ';'
      if (auto condition = condition_of(*cursor.table, column, comparison, values[i]))
        conditions.push_back(std::move(*condition));
    }
    cursor.rows.reset();
    cursor.rows = cursor.table->rows(std::move(conditions));
    cursor.at_end = !cursor.rows->next();
  });
}

int next(sqlite3_vtab_cursor* base) {
  Cursor& cursor = cursor_of(base);
  return guarded(base->pVtab, [&] { cursor.at_end = !cursor.rows->next(); });
}

int at_end(sqlite3_vtab_cursor* base) { return cursor_of(base).at_end ? 1 : 0; }

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  return guarded(base->pVtab, [&] {
    const Value value = cursor_of(base).rows->value(column);
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      sqlite3_result_int64(context, *number);
    } else if (const auto* text = std::get_if<std::string_view>(&value)) {
      const char* bytes = text->data() == nullptr ? "" : text->data();
      sqlite3_result_text64(context, bytes, text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    } else {
      sqlite3_result_null(context);
    }
  });
}

int row_number(sqlite3_vtab_cursor* base, sqlite3_int64* number) {
  return guarded(base->pVtab, [&] { *number = cursor_of(base).rows->row_number(); });
}

/// A table that is there without CREATE: no xCreate.
constexpr sqlite3_module make_module() {
  sqlite3_module module{};
  module.iVersion = 1;
  module.xConnect = connect;
  module.xBestIndex = best_index;
  module.xDisconnect = disconnect;
  module.xOpen = open_cursor;
  module.xClose = close_cursor;
  module.xFilter = filter;
  module.xNext = next;
  module.xEof = at_end;
  module.xColumn = column;
  module.xRowid = row_number;
  return module;
}

}  // namespace

/// Reaches into a database for add_table().
class VirtualTable {
 public:
  static void add(Database& database, const std::string& name, Table& table) {
    static constexpr sqlite3_module module = make_module();
    if (sqlite3_create_module_v2(database.handle_, name.c_str(), &module, &table, nullptr) != SQLITE_OK)
      database.fail("add a table");
    database.program_tables_.push_back(name);
  }
};

void add_table(Database& database, const std::string& name, Table& table) { VirtualTable::add(database, name, table); }

}  // namespace bale::sqlite
