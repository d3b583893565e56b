#include "aws/dynamodb.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "aws/json.hpp"
#include "records/dynamodb_json.hpp"

namespace bale::aws {
namespace {

using nlohmann::json;
using records::Condition;
using records::Item;
using records::KeyType;

Call call_of(const Endpoint& endpoint, const char* action, const json& members) {
  return make_json_call(endpoint, std::string("DynamoDB_20120810.") + action, members);
}

/// Collects the placeholders of a request's expressions: #n0, #n1, ... for names, :v0, ... for values.
class Placeholders {
 public:
  std::string name(const std::string& text) {
    for (const auto& [placeholder, known] : names_.items()) {
      if (known == text) return placeholder;
    }
    std::string placeholder = fmt::format("#n{}", names_.size());
    names_[placeholder] = text;
    return placeholder;
  }
  std::string path(const records::Update::Path& steps) {
    std::string joined;
    for (const std::string& step : steps) joined += (joined.empty() ? "" : ".") + name(step);
    return joined;
  }
  std::string value(const records::Value& value) {
    std::string placeholder = fmt::format(":v{}", values_.size());
    values_[placeholder] = records::value_to_json(value);
    return placeholder;
  }
  void add_to(json& members) const {
    if (!names_.empty()) members["ExpressionAttributeNames"] = names_;
    if (!values_.empty()) members["ExpressionAttributeValues"] = values_;
  }

 private:
  json names_ = json::object(), values_ = json::object();
};

std::string expression_of(const Condition& condition, Placeholders& placeholders) {
  const std::string name = placeholders.name(condition.attribute);
  const auto compare = [&](const char* sign) {
    return fmt::format("{} {} {}", name, sign, placeholders.value(condition.operand));
  };
  switch (condition.test) {
    case Condition::Test::exists: return fmt::format("attribute_exists({})", name);
    case Condition::Test::not_exists: return fmt::format("attribute_not_exists({})", name);
    case Condition::Test::equal: return compare("=");
    case Condition::Test::not_equal: return compare("<>");
    case Condition::Test::less: return compare("<");
    case Condition::Test::less_or_equal: return compare("<=");
    case Condition::Test::greater: return compare(">");
    case Condition::Test::greater_or_equal: return compare(">=");
  }
  return {};
}

/// Adds the conditions of a write, and all placeholders.
void add_conditions(json& members, const std::vector<Condition>& conditions, Placeholders& placeholders) {
  std::string all;
  for (const Condition& condition : conditions)
    all += (all.empty() ? "" : " AND ") + expression_of(condition, placeholders);
  if (!all.empty()) members["ConditionExpression"] = all;
  placeholders.add_to(members);
}

/// "SET #n0 = :v0, ... REMOVE #n1". ADD would do for numbers at the top only, so that too is a SET.
std::string expression_of(const records::Update& update, Placeholders& placeholders) {
  std::string set, remove;
  const auto next = [](std::string& list) -> std::string& { return list += list.empty() ? "" : ", "; };
  for (const auto& [path, value, only_if_absent] : update.set) {
    const std::string name = placeholders.path(path), text = placeholders.value(value);
    next(set) +=
        only_if_absent ? fmt::format("{0} = if_not_exists({0}, {1})", name, text) : fmt::format("{} = {}", name, text);
  }
  for (const auto& [path, amount] : update.add) {
    const std::string name = placeholders.path(path);
    const std::string zero = placeholders.value(records::Number{"0"});
    next(set) += fmt::format("{0} = if_not_exists({0}, {1}) + {2}", name, zero, placeholders.value(amount));
  }
  for (const records::Update::Path& path : update.remove) next(remove) += placeholders.path(path);
  std::string all;
  if (!set.empty()) all = "SET " + set;
  if (!remove.empty()) all += (all.empty() ? "REMOVE " : " REMOVE ") + remove;
  return all;
}

constexpr const char* type_name(KeyType type) {
  return type == KeyType::string ? "S" : type == KeyType::number ? "N" : "B";
}

KeyType key_type_of(const std::string& name, const std::string& where) {
  if (name == "S") return KeyType::string;
  if (name == "N") return KeyType::number;
  if (name == "B") return KeyType::binary;
  throw Error(ErrorKind::corrupt, "the answer has a key of an unknown type", where);
}

const json& member_of(const json& document, const char* name, const std::string& where) {
  const auto found = document.is_object() ? document.find(name) : document.end();
  if (found == document.end()) throw Error(ErrorKind::corrupt, fmt::format("the answer has no {}", name), where);
  return *found;
}

Item item_of(const json& document, const std::string& where) {
  try {
    return records::item_from_json(document);
  } catch (const Error& error) {
    throw Error(ErrorKind::corrupt, "the answer has an item that is none", where).with_cause(error);
  }
}

constexpr std::array<std::uint32_t, 256> make_crc32_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320 : 0);
    table[i] = value;
  }
  return table;
}

