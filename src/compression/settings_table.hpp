// The settings table in a record store: additions that many writers make at once, none of them lost.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "compression/statistics_item.hpp"
#include "os/clock.hpp"

namespace bale::compression {

/// Reads and adds. Thread-safe; any number of processes may add to one item. Everything throws Error as the record
/// store does; whether a failed addition was made after all, the Error knows (had_no_effect).
class SettingsTable {
 public:
  /// Store and clock are borrowed. The store must not repeat an addition whose answer was lost (RetryingRecords does
  /// not): it would count twice. `stop` ends waits.
  SettingsTable(records::RecordStore& records, TableName table, os::Clock& clock, std::stop_token stop)
      : records_(records), table_(std::move(table)), clock_(clock), stop_(std::move(stop)) {}

  std::optional<records::Item> read(const std::string& key);
  /// Adds to a prefix's item, made where it is not there, and returns the item.
  records::Item add(const std::string& settings_key, const PrefixBenefits& more);
  /// Adds to a class's item, made where it is not there, and returns the item. `generation` is what the caller believes
  /// to be the present one; where it has been forgotten, the present one is added to. An item that is damaged begins a
  /// new generation.
  records::Item add(const std::string& class_key, const ClassStatistics& more, std::uint64_t generation);

  /// Further attempts of one addition, and the wait before the n-th: n times this, as the replaced program has it.
  static constexpr int retries = 5;
  static constexpr Milliseconds retry_delay{100};

 private:
  template <typename Add, typename Prepare>
  records::Item add_with_retries(const Add& add, const Prepare& prepare);
  std::uint64_t prepare_class(const std::string& class_key, const ClassStatistics& more);
  std::uint64_t start_generation(const std::string& class_key, const records::Item& item, std::uint64_t next);
  records::Item begin_next_generation_if_due(const std::string& class_key, records::Item item);

  records::RecordStore& records_;
  const TableName table_;
  os::Clock& clock_;
  const std::stop_token stop_;
};

}  // namespace bale::compression
