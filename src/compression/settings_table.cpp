#include "compression/settings_table.hpp"

#include "base/error.hpp"
#include "flow/retry_policy.hpp"

namespace bale::compression {
namespace {

using records::Condition;
using records::Item;

const std::string generation_attribute = "Generation";

}  // namespace

std::optional<Item> SettingsTable::read(const std::string& key) { return records_.get(table_, key_item(key)); }

/// Tries `add`; where its places are missing makes them with `prepare` and goes on, and where the store certainly did
/// nothing waits and goes on.
template <typename Add, typename Prepare>
Item SettingsTable::add_with_retries(const Add& add, const Prepare& prepare) {
  bool prepared = false;
  for (int attempt = 0;; ++attempt) {
    try {
      if (prepared || attempt == 0) return add();
      prepare();
      prepared = true;
      return add();
    } catch (const Error& error) {
      // A path through a map that is not there, or through something else: the store refuses the whole update.
      const bool no_place = error.kind() == ErrorKind::invalid;
      if (no_place) prepared = false;
      if (!no_place && !flow::had_no_effect(error) && error.kind() != ErrorKind::precondition) throw;
      if (attempt == retries) throw;
      const bool at_once = no_place && attempt == 0;
      if (!at_once && !clock_.sleep_for(retry_delay * (attempt + 1), stop_))
        throw Error(ErrorKind::cancelled, "stopped while what was learned was written", table_.str());
    }
  }
}

Item SettingsTable::add(const std::string& settings_key, const PrefixBenefits& more) {
  const Item key = key_item(settings_key);
  return add_with_retries([&] { return records_.update(table_, key, add_to_prefix(more, clock_.now())); },
                          [&] {
                            for (const records::Update& place : make_prefix_places(more))
                              records_.update(table_, key, place);
                          });
}

Item SettingsTable::add(const std::string& class_key, const ClassStatistics& more, std::uint64_t generation) {
  const Item key = key_item(class_key);
  Item item =
      add_with_retries([&] { return records_.update(table_, key, add_to_class(more, generation, clock_.now())); },
                       [&] { generation = prepare_class(class_key, more); });
  try {
    return begin_next_generation_if_due(class_key, item);
  } catch (const Error&) {
    return item;  // the addition is made; the next writer begins the generation
  }
}

/// Makes the places of an addition in the present generation and returns which one that is.
std::uint64_t SettingsTable::prepare_class(const std::string& class_key, const ClassStatistics& more) {
  std::uint64_t generation = 0;
  if (const std::optional<Item> item = read(class_key)) {
    const ClassRead found = read_class(*item);
    generation = found.generation;
    // Nothing can be added to what is damaged. No generation has had the number of this second.
    if (!found.warnings.empty())
      generation = start_generation(class_key, *item, static_cast<std::uint64_t>(to_epoch_ms(clock_.now()) / 1000));
  }
  for (const records::Update& place : make_class_places(more, generation))
    records_.update(table_, key_item(class_key), place);
  return generation;
}

/// Begins generation `next` unless someone else has begun one since `item` was read.
std::uint64_t SettingsTable::start_generation(const std::string& class_key, const Item& item, std::uint64_t next) {
  const std::uint64_t last = read_class(item).generation;
  const auto present = item.find(generation_attribute);
  const Condition unchanged = present == item.end()
                                  ? Condition{generation_attribute, Condition::Test::not_exists, {}}
                                  : Condition{generation_attribute, Condition::Test::equal, present->second};
  records_.update(table_, key_item(class_key), begin_generation(next, last), {unchanged});
  return next;
}

Item SettingsTable::begin_next_generation_if_due(const std::string& class_key, Item item) {
  const ClassRead read = read_class(item);
  if (read.present.trials() < generation_trials) return item;
  start_generation(class_key, item, read.generation + 1);
  return this->read(class_key).value_or(std::move(item));
}

}  // namespace bale::compression
