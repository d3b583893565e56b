// What all workers together have learned about the levels, at hand at any time.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "compression/settings_table.hpp"

namespace bale::compression {

/// Statistics of prefixes and classes, from the settings table and this process's own trials. Packing never waits long
/// for a table that is in trouble, and never fails for it: what cannot be written stays in memory, is reckoned with,
/// and is added later. No call throws Error. Thread-safe.
class Learned {
 public:
  /// What went wrong and was borne, for the log. Called by any thread, without locks; must not throw.
  using Warn = std::function<void(const Error&)>;

  /// `table` may be null: then this process learns for itself. Table and clock are borrowed.
  Learned(SettingsTable* table, os::Clock& clock, Warn warn) : table_(table), clock_(clock), warn_(std::move(warn)) {}

  /// What is known of a prefix; asks the table where that was longer ago than `memory`.
  PrefixBenefits benefits(const std::string& settings_key);
  /// What is known of a class: its present generation and the one before.
  ClassStatistics statistics(const std::string& class_key);

  /// Adds, in memory at once and in the table as soon as it can be reached.
  void add(const std::string& settings_key, const PrefixBenefits& more);
  void add(const std::string& class_key, const ClassStatistics& more);

  static constexpr std::chrono::seconds memory{60};
  /// How long a table that failed is left alone: asking it again for every batch would cost more than it can give.
  static constexpr std::chrono::seconds rest{60};

 private:
  using Time = std::chrono::steady_clock::time_point;
  template <typename Sums>
  struct Entry {
    Sums known;    ///< as the table was last seen: of a class, its present generation
    Sums before;   ///< of a class: the generation before
    Sums pending;  ///< not in the table yet
    Sums writing;  ///< being added to the table
    bool is_writing = false;
    std::uint64_t generation = 0;  ///< of a class
    std::optional<Time> seen_at;
    Sums all() const {
      Sums sum = known;
      sum.add(before);
      sum.add(pending);
      sum.add(writing);
      return sum;
    }
  };
  template <typename Sums>
  using Entries = std::map<std::string, Entry<Sums>>;

  bool may_ask() const BALE_REQUIRES(mutex_);
  template <typename Sums>
  Sums known(Entries<Sums>& entries, const std::string& key);
  template <typename Sums>
  void add_to(Entries<Sums>& entries, const std::string& key, const Sums& more);
  template <typename Sums>
  void write_pending(Entries<Sums>& entries, const std::string& key);
  void keep(Entry<PrefixBenefits>& entry, const std::string& key, const records::Item& item);
  void keep(Entry<ClassStatistics>& entry, const std::string& key, const records::Item& item);
  /// What the table does where there is one: a full generation is followed by another.
  static void begin_generation_if_due(Entry<PrefixBenefits>&) {}
  static void begin_generation_if_due(Entry<ClassStatistics>& entry);
  void warn_once(const std::string& key, const std::vector<std::string>& warnings);
  records::Item write(const std::string& key, const PrefixBenefits& more, std::uint64_t generation);
  records::Item write(const std::string& key, const ClassStatistics& more, std::uint64_t generation);
  void failed(const Error& error);

  SettingsTable* const table_;
  os::Clock& clock_;
  const Warn warn_;
  mutable Mutex mutex_;
  Entries<PrefixBenefits> prefixes_;  // guarded by mutex_; entries are never removed, so references stay good
  Entries<ClassStatistics> classes_;  // as above
  std::set<std::string> warned_of_ BALE_GUARDED_BY(mutex_);  ///< keys of items with something wrong in them
  Time rest_until_ BALE_GUARDED_BY(mutex_){};
};

}  // namespace bale::compression
