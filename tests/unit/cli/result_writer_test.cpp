#include "cli/result_writer.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "support/fake_world.hpp"

namespace bale::cli {
namespace {

class ResultWriterTest : public ::testing::Test {
 protected:
  Context& context() {
    if (!context_) {
      GlobalOptions options;
      options.region = "us-east-1";
      options.connections = 1;
      options.quiet = quiet_;
      context_.emplace(world_.world(), options);
    }
    return *context_;
  }
  /// What is written of these rows.
  std::string written(ResultOptions options, const std::vector<ResultColumn>& columns,
                      const std::vector<ResultRow>& rows) {
    ResultWriter writer(context(), std::move(options));
    writer.begin(columns);
    for (const ResultRow& row : rows) writer.add(row);
    writer.finish();
    EXPECT_EQ(writer.rows(), rows.size());
    return world_.terminal.take_output();
  }

  testing::FakeWorld world_;
  bool quiet_ = false;
  std::optional<Context> context_;
};

const std::vector<ResultColumn> columns{{"name", "varchar"}, {"size", "bigint"}};

TEST(KindOfType, KnowsTheTypesOfBothEngines) {
  for (const char* type :
       {"bigint", "INTEGER", "int", "double", "REAL", "decimal(10,2)", "Decimal", "tinyint", "float"})
    EXPECT_EQ(kind_of_type(type), ResultKind::number) << type;
  for (const char* type : {"", "varchar", "VARCHAR(10)", "timestamp", "array", "map", "interval", "INTEGERS"})
    EXPECT_EQ(kind_of_type(type), ResultKind::text) << type;
  EXPECT_EQ(kind_of_type("boolean"), ResultKind::boolean);
}

TEST(ParseResultFormat, KnowsThree) {
  EXPECT_EQ(parse_result_format("table"), ResultFormat::table);
  EXPECT_EQ(parse_result_format("csv"), ResultFormat::csv);
  EXPECT_EQ(parse_result_format("jsonl"), ResultFormat::jsonl);
  EXPECT_FALSE(parse_result_format("JSON"));
}

TEST_F(ResultWriterTest, TablesAlign) {
  EXPECT_EQ(written({}, columns, {{"a", "1234"}, {"日本\n", std::nullopt}}),
            "name      size\n"
            "a         1234\n"
            "日本\\x0a  NULL\n");
}

TEST_F(ResultWriterTest, ATableWithoutRowsHasItsHeadings) {
  EXPECT_EQ(written({}, columns, {}), "name  size\n");
  EXPECT_EQ(written({}, {}, {}), "") << "a statement that has no result";
}

TEST_F(ResultWriterTest, LongTablesStreamInTheWidthsOfTheirFirstRows) {
  ResultOptions options;
  options.rows_kept = 2;
  EXPECT_EQ(written(options, columns, {{"aaaaaa", "1"}, {"b", "22"}, {"c", "3"}, {"dddddddd", "4"}}),
            "name    size\n"
            "aaaaaa     1\n"
            "b         22\n"
            "c          3\n"
            "dddddddd     4\n");
}

TEST_F(ResultWriterTest, TablesKeepNoMoreBytesThanTheyMay) {
  ResultOptions options;
  options.bytes_kept = 1000;
  ResultWriter writer(context(), options);
  writer.begin(columns);
  const std::string wide(70'000, 'x');
  writer.add({wide, "1"});
  EXPECT_NE(world_.terminal.take_output(), "") << "went out before the end";
  writer.add({"y", "2"});
  writer.finish();
  EXPECT_EQ(world_.terminal.take_output().substr(0, 2), "y ");
}

TEST_F(ResultWriterTest, CsvQuotesWhatItMust) {
  ResultOptions options;
  options.format = ResultFormat::csv;
  EXPECT_EQ(written(options, columns, {{"plain", "1"}, {"a,\"b\"\r\n", "2"}, {"", std::nullopt}}),
            "name,size\r\n"
            "plain,1\r\n"
            "\"a,\"\"b\"\"\r\n\",2\r\n"
            "\"\",\r\n");
}

TEST_F(ResultWriterTest, JsonHasNumbersWhereTheColumnHas) {
  ResultOptions options;
  options.format = ResultFormat::jsonl;
  const std::vector<ResultColumn> all{{"n", "decimal"}, {"t", "varchar"}, {"b", "boolean"}};
  EXPECT_EQ(written(options, all,
                    {{"12345678901234567890123456789.50", "12", "true"},
                     {std::nullopt, std::nullopt, std::nullopt},
                     {"NaN", "a\"\n\xff", "false"},
                     {"-1.5E-7", "", "x"},
                     {"007", "", ""}}),
            "{\"n\":12345678901234567890123456789.50,\"t\":\"12\",\"b\":true}\n"
            "{\"n\":null,\"t\":null,\"b\":null}\n"
            "{\"n\":\"NaN\",\"t\":\"a\\\"\\n\xef\xbf\xbd\",\"b\":false}\n"
            "{\"n\":-1.5E-7,\"t\":\"\",\"b\":\"x\"}\n"
            "{\"n\":\"007\",\"t\":\"\",\"b\":\"\"}\n");
}

TEST_F(ResultWriterTest, JsonMembersAreDistinct) {
  ResultOptions options;
  options.format = ResultFormat::jsonl;
  options.line_type = "row";
  EXPECT_EQ(written(options, {{"a", ""}, {"a", ""}, {"a_2", ""}, {"", ""}}, {{"1", "2", "3", "4"}}),
            "{\"type\":\"row\",\"a\":\"1\",\"a_3\":\"2\",\"a_2\":\"3\",\"_col3\":\"4\"}\n");
  EXPECT_EQ(written(options, {{"type", ""}}, {{"mine"}}), "{\"type\":\"mine\"}\n") << "the column's";
}

TEST_F(ResultWriterTest, CsvAndJsonGoOutAsTheyCome) {
  for (const ResultFormat format : {ResultFormat::csv, ResultFormat::jsonl}) {
    ResultOptions options;
    options.format = format;
    ResultWriter writer(context(), options);
    writer.begin(columns);
    for (int i = 0; i < 10'000; ++i) writer.add({std::string(20, 'x'), std::to_string(i)});
    EXPECT_GT(world_.terminal.output().size(), 150'000u) << "before the end";
    writer.finish();
    const std::string all = world_.terminal.take_output();
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 10'000 + (format == ResultFormat::csv ? 1 : 0));
  }
}

TEST_F(ResultWriterTest, QuietHidesTablesOnly) {
  quiet_ = true;
  EXPECT_EQ(written({}, columns, {{"a", "1"}}), "");
  ResultOptions options;
  options.format = ResultFormat::csv;
  EXPECT_NE(written(options, columns, {{"a", "1"}}), "");
}

TEST_F(ResultWriterTest, RowsFitTheColumns) {
  ResultWriter writer(context(), {});
  writer.begin(columns);
  EXPECT_THROW(writer.add({"1", "2", "3"}), Error);
  writer.add({"only"});
  writer.finish();
  EXPECT_EQ(world_.terminal.take_output(), "name  size\nonly  NULL\n");
}

}  // namespace
}  // namespace bale::cli
