#include "records/dynamodb_json.hpp"

#include <fmt/format.h>

#include "base/json.hpp"
#include "base/text.hpp"
#include "records/decimal.hpp"
#include "records/record_store.hpp"

namespace bale::records {
namespace {

using nlohmann::json;

/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
constexpr int most_levels = 32;

Error refuse(std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code("ValidationException"); }

json to_json(const Value& value);

json map_to_json(const Map& map) {
  json members = json::object();
  for (const auto& [name, value] : map) members[name] = to_json(value);
  return members;
}

struct ToJson {
  json operator()(const Null&) const { return {{"NULL", true}}; }
  json operator()(const std::string& text) const { return {{"S", text}}; }
  json operator()(const Number& number) const { return {{"N", number.digits}}; }
  json operator()(bool flag) const { return {{"BOOL", flag}}; }
  json operator()(const Binary& binary) const { return {{"B", to_base64(as_bytes(binary.bytes))}}; }
  json operator()(const StringSet& set) const { return {{"SS", set.values}}; }
  json operator()(const NumberSet& set) const { return {{"NS", set.values}}; }
  json operator()(const BinarySet& set) const {
    json values = json::array();
    for (const std::string& bytes : set.values) values.push_back(to_base64(as_bytes(bytes)));
    return {{"BS", std::move(values)}};
  }
  json operator()(const List& list) const {
    json values = json::array();
    for (const Value& value : list) values.push_back(to_json(value));
    return {{"L", std::move(values)}};
  }
  json operator()(const Map& map) const { return {{"M", map_to_json(map)}}; }
};

json to_json(const Value& value) { return std::visit(ToJson{}, value.data); }

Value from_json(const json& value, int level);

Map map_from_json(const json& members, int level) {
  if (!members.is_object()) throw refuse("a map is a JSON object");
  Map map;
  for (const auto& [name, value] : members.items()) map.emplace(name, from_json(value, level));
  return map;
}

/// The members of a set, each through `read`; a set has no member twice, and is not empty.
template <typename Read>
std::set<std::string> set_from_json(const json& values, const Read& read) {
  if (!values.is_array() || values.empty()) throw refuse("a set is a JSON array that is not empty");
  std::set<std::string> set;
  for (const json& value : values) {
    if (!set.insert(read(value.get<std::string>())).second) throw refuse("a set has a member twice");
  }
  return set;
}

Value from_json(const json& value, int level) {
  if (level > most_levels) throw refuse("values are nested more than 32 levels deep");
  if (!value.is_object() || value.size() != 1)
    throw refuse("an attribute value is an object with one member, its type");
  const std::string type = value.begin().key();
  const json& content = value.begin().value();
  const auto keep = [](std::string text) { return text; };
  const auto check_number = [](std::string text) {
    Decimal::parse(text);
    return text;
  };
  if (type == "S") return Value(content.get<std::string>());
  if (type == "N") return Value(Number{check_number(content.get<std::string>())});
  if (type == "BOOL") return Value(content.get<bool>());
  if (type == "B") return Value(Binary{from_base64(content.get<std::string>())});
  if (type == "NULL") return Value(Null{});
  if (type == "SS") return Value(StringSet{set_from_json(content, keep)});
  if (type == "NS") return Value(NumberSet{set_from_json(content, check_number)});
  if (type == "BS")
    return Value(BinarySet{set_from_json(content, [](const std::string& t) { return from_base64(t); })});
  if (type == "M") return Value(map_from_json(content, level + 1));
  if (type != "L") throw refuse(fmt::format("'{}' is not a type of DynamoDB", escape_for_terminal(type)));
  if (!content.is_array()) throw refuse("a list is a JSON array");
  List list;
  for (const json& element : content) list.push_back(from_json(element, level + 1));
  return Value(std::move(list));
}

}  // namespace

nlohmann::json item_to_json(const Item& item) { return map_to_json(item); }
nlohmann::json value_to_json(const Value& value) { return to_json(value); }

Item item_from_json(const nlohmann::json& document) {
  try {
    return map_from_json(document, 1);
  } catch (const json::exception& error) {
    throw refuse("that is not DynamoDB's JSON").with_cause(error);
  }
}

std::string to_dynamodb_json(const Item& item) {
  try {
    return map_to_json(item).dump();
  } catch (const json::exception& error) {
    throw refuse("a string of the item is not UTF-8").with_cause(error);
  }
}

Item from_dynamodb_json(std::string_view text) {
  if (is_nested_deeper(text)) throw refuse("values are nested more than 32 levels deep");
  try {
    return item_from_json(json::parse(text));
  } catch (const json::exception& error) {
    throw refuse("that is not DynamoDB's JSON").with_cause(error);
  }
}

}  // namespace bale::records
