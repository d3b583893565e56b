// A record store in memory with DynamoDB's rules, a clock that is told the time, and seeded chance: for simulations.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "embedded/record_rules.hpp"
#include "os/clock.hpp"
#include "os/entropy.hpp"
#include "records/record_store.hpp"

namespace bale::simulation {

/// Tables with the key BucketPrefix, there from the start; reads, updates and nothing else. Thread-safe.
class MemoryRecords final : public records::RecordStore {
 public:
  std::optional<records::Item> get(const TableName& table, const records::Item& key) override {
    const std::scoped_lock lock(mutex_);
    const auto found = items_.find({table.str(), embedded::encode_key(schema, key)});
    if (found == items_.end()) return std::nullopt;
    return found->second;
  }
  records::Item update(const TableName& table, const records::Item& key, const records::Update& update,
                       const std::vector<records::Condition>& conditions) override {
    const std::scoped_lock lock(mutex_);
    const Key place{table.str(), embedded::encode_key(schema, key)};
    const auto found = items_.find(place);
    const records::Item before = found == items_.end() ? key : found->second;
    if (!embedded::holds(conditions, before)) throw Error(ErrorKind::precondition, "the condition does not hold");
    return items_[place] = embedded::apply(schema, before, update);
  }
  void create_table(const TableName&, const records::KeySchema&) override { refuse(); }
  std::optional<records::KeySchema> describe_table(const TableName&) override { return schema; }
  void delete_table(const TableName&) override { refuse(); }
  std::vector<TableName> list_tables() override { return {}; }
  void put(const TableName&, const records::Item&, const std::vector<records::Condition>&) override { refuse(); }
  void remove(const TableName&, const records::Item&, const std::vector<records::Condition>&) override { refuse(); }
  records::ItemPage query(const TableName&, const records::QueryRequest&) override { refuse(); }
  records::ItemPage scan(const TableName&, const records::ScanRequest&) override { refuse(); }
  std::vector<records::Item> put_batch(const TableName&, const std::vector<records::Item>&) override { refuse(); }

 private:
  using Key = std::pair<std::string, embedded::EncodedKey>;
  [[noreturn]] static void refuse() { throw Error(ErrorKind::unsupported, "a simulation does not do this"); }
  const records::KeySchema schema{{"BucketPrefix", records::KeyType::string}, std::nullopt};
  std::mutex mutex_;
  std::map<Key, records::Item> items_;
};

/// Stands still until it is told.
class SimulatedClock final : public os::Clock {
 public:
  TimePoint now() override { return from_epoch_ms(1'700'000'000'000) + time_; }
  std::chrono::steady_clock::time_point steady() override { return std::chrono::steady_clock::time_point(time_); }
  bool sleep_for(Milliseconds duration, std::stop_token) override {
    time_ += duration;
    return true;
  }
  void advance(Milliseconds duration) { time_ += duration; }

 private:
  Milliseconds time_{1000};
};

/// splitmix64: the same bytes for the same seed.
class SeededEntropy final : public os::Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed) : state_(seed) {}
  void fill(MutableBytes bytes) override {
    for (std::byte& byte : bytes) {
      std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
      byte = static_cast<std::byte>(z ^ (z >> 31));
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace bale::simulation
