#include "sqlite/database.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/error.hpp"
#include "sqlite/foreign_access.hpp"

namespace bale::sqlite {
namespace {

/// Writers of other processes are waited for this long: far beyond the slowest commit, short of for ever.
constexpr int busy_timeout_ms = 60'000;
/// After a stop, all waits together: a few of another process's commits, of milliseconds each, so that what is cleaned
/// up then succeeds on a busy store; well below the second in which the process has to end.
constexpr int most_wait_after_stop_ms = 500;
/// Pages (of 4 KiB) in the write-ahead log before they are moved into the database: large enough that a hot page is
/// moved once for many commits.
constexpr const char* checkpoint_pragma = "PRAGMA wal_autocheckpoint=4000";

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM: return ErrorKind::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorKind::corrupt;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return ErrorKind::denied;
    case SQLITE_TOOBIG: return ErrorKind::invalid;
    default: return ErrorKind::internal;
  }
}

/// Whether no more can be written, whatever it is.
bool is_disk_full(int code, sqlite3* handle) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  if ((code & 0xff) != SQLITE_IOERR || handle == nullptr) return false;
  const int cause = sqlite3_system_errno(handle);
  return cause == ENOSPC || cause == EDQUOT;
}

std::string_view hint_of(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR: return "check the disk and free some space; nothing was changed";
    case SQLITE_BUSY: return "another process has been writing to this directory for a minute; try again";
    case SQLITE_READONLY:
      return "work as the user whose store it is, or let this user write to the directory and all that is in it";
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return "check the permissions of the directory";
    default: return "";
  }
}

}  // namespace

Query::Query(Database& database, sqlite3_stmt* statement, bool* in_use)
    : database_(&database), statement_(statement), in_use_(in_use) {
  if (in_use_ != nullptr) *in_use_ = true;
}

Query::Query(Query&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      in_use_(other.in_use_),
      limits_(std::move(other.limits_)) {}

Query::~Query() {
  if (statement_ == nullptr) return;
  if (in_use_ == nullptr) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  *in_use_ = false;
}

bool Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  // Functions refuse their arguments only now: json_extract('x', '$'), say.
  if (limits_ != nullptr && (code & 0xff) == SQLITE_ERROR)
    throw Error(ErrorKind::invalid, fmt::format("the query cannot be run: {}", sqlite3_errmsg(database_->handle_)));
  database_->fail("use the database");
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Query::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes == nullptr ? std::string()
                          : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

double Query::real(int column) const { return sqlite3_column_double(statement_, column); }

std::string_view Query::view(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(bytes), std::size_t(size));
}

std::string Query::declared_type(int column) const {
  const char* type = sqlite3_column_decltype(statement_, column);
  return type == nullptr ? std::string() : type;
}

ValueType Query::type(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER: return ValueType::integer;
    case SQLITE_FLOAT: return ValueType::real;
    case SQLITE_TEXT: return ValueType::text;
    case SQLITE_BLOB: return ValueType::blob;
    default: return ValueType::null;
  }
}

int Query::columns() const { return sqlite3_column_count(statement_); }

std::string Query::column_name(int column) const {
  const char* name = sqlite3_column_name(statement_, column);
  return name == nullptr ? std::string() : std::string(name);
}

bool Query::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

void Query::bind(int index, std::int64_t value) {
  if (sqlite3_bind_int64(statement_, index, value) != SQLITE_OK) database_->fail("bind a number");
}

