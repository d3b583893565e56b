// bale catalog ddl, bale catalog sql --engine athena
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/text.hpp"
#include "cli/app.hpp"
#include "cli/context.hpp"
#include "unit/cloud/json_service.hpp"

namespace bale::cli {
namespace {

using nlohmann::json;
using testing::answer;
using testing::Asked;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::refusal;

json source(const std::string& bucket, const std::string& prefix) {
  json source = {{"region", "eu-central-1"}, {"bucket", bucket}};
  if (!prefix.empty()) source["prefix_filter"] = prefix;
  return source;
}
json backup(const std::string& region) {
  return {{"region", region}, {"bucket", "backups-" + region}, {"backup", true}};
}

class CatalogAthenaTest : public testing::JsonService {
 protected:
  CatalogAthenaTest() {
    world_.environment.variables["AWS_ENDPOINT_URL_ATHENA"] = server_->url();
    on("StartQueryExecution", {answer(200, R"({"QueryExecutionId":"q-1"})")});
    on("StopQueryExecution", {answer(200, "{}")});
    on("GetQueryExecution", {state("QUEUED"), state("RUNNING"), state("SUCCEEDED")});
    configure({{{"source", source("camera", "raw/2025")}, {"destinations", {backup("us-east-1")}}}});
  }

  void configure(const json& rules) {
    json regions =
        json::array({{{"region", "eu-central-1"}, {"source_target", {"source"}}, {"vpc_cidr", "10.0.0.0/16"}}});
    for (const char* region : {"us-east-1", "eu-west-1"})
      regions.push_back({{"region", region}, {"source_target", {"target"}}, {"vpc_cidr", "10.1.0.0/16"}});
    world_.write("config/settings.json", json({{"stack_name", "photos"},
                                               {"account", "123456789012"},
                                               {"enabled_regions", regions},
                                               {"notification_emails", {"ops@example.com"}},
                                               {"tags", json::object()}})
                                             .dump());
    world_.write("config/replication_config.json", json({{"replication_configuration", rules}}).dump());
  }

  static std::string state(const std::string& name, const std::string& reason = {}) {
    json status = {{"State", name}};
    if (!reason.empty()) status["StateChangeReason"] = reason;
    return answer(200,
                  json({{"QueryExecution",
                         {{"StatementType", "DML"},
                          {"Status", status},
                          {"Statistics", {{"DataScannedInBytes", 1 << 20}, {"TotalExecutionTimeInMillis", 2500}}}}}})
                      .dump());
  }
  static json row(const std::vector<std::string>& values) {
    json data = json::array();
    for (const std::string& value : values) data.push_back({{"VarCharValue", value}});
    return {{"Data", data}};
  }
  static std::string page(const std::vector<json>& rows, const std::string& next = {}) {
    json document = {
        {"ResultSet",
         {{"Rows", rows},
          {"ResultSetMetadata",
           {{"ColumnInfo", {{{"Name", "name"}, {"Type", "varchar"}}, {{"Name", "n"}, {"Type", "bigint"}}}}}}}}};
    if (!next.empty()) document["NextToken"] = next;
    return answer(200, document.dump());
  }

