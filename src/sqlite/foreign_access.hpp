// What a foreign query may do, and how much memory it may use. Internal to sqlite.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sqlite/database.hpp"

namespace bale::sqlite {

/// Restricts what the database prepares while this object lives: SELECT statements that read the program's tables and
/// call functions of the allow-list. Borrows the database. Not thread-safe, as Database.
class ForeignAccess {
 public:
  /// Throws Error as Database does.
  explicit ForeignAccess(Database& database);
  ~ForeignAccess();
  ForeignAccess(const ForeignAccess&) = delete;
  ForeignAccess& operator=(const ForeignAccess&) = delete;
  /// Whether something was refused.
  bool has_denied() const noexcept { return has_denied_; }

 private:
  static int authorize(void* self, int action, const char* first, const char* second, const char* database,
                       const char* trigger);
  bool may_read(const char* table, const char* column) const;

  Database& database_;
  bool has_denied_ = false;
  std::vector<std::string> other_tables_;  ///< of the file and of modules, in lower case, without the program's
};

/// Replaces printf() and format() of a connection: SQLite's own give NULL where the result exceeds a limit, these fail
/// as other functions do. Throws Error{internal} when SQLite refuses.
void add_checked_printf(sqlite3* handle);

/// Applies ForeignLimits while it lives, then restores what was before.
class HeldLimits {
 public:
  HeldLimits(sqlite3* handle, const ForeignLimits& limits);
  ~HeldLimits();
  HeldLimits(const HeldLimits&) = delete;
  HeldLimits& operator=(const HeldLimits&) = delete;

 private:
  sqlite3* const handle_;
  const int length_before_;
  const std::int64_t heap_before_;
};

}  // namespace bale::sqlite
