// DynamoDB's JSON 1.0 protocol: pure builders of requests and parsers of answers, in the words of the RecordStore port.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/answer.hpp"
#include "aws/endpoint.hpp"
#include "records/record_store.hpp"

namespace bale::aws {

/// Makes unsigned requests to one endpoint. A value; thread-safe. Names and values go in as placeholders, so reserved
/// words and dots in names do no harm. Reads are consistent. may_repeat is false where a second time would do more, or
/// answer differently, than the first.
class DynamoRequests {
 public:
  explicit DynamoRequests(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  const Endpoint& endpoint() const noexcept { return endpoint_; }

  /// Billed by request.
  Call create_table(const TableName& table, const records::KeySchema& schema) const;
  Call describe_table(const TableName& table) const;
  Call delete_table(const TableName& table) const;
  /// `after`: the last name of the page before; empty: the first page.
  Call list_tables(const std::string& after) const;

  Call get(const TableName& table, const records::Item& key) const;
  Call put(const TableName& table, const records::Item& item, const std::vector<records::Condition>& conditions) const;
  /// Answers with the item as it is afterwards.
  Call update(const TableName& table, const records::Item& key, const records::Update& update,
              const std::vector<records::Condition>& conditions) const;
  Call remove(const TableName& table, const records::Item& key,
              const std::vector<records::Condition>& conditions) const;
  /// `schema` tells the names of the keys. Throws Error{invalid} for a sort prefix where the table has no sort key.
  Call query(const TableName& table, const records::KeySchema& schema, const records::QueryRequest& request) const;
  Call scan(const TableName& table, const records::ScanRequest& request) const;
  Call put_batch(const TableName& table, const std::vector<records::Item>& items) const;

 private:
  Endpoint endpoint_;
};

enum class TableState {
  creating,
  usable,  ///< also while it is changed; what keeps it from being used otherwise, each request will say
  deleting,
};

struct TableDescription {
  records::KeySchema schema;  ///< empty, perhaps, of a table that is being deleted
  TableState state = TableState::usable;
};

struct TablePage {
  std::vector<TableName> tables;
  std::string next;  ///< empty: this was the last
};

// Parsers of successful answers. Each throws Error{corrupt} naming `where` for what is not the answer it expects.

/// Holds a body against the x-amz-crc32 of its answer, where there is one. Throws Error{unavailable}: what is damaged
/// on the way may be whole the next time.
void check_crc32(const http::AnswerHead& head, std::string_view body, const std::string& where);

TableDescription parse_table(std::string_view body, const std::string& where);
TablePage parse_tables(std::string_view body, const std::string& where);
/// The Item of GetItem; absent when there is none.
std::optional<records::Item> parse_item(std::string_view body, const std::string& where);
/// The Attributes of UpdateItem.
records::Item parse_updated(std::string_view body, const std::string& where);
/// A page of Query or Scan. It is the last only when the answer names no last key, however few items it has.
records::ItemPage parse_items(std::string_view body, const std::string& where);
/// The items of BatchWriteItem that were not written.
std::vector<records::Item> parse_unprocessed(std::string_view body, const TableName& table, const std::string& where);

}  // namespace bale::aws
