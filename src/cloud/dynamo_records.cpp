#include "cloud/dynamo_records.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "records/decimal.hpp"
#include "records/item_rules.hpp"

namespace bale::cloud {

using namespace records;

namespace {

/// A page has 1 MB of items, UpdateItem's answer 400 KB; each byte may be written as \u0000.
constexpr ByteCount most_answer_bytes = 16 << 20;

// Tables are made and deleted within seconds, rarely minutes.
constexpr Milliseconds first_pause{20}, longest_pause{2'000};
constexpr Milliseconds patience{5 * 60'000};

Update normalize(Update update) {
  for (Update::Set& set : update.set) normalize_value(set.value);
  for (Update::Add& add : update.add) add.amount.digits = Decimal::parse(add.amount.digits).to_string();
  return update;
}

bool is_gone(const std::optional<aws::TableDescription>& found) { return !found; }

}  // namespace

DynamoRecords::DynamoRecords(Session& session, Region region)
    : session_(session),
      region_(std::move(region)),
      requests_(session.endpoint(aws::Service::dynamodb, region_.str())) {}

std::string DynamoRecords::where_of(const TableName& table) const {
  return fmt::format("{}/{}", region_.str(), table.str());
}

std::string DynamoRecords::fetch(aws::Call call, const std::string& where) {
  Outcome outcome = session_.send(std::move(call), aws::Service::dynamodb, region_.str());
  if (outcome.failure) throw queue_or_table_error(*outcome.failure, where);
  std::string body = read_text(*outcome.answer, most_answer_bytes);
  aws::check_crc32(outcome.answer->exchange.head(), body, where);
  // Every answer of DynamoDB is a JSON object; of a write, one that nobody needs to parse.
  if (!body.starts_with('{')) throw aws::not_from_service("the answer is not a JSON object", where);
  return body;
}

std::string DynamoRecords::fetch(aws::Call call, const TableName& table) {
  return fetch(std::move(call), where_of(table));
}

void DynamoRecords::remember(const TableName& table, const std::optional<KeySchema>& schema) {
  const Lock lock(mutex_);
  if (schema)
    schemas_.insert_or_assign(table, *schema);
  else
    schemas_.erase(table);
}

// Tables

std::optional<aws::TableDescription> DynamoRecords::ask(const TableName& table) {
  try {
    auto found = aws::parse_table(fetch(requests_.describe_table(table), table), where_of(table));
    const bool is_going = found.state == aws::TableState::deleting;
    remember(table, is_going ? std::nullopt : std::optional(found.schema));
    return found;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    remember(table, std::nullopt);
    return std::nullopt;
  }
}

template <typename Done>
std::optional<aws::TableDescription> DynamoRecords::wait_for(const TableName& table, const char* what,
                                                             const Done& done) {
  os::World& world = session_.world();
  const auto deadline = world.clock.steady() + patience;
  for (Milliseconds pause = first_pause;; pause = std::min(pause * 2, longest_pause)) {
    auto found = ask(table);
    if (done(found)) return found;
    if (world.clock.steady() >= deadline) {
      throw Error(ErrorKind::timeout, fmt::format("the table is not {} after five minutes", what), where_of(table),
                  "look at its status with the AWS console or command line");
    }
    if (!world.clock.sleep_for(pause, world.stop))
      throw Error(ErrorKind::cancelled, fmt::format("stopped while waiting for the table to be {}", what),
                  where_of(table));
  }
}

void DynamoRecords::create_table(const TableName& table, const KeySchema& schema) {
  check_table_name(table);
  check_schema(schema);
  try {
    fetch(requests_.create_table(table, schema), table);
  } catch (const Error& error) {
    if (error.code() != "ResourceInUseException") throw;
    const auto found = ask(table);
    if (found && found->state != aws::TableState::deleting) throw;
    wait_for(table, "gone", is_gone);
    fetch(requests_.create_table(table, schema), table);
  }
  // Just after its creation a table may not be seen yet.
  wait_for(table, "active", [](const auto& found) { return found && found->state == aws::TableState::usable; });
}

std::optional<KeySchema> DynamoRecords::describe_table(const TableName& table) {
  const auto found =
      wait_for(table, "active", [](const auto& now) { return !now || now->state != aws::TableState::creating; });
  if (!found || found->state == aws::TableState::deleting) return std::nullopt;
  return found->schema;
}

void DynamoRecords::delete_table(const TableName& table) {
  fetch(requests_.delete_table(table), table);
  wait_for(table, "gone", is_gone);
}

std::vector<TableName> DynamoRecords::list_tables() {
  const std::string where = fmt::format("the tables of {}", region_.str());
  std::vector<TableName> all;
  std::string after;
  do {
    auto page = aws::parse_tables(fetch(requests_.list_tables(after), where), where);
    all.insert(all.end(), page.tables.begin(), page.tables.end());
    aws::check_next(page.next, after, where);
    after = page.next;
  } while (!after.empty());
  std::sort(all.begin(), all.end());
  return all;
}

KeySchema DynamoRecords::schema_of(const TableName& table) {
  {
    const Lock lock(mutex_);
    const auto known = schemas_.find(table);
    if (known != schemas_.end()) return known->second;
  }
  if (const auto schema = describe_table(table)) return *schema;
  throw Error(ErrorKind::not_found, "there is no such table", where_of(table), "check the table's name and region")
      .with_code("ResourceNotFoundException");
}

// Items

std::optional<Item> DynamoRecords::get(const TableName& table, const Item& key) {
  return aws::parse_item(fetch(requests_.get(table, key), table), where_of(table));
}

void DynamoRecords::put(const TableName& table, const Item& item, const std::vector<Condition>& conditions) {
  aws::check_no_page(fetch(requests_.put(table, records::normalize(item), conditions), table), where_of(table));
}

Item DynamoRecords::update(const TableName& table, const Item& key, const Update& update,
                           const std::vector<Condition>& conditions) {
  check_paths(update);
  return aws::parse_updated(fetch(requests_.update(table, key, normalize(update), conditions), table), where_of(table));
}

void DynamoRecords::remove(const TableName& table, const Item& key, const std::vector<Condition>& conditions) {
  aws::check_no_page(fetch(requests_.remove(table, key, conditions), table), where_of(table));
}

ItemPage DynamoRecords::query(const TableName& table, const QueryRequest& request) {
  const KeySchema schema = schema_of(table);
  try {
    return aws::parse_items(fetch(requests_.query(table, schema, request), table), where_of(table));
  } catch (const Error& error) {
    // Perhaps the table was made anew, with other keys.
    if (error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::invalid) remember(table, std::nullopt);
    throw;
  }
}

ItemPage DynamoRecords::scan(const TableName& table, const ScanRequest& request) {
  check_scan(request);
  return aws::parse_items(fetch(requests_.scan(table, request), table), where_of(table));
}

std::vector<Item> DynamoRecords::put_batch(const TableName& table, const std::vector<Item>& items) {
  check_batch(items);
  std::vector<Item> stored;
  stored.reserve(items.size());
  for (const Item& item : items) stored.push_back(records::normalize(item));
  return aws::parse_unprocessed(fetch(requests_.put_batch(table, stored), table), table, where_of(table));
}

}  // namespace bale::cloud