  int bale(std::vector<std::string> arguments) { return run(arguments, world_.world()); }
  int sql(const std::string& query, std::vector<std::string> more = {}) {
    std::vector<std::string> all{
        "catalog", "sql", query, "--engine", "athena", "--config", world_.path("config").string()};
    all.insert(all.end(), more.begin(), more.end());
    return bale(all);
  }
  int ddl(std::vector<std::string> more = {}) {
    std::vector<std::string> all{"catalog", "ddl", "--config", world_.path("config").string()};
    all.insert(all.end(), more.begin(), more.end());
    return bale(all);
  }
  std::vector<json> lines() {
    std::vector<json> all;
    std::istringstream text(world_.terminal.take_output());
    for (std::string line; std::getline(text, line);) all.push_back(json::parse(line));
    return all;
  }
};

// Queries

TEST_F(CatalogAthenaTest, AQueryGoesToTheStacksWorkgroupAndItsPagesComeBack) {
  on("GetQueryResults", {page({row({"name", "n"}), row({"a", "1"})}, "t"), page({row({"b", "22"})})});
  EXPECT_EQ(sql("SELECT name, n FROM catalog_table_name;"), exit_ok);
  EXPECT_EQ(world_.terminal.output(), "name   n\na      1\nb     22\n");
  EXPECT_EQ(world_.terminal.errors(),
            "1.0 MiB scanned in 2.5 s (query q-1, workgroup photos-catalog-workgroup in us-east-1)\n");
  const std::vector<Asked> asked = this->asked();
  ASSERT_EQ(asked.size(), 6u);
  const json& start = asked[0].members;
  EXPECT_EQ(start["QueryString"], "SELECT name, n FROM catalog");
  EXPECT_EQ(start["WorkGroup"], "photos-catalog-workgroup");
  EXPECT_EQ(start["QueryExecutionContext"]["Database"], "photos_catalog_db");
  EXPECT_FALSE(start.contains("ResultConfiguration"));
  EXPECT_GE(start["ClientRequestToken"].get<std::string>().size(), 32u);
  EXPECT_EQ(asked[5].members["NextToken"], "t");
}

TEST_F(CatalogAthenaTest, OptionsSayOtherPlaces) {
  on("GetQueryResults", {page({})});
  EXPECT_EQ(bale({"catalog", "sql", "SELECT 1", "--engine", "athena", "--workgroup", "w", "--database", "d",
                  "--results", "s3://r/p/", "--region", "eu-west-1"}),
            exit_ok);
  const json start = asked()[0].members;
  EXPECT_EQ(start["WorkGroup"], "w");
  EXPECT_EQ(start["QueryExecutionContext"]["Database"], "d");
  EXPECT_EQ(start["ResultConfiguration"]["OutputLocation"], "s3://r/p/");
  EXPECT_EQ(bale({"catalog", "sql", "SELECT 1", "--engine", "athena"}), exit_usage);
  EXPECT_THAT(world_.terminal.errors(), HasSubstr("--config DIR"));
}

TEST_F(CatalogAthenaTest, RowsAreJsonOrCsv) {
  on("GetQueryResults", {page({row({"name", "n"}), row({"a,b", "1"})})});
  EXPECT_EQ(sql("SELECT 1", {"--output", "json"}), exit_ok);
  EXPECT_EQ(world_.terminal.take_output(), "{\"type\":\"row\",\"name\":\"a,b\",\"n\":1}\n");
  const json told = json::parse(world_.terminal.take_errors());
  EXPECT_EQ(told["type"], "query");
  EXPECT_EQ(told["bytes_scanned"], 1 << 20);
  EXPECT_EQ(told["run_time_ms"], 2500);
  EXPECT_EQ(sql("SELECT 1", {"--format", "csv"}), exit_ok);
  EXPECT_EQ(world_.terminal.take_output(), "name,n\r\n\"a,b\",1\r\n");
  EXPECT_EQ(sql("SELECT 1", {"--format", "jsonl", "--quiet"}), exit_ok);
  EXPECT_EQ(world_.terminal.take_output(), "{\"name\":\"a,b\",\"n\":1}\n");
}

TEST_F(CatalogAthenaTest, AStartWhoseAnswerWasLostIsTheSameQuery) {
  on("StartQueryExecution", {refusal(503, "ServiceUnavailable"), answer(200, R"({"QueryExecutionId":"q-1"})")});
  on("GetQueryExecution", {refusal(400, "TooManyRequestsException"), state("SUCCEEDED")});
  on("GetQueryResults", {refusal(500, "InternalServerException"), page({row({"name", "n"})})});
  EXPECT_EQ(sql("SELECT 1"), exit_ok) << world_.terminal.errors();
  const std::vector<Asked> asked = this->asked();
  ASSERT_EQ(asked.size(), 6u);
  EXPECT_EQ(asked[0].members["ClientRequestToken"], asked[1].members["ClientRequestToken"]);
}

TEST_F(CatalogAthenaTest, AFailedQuerySaysWhyAndWhatItScanned) {
  on("GetQueryExecution", {state("CANCELLED", "Bytes scanned limit was exceeded")});
  EXPECT_EQ(sql("SELECT * FROM catalog"), exit_refused);
  EXPECT_THAT(world_.terminal.take_errors(),
              ::testing::AllOf(HasSubstr("1.0 MiB scanned"), HasSubstr("Bytes scanned limit was exceeded"),
                               HasSubstr("hint: "), HasSubstr("photos-catalog-workgroup")));
  on("GetQueryExecution", {state("FAILED", "TABLE_NOT_FOUND: line 1:15: Table 'x' does not exist")});
  EXPECT_EQ(sql("SELECT * FROM x"), exit_not_found);
  EXPECT_THAT(world_.terminal.take_errors(), HasSubstr("bale catalog ddl --config DIR --create"));
  EXPECT_EQ(world_.terminal.output(), "");
}

// That a query which runs is stopped shows tests/e2e/test_athena.py: on this clock the time for cleaning up is over at
// once.
TEST_F(CatalogAthenaTest, AnInterruptedCommandBeginsNoQuery) {
  world_.stop.request_stop();
  EXPECT_EQ(sql("SELECT 1"), exit_interrupted);
  EXPECT_THAT(operations(), ::testing::IsEmpty());
}

TEST_F(CatalogAthenaTest, AQueryThatCannotBeFollowedIsStopped) {
  on("GetQueryExecution", {refusal(403, "AccessDeniedException")});
  EXPECT_EQ(sql("SELECT 1"), exit_refused);
  EXPECT_THAT(operations(), ElementsAre("StartQueryExecution", "GetQueryExecution", "StopQueryExecution"));
}

TEST_F(CatalogAthenaTest, ATerminalShowsThatItRuns) {
  world_.terminal.is_terminal = true;
  on("GetQueryResults", {page({})});
  EXPECT_EQ(sql("SELECT 1"), exit_ok);
  EXPECT_THAT(world_.terminal.errors(), ::testing::AllOf(HasSubstr("Athena: in the queue"),
                                                         HasSubstr("Athena: running  200 ms  1.0 MiB scanned")));
}

TEST_F(CatalogAthenaTest, PollingSlowsDown) {
  std::vector<std::string> states(40, state("RUNNING"));
  states.push_back(state("SUCCEEDED"));
  on("GetQueryExecution", states);
  on("GetQueryResults", {page({})});
  const auto before = world_.clock.steady();
  EXPECT_EQ(sql("SELECT 1"), exit_ok);
  EXPECT_GT(world_.clock.steady() - before, std::chrono::seconds(120)) << "forty waits of up to five seconds";
}

TEST_F(CatalogAthenaTest, NothingThatChangesSomethingIsAsked) {
  EXPECT_EQ(sql("DROP TABLE catalog"), exit_usage);
  EXPECT_EQ(sql("SELECT 1", {"--dryrun"}), exit_ok);
  EXPECT_THAT(world_.terminal.output(), HasSubstr("SELECT 1"));
  EXPECT_EQ(sql("SELECT 1", {"--local", world_.path("store").string()}), exit_usage);
  EXPECT_THAT(world_.terminal.errors(), HasSubstr("leave --engine athena away"));
  EXPECT_TRUE(asked().empty());
}

TEST_F(CatalogAthenaTest, OfSeveralRegionsOneIsChosen) {
  configure({{{"source", source("camera", "")}, {"destinations", {backup("us-east-1"), backup("eu-west-1")}}}});
  EXPECT_EQ(sql("SELECT 1", {"--region", "ap-south-1"}), exit_usage);
  EXPECT_THAT(world_.terminal.take_errors(), HasSubstr("choose one with --region: us-east-1, eu-west-1"));
  on("GetQueryResults", {page({})});
  EXPECT_EQ(sql("SELECT 1", {"--region", "eu-west-1"}), exit_ok);
  EXPECT_THAT(world_.terminal.errors(), HasSubstr("in eu-west-1"));
}

// Tables

TEST_F(CatalogAthenaTest, DdlPrintsWhatIsMadeInOrder) {
  configure({{{"source", source("camera", "raw/2025")}, {"destinations", {backup("us-east-1"), backup("eu-west-1")}}},
             {{"source", source("camera-raw-2025", "")}, {"destinations", {backup("us-east-1")}}},
             {{"source", source("copied", "")}, {"destinations", {{{"region", "us-east-1"}, {"bucket", "copies"}}}}}});
  EXPECT_EQ(ddl({"--output", "json"}), exit_ok);
  const std::vector<json> all = lines();
  std::vector<std::string> told;
  for (const json& line : all)
    told.push_back(line["type"].get<std::string>() + " " + line["region"].get<std::string>());
  EXPECT_THAT(told, ElementsAre("database us-east-1", "table us-east-1", "table us-east-1", "view us-east-1",
                                "database eu-west-1", "table eu-west-1", "view eu-west-1"));
  EXPECT_EQ(all[1]["location"], "s3://photos-123456789012-us-east-1-catalog/camera/raw/2025/");
  EXPECT_EQ(all[1]["database"], "photos_catalog_db");
  EXPECT_NE(all[1]["table"], all[2]["table"]) << "names that would be equal";
  EXPECT_EQ(all[1]["table"], all[5]["table"]) << "one source, one name";
  EXPECT_THAT(all[1]["statement"].get<std::string>(), HasSubstr("'projection.year.range' = '2015,2035'"))
      << "ten years either way of the world's clock";
  EXPECT_THAT(all[3]["statement"].get<std::string>(), HasSubstr("UNION ALL"));
  EXPECT_EQ(ddl({"--output", "json"}), exit_ok);
  EXPECT_EQ(lines(), all) << "the same every time";
}

TEST_F(CatalogAthenaTest, DdlOfOneSource) {
  configure({{{"source", source("camera", "raw")}, {"destinations", {backup("us-east-1")}}},
             {{"source", source("camera", "jpg")}, {"destinations", {backup("us-east-1")}}},
             {{"source", source("camera-raw", "")}, {"destinations", {backup("us-east-1")}}}});
  EXPECT_EQ(ddl({"--output", "json"}), exit_ok);
  const std::vector<json> all = lines();
  EXPECT_EQ(ddl({"--output", "json", "--source", "camera/raw/", "--first-year", "2020", "--last-year", "2030"}),
            exit_ok);
  const std::vector<json> one = lines();
  ASSERT_EQ(one.size(), 2u) << "no view: it is over all";
  EXPECT_EQ(one[1]["table"], all[1]["table"]) << "whatever was chosen, a table keeps its name";
  EXPECT_THAT(one[1]["statement"].get<std::string>(), HasSubstr("'2020,2030'"));
  EXPECT_EQ(ddl({"--output", "json", "--source", "camera"}), exit_ok);
  EXPECT_EQ(lines().size(), 3u) << "both prefixes of the bucket";
  EXPECT_EQ(ddl({"--source", "none"}), exit_not_found);
  EXPECT_EQ(ddl({"--first-year", "2030", "--last-year", "2020"}), exit_usage);
}

TEST_F(CatalogAthenaTest, DdlOfTheReplacedProgramsDirectories) {
  EXPECT_EQ(ddl({"--output", "json", "--reference"}), exit_ok);
  const std::vector<json> all = lines();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[2]["table"], "eu_central_1_camera_raw_2025");
  EXPECT_EQ(all[2]["location"], "s3://photos-123456789012-us-east-1-catalog/eu-central-1/camera/raw/2025/");
  EXPECT_THAT(all[3]["statement"].get<std::string>(), HasSubstr("UNION ALL")) << "the view has the rows of both";
}

TEST_F(CatalogAthenaTest, DdlForPeopleCanBePasted) {
  EXPECT_EQ(ddl(), exit_ok);
  const std::string text = world_.terminal.output();
  EXPECT_TRUE(text.starts_with("-- database photos_catalog_db in us-east-1\nCREATE DATABASE IF NOT EXISTS"));
  EXPECT_THAT(text, HasSubstr("\n-- table photos_catalog_db.camera_raw_2025 in us-east-1: camera/raw/2025\nCREATE "));
  EXPECT_THAT(text, HasSubstr("\n);\n"));
  EXPECT_TRUE(asked().empty()) << "nothing is asked";
}

TEST_F(CatalogAthenaTest, CreateRunsEveryStatement) {
  on("GetQueryExecution", {state("SUCCEEDED")});
  EXPECT_EQ(ddl({"--create", "--dryrun"}), exit_ok);
  EXPECT_TRUE(asked().empty());
  world_.terminal.take_output();
  EXPECT_EQ(ddl({"--create"}), exit_ok);
  EXPECT_EQ(world_.terminal.output(),
            "made database photos_catalog_db in us-east-1\n"
            "made table photos_catalog_db.camera_raw_2025 in us-east-1\n"
            "made view photos_catalog_db.catalog in us-east-1\n");
  std::vector<std::string> statements;
  for (const Asked& each : asked()) {
    if (each.operation != "StartQueryExecution") continue;
    const std::string statement = each.members["QueryString"];
    statements.push_back(statement.substr(0, 15));
    EXPECT_FALSE(statement.ends_with(';'));
    EXPECT_FALSE(each.members.contains("QueryExecutionContext")) << "a database that may not be there yet";
    EXPECT_EQ(each.members["WorkGroup"], "photos-catalog-workgroup");
  }
  EXPECT_THAT(statements, ElementsAre("CREATE DATABASE", "CREATE EXTERNAL", "CREATE OR REPLA"));
}

TEST_F(CatalogAthenaTest, CreateNamesWhatFailedAndGoesOn) {
  on("GetQueryExecution",
     {state("SUCCEEDED"), state("FAILED", "PERMISSION_DENIED: glue:CreateTable"), state("SUCCEEDED")});
  EXPECT_EQ(ddl({"--create"}), exit_some_failed);
  EXPECT_THAT(world_.terminal.errors(),
              ::testing::AllOf(HasSubstr("table photos_catalog_db.camera_raw_2025 in us-east-1 was not made"),
                               HasSubstr("PERMISSION_DENIED"), HasSubstr("hint: ")));
  EXPECT_THAT(world_.terminal.output(), HasSubstr("made view"));
}

TEST_F(CatalogAthenaTest, APlaceThatAthenaCannotReadIsNamedAndTheOthersAreMade) {
  configure({{{"source", source("camera", "a//b")}, {"destinations", {backup("us-east-1")}}},
             {{"source", source("good", "")}, {"destinations", {backup("us-east-1")}}}});
  EXPECT_EQ(ddl({"--output", "json"}), exit_some_failed);
  const std::vector<json> all = lines();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_THAT(all[2]["statement"].get<std::string>(), Not(HasSubstr("UNION")));
  EXPECT_THAT(world_.terminal.errors(), HasSubstr("camera/a//b"));
}

TEST_F(CatalogAthenaTest, WithoutBackupsThereAreNoTables) {
  configure({{{"source", source("copied", "")}, {"destinations", {{{"region", "us-east-1"}, {"bucket", "copies"}}}}}});
  EXPECT_EQ(ddl(), exit_usage);
  EXPECT_THAT(world_.terminal.take_errors(), HasSubstr("\"backup\": true"));
  EXPECT_EQ(sql("SELECT 1"), exit_usage);
}

}  // namespace
}  // namespace bale::cli