void Query::bind(int index, std::string_view text) {
  const char* bytes = text.data() == nullptr ? "" : text.data();
  if (sqlite3_bind_text64(statement_, index, bytes, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK)
    database_->fail("bind a text");
}

void Query::bind(int index, Blob blob) {
  const char* bytes = blob.bytes.data() == nullptr ? "" : blob.bytes.data();
  if (sqlite3_bind_blob64(statement_, index, bytes, blob.bytes.size(), SQLITE_TRANSIENT) != SQLITE_OK)
    database_->fail("bind bytes");
}

void Query::bind(int index, const std::optional<std::int64_t>& value) {
  if (value) return bind(index, *value);
  if (sqlite3_bind_null(statement_, index) != SQLITE_OK) database_->fail("bind nothing");
}

Database::Database(const std::filesystem::path& file, const OpenOptions& options)
    : where_(file.native()), damage_hint_(options.damage_hint), stop_(options.stop) {
  // One thread uses a connection at a time: SQLite's own mutexes would only cost.
  constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  try {
    if (sqlite3_open_v2(file.c_str(), &handle_, flags, nullptr) != SQLITE_OK) fail("open the database");
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_handler(handle_, wait_for_lock, this);
    if (options.page_bytes > 0) run_script(fmt::format("PRAGMA page_size={}", options.page_bytes).c_str());
    run_script("PRAGMA journal_mode=WAL");
    run_script(checkpoint_pragma);
    // Debian builds SQLite to overwrite deleted content with zeros; the files beside it are not overwritten either.
    run_script("PRAGMA secure_delete=OFF");
    run_script(fmt::format("PRAGMA cache_size=-{}", options.cache_kib).c_str());
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}

/// Returns 0 where the wait is over: SQLite then fails with SQLITE_BUSY.
int Database::wait_for_lock(void* database, int earlier_waits) noexcept {
  Database& self = *static_cast<Database*>(database);
  if (earlier_waits == 0) self.waited_ms_ = 0;
  const int pause_ms = std::min(1 << std::min(earlier_waits, 7), 100);
  if (self.waited_ms_ >= busy_timeout_ms) return 0;
  if (self.stop_.stop_requested()) {
    if (self.waited_after_stop_ms_ >= most_wait_after_stop_ms) return 0;
    self.waited_after_stop_ms_ += pause_ms;
  }
  sqlite3_sleep(pause_ms);
  self.waited_ms_ += pause_ms;
  return 1;
}

Database::~Database() {
  for (auto& [sql, prepared] : statements_) sqlite3_finalize(prepared.statement);
  sqlite3_close(handle_);
}

Query Database::prepare(const char* sql) {
  Prepared& prepared = statements_[sql];
  if (prepared.statement != nullptr && !prepared.in_use) return Query(*this, prepared.statement, &prepared.in_use);
  const bool keep = prepared.statement == nullptr;  // else the kept one is running further up the stack
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &statement, nullptr) != SQLITE_OK)
    fail("prepare a statement");
  if (!keep) return Query(*this, statement, nullptr);
  prepared.statement = statement;
  return Query(*this, statement, &prepared.in_use);
}

Query Database::made_query(const std::string& sql,
                           const std::vector<std::variant<std::int64_t, std::string>>& arguments) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) fail("prepare a statement");
  Query query(*this, statement, nullptr);
  int index = 0;
  for (const auto& argument : arguments) {
    if (const auto* number = std::get_if<std::int64_t>(&argument)) query.bind(++index, *number);
    if (const auto* text = std::get_if<std::string>(&argument)) query.bind(++index, std::string_view(*text));
  }
  return query;
}

Query Database::foreign_query(const std::string& sql, const ForeignLimits& limits) {
  std::shared_ptr<const void> held;
  if (limits.heap_bytes > 0 || limits.value_bytes > 0) held = std::make_shared<HeldLimits>(handle_, limits);
  foreign_limits_ = held;
  if (!std::exchange(has_checked_printf_, true)) add_checked_printf(handle_);
  const ForeignAccess access(*this);
  try {
    Query query = prepare_once(sql);
    query.limits_ = std::move(held);
    if (sqlite3_stmt_readonly(query.statement_) == 0)
      throw Error(ErrorKind::invalid, "the query would change something; only queries that read are run");
    return query;
  } catch (const Error& error) {
    if (!access.has_denied()) throw;
    throw error.with_summary("only queries that read the program's tables and compute are run: " + error.summary());
  }
}