/// CRC-32 of IEEE 802.3, as zlib computes it.
std::uint32_t crc32(std::string_view text) {
  static constexpr auto table = make_crc32_table();
  std::uint32_t value = 0xFFFFFFFF;
  for (const char c : text) value = table[(value ^ static_cast<unsigned char>(c)) & 0xFF] ^ (value >> 8);
  return ~value;
}

}  // namespace

// --- Tables ---------------------------------------------------------------------------------------------------------

Call DynamoRequests::create_table(const TableName& table, const records::KeySchema& schema) const {
  json keys = json::array(), definitions = json::array();
  const auto add = [&](const records::KeyAttribute& attribute, const char* role) {
    keys.push_back({{"AttributeName", attribute.name}, {"KeyType", role}});
    definitions.push_back({{"AttributeName", attribute.name}, {"AttributeType", type_name(attribute.type)}});
  };
  add(schema.partition, "HASH");
  if (schema.sort) add(*schema.sort, "RANGE");
  Call call = call_of(endpoint_, "CreateTable",
                      {{"TableName", table.str()},
                       {"KeySchema", keys},
                       {"AttributeDefinitions", definitions},
                       {"BillingMode", "PAY_PER_REQUEST"}});
  call.request.may_repeat = false;  // the second time says ResourceInUseException
  return call;
}

Call DynamoRequests::describe_table(const TableName& table) const {
  return call_of(endpoint_, "DescribeTable", {{"TableName", table.str()}});
}

Call DynamoRequests::delete_table(const TableName& table) const {
  Call call = call_of(endpoint_, "DeleteTable", {{"TableName", table.str()}});
  call.request.may_repeat = false;
  return call;
}

Call DynamoRequests::list_tables(const std::string& after) const {
  json members = json::object();
  if (!after.empty()) members["ExclusiveStartTableName"] = after;
  return call_of(endpoint_, "ListTables", members);
}

// --- Items ----------------------------------------------------------------------------------------------------------

Call DynamoRequests::get(const TableName& table, const Item& key) const {
  return call_of(endpoint_, "GetItem",
                 {{"TableName", table.str()}, {"Key", records::item_to_json(key)}, {"ConsistentRead", true}});
}

Call DynamoRequests::put(const TableName& table, const Item& item, const std::vector<Condition>& conditions) const {
  json members = {{"TableName", table.str()}, {"Item", records::item_to_json(item)}};
  Placeholders placeholders;
  add_conditions(members, conditions, placeholders);
  Call call = call_of(endpoint_, "PutItem", members);
  call.request.may_repeat = conditions.empty();
  return call;
}

Call DynamoRequests::update(const TableName& table, const Item& key, const records::Update& update,
                            const std::vector<Condition>& conditions) const {
  json members = {{"TableName", table.str()}, {"Key", records::item_to_json(key)}, {"ReturnValues", "ALL_NEW"}};
  Placeholders placeholders;
  const std::string expression = expression_of(update, placeholders);
  if (!expression.empty()) members["UpdateExpression"] = expression;
  add_conditions(members, conditions, placeholders);
  Call call = call_of(endpoint_, "UpdateItem", members);
  call.request.may_repeat = conditions.empty() && update.add.empty();
  return call;
}

Call DynamoRequests::remove(const TableName& table, const Item& key, const std::vector<Condition>& conditions) const {
  json members = {{"TableName", table.str()}, {"Key", records::item_to_json(key)}};
  Placeholders placeholders;
  add_conditions(members, conditions, placeholders);
  Call call = call_of(endpoint_, "DeleteItem", members);
  call.request.may_repeat = conditions.empty();
  return call;
}

Call DynamoRequests::query(const TableName& table, const records::KeySchema& schema,
                           const records::QueryRequest& request) const {
  json members = {{"TableName", table.str()}, {"ConsistentRead", true}, {"ScanIndexForward", !request.descending}};
  Placeholders placeholders;
  std::string expression =
      fmt::format("{} = {}", placeholders.name(schema.partition.name), placeholders.value(request.partition));
  if (!request.sort_prefix.empty()) {
    if (!schema.sort) throw Error(ErrorKind::invalid, "the table has no sort key", table.str());
    expression += fmt::format(" AND begins_with({}, {})", placeholders.name(schema.sort->name),
                              placeholders.value(request.sort_prefix));
  }
  members["KeyConditionExpression"] = expression;
  if (request.start_after) members["ExclusiveStartKey"] = records::item_to_json(*request.start_after);
  if (request.limit > 0) members["Limit"] = request.limit;
  placeholders.add_to(members);
  return call_of(endpoint_, "Query", members);
}

