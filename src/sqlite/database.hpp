// SQLite behind RAII.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace bale::sqlite {

/// Bytes to be bound as a BLOB, which SQLite compares with memcmp; text is bound as TEXT. Borrowed for the call.
struct Blob {
  std::string_view bytes;
};

/// A commit that failed in a way that leaves open whether it will be found after a crash: the disk refused to sync.
class UncertainCommit final : public Error {
 public:
  explicit UncertainCommit(const Error& failure) : Error(failure) {}
};

class Database;

/// What a column of a row holds.
enum class ValueType { null, integer, real, text, blob };

/// A running query: its rows are read with step(). Ends when it is destroyed. Used by one thread; must not outlive its
/// Database.
class Query {
 public:
  Query(Query&& other) noexcept;
  Query& operator=(Query&&) = delete;
  ~Query();
  /// Moves to the next row; false after the last. Throws Error as Database does.
  bool step();
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;  ///< TEXT or BLOB; NULL is empty
  bool is_null(int column) const;
  /// TEXT or BLOB without a copy; valid until the next step().
  std::string_view view(int column) const;
  ValueType type(int column) const;
  /// The type that the column's table declares; empty for an expression.
  std::string declared_type(int column) const;
  int columns() const;
  std::string column_name(int column) const;

 private:
  friend class Database;
  Query(Database& database, sqlite3_stmt* statement, bool* in_use);
  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view text);
  void bind(int index, Blob blob);
  void bind(int index, const std::optional<std::int64_t>& value);

  Database* database_;
  sqlite3_stmt* statement_;
  bool* in_use_;  ///< cleared at the end, when the statement is kept for the next query; else null
  std::shared_ptr<const void> limits_;  ///< of a foreign query; they end with it
};

/// How much a foreign query may use.
struct ForeignLimits {
  /// Heap of SQLite in this process, in bytes, beside what is used when the query starts; 0: no limit.
  std::int64_t heap_bytes = 0;
  std::int64_t value_bytes = 0;  ///< longest text or blob; 0: SQLite's own limit, 1,000,000,000
};

/// How a database file is opened.
struct OpenOptions {
  std::int64_t cache_kib = 16 << 10;  ///< most memory for pages of the file
  std::int64_t page_bytes = 0;        ///< of a file that is made now; 0: SQLite's default, 4096
  std::string damage_hint;            ///< what a person can do about a damaged file
  std::stop_token stop;               ///< ends waits for the locks of other processes within half a second
};

/// One connection to a database file in WAL mode. Not thread-safe. All throw Error: unavailable (another process holds
/// the lock for a minute; the disk is full), cancelled (the same, and OpenOptions::stop was requested), corrupt,
/// denied, internal.
class Database {
 public:
  enum class Durability {
    process,     ///< survives the death of the process; a power cut may undo the newest commits, in order
    power_safe,  ///< on stable storage, with every commit before it, when COMMIT returns
  };

  /// Opens the file, making it when it is missing.
  explicit Database(const std::filesystem::path& file, const OpenOptions& options = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Starts a query. `sql` must be a string literal: the prepared statement is kept under its address.
  /// Arguments (integers, text, Blob, optional<int64>) are copied.
  template <typename... Args>
  Query query(const char* sql, const Args&... args) {
    Query query = prepare(sql);
    int index = 0;
    (bind_one(query, ++index, args), ...);
    return query;
  }
  /// Runs a statement that gives no rows; returns the number of rows it changed.
  template <typename... Args>
  std::int64_t execute(const char* sql, const Args&... args) {
    query(sql, args...).step();
    return changes();
  }
  /// Starts a query whose text is made by the program, with texts and numbers for its parameters.
  Query made_query(const std::string& sql, const std::vector<std::variant<std::int64_t, std::string>>& arguments);
  /// Starts a query whose text comes from outside the program: one statement that reads the program's tables
  /// (add_table(), and json_each and json_tree) and calls functions of an allow-list. `limits` hold while the query
  /// lives; the heap limit is one for the process, so at most one query with limits lives at a time. Throws
  /// Error{invalid} with SQLite's words for text that is no statement, for more than one statement, for a statement
  /// that changes something, and for tables, functions and pragmas that are not allowed. step() throws Error{invalid}
  /// when the query exceeds a limit.
  Query foreign_query(const std::string& sql, const ForeignLimits& limits = {});
  /// Runs several statements, for a schema.
  void run_script(const char* sql);
  /// Makes running queries fail with Error{cancelled} as soon as it may. Thread-safe.
  void interrupt() noexcept;

  /// How durable the next transaction's commit is.
  void set_durability(Durability durability);
  /// Whether a transaction is open; SQLite closes it by itself on the gravest errors.
  bool in_transaction() const;
  /// Whether the failure just thrown came from reading, writing or syncing the file.
  bool failed_in_io() const;
  /// A number that differs from the last one when another connection has committed since.
  std::int64_t data_version();

 private:
  friend class Query;
  friend class VirtualTable;
  friend class ForeignAccess;
  struct Prepared {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };
  template <typename Arg>
  static void bind_one(Query& query, int index, const Arg& arg) {
    if constexpr (std::is_same_v<Arg, bool> || (std::is_integral_v<Arg> && !std::is_same_v<Arg, char>)) {
      query.bind(index, static_cast<std::int64_t>(arg));
    } else if constexpr (std::is_convertible_v<const Arg&, std::string_view>) {
      query.bind(index, std::string_view(arg));
    } else {
      query.bind(index, arg);
    }
  }
  Query prepare(const char* sql);
  Query prepare_once(const std::string& sql);
  std::int64_t changes() const;
  [[noreturn]] void fail(std::string_view doing) const;
  static int wait_for_lock(void* database, int earlier_waits) noexcept;

  std::string where_;
  std::string damage_hint_;
  sqlite3* handle_ = nullptr;
  std::unordered_map<const char*, Prepared> statements_;
  std::optional<Durability> durability_;
  const std::stop_token stop_;
  int waited_ms_ = 0;             ///< for the lock that is wanted now
  int waited_after_stop_ms_ = 0;  ///< for all locks
  bool has_checked_printf_ = false;
  std::vector<std::string> program_tables_;   ///< of add_table(), in lower case
  std::weak_ptr<const void> foreign_limits_;  ///< of the foreign query that is running
};

/// A write transaction (BEGIN IMMEDIATE): rolled back unless committed. Used by one thread.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  /// Throws UncertainCommit when only a crash would tell.
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

/// A part of a transaction that can be undone on its own: rolled back unless released. Used by one thread.
class Savepoint {
 public:
  explicit Savepoint(Database& database);
  ~Savepoint();
  Savepoint(const Savepoint&) = delete;
  Savepoint& operator=(const Savepoint&) = delete;
  void release();

 private:
  Database& database_;
  bool open_ = true;
};

/// A read transaction: every query in it sees the same state. Used by one thread.
class Snapshot {
 public:
  explicit Snapshot(Database& database);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  Database& database_;
};

}  // namespace bale::sqlite
