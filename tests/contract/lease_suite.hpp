// What a lease must do on every RecordStore. A kind is one of record_store_suite.hpp.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "contract/errors.hpp"
#include "records/lease.hpp"
#include "support/fake_world.hpp"

namespace bale::testing {

template <typename Kind>
class LeaseSuite : public ::testing::Test {
 protected:
  void SetUp() override { records().create_table(table_, {{"id", records::KeyType::string}, std::nullopt}); }
  records::RecordStore& records() { return kind_.records(); }
  records::LeasePlace place(const std::string& id) const {
    return {table_, {{"id", records::Value(id)}}, "item " + id};
  }
  std::unique_ptr<records::Lease> acquire(const std::string& id, const std::string& host,
                                          Milliseconds wait = Milliseconds(0)) {
    records::LeaseSettings settings;
    settings.wait = wait;
    return records::acquire_lease(records(), place(id), {host, 42, "run-" + host, "", ""}, settings, world_.clock,
                                  world_.entropy);
  }

  Kind kind_;
  FakeWorld world_;
  TableName table_{kind_.name("leases")};
};

TYPED_TEST_SUITE_P(LeaseSuite);

TYPED_TEST_P(LeaseSuite, IsOfOneAndItsNumberRises) {
  auto first = this->acquire("a", "one");
  EXPECT_EQ(first->fence(), 1);
  EXPECT_ERROR(ErrorKind::precondition, "LeaseHeld", this->acquire("a", "two"));
  EXPECT_EQ(this->acquire("b", "two")->fence(), 1) << "another item";
  first->renew();
  first->release();
  auto second = this->acquire("a", "two");
  EXPECT_EQ(second->fence(), 2) << "the number outlives a release";
  EXPECT_ERROR(ErrorKind::precondition, "LeaseLost", first->check());
}

TYPED_TEST_P(LeaseSuite, LeavesTheItemAlone) {
  using records::Value;
  this->records().put(this->table_, {{"id", Value("a")}, {"name", Value("x")}});
  auto lease = this->acquire("a", "one");
  lease->renew();
  lease->release();
  const auto item = this->records().get(this->table_, this->place("a").key);
  ASSERT_TRUE(item);
  EXPECT_EQ(item->at("name"), Value("x"));
  EXPECT_EQ(item->size(), 3u) << "key, name and the fencing number";
}

TYPED_TEST_P(LeaseSuite, AFormerOwnerCannotWrite) {
  using records::Value;
  auto former = this->acquire("a", "one");
  records::Update write;
  write.set.push_back({{"name"}, Value("former")});
  this->records().update(this->table_, this->place("a").key, write, former->conditions());

  auto taker = this->acquire("a", "two", 2 * former->duration());
  EXPECT_EQ(taker->fence(), 2);
  EXPECT_ERROR(ErrorKind::precondition, "ConditionalCheckFailedException",
               this->records().update(this->table_, this->place("a").key, write, former->conditions()));
  EXPECT_ERROR(ErrorKind::precondition, "LeaseLost", former->renew());
  former->release();
  taker->renew();
  this->records().update(this->table_, this->place("a").key, write, taker->conditions());
}

TYPED_TEST_P(LeaseSuite, OfManyAtOnceOneGetsIt) {
  if (!TypeParam::has_atomic_updates) GTEST_SKIP() << "the server's updates at the same time lose each other";
  std::atomic<int> taken{0}, refused{0};
  std::vector<std::unique_ptr<records::Lease>> leases(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < leases.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          leases[i] = this->acquire("a", std::to_string(i));
          ++taken;
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), "LeaseHeld") << error.what();
          ++refused;
        }
      });
    }
  }
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(refused, 7);
}

REGISTER_TYPED_TEST_SUITE_P(LeaseSuite, IsOfOneAndItsNumberRises, LeavesTheItemAlone, AFormerOwnerCannotWrite,
                            OfManyAtOnceOneGetsIt);

}  // namespace bale::testing
