#include "aws/athena.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "aws/json.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

using nlohmann::json;

/// https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
constexpr int most_rows_of_a_page = 1000;
/// A year: what runs longer is no run time of a query.
constexpr std::uint64_t longest_run_ms = 366ULL * 86'400'000;

Call call_of(const Endpoint& endpoint, const char* action, const json& members) {
  Call call = make_json_call(endpoint, std::string("AmazonAthena.") + action, members);
  call.request.headers.set("Content-Type", "application/x-amz-json-1.1");
  return call;
}

/// A member that is an object; an empty one when it is missing.
const json& object_of(const json& document, const char* name, const std::string& where) {
  static const json empty = json::object();
  const auto found = document.find(name);
  if (found == document.end() || found->is_null()) return empty;
  if (!found->is_object()) throw Error(ErrorKind::corrupt, fmt::format("{} of the answer is no object", name), where);
  return *found;
}

/// A member that counts something; 0 when it is missing.
std::uint64_t count_of(const json& document, const char* name, const std::string& where) {
  const auto found = document.find(name);
  if (found == document.end() || found->is_null()) return 0;
  if (!found->is_number_unsigned())
    throw Error(ErrorKind::corrupt, fmt::format("{} of the answer is no count", name), where);
  return found->get<std::uint64_t>();
}

QueryState state_of(const std::string& name, const std::string& where) {
  if (name == "QUEUED") return QueryState::queued;
  if (name == "RUNNING") return QueryState::running;
  if (name == "SUCCEEDED") return QueryState::succeeded;
  if (name == "FAILED") return QueryState::failed;
  if (name == "CANCELLED") return QueryState::cancelled;
  throw Error(ErrorKind::corrupt,
              fmt::format("the answer has no known state of a query: '{}'", escape_for_terminal(name)), where,
              "check that the endpoint is Athena's");
}

std::optional<std::string> value_of(const json& datum, const std::string& where) {
  if (!datum.is_object()) throw Error(ErrorKind::corrupt, "a value of the answer is no object", where);
  const auto found = datum.find("VarCharValue");
  if (found == datum.end() || found->is_null()) return std::nullopt;
  if (!found->is_string()) throw Error(ErrorKind::corrupt, "a value of the answer is no text", where);
  return found->get<std::string>();
}

/// What Athena and the engine below it write into reasons and refusals.
struct ReasonMeaning {
  std::string_view part;
  ErrorKind kind;
  std::string_view hint;
};

constexpr std::string_view tables_hint =
    "make the tables with `bale catalog ddl --config DIR --create`, or name one that is there (SHOW TABLES)";
constexpr std::string_view workgroup_hint = "name the workgroup with --workgroup, and look at the region";

/// The first that occurs in a reason counts: an access that was denied is told as damage of Hive's, too.
/// https://docs.aws.amazon.com/athena/latest/ug/troubleshooting-athena.html, https://trino.io/docs/current/develop.html
constexpr auto reasons = std::to_array<ReasonMeaning>({
    {"Bytes scanned limit was exceeded", ErrorKind::denied,
     "ask for less with year = '...' AND month = '...', or raise the workgroup's limit of bytes per query"},
    {"TABLE_NOT_FOUND", ErrorKind::not_found, tables_hint},
    {"SCHEMA_NOT_FOUND", ErrorKind::not_found, tables_hint},
    {"Database does not exist", ErrorKind::not_found, tables_hint},
    {"COLUMN_NOT_FOUND", ErrorKind::invalid, "the columns are those of docs/format/catalog.md, and year, month, day"},
    {"INVALID_TABLE_PROPERTY", ErrorKind::invalid, "make the table anew with `bale catalog ddl --create`"},
    {"PERMISSION_DENIED", ErrorKind::denied, "these credentials need Glue and S3 permissions beside Athena's"},
    {"Insufficient permissions", ErrorKind::denied, "these credentials need Glue and S3 permissions beside Athena's"},
    {"Access denied", ErrorKind::denied, "these credentials need to write where the results go, and read the catalog"},
    {"Access Denied", ErrorKind::denied, "these credentials need to write where the results go, and read the catalog"},
    {"HIVE_BAD_DATA", ErrorKind::corrupt, "a catalog file is damaged: `bale catalog search` names it"},
    {"HIVE_CURSOR_ERROR", ErrorKind::corrupt, "a catalog file is damaged: `bale catalog search` names it"},
    {"exhausted resources", ErrorKind::unavailable, "ask for less with year = '...' AND month = '...', or try again"},
    {"o output location provided", ErrorKind::invalid,
     "the workgroup has no place for results: give --results s3://bucket/prefix/"},
    {"orkGroup is not found", ErrorKind::not_found, workgroup_hint},
    {"orkGroup does not exist", ErrorKind::not_found, workgroup_hint},
});

const ReasonMeaning* meaning_of(std::string_view text) {
  const auto found = std::find_if(reasons.begin(), reasons.end(), [&](const ReasonMeaning& meaning) {
    return text.find(meaning.part) != std::string_view::npos;
  });
  return found == reasons.end() ? nullptr : &*found;
}

ErrorKind kind_of_failure(const QueryExecution& execution) {
  constexpr int athena_itself = 1;
  if (execution.is_retryable || execution.category == athena_itself) return ErrorKind::unavailable;
  return ErrorKind::invalid;
}

}  // namespace

