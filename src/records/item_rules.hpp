// What DynamoDB refuses before it looks into a table: pure checks, the same for every kind of record store. All are
// thread-safe and throw Error{invalid} ValidationException.
#pragma once

#include <vector>

#include "records/record_store.hpp"

namespace bale::records {

/// Letters, digits, '_', '-' and '.', 3-255 of them.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
void check_table_name(const TableName& table);
/// The key attributes have names, and different ones.
void check_schema(const KeySchema& schema);
/// A segment that exists, of at most a million.
/// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
void check_scan(const ScanRequest& request);
/// 1 to max_batch_write items.
void check_batch(const std::vector<Item>& items);
/// No path is empty, or begins with another one.
void check_paths(const Update& update);

/// The item with its numbers in their shortest form, as DynamoDB returns them. Refuses attributes without a name, empty
/// sets, numbers that are none, and items over max_item_bytes.
Item normalize(Item item);
/// As normalize(), for one value.
void normalize_value(Value& value);
/// DynamoDB's count of an item's bytes.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
std::size_t item_size(const Item& item);

}  // namespace bale::records