Call DynamoRequests::scan(const TableName& table, const records::ScanRequest& request) const {
  json members = {{"TableName", table.str()},
                  {"ConsistentRead", true},
                  {"Segment", request.segment},
                  {"TotalSegments", request.total_segments}};
  if (request.start_after) members["ExclusiveStartKey"] = records::item_to_json(*request.start_after);
  if (request.limit > 0) members["Limit"] = request.limit;
  return call_of(endpoint_, "Scan", members);
}

Call DynamoRequests::put_batch(const TableName& table, const std::vector<Item>& items) const {
  json requests = json::array();
  for (const Item& item : items) requests.push_back({{"PutRequest", {{"Item", records::item_to_json(item)}}}});
  return call_of(endpoint_, "BatchWriteItem", {{"RequestItems", {{table.str(), std::move(requests)}}}});
}

// --- Answers --------------------------------------------------------------------------------------------------------

void check_crc32(const http::AnswerHead& head, std::string_view body, const std::string& where) {
  const std::string_view text = head.headers.get("x-amz-crc32");
  std::uint32_t expected = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), expected);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size()) return;
  if (crc32(body) != expected)
    throw Error(ErrorKind::unavailable, "the answer was damaged on the way: its checksum is another", where);
}

TableDescription parse_table(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  const json& table = member_of(document, "Table", where);
  TableDescription description;
  if (!table.is_object()) throw Error(ErrorKind::corrupt, "the answer's Table is none", where);
  const std::string status = text_of(table, "TableStatus");
  description.state = status == "CREATING"   ? TableState::creating
                      : status == "DELETING" ? TableState::deleting
                                             : TableState::usable;
  for (const json& key : array_of(table, "KeySchema", where)) {
    if (!key.is_object()) throw Error(ErrorKind::corrupt, "the answer's KeySchema is none", where);
    records::KeyAttribute attribute{text_of(key, "AttributeName"), KeyType::string};
    for (const json& definition : array_of(table, "AttributeDefinitions", where)) {
      if (definition.is_object() && text_of(definition, "AttributeName") == attribute.name)
        attribute.type = key_type_of(text_of(definition, "AttributeType"), where);
    }
    if (text_of(key, "KeyType") == "RANGE")
      description.schema.sort = attribute;
    else
      description.schema.partition = attribute;
  }
  if (description.schema.partition.name.empty() && description.state != TableState::deleting)
    throw Error(ErrorKind::corrupt, "the answer's table has no partition key", where);
  return description;
}

TablePage parse_tables(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  if (!document.contains("TableNames")) throw not_from_service("the answer has no TableNames", where);
  TablePage page;
  for (const json& name : array_of(document, "TableNames", where)) {
    if (!name.is_string()) throw Error(ErrorKind::corrupt, "a table's name in the answer is no text", where);
    page.tables.emplace_back(name.get_ref<const std::string&>());
  }
  page.next = text_of(document, "LastEvaluatedTableName");
  return page;
}

std::optional<Item> parse_item(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  const auto item = document.find("Item");
  if (item == document.end()) {
    require_member_unless_empty(document, "Item", where);
    return std::nullopt;
  }
  return item_of(*item, where);
}

Item parse_updated(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  return item_of(member_of(document, "Attributes", where), where);
}

records::ItemPage parse_items(std::string_view body, const std::string& where) {
  const json document = parse_json_answer(body, where);
  if (!document.contains("Items")) throw not_from_service("the answer has no Items", where);
  records::ItemPage page;
  for (const json& item : array_of(document, "Items", where)) page.items.push_back(item_of(item, where));
  const auto last = document.find("LastEvaluatedKey");
  if (last != document.end() && !last->empty()) page.last_key = item_of(*last, where);
  return page;
}

std::vector<Item> parse_unprocessed(std::string_view body, const TableName& table, const std::string& where) {
  const json document = parse_json_answer(body, where);
  std::vector<Item> items;
  require_member_unless_empty(document, "UnprocessedItems", where);
  const auto unprocessed = document.find("UnprocessedItems");
  if (unprocessed == document.end() || !unprocessed->is_object()) return items;
  for (const json& request : array_of(*unprocessed, table.str().c_str(), where))
    items.push_back(item_of(member_of(member_of(request, "PutRequest", where), "Item", where), where));
  return items;
}

}  // namespace bale::aws
