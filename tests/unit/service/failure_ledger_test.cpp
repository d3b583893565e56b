#include "service/failure_ledger.hpp"

#include <gtest/gtest.h>

namespace bale::service {
namespace {

ReplicationFailure failure(const std::string& what, const std::string& message = "refused") {
  return {"target", what, Error(ErrorKind::denied, message)};
}

TEST(FailureLedgerTest, CountsAThingOnceHoweverOftenItFails) {
  FailureLedger ledger;
  ledger.record("target", "archive", {failure("a"), failure("b")});
  ledger.record("target", "archive", {failure("a", "refused again"), failure("b")});
  ASSERT_EQ(ledger.size(), 2u);
  const auto failures = ledger.failures();
  EXPECT_EQ(failures[0].what, "a");
  EXPECT_EQ(failures[0].attempts, 2u);
  EXPECT_EQ(failures[0].error.summary(), "refused again");
}

TEST(FailureLedgerTest, ForgetsWhatSucceedsLater) {
  FailureLedger ledger;
  ledger.record("target", "archive", {failure("a"), failure("b")});
  ledger.record("target", "archive", {failure("b")});
  ASSERT_EQ(ledger.size(), 1u);
  EXPECT_EQ(ledger.failures()[0].what, "b");
  ledger.record("target", "archive", {});
  EXPECT_EQ(ledger.size(), 0u);
}

TEST(FailureLedgerTest, KeepsStagesAndWorkApart) {
  FailureLedger ledger;
  ledger.record("target", "one", {failure("a")});
  ledger.record("target", "two", {failure("a")});
  ledger.record("relay", "one", {failure("a")});
  EXPECT_EQ(ledger.size(), 3u);
  ledger.record("target", "one", {});
  EXPECT_EQ(ledger.size(), 2u);
}

TEST(FailureLedgerTest, CountsBeyondWhatItKeeps) {
  FailureLedger ledger;
  for (std::size_t i = 0; i < FailureLedger::most_kept + 5; ++i)
    ledger.record("source", std::to_string(i), {failure(std::to_string(i))});
  EXPECT_EQ(ledger.size(), FailureLedger::most_kept + 5);
  EXPECT_EQ(ledger.failures().size(), FailureLedger::most_kept);
}

}  // namespace
}  // namespace bale::service
