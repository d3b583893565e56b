// DynamoDB over HTTP: the AWS kind of the RecordStore port.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aws/dynamodb.hpp"
#include "base/mutex.hpp"
#include "cloud/session.hpp"
#include "records/record_store.hpp"

namespace bale::cloud {

/// DynamoDB, or a server that speaks its protocol, in one region. Tables are billed by request. Tries nothing twice:
/// retrying is a decorator's work. Thread-safe; each call takes a connection of the session's for itself.
class DynamoRecords final : public records::RecordStore {
 public:
  /// Borrows the session. Throws Error{invalid} for an endpoint that is none.
  DynamoRecords(Session& session, Region region);

  /// Returns when the table can be used; waits first for the end of one of the same name that is being deleted.
  /// Error{timeout} when either takes more than five minutes, Error{cancelled} when the world was asked to stop
  /// meanwhile; the table may then be being made nevertheless.
  void create_table(const TableName& table, const records::KeySchema& schema) override;
  /// Waits for a table that is being made, as create_table() does; one that is being deleted is absent.
  std::optional<records::KeySchema> describe_table(const TableName& table) override;
  /// Returns when the table is gone; fails as create_table() does.
  void delete_table(const TableName& table) override;
  std::vector<TableName> list_tables() override;

  std::optional<records::Item> get(const TableName& table, const records::Item& key) override;
  void put(const TableName& table, const records::Item& item,
           const std::vector<records::Condition>& conditions = {}) override;
  records::Item update(const TableName& table, const records::Item& key, const records::Update& update,
                       const std::vector<records::Condition>& conditions = {}) override;
  void remove(const TableName& table, const records::Item& key,
              const std::vector<records::Condition>& conditions = {}) override;
  records::ItemPage query(const TableName& table, const records::QueryRequest& request) override;
  records::ItemPage scan(const TableName& table, const records::ScanRequest& request) override;
  std::vector<records::Item> put_batch(const TableName& table, const std::vector<records::Item>& items) override;

 private:
  std::string where_of(const TableName& table) const;
  /// Sends a request and reads the whole answer, which is what its checksum says; a refusal is an Error.
  std::string fetch(aws::Call call, const std::string& where);
  std::string fetch(aws::Call call, const TableName& table);
  /// The table as it is now; absent when there is none.
  std::optional<aws::TableDescription> ask(const TableName& table);
  /// Asks until `done` says so of the answer, which it returns.
  template <typename Done>
  std::optional<aws::TableDescription> wait_for(const TableName& table, const char* what, const Done& done);
  /// The keys of a table, from memory where they are known. Throws Error{not_found}.
  records::KeySchema schema_of(const TableName& table);
  void remember(const TableName& table, const std::optional<records::KeySchema>& schema);

  Session& session_;
  const Region region_;
  const aws::DynamoRequests requests_;
  Mutex mutex_;
  std::map<TableName, records::KeySchema> schemas_ BALE_GUARDED_BY(mutex_);
};

}  // namespace bale::cloud
