#include "aws/athena.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"

namespace bale::aws {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

const AthenaRequests athena({{"http", "h", 1}, "/base", "eu-west-1", true});
const QueryId id("q-1");
const std::string where = "query q-1";

/// The action and the body; what all calls share is checked here.
std::string wire(const Call& call) {
  EXPECT_EQ(http::url_of(call.request), "http://h:1/base/");
  EXPECT_EQ(call.request.method, http::Method::post);
  EXPECT_EQ(call.request.headers.get("content-type"), "application/x-amz-json-1.1");
  EXPECT_TRUE(call.request.may_repeat);
  const std::string target(call.request.headers.get("x-amz-target"));
  EXPECT_TRUE(target.starts_with("AmazonAthena."));
  return target.substr(13) + " " + call.body;
}

TEST(AthenaRequests, SayWhatAthenaReads) {
  EXPECT_EQ(wire(athena.start({"SELECT 'ä\n\"'", "db", "wg", "s3://r/p/", "token"})),
            R"(StartQueryExecution {"ClientRequestToken":"token","QueryExecutionContext":{"Database":"db"},)"
            R"("QueryString":"SELECT 'ä\n\"'","ResultConfiguration":{"OutputLocation":"s3://r/p/"},"WorkGroup":"wg"})");
  EXPECT_EQ(wire(athena.start({"SELECT 1", "", "", "", "token"})),
            R"(StartQueryExecution {"ClientRequestToken":"token","QueryString":"SELECT 1"})");
  EXPECT_EQ(wire(athena.describe(id)), R"(GetQueryExecution {"QueryExecutionId":"q-1"})");
  EXPECT_EQ(wire(athena.stop(id)), R"(StopQueryExecution {"QueryExecutionId":"q-1"})");
  EXPECT_EQ(wire(athena.results(id, "")), R"(GetQueryResults {"MaxResults":1000,"QueryExecutionId":"q-1"})");
  EXPECT_EQ(wire(athena.results(id, "t")),
            R"(GetQueryResults {"MaxResults":1000,"NextToken":"t","QueryExecutionId":"q-1"})");
  EXPECT_ERROR(ErrorKind::invalid, "", athena.start({"\xff", "", "", "", ""}));
}

TEST(AthenaAnswers, NameTheQuery) {
  EXPECT_EQ(parse_query_id(R"({"QueryExecutionId":"q-1"})", where), id);
  for (const char* body : {"", "[]"})
    EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_query_id(body, where));
  for (const char* body : {"{}", R"({"QueryExecutionId":1})", R"({"QueryExecutionId":""})"})
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_query_id(body, where));
}

TEST(AthenaAnswers, TellTheState) {
  const QueryExecution done = parse_query_execution(
      R"({"QueryExecution":{"StatementType":"DML","Status":{"State":"SUCCEEDED","SubmissionDateTime":1.5},
          "Statistics":{"DataScannedInBytes":12345678901,"TotalExecutionTimeInMillis":2500}}})",
      where);
  EXPECT_EQ(done.state, QueryState::succeeded);
  EXPECT_TRUE(done.is_dml);
  EXPECT_EQ(done.bytes_scanned, 12345678901u);
  EXPECT_EQ(done.run_time, Milliseconds(2500));
  const QueryExecution failed = parse_query_execution(
      R"({"QueryExecution":{"StatementType":"DDL","Status":{"State":"FAILED","StateChangeReason":"why",
          "AthenaError":{"ErrorCategory":2,"Retryable":true,"ErrorMessage":"other words"}}}})",
      where);
  EXPECT_EQ(failed.state, QueryState::failed);
  EXPECT_EQ(failed.reason, "why");
  EXPECT_EQ(failed.category, 2);
  EXPECT_TRUE(failed.is_retryable);
  EXPECT_FALSE(failed.is_dml);
  EXPECT_EQ(failed.bytes_scanned, 0u) << "a query that has scanned nothing has no statistics";
  EXPECT_EQ(parse_query_execution(R"({"QueryExecution":{"Status":{"State":"QUEUED"}}})", where).state,
            QueryState::queued);
  EXPECT_EQ(parse_query_execution(R"({"QueryExecution":{"Status":{"State":"RUNNING"}}})", where).state,
            QueryState::running);
}

