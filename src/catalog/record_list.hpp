// Many records in little memory.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "catalog/record.hpp"

namespace bale::catalog {

/// Records, packed: a few hundred bytes for each, where a Record takes about two thousand. What the records of an
/// archive have in common is held once. Const members are thread-safe.
class RecordList {
 public:
  RecordList() = default;
  explicit RecordList(const std::vector<Record>& records) {
    for (const Record& record : records) add(record);
  }
  /// Moved only: rows and texts refer to what is held elsewhere in the list.
  RecordList(const RecordList&) = delete;
  RecordList(RecordList&&) = default;
  RecordList& operator=(const RecordList&) = delete;
  RecordList& operator=(RecordList&&) = default;

  void add(const Record& record);
  std::size_t size() const noexcept { return rows_.size(); }
  bool empty() const noexcept { return rows_.empty(); }
  /// The record as it was added, made anew: keep it, rather than ask for it again.
  Record operator[](std::size_t index) const;
  /// What is cheaper than the whole record. The path is borrowed from the list.
  std::string_view object_path(std::size_t index) const;
  const std::optional<archive::MemberLocation>& location(std::size_t index) const { return rows_[index].location; }
  std::optional<ByteCount> object_size(std::size_t index) const { return rows_[index].object_size; }
  TimePoint last_modified(std::size_t index) const { return rows_[index].last_modified; }
  /// Bytes that the list holds, as nearly as can be said.
  ByteCount memory() const noexcept { return memory_; }

 private:
  /// One record: numbers as they are, texts one behind the other.
  struct Row {
    const char* texts;
    std::uint32_t text_bytes;
    bool deleted;
    std::optional<ByteCount> object_size;
    TimePoint last_modified;
    const std::string* common;  ///< texts that other rows have, too
    std::optional<archive::MemberLocation> location;
  };
  const char* keep(std::string_view texts);

  std::deque<Row> rows_;
  std::deque<std::string> blocks_;           ///< the texts of many rows each; never moved
  std::unordered_set<std::string> commons_;  ///< never moved, either
  ByteCount memory_ = 0;
};

}  // namespace bale::catalog
