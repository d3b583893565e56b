#include "embedded/record_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"

namespace bale::embedded {

using namespace records;

struct EmbeddedRecords::Table {
  std::int64_t id = 0;
  KeySchema schema;
};

namespace {

using Durability = Database::Durability;

/// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
constexpr std::size_t most_page_bytes = 1 << 20;
/// Greater than every sort key, which has at most 1024 bytes.
const std::string after_every_sort_key(1025, '\xff');

Error refuse(std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code("ValidationException"); }

std::optional<Item> find_item(Database& database, std::int64_t table, const EncodedKey& key) {
  Query row = database.query("SELECT item FROM items WHERE owner = ? AND hash = ? AND partition = ? AND sort = ?",
                             table, scan_position(key.partition), Blob{key.partition}, Blob{key.sort});
  if (!row.step()) return std::nullopt;
  return from_dynamodb_json(row.text(0));
}

void store_item(Database& database, std::int64_t table, const EncodedKey& key, const Item& item) {
  database.execute(
      "INSERT INTO items(owner, hash, partition, sort, item) VALUES(?, ?, ?, ?, ?) "
      "ON CONFLICT(owner, hash, partition, sort) DO UPDATE SET item = excluded.item",
      table, scan_position(key.partition), Blob{key.partition}, Blob{key.sort}, to_dynamodb_json(item));
}

/// The item as it is, which satisfies the conditions; absent items have no attributes.
std::optional<Item> find_satisfying(Database& database, const TableName& name, std::int64_t table,
                                    const EncodedKey& key, const std::vector<Condition>& conditions) {
  std::optional<Item> item = find_item(database, table, key);
  if (!holds(conditions, item.value_or(Item()))) {
    throw Error(ErrorKind::precondition, "the condition of the change does not hold", name.str())
        .with_code("ConditionalCheckFailedException");
  }
  return item;
}

/// Reads items from a query of the column `item` until the page is full.
ItemPage read_page(Query& row, const KeySchema& schema, std::uint32_t limit) {
  ItemPage page;
  std::size_t bytes = 0;
  while (row.step()) {
    if ((limit != 0 && page.items.size() == limit) || bytes >= most_page_bytes) {
      page.last_key = key_of(schema, page.items.back());
      break;
    }
    const std::string text = row.text(0);
    page.items.push_back(from_dynamodb_json(text));
    bytes += item_size(page.items.back());
  }
  return page;
}

/// Bounds of the sort key for a query: from `first` on, before `end`.
struct SortRange {
  std::string first;
  std::string end = after_every_sort_key;
};

SortRange sort_range(const KeySchema& schema, const QueryRequest& request) {
  SortRange range;
  if (!request.sort_prefix.empty()) {
    if (!schema.sort || schema.sort->type != KeyType::string)
      throw refuse("begins_with needs a sort key that is a string");
    range.first = request.sort_prefix;
    range.end = request.sort_prefix + '\xff';  // no byte of UTF-8 is 0xFF
  }
  if (request.start_after) {
    const std::string sort = encode_bare_key(schema, *request.start_after).sort;
    if (request.descending)
      range.end = std::min(range.end, sort);
    else
      range.first = std::max(range.first, sort + '\0');
  }
  return range;
}

}  // namespace

std::optional<EmbeddedRecords::Table> EmbeddedRecords::find(Database& database, const TableName& table) const {
  Query row = database.query(
      "SELECT id, partition_name, partition_type, sort_name, sort_type FROM tables WHERE region = ? AND name = ?",
      region_.str(), table.str());
  if (!row.step()) return std::nullopt;
  Table found{row.integer(0), {{row.text(1), static_cast<KeyType>(row.integer(2))}, std::nullopt}};
  if (!row.text(3).empty()) found.schema.sort = KeyAttribute{row.text(3), static_cast<KeyType>(row.integer(4))};
  return found;
}

EmbeddedRecords::Table EmbeddedRecords::require(Database& database, const TableName& table) const {
  if (auto found = find(database, table)) return *found;
  throw Error(ErrorKind::not_found, "there is no such table", fmt::format("{}/{}", region_.str(), table.str()))
      .with_code("ResourceNotFoundException");
}

void EmbeddedRecords::create_table(const TableName& table, const KeySchema& schema) {
  check_table_name(table);
  check_schema(schema);
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    if (find(context.database, table)) {
      throw Error(ErrorKind::precondition, "the table exists already", table.str()).with_code("ResourceInUseException");
    }
    context.database.execute(
        "INSERT INTO tables(region, name, partition_name, partition_type, sort_name, sort_type) "
        "VALUES(?, ?, ?, ?, ?, ?)",
        region_.str(), table.str(), schema.partition.name, static_cast<int>(schema.partition.type),
        schema.sort ? schema.sort->name : std::string(), schema.sort ? static_cast<int>(schema.sort->type) : 0);
  });
}