/// One statement and no more. What SQLite does not understand is the fault of who wrote it.
Query Database::prepare_once(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  const int code = sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, &rest);
  if (code != SQLITE_OK) {
    if ((code & 0xff) != SQLITE_ERROR && (code & 0xff) != SQLITE_AUTH) fail("prepare the query");
    throw Error(ErrorKind::invalid, fmt::format("the query cannot be run: {}", sqlite3_errmsg(handle_)));
  }
  if (statement == nullptr) throw Error(ErrorKind::invalid, "the query is empty");
  Query query(*this, statement, nullptr);
  sqlite3_stmt* second = nullptr;  // comments and a last ';' are no second statement
  const int second_code = sqlite3_prepare_v2(handle_, rest, -1, &second, nullptr);
  const bool is_alone = second_code == SQLITE_OK && second == nullptr;
  sqlite3_finalize(second);
  if (!is_alone) throw Error(ErrorKind::invalid, "there is more than one statement; give one");
  return query;
}

void Database::interrupt() noexcept { sqlite3_interrupt(handle_); }

void Database::run_script(const char* sql) {
  // Turning WAL on, and recovery by the first connection, can be refused as busy without the busy handler being asked.
  constexpr int most_attempts = 600;
  for (int attempt = 1;; ++attempt) {
    const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return;
    if ((code & 0xff) != SQLITE_BUSY || attempt == most_attempts || stop_.stop_requested()) fail("set up the database");
    sqlite3_sleep(10);
  }
}

void Database::set_durability(Durability durability) {
  if (durability_ == durability) return;
  // In WAL mode NORMAL leaves the sync to the next checkpoint or FULL commit: the log is one sequence.
  run_script(durability == Durability::power_safe ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  durability_ = durability;
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

bool Database::failed_in_io() const { return (sqlite3_errcode(handle_) & 0xff) == SQLITE_IOERR; }

std::int64_t Database::data_version() {
  Query version = query("PRAGMA data_version");
  version.step();
  return version.integer(0);
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }

void Database::fail(std::string_view doing) const {
  const int code = handle_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(handle_);
  if ((code & 0xff) == SQLITE_INTERRUPT) throw Error(ErrorKind::cancelled, "the query was stopped");
  if ((code & 0xff) == SQLITE_BUSY && stop_.stop_requested())
    throw Error(ErrorKind::cancelled, "stopped while another process was writing", where_);
  const char* message = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  const bool is_over_limit = (code & 0xff) == SQLITE_NOMEM || (code & 0xff) == SQLITE_TOOBIG;
  if (is_over_limit && !foreign_limits_.expired()) {
    throw Error(ErrorKind::invalid, fmt::format("the query needs more memory than it may use: {}", message),
                "--memory-limit", "raise the limit, or ask for less");
  }
  if ((code & 0xff) == SQLITE_READONLY)
    message = "this user may only read the store, and reading too leaves locks in it";
  const ErrorKind kind = kind_of(code);
  const std::string hint = kind == ErrorKind::corrupt ? damage_hint_ : std::string(hint_of(code));
  const Error error(kind, fmt::format("cannot {}: {}", doing, message), where_, hint);
  throw is_disk_full(code, handle_) ? error.with_code("ENOSPC") : error;
}

Transaction::Transaction(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (!open_ || !database_.in_transaction()) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {
    // Only a broken disk gets here; SQLite rolls back by itself when the connection is next used or closed.
  }
}

void Transaction::commit() {
  try {
    database_.execute("COMMIT");
    open_ = false;
  } catch (const Error& error) {
    // The log may hold a complete commit that was not synced. A full disk is not that: the commit is not complete then.
    if (database_.failed_in_io()) throw UncertainCommit(error);
    throw;
  }
}

Savepoint::Savepoint(Database& database) : database_(database) { database_.execute("SAVEPOINT part"); }

Savepoint::~Savepoint() {
  if (!open_ || !database_.in_transaction()) return;
  try {
    database_.execute("ROLLBACK TO part");
    database_.execute("RELEASE part");
  } catch (const Error&) {
    // The transaction round it fails as well then, and undoes this part with it.
  }
}

void Savepoint::release() {
  database_.execute("RELEASE part");
  open_ = false;
}

Snapshot::Snapshot(Database& database) : database_(database) { database_.execute("BEGIN"); }

Snapshot::~Snapshot() {
  try {
    if (database_.in_transaction()) database_.execute("COMMIT");
  } catch (const Error&) {
    // A read transaction has nothing to lose.
  }
}

}  // namespace bale::sqlite