Call AthenaRequests::start(const QueryStart& query) const {
  json members = {{"QueryString", query.sql}, {"ClientRequestToken", query.token}};
  if (!query.database.empty()) members["QueryExecutionContext"] = {{"Database", query.database}};
  if (!query.workgroup.empty()) members["WorkGroup"] = query.workgroup;
  if (!query.output_location.empty()) members["ResultConfiguration"] = {{"OutputLocation", query.output_location}};
  return call_of(endpoint_, "StartQueryExecution", members);
}

Call AthenaRequests::describe(const QueryId& query) const {
  return call_of(endpoint_, "GetQueryExecution", {{"QueryExecutionId", query.str()}});
}

Call AthenaRequests::stop(const QueryId& query) const {
  return call_of(endpoint_, "StopQueryExecution", {{"QueryExecutionId", query.str()}});
}

Call AthenaRequests::results(const QueryId& query, const std::string& continuation) const {
  json members = {{"QueryExecutionId", query.str()}, {"MaxResults", most_rows_of_a_page}};
  if (!continuation.empty()) members["NextToken"] = continuation;
  return call_of(endpoint_, "GetQueryResults", members);
}

// --- Answers --------------------------------------------------------------------------------------------------------

QueryId parse_query_id(std::string_view body, const std::string& where) {
  QueryId id(text_of(parse_json_answer(body, where), "QueryExecutionId"));
  if (id.empty()) throw Error(ErrorKind::corrupt, "the answer has no QueryExecutionId", where);
  return id;
}

QueryExecution parse_query_execution(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  const json& described = object_of(document, "QueryExecution", where);
  const json& status = object_of(described, "Status", where);
  QueryExecution execution;
  execution.state = state_of(text_of(status, "State"), where);
  const json& failure = object_of(status, "AthenaError", where);
  execution.reason = text_of(status, "StateChangeReason");
  if (execution.reason.empty()) execution.reason = text_of(failure, "ErrorMessage");
  if (const auto category = failure.find("ErrorCategory"); category != failure.end() && category->is_number_integer())
    execution.category = category->get<int>();
  if (const auto retryable = failure.find("Retryable"); retryable != failure.end() && retryable->is_boolean())
    execution.is_retryable = retryable->get<bool>();
  execution.is_dml = text_of(described, "StatementType") == "DML";
  const json& statistics = object_of(described, "Statistics", where);
  execution.bytes_scanned = count_of(statistics, "DataScannedInBytes", where);
  execution.run_time =
      Milliseconds(std::min(longest_run_ms, count_of(statistics, "TotalExecutionTimeInMillis", where)));
  return execution;
}

QueryPage parse_query_page(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  const json& set = object_of(document, "ResultSet", where);
  QueryPage page;
  for (const json& column : array_of(object_of(set, "ResultSetMetadata", where), "ColumnInfo", where)) {
    if (!column.is_object()) throw Error(ErrorKind::corrupt, "a column of the answer is no object", where);
    page.columns.push_back({text_of(column, "Name"), text_of(column, "Type")});
  }
  for (const json& row : array_of(set, "Rows", where)) {
    if (!row.is_object()) throw Error(ErrorKind::corrupt, "a row of the answer is no object", where);
    const json& data = array_of(row, "Data", where);
    if (data.size() > page.columns.size())
      throw Error(ErrorKind::corrupt, "a row of the answer has more values than there are columns", where);
    std::vector<std::optional<std::string>> values;
    for (const json& datum : data) values.push_back(value_of(datum, where));
    values.resize(page.columns.size());  // trailing NULLs may be left out
    page.rows.push_back(std::move(values));
  }
  page.next = text_of(document, "NextToken");
  return page;
}

void drop_names(QueryPage& first, const QueryExecution& execution) {
  // Servers that stand for Athena leave the line out: a row is taken for it only when it is it.
  if (!execution.is_dml || first.rows.empty()) return;
  const auto is_name = [](const auto& value, const QueryColumn& column) { return value == column.name; };
  const auto& row = first.rows.front();
  if (std::equal(row.begin(), row.end(), first.columns.begin(), first.columns.end(), is_name))
    first.rows.erase(first.rows.begin());
}

// --- Failures -------------------------------------------------------------------------------------------------------

Error athena_error(const ServiceFailure& failure, const std::string& where) {
  Error error = to_error(failure, where);
  constexpr int not_allowed = 405, not_implemented = 501;
  if (failure.status == not_allowed || failure.status == not_implemented)
    return error.with_hint("does this endpoint speak Athena? Set AWS_ENDPOINT_URL_ATHENA");
  if (error.kind() != ErrorKind::invalid) return error;
  const ReasonMeaning* meaning = meaning_of(failure.message);
  if (meaning == nullptr) return error;
  return Error(meaning->kind, error.summary(), where, std::string(meaning->hint)).with_code(error.code());
}

Error query_error(const QueryExecution& execution, const std::string& workgroup, const std::string& where) {
  const bool was_cancelled = execution.state == QueryState::cancelled;
  std::string what = was_cancelled ? "Athena cancelled the query" : "the query failed";
  if (!execution.reason.empty()) what += ": " + escape_for_terminal(execution.reason);
  if (const ReasonMeaning* meaning = meaning_of(execution.reason)) {
    std::string hint(meaning->hint);
    if (meaning->kind == ErrorKind::denied && !workgroup.empty()) hint += fmt::format(" (workgroup {})", workgroup);
    return Error(meaning->kind, what, where, hint);
  }
  // Somebody else may cancel it, too: this run was refused, not interrupted.
  if (was_cancelled)
    return Error(ErrorKind::precondition, what, where, "somebody or something stopped it: run it again");
  const ErrorKind kind = kind_of_failure(execution);
  return Error(kind, what, where, kind == ErrorKind::unavailable ? "try again" : "");
}

}  // namespace bale::aws
