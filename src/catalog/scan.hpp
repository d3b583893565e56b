// Reads the catalog files of a bucket.
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "catalog/record.hpp"
#include "flow/thread_pool.hpp"
#include "store/object_store.hpp"

namespace bale::catalog {

struct ScanCounts {
  std::size_t files = 0;
  std::size_t records = 0;
  ByteCount bytes = 0;
  std::size_t damaged_lines = 0;
};

/// Calls `visit` with every record of the catalog files (*.jsonl) under `prefix` of `bucket`, files in parallel on
/// `connections`, one call at a time, in no particular order. A line that is no record is told to `damaged` (with file
/// and line as where()) and passed over. Memory: a few files at a time. Throws what the store throws, and what the
/// callbacks throw.
ScanCounts scan(store::ObjectStore& store, const BucketName& bucket, const std::string& prefix,
                flow::ThreadPool& connections, const std::function<void(Record)>& visit,
                const std::function<void(const Error&)>& damaged);

}  // namespace bale::catalog
