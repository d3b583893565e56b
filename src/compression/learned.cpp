#include "compression/learned.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "flow/retry_policy.hpp"

namespace bale::compression {

bool Learned::may_ask() const { return table_ != nullptr && clock_.steady() >= rest_until_; }

void Learned::failed(const Error& error) {
  {
    const Lock lock(mutex_);
    rest_until_ = clock_.steady() + rest;
  }
  warn_(error);
}

void Learned::warn_once(const std::string& key, const std::vector<std::string>& warnings) {
  if (warnings.empty()) return;
  {
    const Lock lock(mutex_);
    if (!warned_of_.insert(key).second) return;
  }
  warn_(Error(ErrorKind::corrupt,
              fmt::format("parts of an item of the settings table are left out: {}", fmt::join(warnings, "; ")), key,
              "mend or delete the item; what is left out is learned anew"));
}

void Learned::keep(Entry<PrefixBenefits>& entry, const std::string& key, const records::Item& item) {
  PrefixRead read = read_prefix(item);
  warn_once(key, read.warnings);
  const Lock lock(mutex_);
  entry.known = std::move(read.benefits);
  entry.seen_at = clock_.steady();
}

void Learned::keep(Entry<ClassStatistics>& entry, const std::string& key, const records::Item& item) {
  ClassRead read = read_class(item);
  warn_once(key, read.warnings);
  const Lock lock(mutex_);
  entry.known = read.present;
  entry.before = read.before;
  entry.generation = read.generation;
  entry.seen_at = clock_.steady();
}

void Learned::begin_generation_if_due(Entry<ClassStatistics>& entry) {
  if (entry.known.trials() < generation_trials) return;
  entry.before = std::exchange(entry.known, ClassStatistics{});
}

records::Item Learned::write(const std::string& key, const PrefixBenefits& more, std::uint64_t) {
  return table_->add(key, more);
}

records::Item Learned::write(const std::string& key, const ClassStatistics& more, std::uint64_t generation) {
  return table_->add(key, more, generation);
}

template <typename Sums>
Sums Learned::known(Entries<Sums>& entries, const std::string& key) {
  Entry<Sums>* entry = nullptr;
  {
    const Lock lock(mutex_);
    entry = &entries[key];
    const Time now = clock_.steady();
    if (!may_ask() || (entry->seen_at && now - *entry->seen_at < memory)) return entry->all();
    entry->seen_at = now;  // one thread asks, the others go on with what is known
  }
  try {
    if (const std::optional<records::Item> item = table_->read(key)) keep(*entry, key, *item);
  } catch (const std::exception&) {
    failed(current_error());
  }
  const Lock lock(mutex_);
  return entry->all();
}

/// One thread at a time adds what is pending under a key; what others add meanwhile it takes along.
template <typename Sums>
void Learned::write_pending(Entries<Sums>& entries, const std::string& key) {
  for (;;) {
    Entry<Sums>* entry = nullptr;
    std::uint64_t generation = 0;
    {
      const Lock lock(mutex_);
      entry = &entries[key];
      generation = entry->generation;
      if (entry->is_writing || entry->pending == Sums{} || !may_ask()) return;
      entry->is_writing = true;
      entry->writing = std::exchange(entry->pending, Sums{});
    }
    std::optional<Error> failure;
    try {
      keep(*entry, key, write(key, entry->writing, generation));
    } catch (const std::exception&) {
      failure = current_error();
    }
    {
      const Lock lock(mutex_);
      // Whether an addition was made is not always known; a trial that is missing does no harm, one that counts twice
      // would. What the store refused is kept in memory too, but not offered to it for ever.
      if (failure && flow::had_no_effect(*failure)) {
        entry->pending.add(entry->writing);
      } else if (failure) {
        entry->known.add(entry->writing);
      }
      entry->writing = {};
      entry->is_writing = false;
    }
    if (failure) return failed(*failure);
  }
}

template <typename Sums>
void Learned::add_to(Entries<Sums>& entries, const std::string& key, const Sums& more) {
  {
    const Lock lock(mutex_);
    entries[key].pending.add(more);
    if (table_ == nullptr) {
      entries[key].known.add(std::exchange(entries[key].pending, Sums{}));
      begin_generation_if_due(entries[key]);
      return;
    }
  }
  write_pending(entries, key);
}

PrefixBenefits Learned::benefits(const std::string& settings_key) { return known(prefixes_, settings_key); }

ClassStatistics Learned::statistics(const std::string& class_key) { return known(classes_, class_key); }

void Learned::add(const std::string& settings_key, const PrefixBenefits& more) {
  add_to(prefixes_, settings_key, more);
}

void Learned::add(const std::string& class_key, const ClassStatistics& more) { add_to(classes_, class_key, more); }

}  // namespace bale::compression