TEST(AthenaAnswers, RefuseStatesThatAreNone) {
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_query_execution("", where));
  for (const char* body :
       {"{}", R"({"QueryExecution":[]})", R"({"QueryExecution":{"Status":{"State":"DONE"}}})",
        R"({"QueryExecution":{"Status":{"State":"RUNNING"},"Statistics":7}})",
        R"({"QueryExecution":{"Status":{"State":"RUNNING"},"Statistics":{"DataScannedInBytes":-1}}})",
        R"({"QueryExecution":{"Status":{"State":"RUNNING"},"Statistics":{"DataScannedInBytes":"many"}}})"})
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_query_execution(body, where));
  const QueryExecution odd = parse_query_execution(
      R"({"QueryExecution":{"Status":{"State":"RUNNING","AthenaError":{"ErrorCategory":"x","Retryable":3}},
          "Statistics":{"TotalExecutionTimeInMillis":18446744073709551615}}})",
      where);
  EXPECT_FALSE(odd.category);
  EXPECT_LT(odd.run_time, std::chrono::hours(24 * 400)) << "no overflow";
}

const char* const page_text = R"({"NextToken":"t","ResultSet":{
    "ResultSetMetadata":{"ColumnInfo":[{"Name":"a","Type":"varchar"},{"Name":"n","Type":"bigint"}]},
    "Rows":[{"Data":[{"VarCharValue":"a"},{"VarCharValue":"n"}]},{"Data":[{},{"VarCharValue":"7"}]},
            {"Data":[{"VarCharValue":""}]}]}})";

TEST(AthenaAnswers, HaveRowsWithNulls) {
  QueryPage page = parse_query_page(page_text, where);
  ASSERT_EQ(page.columns.size(), 2u);
  EXPECT_EQ(page.columns[1].name, "n");
  EXPECT_EQ(page.columns[1].type, "bigint");
  EXPECT_EQ(page.next, "t");
  ASSERT_EQ(page.rows.size(), 3u);
  EXPECT_EQ(page.rows[1][0], std::nullopt);
  EXPECT_EQ(page.rows[1][1], "7");
  EXPECT_EQ(page.rows[2][0], "") << "an empty string is no NULL";
  EXPECT_EQ(page.rows[2][1], std::nullopt) << "what is left out at the end is NULL";
  const QueryPage none = parse_query_page(R"({"ResultSet":{"Rows":[],"ResultSetMetadata":{"ColumnInfo":[]}}})", where);
  EXPECT_TRUE(none.columns.empty() && none.rows.empty() && none.next.empty());
}

TEST(AthenaAnswers, LoseTheLineOfNamesOnlyWhereItIsOne) {
  QueryExecution select;
  select.is_dml = true;
  QueryPage page = parse_query_page(page_text, where);
  drop_names(page, {});
  EXPECT_EQ(page.rows.size(), 3u) << "SHOW and DESCRIBE have none";
  drop_names(page, select);
  EXPECT_EQ(page.rows.size(), 2u);
  drop_names(page, select);
  EXPECT_EQ(page.rows.size(), 2u) << "a row that is no line of names stays";
}

TEST(AthenaAnswers, RefuseRowsThatAreNone) {
  EXPECT_ERROR(ErrorKind::unavailable, "NotFromService", parse_query_page("x", where));
  for (const char* body :
       {R"({"ResultSet":7})", R"({"ResultSet":{"Rows":{}}})", R"({"ResultSet":{"Rows":[7]}})",
        R"({"ResultSet":{"Rows":[{"Data":[{}]}]}})",
        R"({"ResultSet":{"ResultSetMetadata":{"ColumnInfo":[7]},"Rows":[]}})",
        R"({"ResultSet":{"ResultSetMetadata":{"ColumnInfo":[{"Name":"a"}]},"Rows":[{"Data":[7]}]}})",
        R"({"ResultSet":{"ResultSetMetadata":{"ColumnInfo":[{"Name":"a"}]},"Rows":[{"Data":[{"VarCharValue":7}]}]}})"})
    EXPECT_ERROR(ErrorKind::corrupt, "", parse_query_page(body, where));
}

