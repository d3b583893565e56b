// Athena over HTTP: queries that run there, and their results.
#pragma once

#include <string>

#include "aws/athena.hpp"
#include "cloud/session.hpp"

namespace bale::cloud {

using aws::QueryColumn;
using aws::QueryExecution;
using aws::QueryId;
using aws::QueryPage;
using aws::QueryStart;
using aws::QueryState;

/// Athena, or a server that speaks its JSON protocol, in one region. Tries nothing twice: flow::retry() may, since
/// every request may be repeated. Thread-safe; each call takes a connection of the session's for itself and throws what
/// aws::athena_error() makes of a refusal.
class AthenaClient {
 public:
  /// Borrows the session. Throws Error{invalid} for an endpoint that is none.
  AthenaClient(Session& session, Region region);
  const Region& region() const noexcept { return region_; }

  /// Begins a query and returns its name at once. With the same token, a second call is the same query.
  QueryId start(const QueryStart& query);
  QueryExecution describe(const QueryId& query);
  /// Asks for the end of a query; one that has ended stays as it is.
  void stop(const QueryId& query);
  /// A page of the results of a query that has succeeded. `continuation`: `next` of the page before; empty: the first.
  /// Throws Error{corrupt} where the next page would be this one again.
  QueryPage results(const QueryId& query, const std::string& continuation);
  /// "query <id> in eu-west-1": how messages name a query.
  std::string where_of(const QueryId& query) const;

 private:
  std::string fetch(aws::Call call, const std::string& where);

  Session& session_;
  const Region region_;
  const aws::AthenaRequests requests_;
};

using aws::drop_names;
using aws::query_error;

}  // namespace bale::cloud
