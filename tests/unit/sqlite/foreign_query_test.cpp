// What a query from outside may do: read the program's tables, call functions that compute, in bounded memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "sqlite/virtual_table.hpp"
#include "support/fake_world.hpp"

namespace bale::testing {
namespace {

using namespace bale::sqlite;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// One row of one column.
class OneRow final : public Table {
 public:
  const std::vector<Column>& columns() const override {
    static const std::vector<Column> columns{{"name"}};
    return columns;
  }
  std::unique_ptr<Rows> rows(std::vector<Condition>) override { return std::make_unique<Cursor>(); }

 private:
  class Cursor final : public Rows {
   public:
    bool next() override { return ++at_ < 1; }
    Value value(int) override { return std::string_view("one"); }
    std::int64_t row_number() override { return 1; }

   private:
    int at_ = -1;
  };
};

class ForeignQuery : public ::testing::Test {
 protected:
  ForeignQuery() {
    add_table(database, "catalog", rows_);
    database.run_script("CREATE TABLE internal (x UNIQUE); INSERT INTO internal VALUES (7)");
  }
  std::vector<std::string> ask(const std::string& sql, const ForeignLimits& limits = {}) {
    Query rows = database.foreign_query(sql, limits);
    std::vector<std::string> found;
    while (rows.step()) found.push_back(rows.text(0));
    return found;
  }
  /// The error of a query that is refused.
  Error refused(const std::string& sql, const ForeignLimits& limits = {}) {
    try {
      ask(sql, limits);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "it was run: " << sql;
    return Error(ErrorKind::internal, "");
  }

  FakeWorld outside;
  Database database{outside.path("d.sqlite")};
  OneRow rows_;
};

TEST_F(ForeignQuery, FunctionsThatComputeAreAllowed) {
  EXPECT_THAT(ask("SELECT upper(substr(name, 1, 1)) || lower('N') || printf('%d', 1 + abs(-2)) FROM catalog"),
              ElementsAre("On3"));
  EXPECT_THAT(ask("SELECT printf('%5.1f|%s|%d', 2.25, 'a', NULL) || format('%x', 255)"), ElementsAre("  2.3|a|0ff"));
  EXPECT_THAT(ask("SELECT typeof(printf(NULL)) || typeof(printf('')) || typeof(printf())"),
              ElementsAre("nulltextnull"));
  EXPECT_THAT(ask("SELECT json_extract('{\"a\":5}', '$.a') + ('[1]' ->> 0)"), ElementsAre("6"));
  EXPECT_THAT(ask("SELECT value FROM json_each('[1,2]')"), ElementsAre("1", "2"));
  EXPECT_THAT(ask("SELECT count(*) FROM json_tree('[1,2]')"), ElementsAre("3"));
  EXPECT_THAT(ask("SELECT row_number() OVER (ORDER BY name) FROM catalog"), ElementsAre("1"));
  EXPECT_THAT(ask("SELECT date('2025-01-20', '+1 day')"), ElementsAre("2025-01-21"));
  EXPECT_THAT(ask("SELECT name FROM catalog WHERE name LIKE 'O%' AND name GLOB 'o*'"), ElementsAre("one"));
  EXPECT_THAT(ask("WITH t AS (SELECT 1 UNION SELECT 2) SELECT count(*) FROM t"), ElementsAre("2"));
  EXPECT_THAT(ask("SELECT count(*) FROM (SELECT name FROM catalog) AS sub"), ElementsAre("1"));
  EXPECT_THAT(ask("SELECT round(sqrt(16)) || coalesce(NULL, max(1, 2)) || iif(1, 'y', 'n')"), ElementsAre("4.02y"));
}

TEST_F(ForeignQuery, OtherFunctionsAreNot) {
  for (const std::string call :
       {"fts3_tokenizer('simple')", "FTS3_TOKENIZER('simple')", "load_extension('x')", "sqlite_compileoption_get(1)",
        "snippet(name)", "fts5(1)", "sqlite_offset(name)", "edit('x')", "readfile('/etc/passwd')", "rtreecheck('x')"}) {
    const Error error = refused("SELECT " + call + " FROM catalog");
    EXPECT_EQ(error.kind(), ErrorKind::invalid) << call;
  }
  EXPECT_THAT(refused("SELECT fts3_tokenizer('simple')").what(), HasSubstr("fts3_tokenizer"));
}

TEST_F(ForeignQuery, OtherTablesAreNot) {
  for (const std::string table : {"internal", "sqlite_schema", "sqlite_master", "pragma_database_list",
                                  "pragma_function_list", "pragma_table_info('internal')", "pragma_wal_checkpoint",
                                  "dbstat", "fts3tokenize('simple')", "main.internal"}) {
    for (const std::string column : {"*", "count(*)", "1"})
      EXPECT_EQ(refused("SELECT " + column + " FROM " + table).kind(), ErrorKind::invalid) << table << " " << column;
  }
  refused("WITH t AS (SELECT * FROM internal) SELECT count(*) FROM t");
  EXPECT_THAT(ask("SELECT name FROM Catalog"), ElementsAre("one"));
}

TEST_F(ForeignQuery, StatementsThatDoSomethingAreNot) {
  for (const char* sql :
       {"PRAGMA writable_schema=ON", "PRAGMA user_version", "ATTACH 'x' AS x", "DETACH main", "VACUUM INTO 'x'",
        "CREATE TEMP TABLE t (x)", "CREATE VIRTUAL TABLE t USING fts4(x)", "INSERT INTO internal VALUES (1)",
        "UPDATE sqlite_schema SET sql = ''", "ANALYZE", "REINDEX", "SAVEPOINT s", "BEGIN"})
    EXPECT_EQ(refused(sql).kind(), ErrorKind::invalid) << sql;
  EXPECT_FALSE(std::filesystem::exists("x"));
}

TEST_F(ForeignQuery, ValuesAndMemoryAreBounded) {
  const ForeignLimits limits{.heap_bytes = 32 << 20, .value_bytes = 4 << 20};
  for (const std::string sql :
       {"SELECT zeroblob(1000000000)", "SELECT randomblob(500000000)", "SELECT hex(zeroblob(900000000))",
        "SELECT printf('%1000000000d', 1)", "SELECT format('%.*c', 100000000, 'x')",
        "SELECT replace(printf('%3000000d', 1), ' ', 'aaaaaaaaaaaaaaaaaaaaaaaa')",
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT group_concat(hex(zeroblob(1000000))) "
        "FROM n",
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT "
        "json_group_array(hex(zeroblob(1000000)))"
        " FROM n",
        "WITH n(i) AS (SELECT 'x' UNION ALL SELECT i || i FROM n) SELECT max(length(i)) FROM n",
        "SELECT length(zeroblob(4000000) || zeroblob(4000000))"}) {
    const Error error = refused(sql, limits);
    EXPECT_EQ(error.kind(), ErrorKind::invalid) << sql << ": " << error.what();
    EXPECT_EQ(error.where(), "--memory-limit") << sql << ": " << error.what();
  }
  std::string many = "SELECT 1";
  for (int i = 0; i < 40; ++i) many += ", zeroblob(3900000)";
  Query rows = database.foreign_query(many, limits);
  EXPECT_THROW(
      {
        while (rows.step()) {
          for (int i = 0; i < rows.columns(); ++i) rows.view(i);
        }
      },
      Error);
}

TEST_F(ForeignQuery, LimitsEndWithTheQuery) {
  ask("SELECT 1", {.heap_bytes = 32 << 20, .value_bytes = 1000});
  EXPECT_EQ(sqlite3_hard_heap_limit64(-1), 0);
  EXPECT_EQ(database.query("SELECT zeroblob(5000)").step(), true);
  EXPECT_THAT(ask("SELECT length(zeroblob(5000))"), ElementsAre("5000"));
}

}  // namespace
}  // namespace bale::testing
