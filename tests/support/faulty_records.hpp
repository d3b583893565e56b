// A record store that fails when told to. A fault that was armed and never came fails the test.
#pragma once

#include <string>
#include <vector>

#include "records/record_store.hpp"
#include "support/faults.hpp"

namespace bale::testing {

/// Passes everything on to a real store, except the calls that a fault matches. Thread-safe, apart from the settings.
class FaultyRecords final : public records::RecordStore {
 public:
  explicit FaultyRecords(records::RecordStore& inner) : inner_(inner) {}

  Faults faults;
  /// put_batch writes at most so many items a call; 0: all.
  std::size_t most_of_a_batch = 0;

  void create_table(const TableName& t, const records::KeySchema& s) override {
    call("create_table", t, [&] { inner_.create_table(t, s); });
  }
  std::optional<records::KeySchema> describe_table(const TableName& t) override {
    return call("describe_table", t, [&] { return inner_.describe_table(t); });
  }
  void delete_table(const TableName& t) override {
    call("delete_table", t, [&] { inner_.delete_table(t); });
  }
  std::vector<TableName> list_tables() override {
    return call("list_tables", {}, [&] { return inner_.list_tables(); });
  }
  std::optional<records::Item> get(const TableName& t, const records::Item& k) override {
    return call("get", t, [&] { return inner_.get(t, k); });
  }
  void put(const TableName& t, const records::Item& i, const std::vector<records::Condition>& c) override {
    call("put", t, [&] { inner_.put(t, i, c); });
  }
  records::Item update(const TableName& t, const records::Item& k, const records::Update& u,
                       const std::vector<records::Condition>& c) override {
    return call(u.add.empty() ? "update" : "add", t, [&] { return inner_.update(t, k, u, c); });
  }
  void remove(const TableName& t, const records::Item& k, const std::vector<records::Condition>& c) override {
    call("remove", t, [&] { inner_.remove(t, k, c); });
  }
  records::ItemPage query(const TableName& t, const records::QueryRequest& r) override {
    return call("query", t, [&] { return inner_.query(t, r); });
  }
  records::ItemPage scan(const TableName& t, const records::ScanRequest& r) override {
    return call("scan", t, [&] { return inner_.scan(t, r); });
  }
  std::vector<records::Item> put_batch(const TableName& t, const std::vector<records::Item>& items) override {
    return call("put_batch", t, [&] {
      if (most_of_a_batch == 0 || items.size() <= most_of_a_batch) return inner_.put_batch(t, items);
      const auto cut = items.begin() + static_cast<std::ptrdiff_t>(most_of_a_batch);
      inner_.put_batch(t, {items.begin(), cut});
      return std::vector<records::Item>(cut, items.end());
    });
  }

 private:
  template <typename Work>
  std::invoke_result_t<Work&> call(const std::string& method, const TableName& table, Work work) {
    // After a lost answer the retrying decorator reports an ADD as unknown, as it should: such answers arrive.
    return faults.call(method, table.str(), std::move(work), [&] { return method != "add"; });
  }

  records::RecordStore& inner_;
};

}  // namespace bale::testing
