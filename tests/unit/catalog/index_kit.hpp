// The local index of a catalog in an embedded store, for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "catalog/catalog_table.hpp"
#include "catalog/file.hpp"
#include "catalog/index_sync.hpp"
#include "embedded/backend.hpp"
#include "support/fake_world.hpp"

namespace bale::testing {

using namespace bale::catalog;

inline const BucketName bucket("catalog");
inline constexpr const char* identity = "test s3://catalog/";

/// A catalog bucket in an embedded store, and a local index of it.
class Index : public ::testing::Test {
 protected:
  Index() { store->create_bucket(bucket); }

  Record row(const std::string& source, const std::string& prefix, const std::string& day, int archive,
             const std::string& key) {
    Record made;
    made.source_bucket = BucketName(source);
    made.source_prefix = prefix;
    made.backup_time = parse_time(day) + std::chrono::seconds(archive);
    made.backup_file = "backup_" + std::to_string(archive) + ".tar.zst";
    made.object_path = ObjectKey(key);
    made.object_name = basename(key);
    made.object_size = random_() % 1'000'000;
    made.last_modified = made.backup_time - Milliseconds(random_() % 100'000);
    made.source_region = Region("eu-west-1");
    made.target_buckets = {BucketName("vault")};
    made.archive_bucket = BucketName("vault");
    made.archive_key = ObjectKey(source + "/" + made.backup_file);
    made.sha256 = std::to_string(random_());
    made.deleted = random_() % 20 == 0;
    if (random_() % 4 == 0) made.tags["n"] = std::to_string(random_() % 3);
    if (random_() % 3 != 0) made.location = archive::MemberLocation{random_() % 1000, 1000, 512};
    return made;
  }

  std::string random_key() {
    static constexpr const char* parts[] = {"invoice", "Report", "scan", "x", "a b", "%", "deep/er", "\xc3\xa4"};
    std::string key;
    for (std::size_t i = 0; i < 1 + random_() % 4; ++i) key += (i > 0 ? "/" : "") + std::string(parts[random_() % 8]);
    return key + "-" + std::to_string(random_() % 5000);
  }

  /// Writes a catalog file; returns its key.
  ObjectKey write(const std::vector<Record>& rows) {
    const Record& first = rows.front();
    const ObjectKey key = catalog_key(first.source_bucket, first.source_prefix, first.backup_time, first.backup_file);
    put(key, to_file_text(rows));
    return key;
  }
  void put(const ObjectKey& key, const std::string& text) {
    store::MemoryBody body(as_bytes(text));
    store->put({bucket, key}, body, {});
  }

  SyncCounts sync(const SyncOptions& options = {}) { return sync_within(budget, options); }
  SyncCounts sync_within(flow::MemoryBudget& memory, const SyncOptions& options = {}) {
    flow::Progress progress;
    return sync_index(index().file(), {*reader, bucket, "", store_id}, options, world, pools, memory, progress,
                      [this](const DamagedFile& file) { damaged.push_back(file); });
  }
  CatalogDatabase& index() {
    if (!index_) index_.emplace(outside.path("index.sqlite"), identity);
    return *index_;
  }
  void close() { index_.reset(); }

  std::vector<std::string> ask(const std::string& sql) {
    sqlite::Query rows = index().sql().foreign_query(sql);
    std::vector<std::string> found;
    while (rows.step()) {
      std::string line;
      for (int i = 0; i < rows.columns(); ++i) line += (i > 0 ? "|" : "") + (rows.is_null(i) ? "NULL" : rows.text(i));
      found.push_back(line);
    }
    return found;
  }
  /// All records of the index, in any order.
  std::vector<Record> all() {
    sqlite::Query rows = index().sql().made_query("SELECT " + record_columns() + " FROM catalog", {});
    std::vector<Record> found;
    while (rows.step()) found.push_back(record_of(rows));
    return found;
  }
  /// All records of the bucket.
  std::vector<Record> truth() {
    std::vector<Record> found;
    scan(
        *store, bucket, "", connections, [&](Record record) { found.push_back(std::move(record)); },
        [](const DamagedFile&) {});
    return found;
  }

  FakeWorld outside;
  os::World world = outside.world();
  std::unique_ptr<embedded::Backend> backend = embedded::Backend::open(outside.path("local"), world);
  std::unique_ptr<store::ObjectStore> store = backend->store(Region("eu-west-1"));
  store::ObjectStore* reader = store.get();  ///< what the index is synced with
  std::string store_id;
  flow::ThreadPool connections{4, "connections"}, cores{2, "cores"};
  flow::Pools pools{connections, cores};
  flow::MemoryBudget budget{64ULL << 20};
  std::mt19937 random_{7};
  std::vector<DamagedFile> damaged;
  std::optional<CatalogDatabase> index_;
};

/// The same records, in any order.
inline void expect_same(std::vector<Record> a, std::vector<Record> b) {
  const auto order = [](const Record& l, const Record& r) {
    return std::tie(l.object_path, l.backup_file, l.sha256) < std::tie(r.object_path, r.backup_file, r.sha256);
  };
  std::sort(a.begin(), a.end(), order);
  std::sort(b.begin(), b.end(), order);
  EXPECT_EQ(a, b);
}

}  // namespace bale::testing
