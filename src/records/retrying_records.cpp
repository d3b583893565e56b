#include "records/retrying_records.hpp"

#include <fmt/format.h>

#include "records/decimal.hpp"

namespace bale::records {
namespace {

bool is_condition_failure(const Error& error) { return error.code() == "ConditionalCheckFailedException"; }

std::string shortest(const std::string& digits) { return Decimal::parse(digits).to_string(); }

/// A value with its numbers as the service keeps them: "0012.500" is 12.5.
Value as_kept(Value value) {
  if (auto* number = std::get_if<Number>(&value.data)) {
    number->digits = shortest(number->digits);
  } else if (auto* numbers = std::get_if<NumberSet>(&value.data)) {
    std::set<std::string> kept;
    for (const std::string& digits : numbers->values) kept.insert(shortest(digits));
    numbers->values = std::move(kept);
  } else if (auto* list = std::get_if<List>(&value.data)) {
    for (Value& element : *list) element = as_kept(std::move(element));
  } else if (auto* map = std::get_if<Map>(&value.data)) {
    for (auto& [name, member] : *map) member = as_kept(std::move(member));
  }
  return value;
}

bool same_item(const Item& a, const Item& b) { return as_kept(Value(Map(a))) == as_kept(Value(Map(b))); }

bool same_key(const KeyAttribute& a, const KeyAttribute& b) { return a.name == b.name && a.type == b.type; }

bool same_schema(const KeySchema& a, const KeySchema& b) {
  if (!same_key(a.partition, b.partition) || a.sort.has_value() != b.sort.has_value()) return false;
  return !a.sort || same_key(*a.sort, *b.sort);
}

/// The update was not tried again, or was and met a failure: nobody knows whether it has been made.
Error unknown_outcome(const Error& error) {
  return error.with_summary(error.summary() + "; it is not known whether the update was made")
      .with_hint("read the item before adding to it again");
}

}  // namespace

// Tables

void RetryingRecords::create_table(const TableName& table, const KeySchema& schema) {
  const auto is_made = [&](const Error& error) {
    if (error.code() != "ResourceInUseException") return false;
    const auto found = describe_table(table);
    return found && same_schema(*found, schema);
  };
  flow::retry_until_done(
      retrier_, [&] { inner_.create_table(table, schema); }, is_made);
}

std::optional<KeySchema> RetryingRecords::describe_table(const TableName& table) {
  return flow::retry(retrier_, [&] { return inner_.describe_table(table); });
}

void RetryingRecords::delete_table(const TableName& table) {
  const auto is_gone = [](const Error& error) { return error.kind() == ErrorKind::not_found; };
  flow::retry_until_done(
      retrier_, [&] { inner_.delete_table(table); }, is_gone);
}

std::vector<TableName> RetryingRecords::list_tables() {
  return flow::retry(retrier_, [&] { return inner_.list_tables(); });
}

// Items

std::optional<Item> RetryingRecords::get(const TableName& table, const Item& key) {
  return flow::retry(retrier_, [&] { return inner_.get(table, key); });
}

bool RetryingRecords::is_there(const TableName& table, const Item& item) {
  const auto schema = describe_table(table);
  if (!schema) return false;
  Item key{{schema->partition.name, item.at(schema->partition.name)}};
  if (schema->sort) key.emplace(schema->sort->name, item.at(schema->sort->name));
  const auto found = get(table, key);
  return found && same_item(*found, item);
}

void RetryingRecords::put(const TableName& table, const Item& item, const std::vector<Condition>& conditions) {
  const auto is_put = [&](const Error& error) { return is_condition_failure(error) && is_there(table, item); };
  flow::retry_until_done(
      retrier_, [&] { inner_.put(table, item, conditions); }, is_put);
}

Item RetryingRecords::update(const TableName& table, const Item& key, const Update& update,
                             const std::vector<Condition>& conditions) {
  if (!update.add.empty()) return update_once(table, key, update, conditions);
  flow::Attempts attempts(retrier_);
  return attempts.run([&]() -> Item {
    try {
      return inner_.update(table, key, update, conditions);
    } catch (const Error& error) {
      if (!attempts.may_have_worked() || !is_condition_failure(error)) throw;
      throw error.with_hint(
          "an earlier attempt, whose answer was lost, may have made this update itself; read the item");
    }
  });
}

Item RetryingRecords::update_once(const TableName& table, const Item& key, const Update& update,
                                  const std::vector<Condition>& conditions) {
  flow::Attempts attempts(retrier_);
  for (;;) {
    std::optional<Error> failure;
    try {
      Item after = inner_.update(table, key, update, conditions);
      attempts.succeeded();
      return after;
    } catch (const Error& error) {
      failure = error;
    }
    const bool passes = flow::retry_class(*failure) != flow::RetryClass::never;
    if (passes && !flow::had_no_effect(*failure)) throw unknown_outcome(*failure);
    if (!attempts.again(*failure)) throw attempts.report();
  }
}

void RetryingRecords::remove(const TableName& table, const Item& key, const std::vector<Condition>& conditions) {
  const auto is_gone = [&](const Error& error) { return is_condition_failure(error) && !get(table, key); };
  flow::retry_until_done(
      retrier_, [&] { inner_.remove(table, key, conditions); }, is_gone);
}

ItemPage RetryingRecords::query(const TableName& table, const QueryRequest& request) {
  return flow::retry(retrier_, [&] { return inner_.query(table, request); });
}

ItemPage RetryingRecords::scan(const TableName& table, const ScanRequest& request) {
  return flow::retry(retrier_, [&] { return inner_.scan(table, request); });
}

std::vector<Item> RetryingRecords::put_batch(const TableName& table, const std::vector<Item>& items) {
  flow::Attempts attempts(retrier_);
  std::vector<Item> left = flow::retry(retrier_, [&] { return inner_.put_batch(table, items); });
  while (!left.empty()) {
    // Unprocessed items are DynamoDB's way to throttle a batch.
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
    const Error unprocessed(ErrorKind::throttled, fmt::format("{} items were not written", left.size()), table.str());
    if (!attempts.again(unprocessed)) return left;
    std::vector<Item> rest = flow::retry(retrier_, [&] { return inner_.put_batch(table, left); });
    if (rest.size() < left.size()) attempts.progressed();
    left = std::move(rest);
  }
  attempts.succeeded();
  return left;
}

}  // namespace bale::records
