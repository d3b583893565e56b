// Port: keyed records with conditional writes, with the semantics of Amazon DynamoDB.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/names.hpp"

namespace bale::records {

/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html
inline constexpr std::size_t max_item_bytes = 400 * 1024;
inline constexpr std::size_t max_batch_write = 25;

struct Value;
/// A number as text: up to 38 digits, never a double.
struct Number {
  std::string digits;
  friend bool operator==(const Number&, const Number&) = default;
};
struct Binary {
  std::string bytes;
  friend bool operator==(const Binary&, const Binary&) = default;
};
struct Null {
  friend bool operator==(const Null&, const Null&) = default;
};
struct StringSet {
  std::set<std::string> values;
  friend bool operator==(const StringSet&, const StringSet&) = default;
};
struct NumberSet {
  std::set<std::string> values;
  friend bool operator==(const NumberSet&, const NumberSet&) = default;
};
struct BinarySet {
  std::set<std::string> values;
  friend bool operator==(const BinarySet&, const BinarySet&) = default;
};
using List = std::vector<Value>;
using Map = std::map<std::string, Value>;

/// One attribute value, in DynamoDB's types.
struct Value {
  std::variant<Null, std::string, Number, bool, Binary, StringSet, NumberSet, BinarySet, List, Map> data;
  Value() = default;
  Value(std::string text) : data(std::move(text)) {}
  Value(const char* text) : data(std::string(text)) {}
  Value(bool flag) : data(flag) {}
  Value(std::int64_t number) : data(Number{std::to_string(number)}) {}
  Value(Number number) : data(std::move(number)) {}
  Value(Binary binary) : data(std::move(binary)) {}
  Value(Null null) : data(null) {}
  Value(List list) : data(std::move(list)) {}
  Value(Map map) : data(std::move(map)) {}
  Value(StringSet set) : data(std::move(set)) {}
  Value(NumberSet set) : data(std::move(set)) {}
  Value(BinarySet set) : data(std::move(set)) {}
  friend bool operator==(const Value&, const Value&) = default;
};

using Item = std::map<std::string, Value>;

/// DynamoDB's JSON form: {"S":"text"}, {"N":"1"}, {"M":{...}}, ... and back. from_json throws Error{invalid}.
std::string to_dynamodb_json(const Item& item);
Item from_dynamodb_json(std::string_view json);

enum class KeyType { string, number, binary };
struct KeyAttribute {
  std::string name;
  KeyType type = KeyType::string;
};
struct KeySchema {
  KeyAttribute partition;
  std::optional<KeyAttribute> sort;
};

/// One term of a condition; all terms must hold. An absent attribute satisfies only not_exists and not_equal.
struct Condition {
  enum class Test { exists, not_exists, equal, not_equal, less, less_or_equal, greater, greater_or_equal };
  std::string attribute;
  Test test = Test::exists;
  Value operand;
};

/// Changes of one item, applied together. A path names nested map members with '.'-free steps:
/// {"LevelStats","12","trials"}.
struct Update {
  using Path = std::vector<std::string>;
  struct Set {
    Path path;
    Value value;
    bool only_if_absent = false;  ///< SET path = if_not_exists(path, value)
  };
  struct Add {
    Path path;
    Number amount;  ///< an absent attribute counts as 0
  };
  std::vector<Set> set;
  std::vector<Add> add;
  std::vector<Path> remove;
};

struct ScanRequest {
  std::uint32_t segment = 0;
  std::uint32_t total_segments = 1;
  std::optional<Item> start_after;  ///< `last_key` of the page before, of the same segment
  std::uint32_t limit = 0;          ///< items a page; 0: up to 1 MB
};

struct QueryRequest {
  Value partition;
  std::string sort_prefix;  ///< begins_with on a string sort key; empty: all
  std::optional<Item> start_after;
  std::uint32_t limit = 0;
  bool descending = false;
};

struct ItemPage {
  std::vector<Item> items;
  std::optional<Item> last_key;  ///< absent: this was the last page
};

/// The tables of one region. Thread-safe. Reads are consistent. Error{not_found} ResourceNotFoundException for a
/// missing table; a condition that does not hold is Error{precondition} ConditionalCheckFailedException.
class RecordStore {
 public:
  virtual ~RecordStore() = default;

  /// Error{precondition} ResourceInUseException when the table exists.
  virtual void create_table(const TableName& table, const KeySchema& schema) = 0;
  /// Absent when there is none. A table that somebody is making now is waited for: once told of, it can be used.
  virtual std::optional<KeySchema> describe_table(const TableName& table) = 0;
  virtual void delete_table(const TableName& table) = 0;
  virtual std::vector<TableName> list_tables() = 0;

  /// `key` holds just the key attributes.
  virtual std::optional<Item> get(const TableName& table, const Item& key) = 0;
  virtual void put(const TableName& table, const Item& item, const std::vector<Condition>& conditions = {}) = 0;
  /// Makes the item when it is absent. Returns the item as it is afterwards.
  virtual Item update(const TableName& table, const Item& key, const Update& update,
                      const std::vector<Condition>& conditions = {}) = 0;
  virtual void remove(const TableName& table, const Item& key, const std::vector<Condition>& conditions = {}) = 0;
  virtual ItemPage query(const TableName& table, const QueryRequest& request) = 0;
  virtual ItemPage scan(const TableName& table, const ScanRequest& request) = 0;
  /// At most 25 items, no key twice. Returns those that were not written and should be sent again.
  virtual std::vector<Item> put_batch(const TableName& table, const std::vector<Item>& items) = 0;
};

}  // namespace bale::records
