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

void normalize_value(Value& value) {
  if (auto* number = std::get_if<Number>(&value.data)) {
    number->digits = Decimal::parse(number->digits).to_string();
  } else if (auto* numbers = std::get_if<NumberSet>(&value.data)) {
    std::set<std::string> shortest;
    for (const std::string& digits : numbers->values) shortest.insert(Decimal::parse(digits).to_string());
    numbers->values = std::move(shortest);
    if (numbers->values.empty()) throw refuse("a set must not be empty");
  } else if (auto* strings = std::get_if<StringSet>(&value.data)) {
    if (strings->values.empty()) throw refuse("a set must not be empty");
  } else if (auto* binaries = std::get_if<BinarySet>(&value.data)) {
    if (binaries->values.empty()) throw refuse("a set must not be empty");
  } else if (auto* list = std::get_if<List>(&value.data)) {
    for (Value& element : *list) normalize_value(element);
  } else if (auto* map = std::get_if<Map>(&value.data)) {
    for (auto& [name, member] : *map) normalize_value(member);
  }
}

std::size_t number_size(const std::string& digits) {
  const auto significant = std::count_if(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  return static_cast<std::size_t>(significant + 1) / 2 + 1 + (digits.starts_with('-') ? 1 : 0);
}

std::size_t value_size(const Value& value);

struct SizeOf {
  std::size_t operator()(const Null&) const { return 1; }
  std::size_t operator()(bool) const { return 1; }
  std::size_t operator()(const std::string& text) const { return text.size(); }
  std::size_t operator()(const Number& number) const { return number_size(number.digits); }
  std::size_t operator()(const Binary& binary) const { return binary.bytes.size(); }
  std::size_t operator()(const StringSet& set) const { return of_strings(set.values); }
  std::size_t operator()(const BinarySet& set) const { return of_strings(set.values); }
  std::size_t operator()(const NumberSet& set) const {
    std::size_t size = 0;
    for (const std::string& digits : set.values) size += number_size(digits);
    return size;
  }
  std::size_t operator()(const List& list) const {
    std::size_t size = 3;
    for (const Value& element : list) size += 1 + value_size(element);
    return size;
  }
  std::size_t operator()(const Map& map) const {
    std::size_t size = 3;
    for (const auto& [name, member] : map) size += 1 + name.size() + value_size(member);
    return size;
  }
  static std::size_t of_strings(const std::set<std::string>& values) {
    std::size_t size = 0;
    for (const std::string& value : values) size += value.size();
    return size;
  }
};

std::size_t value_size(const Value& value) { return std::visit(SizeOf{}, value.data); }

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

void check_path(const KeySchema& schema, const Update::Path& path) {
  if (path.empty()) throw refuse("an update without a path");
  if (path[0] == schema.partition.name || (schema.sort && path[0] == schema.sort->name))
    throw refuse(fmt::format("'{}' is part of the key: it cannot be updated", path[0]));
}

void check_paths(const KeySchema& schema, const Update& update) {
  std::vector<Update::Path> paths = update.remove;
  for (const Update::Set& set : update.set) paths.push_back(set.path);
  for (const Update::Add& add : update.add) paths.push_back(add.path);
  for (const Update::Path& path : paths) check_path(schema, path);
  std::sort(paths.begin(), paths.end());
  for (std::size_t i = 1; i < paths.size(); ++i) {
    // In order, a path is followed directly by those that go on from it.
    const Update::Path& before = paths[i - 1];
    if (before.size() <= paths[i].size() && std::equal(before.begin(), before.end(), paths[i].begin()))
      throw refuse("two paths of an update overlap");
  }
}

Decimal number_at(const Map& parent, const std::string& name) {
  const auto found = parent.find(name);
  if (found == parent.end()) return {};
  const auto* number = std::get_if<Number>(&found->second.data);
  if (number == nullptr) throw refuse(fmt::format("'{}' is not a number: nothing can be added to it", name));
  return Decimal::parse(number->digits);
}

}  // namespace

void check_table_name(const TableName& table) {
  const std::string& name = table.str();
  const bool legal = name.size() >= 3 && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                              c == '-' || c == '.';
                     });
  if (!legal) throw refuse(fmt::format("'{}' is not a table name: use 3-255 letters, digits, '_', '-' and '.'", name));
}

void check_schema(const KeySchema& schema) {
  if (schema.partition.name.empty() || (schema.sort && schema.sort->name.empty()))
    throw refuse("a key attribute has no name");
  if (schema.sort && schema.sort->name == schema.partition.name)
    throw refuse("partition and sort key must be different attributes");
}

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

Item normalize(Item item) {
  for (auto& [name, value] : item) {
    if (name.empty()) throw refuse("an attribute has no name");
    normalize_value(value);
  }
  const std::size_t size = item_size(item);
  if (size > max_item_bytes)
    throw refuse(fmt::format("the item has {} bytes; DynamoDB takes {}", size, max_item_bytes));
  return item;
}

std::size_t item_size(const Item& item) {
  std::size_t size = 0;
  for (const auto& [name, value] : item) size += name.size() + value_size(value);
  return size;
}

bool holds(const std::vector<Condition>& conditions, const Item& item) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const auto& one) { return holds_one(one, item); });
}

Item apply(const KeySchema& schema, const Item& item, const Update& update) {
  check_paths(schema, update);
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
