#include "embedded/record_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "records/decimal.hpp"

namespace bale::embedded {
namespace {

using namespace records;

/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
constexpr std::size_t most_partition_bytes = 2048, most_sort_bytes = 1024;

Error refuse(std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code("ValidationException"); }

/// How two values compare; absent when they are of different types, or of one that has no order.
std::optional<std::strong_ordering> compare(const Value& a, const Value& b) {
  if (a.data.index() != b.data.index()) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(&a.data)) return *text <=> std::get<std::string>(b.data);
  if (const auto* binary = std::get_if<Binary>(&a.data)) return binary->bytes <=> std::get<Binary>(b.data).bytes;
  if (const auto* number = std::get_if<Number>(&a.data))
    return Decimal::parse(number->digits) <=> Decimal::parse(std::get<Number>(b.data).digits);
  return std::nullopt;
}

bool equal(Value a, Value b) {
  normalize_value(a);
  normalize_value(b);
  return a == b;
}

bool holds_one(const Condition& condition, const Item& item) {
  using Test = Condition::Test;
  const auto found = item.find(condition.attribute);
  if (found == item.end()) return condition.test == Test::not_exists || condition.test == Test::not_equal;
  const auto order = [&] { return compare(found->second, condition.operand); };
  switch (condition.test) {
    case Test::exists: return true;
    case Test::not_exists: return false;
    case Test::equal: return equal(found->second, condition.operand);
    case Test::not_equal: return !equal(found->second, condition.operand);
    case Test::less: return order() && *order() < 0;
    case Test::less_or_equal: return order() && *order() <= 0;
    case Test::greater: return order() && *order() > 0;
    case Test::greater_or_equal: return order() && *order() >= 0;
  }
  return false;
}

/// The map that holds the last step of a path.
Map& parent_of(Item& item, const Update::Path& path) {
  Map* parent = &item;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    const auto found = parent->find(path[i]);
    Map* next = found == parent->end() ? nullptr : std::get_if<Map>(&found->second.data);
    if (next == nullptr)
      throw refuse(
          fmt::format("the path to '{}' goes through '{}', which is not a map of the item", path.back(), path[i]));
    parent = next;
  }
  return *parent;
}

void check_key_stays(const KeySchema& schema, const Update::Path& path) {
  if (path[0] == schema.partition.name || (schema.sort && path[0] == schema.sort->name))
    throw refuse(fmt::format("'{}' is part of the key: it cannot be updated", path[0]));
}

void check_keys_stay(const KeySchema& schema, const Update& update) {
  for (const Update::Path& path : update.remove) check_key_stays(schema, path);
  for (const Update::Set& set : update.set) check_key_stays(schema, set.path);
  for (const Update::Add& add : update.add) check_key_stays(schema, add.path);
}

Decimal number_at(const Map& parent, const std::string& name) {
  const auto found = parent.find(name);
  if (found == parent.end()) return {};
  const auto* number = std::get_if<Number>(&found->second.data);
  if (number == nullptr) throw refuse(fmt::format("'{}' is not a number: nothing can be added to it", name));
  return Decimal::parse(number->digits);
}

}  // namespace

std::string encode_key_value(const KeyAttribute& attribute, const Value& value) {
  const auto* text = std::get_if<std::string>(&value.data);
  const auto* number = std::get_if<Number>(&value.data);
  const auto* binary = std::get_if<Binary>(&value.data);
  std::string encoded;
  if (attribute.type == KeyType::string && text != nullptr)
    encoded = *text;
  else if (attribute.type == KeyType::number && number != nullptr)
    encoded = Decimal::parse(number->digits).sort_key();
  else if (attribute.type == KeyType::binary && binary != nullptr)
    encoded = binary->bytes;
  else
    throw refuse(fmt::format("the key attribute '{}' has another type in the table", attribute.name));
  if (encoded.empty()) throw refuse(fmt::format("the key attribute '{}' must not be empty", attribute.name));
  return encoded;
}

namespace {

std::string encode_attribute(const KeyAttribute& attribute, const Item& item, std::size_t most_bytes) {
  const auto found = item.find(attribute.name);
  if (found == item.end()) throw refuse(fmt::format("the key attribute '{}' is missing", attribute.name));
  std::string encoded = encode_key_value(attribute, found->second);
  if (encoded.size() > most_bytes)
    throw refuse(fmt::format("the key attribute '{}' has more than {} bytes", attribute.name, most_bytes));
  return encoded;
}

}  // namespace

EncodedKey encode_key(const KeySchema& schema, const Item& item) {
  EncodedKey key;
  key.partition = encode_attribute(schema.partition, item, most_partition_bytes);
  if (schema.sort) key.sort = encode_attribute(*schema.sort, item, most_sort_bytes);
  return key;
}

EncodedKey encode_bare_key(const KeySchema& schema, const Item& key) {
  if (key.size() != (schema.sort ? 2u : 1u)) throw refuse("the key does not have just the table's key attributes");
  return encode_key(schema, key);
}

Item key_of(const KeySchema& schema, const Item& item) {
  Item key;
  key.emplace(schema.partition.name, item.at(schema.partition.name));
  if (schema.sort) key.emplace(schema.sort->name, item.at(schema.sort->name));
  return key;
}

std::int64_t scan_position(const std::string& partition) {
  return static_cast<std::int64_t>(xxh64(as_bytes(partition)) >> 33);
}

bool holds(const std::vector<Condition>& conditions, const Item& item) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const auto& one) { return holds_one(one, item); });
}

Item apply(const KeySchema& schema, const Item& item, const Update& update) {
  check_paths(update);
  check_keys_stay(schema, update);
  Item changed = item;
  for (const Update::Path& path : update.remove) parent_of(changed, path).erase(path.back());
  for (const Update::Set& set : update.set) {
    Map& parent = parent_of(changed, set.path);
    if (!set.only_if_absent || !parent.contains(set.path.back())) parent[set.path.back()] = set.value;
  }
  for (const Update::Add& add : update.add) {
    Map& parent = parent_of(changed, add.path);
    const Decimal sum = number_at(parent, add.path.back()) + Decimal::parse(add.amount.digits);
    parent[add.path.back()] = Value(Number{sum.to_string()});
  }
  return changed;
}

}  // namespace bale::embedded
