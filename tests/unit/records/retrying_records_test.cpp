// The retrying record store over the embedded one, with faults to order. Time is a fake: no test waits.
#include "records/retrying_records.hpp"

#include "embedded/backend.hpp"
#include "support/fake_world.hpp"
#include "support/faulty_records.hpp"

namespace bale::records {
namespace {

using testing::FaultTime;
using Must = Condition::Test;

Error unavailable() { return Error(ErrorKind::unavailable, "the connection broke"); }
Error throttled() {
  return Error(ErrorKind::throttled, "too fast").with_code("ProvisionedThroughputExceededException");
}
Value number(const std::string& digits) { return Value(Number{digits}); }
const std::vector<Condition> if_absent = {{"id", Must::not_exists, {}}};

class RetryingRecordsTest : public ::testing::Test {
 protected:
  void SetUp() override { embedded_->create_table(table_, schema_); }
  template <typename Call>
  static Error failure_of(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorKind::internal, "nothing");
  }
  Item count_one() {
    Update add;
    add.add.push_back({{"n"}, Number{"1"}});
    return retrying_.update(table_, key_, add, {});
  }

  testing::FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<RecordStore> embedded_ = backend_->records(Region("eu-west-1"));
  TableName table_{"table"};
  KeySchema schema_{{"id", KeyType::string}, std::nullopt};
  Item key_{{"id", Value("a")}};
  testing::FaultyRecords faulty_{*embedded_};
  flow::Retrier retrier_{world_, {.max_attempts = 3}};
  RetryingRecords retrying_{faulty_, retrier_};
};

TEST_F(RetryingRecordsTest, EveryCallIsTriedAgain) {
  for (const char* method : {"create_table", "describe_table", "delete_table", "list_tables", "get", "put", "update",
                             "add", "remove", "query", "scan", "put_batch"})
    faulty_.faults.arm(method, "", throttled(), 2);
  const TableName other("other");
  retrying_.create_table(other, schema_);
  EXPECT_TRUE(retrying_.describe_table(other));
  EXPECT_EQ(retrying_.list_tables().size(), 2u);
  retrying_.put(table_, key_, {});
  EXPECT_EQ(retrying_.get(table_, key_), key_);
  Update set;
  set.set.push_back({{"s"}, Value("x")});
  EXPECT_EQ(retrying_.update(table_, key_, set, {}).at("s"), Value("x"));
  EXPECT_EQ(count_one().at("n"), number("1"));
  QueryRequest query;
  query.partition = Value("a");
  EXPECT_EQ(retrying_.query(table_, query).items.size(), 1u);
  EXPECT_EQ(retrying_.scan(table_, {}).items.size(), 1u);
  retrying_.remove(table_, key_, {});
  EXPECT_TRUE(retrying_.put_batch(table_, {key_}).empty());
  retrying_.delete_table(other);
  EXPECT_FALSE(embedded_->describe_table(other));
}

TEST_F(RetryingRecordsTest, NeverAddsTwice) {
  for (const Error& lost : {unavailable(), Error(ErrorKind::timeout, "no answer")}) {
    for (const FaultTime time : {FaultTime::before, FaultTime::after}) {
      embedded_->put(table_, key_);
      faulty_.faults.arm("add", "", lost, 1, time);
      const int calls = faulty_.faults.calls("add");
      const Error error = failure_of([&] { count_one(); });
      EXPECT_EQ(error.kind(), lost.kind());
      EXPECT_EQ(error.summary(), lost.summary() + "; it is not known whether the update was made");
      EXPECT_FALSE(error.hint().empty());
      EXPECT_EQ(faulty_.faults.calls("add"), calls + 1);
      EXPECT_EQ(embedded_->get(table_, key_)->contains("n"), time == FaultTime::after);
    }
  }
}

TEST_F(RetryingRecordsTest, AddsAgainWhenTheFirstTimeCertainlyDidNothing) {
  faulty_.faults.arm("add", "", throttled());
  faulty_.faults.arm("add", "", unavailable().without_effect());
  EXPECT_EQ(count_one().at("n"), number("1"));
  faulty_.faults.arm("add", "", throttled(), 3);
  EXPECT_EQ(failure_of([&] { count_one(); }).summary(), "too fast; gave up after 3 attempts");
  EXPECT_EQ(embedded_->get(table_, key_)->at("n"), number("1"));
}

TEST_F(RetryingRecordsTest, RecognisesItsOwnConditionalPut) {
  const Item item = {{"id", Value("a")}, {"n", number("0012.500")}, {"list", Value(List{number("1.0")})}};
  faulty_.faults.arm("put", "", unavailable(), 1, FaultTime::after);
  retrying_.put(table_, item, if_absent);
  EXPECT_EQ(faulty_.faults.calls("put"), 2);
  EXPECT_EQ(embedded_->get(table_, key_)->at("n"), number("12.5"));
}

TEST_F(RetryingRecordsTest, DoesNotTakeAnothersItemForItsOwn) {
  embedded_->put(table_, {{"id", Value("a")}, {"owner", Value("you")}});
  faulty_.faults.arm("put", "", unavailable());
  const Item mine = {{"id", Value("a")}, {"owner", Value("me")}};
  EXPECT_EQ(failure_of([&] { retrying_.put(table_, mine, if_absent); }).code(), "ConditionalCheckFailedException");
  EXPECT_EQ(embedded_->get(table_, key_)->at("owner"), Value("you"));
  faulty_.faults.arm("put", "", throttled());  // this one certainly did nothing: there is nothing to look for
  const int gets = faulty_.faults.calls("get");
  EXPECT_EQ(failure_of([&] { retrying_.put(table_, mine, if_absent); }).kind(), ErrorKind::precondition);
  EXPECT_EQ(faulty_.faults.calls("get"), gets);
}

TEST_F(RetryingRecordsTest, SaysThatAConditionalUpdateMayBeItsOwn) {
  embedded_->put(table_, {{"id", Value("a")}, {"state", Value("free")}});
  Update take;
  take.set.push_back({{"state"}, Value("taken")});
  const std::vector<Condition> if_free = {{"state", Must::equal, Value("free")}};
  faulty_.faults.arm("update", "", unavailable(), 1, FaultTime::after);
  const Error error = failure_of([&] { retrying_.update(table_, key_, take, if_free); });
  EXPECT_EQ(error.kind(), ErrorKind::precondition);
  EXPECT_NE(error.hint().find("may have made this update itself"), std::string::npos);
  EXPECT_TRUE(failure_of([&] { retrying_.update(table_, key_, take, if_free); }).hint().empty());
}

TEST_F(RetryingRecordsTest, ItemsThatAreGoneAreRemoved) {
  const std::vector<Condition> if_there = {{"id", Must::exists, {}}};
  embedded_->put(table_, key_);
  faulty_.faults.arm("remove", "", unavailable(), 1, FaultTime::after);
  retrying_.remove(table_, key_, if_there);
  EXPECT_FALSE(embedded_->get(table_, key_));
  EXPECT_EQ(failure_of([&] { retrying_.remove(table_, key_, if_there); }).kind(), ErrorKind::precondition);
}

TEST_F(RetryingRecordsTest, TablesThatAreThereOrGoneAreDone) {
  const TableName other("other");
  faulty_.faults.arm("create_table", "", unavailable(), 1, FaultTime::after);
  retrying_.create_table(other, schema_);
  EXPECT_EQ(failure_of([&] { retrying_.create_table(other, schema_); }).code(), "ResourceInUseException");
  faulty_.faults.arm("create_table", "", unavailable());  // one of another key is not what was asked for
  EXPECT_EQ(failure_of([&] {
              retrying_.create_table(other, {{"id", KeyType::number}, std::nullopt});
            }).code(),
            "ResourceInUseException");
  faulty_.faults.arm("delete_table", "", unavailable(), 1, FaultTime::after);
  retrying_.delete_table(other);
  EXPECT_FALSE(embedded_->describe_table(other));
}

TEST_F(RetryingRecordsTest, SendsUnprocessedItemsAgain) {
  std::vector<Item> items;
  for (int i = 0; i < 25; ++i) items.push_back({{"id", Value(std::to_string(i))}});
  faulty_.most_of_a_batch = 4;  // more rounds than there are attempts: progress counts anew
  const auto start = outside_.clock.steady();
  EXPECT_TRUE(retrying_.put_batch(table_, items).empty());
  EXPECT_EQ(faulty_.faults.calls("put_batch"), 7);
  EXPECT_GT(outside_.clock.steady(), start);
  EXPECT_EQ(embedded_->scan(table_, {}).items.size(), 25u);
}

TEST_F(RetryingRecordsTest, ReturnsTheItemsThatAreLeftAfterAStop) {
  std::vector<Item> items;
  for (int i = 0; i < 10; ++i) items.push_back({{"id", Value(std::to_string(i))}});
  faulty_.most_of_a_batch = 4;
  outside_.stop.request_stop();
  EXPECT_EQ(retrying_.put_batch(table_, items).size(), 6u);
}

}  // namespace
}  // namespace bale::records
