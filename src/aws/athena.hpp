// Athena's JSON 1.1 protocol: pure builders of requests and parsers of answers.
// https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/answer.hpp"
#include "aws/endpoint.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"

namespace bale::aws {

/// Names one run of a query; made by Athena.
using QueryId = Named<struct QueryIdTag>;

/// What StartQueryExecution is told.
struct QueryStart {
  std::string sql;              ///< one statement, at most 262,144 bytes, without a semicolon at its end
  std::string database;         ///< for names without one; empty: none
  std::string workgroup;        ///< empty: "primary"
  std::string output_location;  ///< "s3://bucket/prefix/" of the results; empty: the workgroup's
  std::string token;            ///< 32-128 characters: a second start with the same one is the same query
};

/// Makes unsigned requests to one endpoint. A value; thread-safe. Each may be repeated: a start has its token.
class AthenaRequests {
 public:
  explicit AthenaRequests(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  const Endpoint& endpoint() const noexcept { return endpoint_; }

  /// Throws Error{invalid} for SQL that is not UTF-8.
  Call start(const QueryStart& query) const;
  Call describe(const QueryId& query) const;
  Call stop(const QueryId& query) const;
  /// At most 1000 rows. `continuation`: of the page before; empty: the first.
  Call results(const QueryId& query, const std::string& continuation) const;

 private:
  Endpoint endpoint_;
};

enum class QueryState { queued, running, succeeded, failed, cancelled };

/// What GetQueryExecution says.
struct QueryExecution {
  QueryState state = QueryState::queued;
  std::string reason;           ///< why it failed or was cancelled; may be empty
  std::optional<int> category;  ///< of the failure: 1 Athena's, 2 the query's, 3 another's
  bool is_retryable = false;    ///< the failure may pass
  bool is_dml = false;          ///< SELECT and its like: the first row of its results is a line of names
  ByteCount bytes_scanned = 0;  ///< so far
  Milliseconds run_time{0};     ///< so far, time in the queue included
};

/// A column of results.
struct QueryColumn {
  std::string name;
  std::string type;  ///< "varchar", "bigint", ...
};

/// A page of GetQueryResults.
struct QueryPage {
  std::vector<QueryColumn> columns;
  /// Each as long as `columns`; an absent value is NULL. The line of names of a SELECT is one of them.
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::string next;  ///< empty: this was the last
};

// Parsers of successful answers. Each throws Error{corrupt} naming `where` for what is not the answer it expects.

QueryId parse_query_id(std::string_view body, const std::string& where);
QueryExecution parse_query_execution(std::string_view body, const std::string& where);
QueryPage parse_query_page(std::string_view body, const std::string& where);
/// Takes the line of names off the first page of a query's results: there is one when the query is DML.
void drop_names(QueryPage& first, const QueryExecution& execution);

// Failures, with hints for the command line.

/// The Error of a request that was refused.
Error athena_error(const ServiceFailure& failure, const std::string& where);
/// The Error of a query that has failed or was cancelled: kind by what Athena says of the reason. `workgroup` is named
/// in hints.
Error query_error(const QueryExecution& execution, const std::string& workgroup, const std::string& where);

}  // namespace bale::aws
