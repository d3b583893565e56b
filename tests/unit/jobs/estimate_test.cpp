// The parts of `bale estimate`: prices, bill, drawing, prediction; and the whole on the embedded store.
#include "jobs/estimate/estimate.hpp"

#include "embedded/backend.hpp"
#include "jobs/estimate/price_table.hpp"
#include "support/archive_kit.hpp"
#include "support/fake_world.hpp"

namespace bale::estimate {
namespace {

using ::testing::HasSubstr;

constexpr double gib = 1ULL << 30;
const Region virginia("us-east-1"), ireland("eu-west-1"), sydney("ap-southeast-2");

std::string refusal(std::string json) {
  try {
    parse_price_table(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "accepted";
}

std::string replaced(const std::string& what, const std::string& with) {
  std::string table(default_price_table());
  const std::size_t at = table.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return table.replace(at, what.size(), with);
}

TEST(PriceTableTest, TheOneBuiltIn) {
  const PriceTable table = parse_price_table(default_price_table());
  EXPECT_EQ(table.transfer_between(virginia, ireland), 0.02);
  EXPECT_EQ(table.transfer_between(virginia, Region("us-east-2")), 0.01);
  EXPECT_EQ(table.transfer_between(sydney, ireland), 0.098);
  EXPECT_EQ(table.transfer_between(Region("eu-north-1"), ireland), 0.02);
  EXPECT_EQ(table.transfer_between(sydney, sydney), 0);
  EXPECT_EQ(table.storage_of("DEEP_ARCHIVE"), 0.00099);
  EXPECT_EQ(table.storage_of("NEW_CLASS"), 0.023);
  EXPECT_EQ(table.put_to("GLACIER"), 0.03);
  EXPECT_FALSE(table.dated.empty());
}

TEST(PriceTableTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(refusal("no table"), HasSubstr("the table of prices"));
  EXPECT_THAT(refusal("[]"), HasSubstr("is not a JSON object"));
  EXPECT_THAT(refusal(replaced("\"get\"", "\"got\"")), HasSubstr("the table has no such member (get)"));
  EXPECT_THAT(refusal(replaced("\"dated\": \"2025-01\"", "\"dated\": 2025")), HasSubstr("dated"));
  EXPECT_THAT(refusal(replaced("\"us-east-2\": 0.01", "\"us-east-2\": \"0.01\"")),
              HasSubstr("transfer.us-east-1.us-east-2"));
  EXPECT_THAT(refusal(replaced("\"us-east-2\": 0.01", "\"us-east-2\": -1")), HasSubstr("-1 is not a price"));
  EXPECT_THAT(refusal(replaced("\"*\": {\"*\": 0.02}", "\"x\": {\"*\": 0.02}")), HasSubstr("every other region"));
  EXPECT_THAT(refusal(replaced("0.00099, \"*\": 0.023", "0.00099")), HasSubstr("storage"));
}

PriceTable round_prices() {
  PriceTable table;
  table.transfer["*"]["*"] = 0.02;
  table.storage["*"] = 0.01;
  table.put["*"] = 0.005;
  table.get = 0.0004;
  table.queue = 0.4;
  table.compute = 0.0003;
  return table;
}

TEST(BillTest, EveryLineByHand) {
  const Volume volume{1'000'000, 1000 * gib};
  const Bill bill = make_bill(round_prices(), virginia, {{ireland}}, volume, {0.25, 20e-9}, 10);
  EXPECT_NEAR(bill.now.transfer, 20, 1e-9);
  EXPECT_NEAR(bill.now.storage, 10, 1e-9);
  EXPECT_NEAR(bill.now.requests, 5 + 0.4, 1e-9);
  EXPECT_EQ(bill.now.compute + bill.now.fixed, 0);

  EXPECT_NEAR(bill.normal.transfer, 5, 1e-9);
  EXPECT_NEAR(bill.normal.storage, 10, 1e-9);
  EXPECT_NEAR(bill.normal.compute, (1000 * gib * 20e-9 + 1000 * gib / 400e6) / 60 * 0.0003, 1e-9);
  EXPECT_EQ(bill.normal.fixed, 10);
  // 4000 archives of 256 MiB, 16,000 parts: put twice (outbound, inbound), the objects put once more.
  const double staging = (4000 * 2 + 16'000) * 2 / 1000.0 * 0.005, queue = (1'000'000 + 4000) * 0.3 / 1e6 * 0.4;
  EXPECT_NEAR(bill.normal.requests, 2 * 0.4 + staging + queue + 5 + 16'000 / 1000.0 * 0.0004, 1e-9);

  EXPECT_NEAR(bill.backup.storage, 2.5, 1e-9);
  EXPECT_NEAR(bill.backup.requests, 2 * 0.4 + staging + queue + 2 * 4000 / 1000.0 * 0.005, 1e-9);
  EXPECT_LT(bill.backup.compute, bill.normal.compute);
}

TEST(BillTest, RegionsAndClassesAddUp) {
  PriceTable prices = round_prices();
  prices.transfer["*"]["ap-southeast-2"] = 0.1;
  prices.storage["GLACIER"] = 0.001;
  const Bill bill = make_bill(prices, virginia, {{ireland}, {sydney, "GLACIER"}}, {1000, 100 * gib}, {0.5, 0});
  EXPECT_NEAR(bill.now.transfer, 12, 1e-9);
  EXPECT_NEAR(bill.normal.transfer, 6, 1e-9);
  EXPECT_NEAR(bill.now.storage, 1.1, 1e-9);
}

TEST(BillTest, BreakEvenIsWhereBothCostTheSame) {
  const Volume volume{1000, 1000 * gib};
  const Prediction prediction{0.25, 20e-9};
  const Bill bill = make_bill(round_prices(), virginia, {{ireland}}, volume, prediction, 87.6);
  ASSERT_TRUE(bill.break_even_backup);
  EXPECT_LT(bill.backup.total() - bill.now.total(), 87.6);
  const double at = *bill.break_even_backup;
  const Bill there = make_bill(round_prices(), virginia, {{ireland}}, {at, at * gib}, prediction, 87.6);
  EXPECT_NEAR(there.now.total(), there.backup.total(), 0.02 * there.now.total());
  EXPECT_EQ(*make_bill(round_prices(), virginia, {{ireland}}, volume, prediction).break_even_normal, 0);
  // What does not compress never pays for its packing.
  EXPECT_FALSE(make_bill(round_prices(), virginia, {{ireland}}, volume, {1, 20e-9}, 5).break_even_normal);
  EXPECT_FALSE(make_bill(round_prices(), virginia, {{ireland}}, {}, prediction, 5).break_even_normal);
}

store::ListedObject listed(const std::string& key, ByteCount size, const std::string& storage_class = "STANDARD",
                           std::int64_t day = 20'000) {
  return {.key = ObjectKey(key),
          .size = size,
          .etag = {},
          .last_modified = from_epoch_ms(day * 86'400'000 + 1),
          .storage_class = storage_class};
}

TEST(InventoryTest, CountsEverythingAndDrawsByBytes) {
  testing::FakeEntropy entropy;
  int small_drawn = 0;
  constexpr int rounds = 400;
  for (int round = 0; round < rounds; ++round) {
    Inventory inventory(1, entropy);
    inventory.add(listed("large", 3000));
    for (int i = 0; i < 10; ++i) inventory.add(listed("small-" + std::to_string(i), 100));
    inventory.add(listed("cold", 1'000'000, "DEEP_ARCHIVE"));
    inventory.add(listed("empty", 0));
    EXPECT_EQ(inventory.all().objects, 13u);
    EXPECT_EQ(inventory.all().bytes, 1'004'000u);
    EXPECT_EQ(inventory.readable().bytes, 4000u);
    ASSERT_EQ(inventory.drawn().size(), 1u);
    small_drawn += inventory.drawn()[0].key.str().starts_with("small") ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(small_drawn) / rounds, 0.25, 0.07);
}

TEST(InventoryTest, KnowsWhatCameInLately) {
  testing::FakeEntropy entropy;
  Inventory inventory(10, entropy);
  inventory.add(listed("old", 5, "STANDARD", 19'000));
  inventory.add(listed("new", 7, "STANDARD", 20'000));
  inventory.add(listed("before the epoch", 1, "STANDARD", -3));
  EXPECT_EQ(inventory.since(from_epoch_ms(19'990LL * 86'400'000)).bytes, 7u);
  EXPECT_EQ(inventory.since(from_epoch_ms(19'000LL * 86'400'000)).objects, 2u);
  EXPECT_EQ(inventory.by_storage_class().at("STANDARD").objects, 3u);
}

TEST(PiecesTest, StayWithinTheirBounds) {
  testing::FakeEntropy entropy;
  std::vector<Drawn> drawn;
  for (int i = 0; i < 100; ++i) drawn.push_back({ObjectKey(std::to_string(i)), static_cast<ByteCount>(50 * i), {}});
  ByteCount all = 0;
  for (const Piece& piece : plan_pieces(drawn, 1000, 20'000, entropy)) {
    EXPECT_EQ(piece.bytes, std::min<ByteCount>(piece.object.size, 1000));
    EXPECT_LE(piece.offset + piece.bytes, piece.object.size);
    EXPECT_GT(piece.bytes, 0u);
    all += piece.bytes;
  }
  EXPECT_LE(all, 20'000u);
  EXPECT_GT(all, 19'000u);
}

Sample sample(const std::string& key, const std::string& content) {
  Buffer bytes(content.size());
  bytes.append(as_bytes(content));
  return {key, std::move(bytes)};
}

compression::CostModel usual_cost() { return {compression::Prices{}, {ireland}, 1}; }

TEST(PredictTest, ClassesHaveTheirSharesLevelsAndRatios) {
  std::vector<Sample> samples;
  for (unsigned i = 0; i < 6; ++i) samples.push_back(sample("a.txt", test::words(1 << 20, i)));
  for (unsigned i = 0; i < 2; ++i) samples.push_back(sample("a.gz", test::noise(1 << 20, i)));
  const Predicted predicted = predict(std::move(samples), usual_cost());
  ASSERT_EQ(predicted.classes.size(), 2u);
  EXPECT_THAT(predicted.classes[0].name, HasSubstr("text-"));
  EXPECT_EQ(predicted.classes[0].share, 0.75);
  EXPECT_GT(predicted.classes[0].level, 1);
  EXPECT_LE(predicted.classes[1].level, 1);
  EXPECT_NEAR(predicted.classes[1].ratio, 1, 0.001);
  EXPECT_NEAR(predicted.mean.ratio, 0.75 * predicted.classes[0].ratio + 0.25, 0.001);
  EXPECT_GT(predicted.error, 0.1);  // eight pieces of two kinds are not much to go by
  EXPECT_LT(predicted.error, 0.5);
  EXPECT_EQ(predicted.samples, 8u);
  EXPECT_EQ(predicted.sample_bytes, 8U << 20);
}

TEST(PredictTest, SmallSamplesAreCompressedTogether) {
  std::vector<Sample> samples;
  for (unsigned i = 0; i < 500; ++i)
    samples.push_back(sample("a.json", "{\"id\":" + std::to_string(i * 7919) + ",\"name\":\"somebody\",\"ok\":true}"));
  const Predicted predicted = predict(std::move(samples), usual_cost());
  EXPECT_LT(predicted.mean.ratio, 0.3);  // alone each would stay as it is
  EXPECT_EQ(predicted.samples, 500u);
}

TEST(PredictTest, NothingToGoBy) {
  const Predicted predicted = predict({}, usual_cost());
  EXPECT_EQ(predicted.mean.ratio, 1);
  EXPECT_EQ(predicted.error, 1);
}

class EstimateTest : public ::testing::Test {
 protected:
  testing::FakeWorld outside_;
  os::World world_ = outside_.world();
  std::unique_ptr<embedded::Backend> backend_ = embedded::Backend::open(outside_.path("local"), world_);
  std::unique_ptr<store::ObjectStore> store_ = backend_->store(virginia);
  test::Machine machine_;
  const BucketName bucket_{"bucket"};
  void put(const std::string& key, const std::string& content, const std::string& storage_class = "STANDARD") {
    store::MemoryBody body(as_bytes(content));
    store::ObjectAttributes attributes;
    attributes.storage_class = storage_class;
    store_->put({bucket_, ObjectKey(key)}, body, attributes);
  }
};

TEST_F(EstimateTest, TheTruthIsWithinTheError) {
  store_->create_bucket(bucket_);
  for (unsigned i = 0; i < 30; ++i) put("in/" + std::to_string(i) + ".log", test::words(100'000, i));
  for (unsigned i = 0; i < 10; ++i) put("in/" + std::to_string(i) + ".jpg", test::noise(100'000, i));
  put("in/cold", test::words(100'000, 99), "DEEP_ARCHIVE");
  put("out/x", "not asked for");
  std::uint64_t seen = 0;
  const Findings findings = examine({*store_, world_, machine_.pools(), bucket_, "in/"}, {.bytes = 2'000'000},
                                    usual_cost(), [&](std::uint64_t objects) { seen = objects; });
  EXPECT_EQ(seen, 41u);
  EXPECT_EQ(findings.inventory.all().bytes, 4'100'000u);
  EXPECT_LE(findings.predicted.sample_bytes, 2'000'000u);
  EXPECT_GT(findings.predicted.sample_bytes, 1'500'000u);
  EXPECT_EQ(findings.unread, 0u);
  double log_ratio = 1;
  for (const ClassPrediction& each : findings.predicted.classes)
    if (each.name.starts_with("log")) log_ratio = each.ratio;
  const double truth = 0.75 * log_ratio + 0.25;
  EXPECT_NEAR(findings.predicted.mean.ratio, truth, std::max(0.15, findings.predicted.error));
}

TEST_F(EstimateTest, AMissingBucketAndAStopAreErrors) {
  const auto kind = [&] {
    try {
      examine({*store_, world_, machine_.pools(), bucket_, ""}, {}, usual_cost(), [](std::uint64_t) {});
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  EXPECT_EQ(kind(), ErrorKind::not_found);
  store_->create_bucket(bucket_);
  outside_.stop.request_stop();
  EXPECT_EQ(kind(), ErrorKind::cancelled);
}

}  // namespace
}  // namespace bale::estimate
