// What levels are learned from, in a table of dynalite's: its rules for paths and numbers are not the embedded store's.
#include <vector>

#include "cloud/dynamo_records.hpp"
#include "compression/settings_table.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {
namespace {

using namespace compression;

class SettingsTableOnServer : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    records_.create_table(name_, {{std::string(settings_key_attribute), records::KeyType::string}, std::nullopt});
  }
  void TearDown() override { records_.delete_table(name_); }
  SettingsTable table() { return {records_, name_, os::system_clock(), {}}; }
  static ClassStatistics trials(int level, std::uint64_t count = 1) {
    ClassStatistics some;
    for (std::uint64_t i = 0; i < count; ++i)
      some.add(Trial{.level = level, .objects = 2, .bytes = 1000, .probed = 500, .stored = 400.5, .seconds = 1e-9});
    return some;
  }

  ServerSession server_{GetParam()};
  cloud::DynamoRecords records_{server_.session(), Region("eu-west-1")};
  TableName name_{unique_name("settings")};
  const std::string class_ = "#text-0#b/p/", prefix_ = "b/p/";
};

TEST_P(SettingsTableOnServer, WritersAtOnceLoseNothing) {
  constexpr int writers = 6, each = 10;
  {
    std::vector<std::jthread> threads;
    for (int writer = 0; writer < writers; ++writer) {
      threads.emplace_back([&, writer] {
        SettingsTable own = table();
        for (int i = 0; i < each; ++i) {
          own.add(class_, trials((writer + i) % 4), 0);
          PrefixBenefits benefits{.sum_cpu_factor = 4.4, .total_processed_files = 2, .version = 1};
          benefits.levels[1 + i % 3] = {-0.000'000'25, 1, 2};
          own.add(prefix_, benefits);
        }
      });
    }
  }
  const ClassRead read = read_class(table().read(class_).value());
  EXPECT_EQ(read.present.trials(), std::uint64_t{writers * each});
  EXPECT_NEAR(read.present.at(1).stored, 400.5 * static_cast<double>(read.present.at(1).trials), 1e-6);
  const PrefixRead prefix = read_prefix(table().read(prefix_).value());
  EXPECT_EQ(prefix.benefits.version, std::uint64_t{writers * each});
  EXPECT_NEAR(prefix.benefits.levels.at(1).sum_benefit, -0.000'000'25 * writers * 4, 1e-12);
}

TEST_P(SettingsTableOnServer, GenerationsFollowEachOtherAndDamageBeginsOne) {
  SettingsTable own = table();
  for (std::uint64_t generation = 0; generation < 3; ++generation)
    own.add(class_, trials(6, generation_trials), generation);
  EXPECT_EQ(read_class(own.read(class_).value()).generation, 3u);
  own.add(class_, trials(9), 0);  // of a generation that is forgotten
  EXPECT_EQ(read_class(own.read(class_).value()).present.at(9).trials, 1u);
  records::Item damaged = key_item(class_);
  damaged["Generation"] = "x";
  records_.put(name_, damaged);
  own.add(class_, trials(9), 3);
  EXPECT_EQ(read_class(own.read(class_).value()).present.at(9).trials, 1u);
}

INSTANTIATE_TEST_SUITE_P(Dynalite, SettingsTableOnServer, ::testing::Values("BALE_TEST_DYNALITE_ENDPOINT"),
                         [](const auto&) { return "settings"; });

}  // namespace
}  // namespace bale::testing
