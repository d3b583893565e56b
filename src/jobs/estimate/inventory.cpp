#include "jobs/estimate/inventory.hpp"

#include <algorithm>
#include <cmath>

namespace bale::estimate {
namespace {

constexpr std::int64_t milliseconds_per_day = 24LL * 60 * 60 * 1000;

std::int64_t day_of(TimePoint time) {
  const std::int64_t ms = to_epoch_ms(time);
  return ms / milliseconds_per_day - (ms % milliseconds_per_day < 0 ? 1 : 0);
}

bool is_readable(const std::string& storage_class) {
  return storage_class != "GLACIER" && storage_class != "DEEP_ARCHIVE";
}

}  // namespace

void Inventory::add(const store::ListedObject& object) {
  all_.add(object.size);
  by_storage_class_[object.storage_class].add(object.size);
  by_day_[day_of(object.last_modified)].add(object.size);
  if (!is_readable(object.storage_class)) return;
  readable_.add(object.size);
  if (object.size == 0 || draws_ == 0) return;
  // The rank u^(1/size), as its logarithm; u is never 0.
  constexpr double unit = 0x1p-53;
  const double u = (static_cast<double>(entropy_.next_u64() >> 11) + 0.5) * unit;
  const double rank = std::log(u) / static_cast<double>(object.size);
  if (ranked_.size() == draws_) {
    if (rank <= ranked_.begin()->rank) return;
    ranked_.erase(ranked_.begin());
  }
  ranked_.insert({rank, {object.key, object.size, object.etag}});
}

Amount Inventory::since(TimePoint since) const {
  Amount sum;
  for (auto day = by_day_.lower_bound(day_of(since)); day != by_day_.end(); ++day) {
    sum.objects += day->second.objects;
    sum.bytes += day->second.bytes;
  }
  return sum;
}

std::vector<Drawn> Inventory::drawn() const {
  std::vector<Drawn> all;
  for (const Ranked& ranked : ranked_) all.push_back(ranked.object);
  std::sort(all.begin(), all.end(), [](const Drawn& a, const Drawn& b) { return a.key < b.key; });
  return all;
}

std::vector<Piece> plan_pieces(std::vector<Drawn> drawn, ByteCount piece_bytes, ByteCount most_bytes,
                               os::Entropy& entropy) {
  std::vector<Piece> pieces;
  // Where not all can be looked into, chance says which: none of them is more likely than another.
  for (std::size_t i = drawn.size(); i > 1; --i) std::swap(drawn[i - 1], drawn[entropy.next_u64() % i]);
  ByteCount left = most_bytes;
  for (Drawn& object : drawn) {
    const ByteCount bytes = std::min(object.size, piece_bytes);
    if (bytes > left) break;  // not "go on with smaller ones", which would make those more likely
    if (bytes == 0) continue;
    left -= bytes;
    const ByteCount offset = entropy.next_u64() % (object.size - bytes + 1);
    pieces.push_back({std::move(object), offset, bytes});
  }
  return pieces;
}

}  // namespace bale::estimate
