#include "records/item_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "records/decimal.hpp"

namespace bale::records {
namespace {

constexpr std::uint32_t most_segments = 1'000'000;

Error refuse(std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code("ValidationException"); }

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

void check_scan(const ScanRequest& request) {
  if (request.total_segments < 1 || request.total_segments > most_segments || request.segment >= request.total_segments)
    throw refuse(fmt::format("segment {} of {} does not exist", request.segment, request.total_segments));
}

void check_batch(const std::vector<Item>& items) {
  if (items.empty() || items.size() > max_batch_write) throw refuse("a batch has 1-25 items");
}

void check_paths(const Update& update) {
  std::vector<Update::Path> paths = update.remove;
  for (const Update::Set& set : update.set) paths.push_back(set.path);
  for (const Update::Add& add : update.add) paths.push_back(add.path);
  for (const Update::Path& path : paths) {
    if (path.empty()) throw refuse("an update without a path");
  }
  std::sort(paths.begin(), paths.end());
  for (std::size_t i = 1; i < paths.size(); ++i) {
    // In order, a path is followed directly by those that go on from it.
    const Update::Path& before = paths[i - 1];
    if (before.size() <= paths[i].size() && std::equal(before.begin(), before.end(), paths[i].begin()))
      throw refuse("two paths of an update overlap");
  }
}

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

}  // namespace bale::records
