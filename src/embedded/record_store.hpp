// DynamoDB tables in SQLite.
#pragma once

#include "embedded/core.hpp"
#include "embedded/record_rules.hpp"
#include "records/record_store.hpp"

namespace bale::embedded {

/// The tables of one region. Every change is durable when it returns. Thread-safe; borrows the core.
class EmbeddedRecords final : public records::RecordStore {
 public:
  EmbeddedRecords(Core& core, Region region) : core_(core), region_(std::move(region)) {}

  void create_table(const TableName& table, const records::KeySchema& schema) override;
  std::optional<records::KeySchema> describe_table(const TableName& table) override;
  void delete_table(const TableName& table) override;
  std::vector<TableName> list_tables() override;

  std::optional<records::Item> get(const TableName& table, const records::Item& key) override;
  void put(const TableName& table, const records::Item& item,
           const std::vector<records::Condition>& conditions) override;
  records::Item update(const TableName& table, const records::Item& key, const records::Update& update,
                       const std::vector<records::Condition>& conditions) override;
  void remove(const TableName& table, const records::Item& key,
              const std::vector<records::Condition>& conditions) override;
  records::ItemPage query(const TableName& table, const records::QueryRequest& request) override;
  records::ItemPage scan(const TableName& table, const records::ScanRequest& request) override;
  std::vector<records::Item> put_batch(const TableName& table, const std::vector<records::Item>& items) override;

 private:
  struct Table;
  std::optional<Table> find(Database& database, const TableName& table) const;
  /// Throws Error{not_found} ResourceNotFoundException.
  Table require(Database& database, const TableName& table) const;

  Core& core_;
  const Region region_;
};

}  // namespace bale::embedded
