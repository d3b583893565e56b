// A table of the program, asked in SQL: its conditions, its values, its failures.
#include "sqlite/virtual_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fake_world.hpp"

namespace bale::testing {
namespace {

using namespace bale::sqlite;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Numbers from 0 with their names; keeps the conditions that it was asked with, and may let all rows through.
class Numbers final : public Table {
 public:
  const std::vector<Column>& columns() const override {
    static const std::vector<Column> columns{{"name"}, {"number", ColumnType::integer}};
    return columns;
  }
  std::unique_ptr<Rows> rows(std::vector<Condition> conditions) override {
    asked = std::move(conditions);
    return std::make_unique<Cursor>(*this);
  }

  std::vector<Condition> asked;
  std::int64_t count = 10;
  std::optional<Error> failure;  ///< thrown in front of row 5

 private:
  class Cursor final : public Rows {
   public:
    explicit Cursor(const Numbers& table) : table_(table) {}
    bool next() override {
      if (table_.failure && at_ == 4) throw *table_.failure;
      return ++at_ < table_.count;
    }
    Value value(int column) override {
      if (column == 1) return at_;
      if (at_ == 3) return {};
      name_ = "n" + std::to_string(at_);
      return std::string_view(name_);
    }
    std::int64_t row_number() override { return at_ + 100; }

   private:
    const Numbers& table_;
    std::int64_t at_ = -1;
    std::string name_;
  };
};

class VirtualTableTest : public ::testing::Test {
 protected:
  VirtualTableTest() { add_table(database, "numbers", numbers); }
  std::vector<std::string> ask(const std::string& sql) {
    Query rows = database.foreign_query(sql);
    std::vector<std::string> found;
    while (rows.step()) found.push_back(rows.is_null(0) ? "NULL" : rows.text(0));
    return found;
  }
  FakeWorld outside;
  Database database{outside.path("d.sqlite")};
  Numbers numbers;
};

TEST_F(VirtualTableTest, RowsOfAnyQuery) {
  EXPECT_THAT(ask("SELECT name FROM numbers WHERE number > 1 AND number < 5"), ElementsAre("n2", "NULL", "n4"));
  EXPECT_THAT(ask("SELECT number FROM numbers WHERE rowid = 107"), ElementsAre("7"));
  EXPECT_THAT(ask("SELECT max(number) FROM numbers GROUP BY number % 3 ORDER BY 1"), ElementsAre("7", "8", "9"));
  EXPECT_THAT(ask("SELECT a.number FROM numbers a JOIN numbers b ON a.number = b.number + 8"), ElementsAre("8", "9"));
  EXPECT_THAT(ask("SELECT number FROM numbers WHERE name IS NULL"), ElementsAre("3"));
  EXPECT_THAT(ask("SELECT number FROM numbers ORDER BY number DESC LIMIT 1"), ElementsAre("9"));
}

TEST_F(VirtualTableTest, TheTableIsToldConditionsOfItsTypesOnly) {
  ask("SELECT 1 FROM numbers WHERE name LIKE 'n%' AND number >= 3");
  ASSERT_EQ(numbers.asked.size(), 2U);
  for (const Condition& condition : numbers.asked) {  // in SQLite's order
    if (condition.column == 0) {
      EXPECT_EQ(std::get<std::string>(condition.value), "n%");
      EXPECT_EQ(condition.comparison, Comparison::like);
    } else {
      EXPECT_EQ(std::get<std::int64_t>(condition.value), 3);
      EXPECT_EQ(condition.comparison, Comparison::greater_or_equal);
    }
  }
  ask("SELECT 1 FROM numbers WHERE number > 2.5");
  EXPECT_THAT(numbers.asked, IsEmpty()) << "what 2.5 means for whole numbers is SQLite's affair";
  ask("SELECT 1 FROM numbers WHERE name = 'N1' COLLATE NOCASE");
  EXPECT_THAT(numbers.asked, IsEmpty()) << "bytes alone are compared here";
  EXPECT_THAT(ask("SELECT number FROM numbers WHERE name = 'N1' COLLATE NOCASE"), ElementsAre("1"));
  EXPECT_THAT(ask("SELECT number FROM numbers WHERE number = '7'"), ElementsAre("7"));
}

TEST_F(VirtualTableTest, FailuresOfTheTableFailTheQuery) {
  numbers.failure = Error(ErrorKind::corrupt, "the rows are torn");
  try {
    ask("SELECT count(*) FROM numbers");
    FAIL() << "it failed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.what(), HasSubstr("the rows are torn"));
  }
  numbers.failure = Error(ErrorKind::cancelled, "stopped");
  EXPECT_THROW(ask("SELECT number FROM numbers"), Error);
  numbers.failure.reset();
  EXPECT_EQ(ask("SELECT number FROM numbers").size(), 10U) << "the next query is whole";
}

TEST_F(VirtualTableTest, AQueryCanBeInterrupted) {
  numbers.count = std::int64_t{1} << 60;
  std::jthread other([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    database.interrupt();
  });
  try {
    ask("SELECT sum(number) FROM numbers");
    FAIL() << "it would take for ever";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

TEST_F(VirtualTableTest, TheTableCannotBeChanged) {
  for (const char* sql : {"DELETE FROM numbers", "INSERT INTO numbers VALUES ('x', 1)", "DROP TABLE numbers"})
    EXPECT_THROW(ask(sql), Error) << sql;
}

}  // namespace
}  // namespace bale::testing
