#include "mount/open_object.hpp"

#include <algorithm>
#include <utility>

namespace bale::mount {
namespace {

// The kernel reads ahead with several requests at once, and they come in any order.
constexpr ByteCount most_overtaken_bytes = 8ULL << 20;
constexpr std::size_t block_bytes = 256 << 10;

}  // namespace

std::size_t OpenObject::read(ByteCount offset, MutableBytes out, const std::stop_token& stop) {
  const ByteCount size = size_of(object_.record);
  if (offset >= size) return 0;
  out = out.first(std::min<ByteCount>(out.size(), size - offset));
  {
    const Lock lock(mutex_);
    if (size <= whole_bytes) hash_up_to(size, stop);
    if (failure_) throw *failure_;
  }
  reader_.read(object_, offset, out, stop);
  const Lock lock(mutex_);
  follow(offset, out, stop);
  if (failure_) throw *failure_;
  return out.size();
}

std::optional<ByteCount> OpenObject::next_wanted() {
  const Lock lock(mutex_);
  if (!in_order_ || hashed_ == 0 || hashed_ < ahead_) return std::nullopt;
  const auto next = reader_.next_frame(object_, hashed_);
  if (next) ahead_ = *next;
  return next;
}

void OpenObject::load(ByteCount offset, const std::stop_token& stop) {
  std::byte byte{};
  reader_.read(object_, offset, {&byte, 1}, stop);
}

bool OpenObject::is_first_failure() {
  const Lock lock(mutex_);
  return !std::exchange(has_failed_, true);
}

void OpenObject::hash_up_to(ByteCount end, const std::stop_token& stop) {
  if (object_.record.sha256.empty() || hashed_ >= end) return;
  Buffer block(std::min<ByteCount>(block_bytes, end - hashed_));
  while (hashed_ < end) {
    const MutableBytes part(block.data(), std::min<ByteCount>(block.capacity(), end - hashed_));
    reader_.read(object_, hashed_, part, stop);
    hash_.update(part);
    hashed_ += part.size();
  }
  if (hashed_ == size_of(object_.record)) compare();
}

void OpenObject::follow(ByteCount offset, ByteView bytes, const std::stop_token& stop) {
  const ByteCount end = offset + bytes.size();
  if (object_.record.sha256.empty() || end <= hashed_ || !in_order_) return;
  in_order_ = offset <= hashed_ + most_overtaken_bytes;
  if (!in_order_) return;
  hash_up_to(offset, stop);
  if (end <= hashed_) return;
  hash_.update(bytes.subspan(hashed_ - offset));
  hashed_ = end;
  if (hashed_ == size_of(object_.record)) compare();
}

void OpenObject::compare() {
  if (to_hex_digest(hash_.finish()) == object_.record.sha256) return;
  failure_ = Error(ErrorKind::corrupt, "the object's SHA-256 is not the one that was recorded",
                   to_uri(object_.record.archive_bucket, object_.record.archive_key));
}

}  // namespace bale::mount