std::optional<KeySchema> EmbeddedRecords::describe_table(const TableName& table) {
  const auto found = find(*core_.readers.borrow(), table);
  if (!found) return std::nullopt;
  return found->schema;
}

void EmbeddedRecords::delete_table(const TableName& table) {
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const Table found = require(context.database, table);
    context.database.execute("DELETE FROM items WHERE owner = ?", found.id);
    context.database.execute("DELETE FROM tables WHERE id = ?", found.id);
  });
}

std::vector<TableName> EmbeddedRecords::list_tables() {
  auto reader = core_.readers.borrow();
  Query row = reader->query("SELECT name FROM tables WHERE region = ? ORDER BY name", region_.str());
  std::vector<TableName> tables;
  while (row.step()) tables.emplace_back(row.text(0));
  return tables;
}

std::optional<Item> EmbeddedRecords::get(const TableName& table, const Item& key) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const Table found = require(*reader, table);
  return find_item(*reader, found.id, encode_bare_key(found.schema, key));
}

void EmbeddedRecords::put(const TableName& table, const Item& item, const std::vector<Condition>& conditions) {
  const Item stored = normalize(item);
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const Table found = require(context.database, table);
    const EncodedKey key = encode_key(found.schema, stored);
    find_satisfying(context.database, table, found.id, key, conditions);
    store_item(context.database, found.id, key, stored);
  });
}

Item EmbeddedRecords::update(const TableName& table, const Item& key, const Update& update,
                             const std::vector<Condition>& conditions) {
  Item updated;
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const Table found = require(context.database, table);
    const EncodedKey encoded = encode_bare_key(found.schema, key);
    const auto item = find_satisfying(context.database, table, found.id, encoded, conditions);
    updated = normalize(apply(found.schema, item.value_or(key), update));
    store_item(context.database, found.id, encoded, updated);
  });
  return updated;
}

void EmbeddedRecords::remove(const TableName& table, const Item& key, const std::vector<Condition>& conditions) {
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const Table found = require(context.database, table);
    const EncodedKey encoded = encode_bare_key(found.schema, key);
    find_satisfying(context.database, table, found.id, encoded, conditions);
    context.database.execute("DELETE FROM items WHERE owner = ? AND hash = ? AND partition = ? AND sort = ?", found.id,
                             scan_position(encoded.partition), Blob{encoded.partition}, Blob{encoded.sort});
  });
}

ItemPage EmbeddedRecords::query(const TableName& table, const QueryRequest& request) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const Table found = require(*reader, table);
  const std::string partition = encode_key_value(found.schema.partition, request.partition);
  const SortRange range = sort_range(found.schema, request);
  const char* const sql =
      request.descending
          ? "SELECT item FROM items WHERE owner = ? AND hash = ? AND partition = ? AND sort >= ? AND sort < ? "
            "ORDER BY sort DESC"
          : "SELECT item FROM items WHERE owner = ? AND hash = ? AND partition = ? AND sort >= ? AND sort < ? "
            "ORDER BY sort";
  Query row =
      reader->query(sql, found.id, scan_position(partition), Blob{partition}, Blob{range.first}, Blob{range.end});
  return read_page(row, found.schema, request.limit);
}

ItemPage EmbeddedRecords::scan(const TableName& table, const ScanRequest& request) {
  check_scan(request);
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const Table found = require(*reader, table);
  std::int64_t first = scan_positions * request.segment / request.total_segments;
  const std::int64_t end = scan_positions * (request.segment + 1) / request.total_segments;
  EncodedKey after;  // nothing is before it: a partition key is not empty
  if (request.start_after) {
    after = encode_bare_key(found.schema, *request.start_after);
    const std::int64_t position = scan_position(after.partition);
    if (position < first || position >= end) throw refuse("start_after is of another segment");
    first = position;
  }
  Query row = reader->query(
      "SELECT item FROM items WHERE owner = ? AND (hash, partition, sort) > (?, ?, ?) AND hash < ? "
      "ORDER BY hash, partition, sort",
      found.id, first, Blob{after.partition}, Blob{after.sort}, end);
  return read_page(row, found.schema, request.limit);
}

std::vector<Item> EmbeddedRecords::put_batch(const TableName& table, const std::vector<Item>& items) {
  check_batch(items);
  std::vector<Item> stored;
  for (const Item& item : items) stored.push_back(normalize(item));
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const Table found = require(context.database, table);
    std::set<EncodedKey> keys;
    for (const Item& item : stored) {
      const EncodedKey key = encode_key(found.schema, item);
      if (!keys.insert(key).second) throw refuse("a batch has two items with one key");
      store_item(context.database, found.id, key, item);
    }
  });
  return {};
}

}  // namespace bale::embedded
