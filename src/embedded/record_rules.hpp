// What DynamoDB does with the items of a table: pure functions. All throw Error{invalid} ValidationException.
#pragma once

#include <string>
#include <vector>

#include "records/item_rules.hpp"

namespace bale::embedded {

/// A key in bytes that compare as DynamoDB orders: strings by UTF-8 bytes, numbers by value, binary as unsigned bytes.
struct EncodedKey {
  std::string partition;
  std::string sort;  ///< empty without a sort key
  friend auto operator<=>(const EncodedKey&, const EncodedKey&) = default;
};
/// The key of an item. Checks that the key attributes are there, of their types, and neither empty nor too long.
EncodedKey encode_key(const records::KeySchema& schema, const records::Item& item);
/// As encode_key, but refuses anything besides the key attributes.
EncodedKey encode_bare_key(const records::KeySchema& schema, const records::Item& key);
std::string encode_key_value(const records::KeyAttribute& attribute, const records::Value& value);
/// Just the key attributes of an item.
records::Item key_of(const records::KeySchema& schema, const records::Item& item);
/// Where an encoded partition key is in the order of a scan, 0..2^31-1.
std::int64_t scan_position(const std::string& partition);
inline constexpr std::int64_t scan_positions = std::int64_t{1} << 31;

/// Whether all conditions hold of an item; an absent one has no attributes.
bool holds(const std::vector<records::Condition>& conditions, const records::Item& item);
/// The item after the changes, all of them made to `item` as it was. Refuses changes of the key, paths that meet, paths
/// through something that is no map, and additions to something that is no number.
records::Item apply(const records::KeySchema& schema, const records::Item& item, const records::Update& update);

}  // namespace bale::embedded
