#include "cloud/athena_client.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace bale::cloud {
namespace {

/// A page has 1000 rows, and a row of the catalog a few KB: what is much more would take the memory of other work.
constexpr ByteCount most_answer_bytes = 64 << 20;

}  // namespace

AthenaClient::AthenaClient(Session& session, Region region)
    : session_(session), region_(std::move(region)), requests_(session.endpoint(aws::Service::athena, region_.str())) {}

std::string AthenaClient::where_of(const QueryId& query) const {
  return fmt::format("query {} in {}", query.str(), region_.str());
}

std::string AthenaClient::fetch(aws::Call call, const std::string& where) {
  Outcome outcome = session_.send(std::move(call), aws::Service::athena, region_.str());
  if (outcome.failure) throw aws::athena_error(*outcome.failure, where);
  return read_text(*outcome.answer, most_answer_bytes);
}

QueryId AthenaClient::start(const QueryStart& query) {
  const std::string where = query.workgroup.empty() ? fmt::format("Athena in {}", region_.str())
                                                    : fmt::format("workgroup {} in {}", query.workgroup, region_.str());
  return aws::parse_query_id(fetch(requests_.start(query), where), where);
}

QueryExecution AthenaClient::describe(const QueryId& query) {
  const std::string where = where_of(query);
  return aws::parse_query_execution(fetch(requests_.describe(query), where), where);
}

void AthenaClient::stop(const QueryId& query) {
  aws::check_no_page(fetch(requests_.stop(query), where_of(query)), where_of(query));
}

QueryPage AthenaClient::results(const QueryId& query, const std::string& continuation) {
  const std::string where = where_of(query);
  QueryPage page = aws::parse_query_page(fetch(requests_.results(query, continuation), where), where);
  aws::check_next(page.next, continuation, where);
  return page;
}

}  // namespace bale::cloud
