// Records one by one, in the order of their keys: out of an index, out of memory, out of several of them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "jobs/recover/search.hpp"

namespace bale::recover {

/// Records by source bucket and key. Used by one thread.
class RecordStream {
 public:
  virtual ~RecordStream() = default;
  /// Absent after the last.
  virtual std::optional<catalog::Record> next() = 0;
};

/// Every record of the index that meets the query, all versions. The index is borrowed. Reads all that it needs of the
/// index (SQLite sorts the rows) and the first record before it returns: damage is thrown here, not by next().
std::unique_ptr<RecordStream> search_index(catalog::CatalogDatabase& index, const Query& query,
                                           const std::stop_token& stop);
/// Records that are sorted already.
std::unique_ptr<RecordStream> stream_of(catalog::RecordList records);
/// All records of several streams. Not empty.
std::unique_ptr<RecordStream> merge(std::vector<std::unique_ptr<RecordStream>> streams);

/// Calls `visit` with the versions of each key that the query wants, newest first, until it returns false; `left_out`
/// with the deletion where a key is left out because that is its newest record. Memory: the records of one key.
void choose(RecordStream& records, const Query& query, const std::function<bool(const catalog::Record&)>& visit,
            const std::function<void(const catalog::Record&)>& left_out);

}  // namespace bale::recover
