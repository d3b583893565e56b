#include "catalog/athena_sql.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::catalog {
namespace {

using testing::error_of;

TEST(ToAthenaSql, LeavesAQueryAsItIs) {
  for (const char* sql : {"SELECT 1", "  with x as (select 1) select * from x", "(SELECT 1) UNION (SELECT 2)",
                          "-- why\nSELECT 'a;b', \"c;d\", `e` /* ; */ FROM t -- end", "show tables", "VALUES 1",
                          "EXPLAIN SELECT 1", "describe t", "SELECT 'it''s; x'", "SELECT 'unfinished ; "}) {
    EXPECT_EQ(to_athena_sql(sql), std::string(sql).substr(0, std::string(sql).find_last_not_of(' ') + 1));
  }
}

TEST(ToAthenaSql, TakesTheSemicolonOff) {
  EXPECT_EQ(to_athena_sql("SELECT 1 ;  -- done\n"), "SELECT 1");
  EXPECT_EQ(to_athena_sql("SELECT 1;;"), "SELECT 1");
}

TEST(ToAthenaSql, KnowsTheDocumentedTable) {
  EXPECT_EQ(to_athena_sql("SELECT * FROM Catalog_Table_Name WHERE a = 'catalog_table_name' -- catalog_table_name"),
            "SELECT * FROM catalog WHERE a = 'catalog_table_name' -- catalog_table_name");
  EXPECT_EQ(to_athena_sql("SELECT \"catalog_table_name\", my_catalog_table_name FROM catalog_table_name;"),
            "SELECT \"catalog_table_name\", my_catalog_table_name FROM catalog");
}

TEST(ToAthenaSql, RefusesWhatChangesSomething) {
  for (const char* sql : {"DROP TABLE t", "insert into t select 1", "CREATE TABLE t AS SELECT 1", "/* SELECT */ DELETE",
                          "UNLOAD (SELECT 1) TO 's3://b/'", "ALTER TABLE t", "\"SELECT\" 1", "1"}) {
    EXPECT_ERROR(ErrorKind::invalid, "", to_athena_sql(sql));
  }
  EXPECT_THAT(error_of([] { to_athena_sql("DROP TABLE t"); }).summary(), ::testing::HasSubstr("'drop'"));
}

TEST(ToAthenaSql, RefusesAllButOneStatement) {
  EXPECT_ERROR(ErrorKind::invalid, "", to_athena_sql("SELECT 1; SELECT 2"));
  for (const char* sql : {"", "  ", "-- nothing", ";"}) EXPECT_ERROR(ErrorKind::invalid, "", to_athena_sql(sql));
}

}  // namespace
}  // namespace bale::catalog