Error failure_of(const std::string& reason, QueryState state = QueryState::failed) {
  QueryExecution execution;
  execution.state = state;
  execution.reason = reason;
  return query_error(execution, "photos-catalog-workgroup", where);
}

TEST(QueryError, SaysWhatToDo) {
  const Error cut = failure_of("Bytes scanned limit was exceeded", QueryState::cancelled);
  EXPECT_EQ(cut.kind(), ErrorKind::denied);
  EXPECT_THAT(cut.summary(), HasSubstr("cancelled the query: Bytes scanned limit was exceeded"));
  EXPECT_THAT(cut.hint(), HasSubstr("photos-catalog-workgroup"));
  EXPECT_EQ(cut.where(), where);
  for (const char* reason : {"TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.db.t' does not exist",
                             "SCHEMA_NOT_FOUND: line 1:15: Schema 'db' does not exist"}) {
    EXPECT_EQ(failure_of(reason).kind(), ErrorKind::not_found) << reason;
    EXPECT_THAT(failure_of(reason).hint(), HasSubstr("bale catalog ddl --config DIR --create"));
  }
  EXPECT_EQ(failure_of("COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved").kind(), ErrorKind::invalid);
  EXPECT_EQ(failure_of("HIVE_BAD_DATA: Error Parsing a column in the table").kind(), ErrorKind::corrupt);
  EXPECT_EQ(failure_of("Access denied when writing output to url: s3://r/q.csv").kind(), ErrorKind::denied);
  EXPECT_EQ(failure_of("HIVE_CURSOR_ERROR: Failed to read: Access Denied (Service: Amazon S3)").kind(),
            ErrorKind::denied);
  EXPECT_EQ(failure_of("Query exhausted resources at this scale factor").kind(), ErrorKind::unavailable);
  EXPECT_EQ(failure_of("TYPE_MISMATCH: line 1:1").kind(), ErrorKind::invalid);
  EXPECT_EQ(failure_of("", QueryState::cancelled).kind(), ErrorKind::precondition) << "not interrupted: refused";
  EXPECT_THAT(failure_of("a\x1b[31m").summary(), ::testing::Not(HasSubstr("\x1b")));
  QueryExecution athenas_own;
  athenas_own.state = QueryState::failed;
  athenas_own.category = 1;
  EXPECT_EQ(query_error(athenas_own, "", where).kind(), ErrorKind::unavailable);
}

TEST(AthenaError, SaysWhatToDo) {
  const auto refused = [](int status, const std::string& code, const std::string& message) {
    ServiceFailure failure;
    failure.status = status;
    failure.code = code;
    failure.message = message;
    return athena_error(failure, where);
  };
  const Error group = refused(400, "InvalidRequestException", "WorkGroup is not found.");
  EXPECT_EQ(group.kind(), ErrorKind::not_found);
  EXPECT_THAT(group.hint(), HasSubstr("--workgroup"));
  EXPECT_EQ(group.code(), "InvalidRequestException");
  const Error output = refused(400, "InvalidRequestException", "No output location provided. An output location is");
  EXPECT_THAT(output.hint(), HasSubstr("--results"));
  EXPECT_EQ(refused(400, "InvalidRequestException", "line 1:1: mismatched input 'x'").kind(), ErrorKind::invalid);
  EXPECT_EQ(refused(400, "TooManyRequestsException", "slow down").kind(), ErrorKind::throttled);
  EXPECT_EQ(
      refused(400, "AccessDeniedException", "not authorized to perform athena:StartQueryExecution on WorkGroup").kind(),
      ErrorKind::denied);
  EXPECT_EQ(refused(500, "InternalServerException", "").kind(), ErrorKind::unavailable);
  EXPECT_THAT(refused(405, "MethodNotAllowed", "").hint(), HasSubstr("AWS_ENDPOINT_URL_ATHENA"));
}

}  // namespace
}  // namespace bale::aws
