// What the client of Athena makes of answers, over a connection.
#include "cloud/athena_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/errors.hpp"
#include "unit/cloud/json_service.hpp"

namespace bale::cloud {
namespace {

using testing::answer;
using testing::error_of;
using testing::refusal;

class AthenaClientTest : public testing::JsonService {
 protected:
  AthenaClient client_{*session_, Region("eu-west-1")};
  const QueryId id_{"q-1"};
};

TEST_F(AthenaClientTest, StartsAsksAndStops) {
  on("StartQueryExecution", {answer(200, R"({"QueryExecutionId":"q-1"})")});
  on("GetQueryExecution", {answer(200, R"({"QueryExecution":{"Status":{"State":"RUNNING"}}})")});
  on("StopQueryExecution", {answer(200, "{}")});
  EXPECT_EQ(client_.start({"SELECT 1", "db", "wg", "", "token"}), id_);
  EXPECT_EQ(client_.describe(id_).state, QueryState::running);
  client_.stop(id_);
  const auto asked = this->asked();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].members["WorkGroup"], "wg");
  EXPECT_EQ(asked[2].members["QueryExecutionId"], "q-1");
}

TEST_F(AthenaClientTest, NamesWhatWasRefused) {
  on("StartQueryExecution", {refusal(400, "InvalidRequestException")});
  const Error refused = error_of([&] { client_.start({"SELECT 1", "", "wg", "", "token"}); });
  EXPECT_EQ(refused.kind(), ErrorKind::invalid);
  EXPECT_EQ(refused.where(), "workgroup wg in eu-west-1");
  on("GetQueryExecution", {refusal(503, "ServiceUnavailable")});
  const Error away = error_of([&] { client_.describe(id_); });
  EXPECT_EQ(away.kind(), ErrorKind::unavailable);
  EXPECT_EQ(away.where(), "query q-1 in eu-west-1");
  EXPECT_EQ(asked().size(), 2u) << "nothing is tried twice here";
}

TEST_F(AthenaClientTest, APageThatComesAgainIsNoPage) {
  on("GetQueryResults", {answer(200, R"({"NextToken":"t","ResultSet":{"Rows":[]}})")});
  EXPECT_EQ(client_.results(id_, "").next, "t");
  EXPECT_ERROR(ErrorKind::corrupt, "", client_.results(id_, "t"));
}

TEST_F(AthenaClientTest, HasAnEndpointOfItsOwn) {
  on("StopQueryExecution", {answer(200, "{}")});
  world_.environment.variables["AWS_ENDPOINT_URL_ATHENA"] = server_->url();
  world_.environment.variables["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1";
  Session session(outside_, os::system_processes(), {});
  AthenaClient(session, Region("eu-west-1")).stop(id_);
  EXPECT_EQ(operations(), std::vector<std::string>{"StopQueryExecution"});
}

}  // namespace
}  // namespace bale::cloud
