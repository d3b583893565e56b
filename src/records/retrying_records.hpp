// Decorator: a record store that tries again what failed in passing, and nothing whose second time would count twice.
#pragma once

#include "flow/retrier.hpp"
#include "records/record_store.hpp"

namespace bale::records {

/// Any RecordStore, with transient failures and throttling tried again as the retrier's settings say, and never after
/// its stop. Thread-safe as the inner store is. Store and retrier are borrowed and outlive it.
///
/// What a lost answer leads to:
///  - Reads, pages, and put, update and remove without conditions: the second time changes nothing. What another writer
///    did between the two attempts is overwritten, as if it had come first.
///  - update with ADD: it would count twice, so it is tried again only after failures that certainly changed nothing
///    (throttling, no connection). After any other the Error says that the outcome is not known.
///  - A conditional put whose condition fails the second time: the item is read. If it is the one that was to be put,
///    it worked; an equal item of another writer is taken for the own one, so claims name their owner.
///  - A conditional remove: that the item is gone counts as done.
///  - A conditional update whose condition fails the second time: Error{precondition}, whose hint says that it may have
///    been the own update; only its caller knows which attributes prove that.
///  - create_table, delete_table: that the table is there with this key, or gone, counts as done.
///
/// put_batch sends what was not written again, with back-off, and returns what is left when the attempts are spent.
class RetryingRecords final : public RecordStore {
 public:
  RetryingRecords(RecordStore& inner, flow::Retrier& retrier) : inner_(inner), retrier_(retrier) {}

  void create_table(const TableName& table, const KeySchema& schema) override;
  std::optional<KeySchema> describe_table(const TableName& table) override;
  void delete_table(const TableName& table) override;
  std::vector<TableName> list_tables() override;

  std::optional<Item> get(const TableName& table, const Item& key) override;
  void put(const TableName& table, const Item& item, const std::vector<Condition>& conditions) override;
  Item update(const TableName& table, const Item& key, const Update& update,
              const std::vector<Condition>& conditions) override;
  void remove(const TableName& table, const Item& key, const std::vector<Condition>& conditions) override;
  ItemPage query(const TableName& table, const QueryRequest& request) override;
  ItemPage scan(const TableName& table, const ScanRequest& request) override;
  std::vector<Item> put_batch(const TableName& table, const std::vector<Item>& items) override;

 private:
  bool is_there(const TableName& table, const Item& item);
  Item update_once(const TableName& table, const Item& key, const Update& update,
                   const std::vector<Condition>& conditions);
  RecordStore& inner_;
  flow::Retrier& retrier_;
};

}  // namespace bale::records
