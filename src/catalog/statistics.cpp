#include "catalog/statistics.hpp"

#include <algorithm>
#include <map>

#include "base/error.hpp"

namespace bale::catalog {
namespace {

using Key = std::tuple<std::string, std::string, std::string>;

std::size_t length_of(Period period) {
  switch (period) {
    case Period::day: return 10;
    case Period::month: return 7;
    default: return 0;
  }
}

/// Rows come file by file, each in the order of its archive: what the next object adds to the bytes of its frames.
class Packed {
 public:
  ByteCount add(std::int64_t file, ByteCount offset, ByteCount length) {
    if (file != file_) end_ = 0;
    file_ = file;
    const ByteCount begin = std::max(offset, end_), end = std::max(end_, offset + length);
    end_ = end;
    return end > begin ? end - begin : 0;
  }

 private:
  std::int64_t file_ = 0;
  ByteCount end_ = 0;
};

class Totals {
 public:
  Totals(Period period, const std::stop_token& stop) : length_(length_of(period)), stop_(stop) {}

  void add(IndexFile& index) {
    file_ = 0;
    for (const BlockInfo& info : index.blocks()) {
      if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while adding up the index");
      add(index, info);
    }
  }

  std::vector<PeriodTotals> take() {
    std::vector<PeriodTotals> totals;
    for (auto& [key, total] : totals_) totals.push_back(std::move(total));
    return totals;
  }

 private:
  void add(IndexFile& index, const BlockInfo& info) {
    using enum StoredColumn;
    BlockReader block(index, info);
    const NumberColumn &files = block.numbers(file), &sizes = block.numbers(object_size),
                       &deletions = block.numbers(deleted), &offsets = block.numbers(frame_offset),
                       &lengths = block.numbers(frame_length);
    const TextColumn &buckets = block.texts(source_bucket), &prefixes = block.texts(source_prefix),
                     &days = block.texts(day);
    for (std::size_t row = 0; row < info.rows; ++row) {
      if (files.at(row) == 0) continue;
      PeriodTotals& total = total_of(buckets.at(row), prefixes.at(row), days.at(row).substr(0, length_));
      if (files.at(row) != file_) ++total.archives;
      file_ = files.at(row);
      if (deletions.at(row) != 0) {
        ++total.deletions;
        continue;
      }
      ++total.objects;
      if (sizes.at(row) == unknown_size)
        ++total.unsized;
      else
        total.bytes += static_cast<ByteCount>(sizes.at(row));
      if (lengths.at(row) == 0)
        ++total.unplaced;
      else
        total.packed += packed_.add(file_, static_cast<ByteCount>(offsets.at(row) - 1),
                                    static_cast<ByteCount>(lengths.at(row) - 1));
    }
  }

  /// Rows of one source and day lie together: the last one's totals are looked at first.
  PeriodTotals& total_of(std::string_view bucket, std::string_view prefix, std::string_view period) {
    if (last_ != nullptr && last_->source_bucket.str() == bucket && last_->source_prefix == prefix &&
        last_->period == period)
      return *last_;
    const Key key{bucket, prefix, period};
    last_ = &totals_.try_emplace(key, PeriodTotals{BucketName(bucket), std::string(prefix), std::string(period)})
                 .first->second;
    return *last_;
  }

  const std::size_t length_;
  const std::stop_token& stop_;
  std::map<Key, PeriodTotals> totals_;
  PeriodTotals* last_ = nullptr;
  std::int64_t file_ = 0;
  Packed packed_;
};

}  // namespace

std::vector<PeriodTotals> totals_of(const std::vector<IndexFile*>& indexes, Period period,
                                    const std::stop_token& stop) {
  Totals totals(period, stop);
  for (IndexFile* index : indexes) totals.add(*index);
  return totals.take();
}

}  // namespace bale::catalog
