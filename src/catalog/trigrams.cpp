#include "catalog/trigrams.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace bale::catalog {
namespace {

constexpr std::size_t bitmap_bytes = segment_granules / 8;

std::uint32_t lower(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 'A' && byte <= 'Z' ? byte + 32u : byte;
}

TrigramBucket bucket_of(std::uint32_t trigram) noexcept {
  // The high bits of a product mix all bits of the trigram (Fibonacci hashing).
  return static_cast<TrigramBucket>((trigram * 2654435769u) >> 16);
}

template <typename Visit>
void for_each_bucket(std::string_view text, Visit visit) {
  if (text.size() < 3) return;
  std::uint32_t trigram = lower(text[0]) << 8 | lower(text[1]);
  for (std::size_t i = 2; i < text.size(); ++i) {
    trigram = (trigram << 8 | lower(text[i])) & 0xffffff;
    visit(bucket_of(trigram));
  }
}

Error damaged() { return Error(ErrorKind::corrupt, "the trigram index is damaged", {}, damage_hint); }

// A group is, for each of its buckets, a count of granules and then their numbers in two bytes each, or, where that
// is longer than a bitmap, `as_bitmap` and the bitmap.
constexpr unsigned char as_bitmap = 0xff;
constexpr std::size_t most_numbers = bitmap_bytes / 2 - 1;

void put_bitmap(std::string& out, const Granules& granules) {
  const std::size_t count = granules.count();
  if (count > most_numbers) {
    out += static_cast<char>(as_bitmap);
    for (std::size_t byte = 0; byte < bitmap_bytes; ++byte) {
      unsigned value = 0;
      for (std::size_t bit = 0; bit < 8; ++bit) value |= static_cast<unsigned>(granules[byte * 8 + bit]) << bit;
      out += static_cast<char>(value);
    }
    return;
  }
  out += static_cast<char>(count);
  for (std::size_t i = granules._Find_first(); i < granules.size(); i = granules._Find_next(i)) {
    out += static_cast<char>(i & 0xff);
    out += static_cast<char>(i >> 8);
  }
}

/// Bytes that the next bitmap takes, its first one included.
std::size_t encoded_bytes(std::string_view in) {
  if (in.empty()) throw damaged();
  const auto first = static_cast<unsigned char>(in.front());
  const std::size_t bytes = first == as_bitmap ? 1 + bitmap_bytes : 1 + std::size_t{2} * first;
  if ((first != as_bitmap && first > most_numbers) || bytes > in.size()) throw damaged();
  return bytes;
}

Granules decode_bitmap(std::string_view in) {
  Granules granules;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
  if (byte(0) == as_bitmap) {
    for (std::size_t i = 0; i < segment_granules; ++i) granules[i] = (byte(1 + i / 8) >> (i % 8) & 1) != 0;
    return granules;
  }
  for (std::size_t i = 1; i < in.size(); i += 2) {
    const std::size_t granule = byte(i) | static_cast<std::size_t>(byte(i + 1)) << 8;
    if (granule >= segment_granules) throw damaged();
    granules.set(granule);
  }
  return granules;
}

/// Splits at characters that are wild; what `skip` returns for a wild one is how many characters it takes.
template <typename Skip>
std::vector<std::string> literals(std::string_view pattern, Skip skip) {
  std::vector<std::string> found;
  std::string present;
  for (std::size_t i = 0; i < pattern.size();) {
    const std::size_t wild = skip(pattern.substr(i));
    if (wild == 0) {
      present += pattern[i++];
      continue;
    }
    if (!present.empty()) found.push_back(std::exchange(present, {}));
    i += wild;
  }
  if (!present.empty()) found.push_back(std::move(present));
  return found;
}

}  // namespace

void TrigramSet::add(std::string_view text) {
  for_each_bucket(text, [this](TrigramBucket bucket) {
    if (hit_[bucket]) return;
    hit_.set(bucket);
    buckets_.push_back(bucket);
  });
}

std::vector<TrigramBucket> TrigramSet::take() {
  for (const TrigramBucket bucket : buckets_) hit_.reset(bucket);
  std::sort(buckets_.begin(), buckets_.end());
  return std::exchange(buckets_, {});
}

std::vector<TrigramBucket> buckets_of(const std::vector<std::string>& literals) {
  TrigramSet set;
  for (const std::string& literal : literals) set.add(literal);
  return set.take();
}

std::vector<std::string> literals_of_like(std::string_view pattern) {
  return literals(pattern, [](std::string_view rest) -> std::size_t { return rest[0] == '%' || rest[0] == '_'; });
}

std::vector<std::string> literals_of_glob(std::string_view pattern) {
  return literals(pattern, [](std::string_view rest) -> std::size_t {
    if (rest[0] == '*' || rest[0] == '?') return 1;
    // What a class is and where it ends is GLOB's own affair: nothing from here on is known to be there.
    return rest[0] == '[' ? rest.size() : 0;
  });
}

bool contains_in_order(std::string_view text, const std::vector<std::string>& literals) noexcept {
  for (const std::string& literal : literals) {
    const void* const found = ::memmem(text.data(), text.size(), literal.data(), literal.size());
    if (found == nullptr) return false;
    const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - text.data()) + literal.size();
    text.remove_prefix(end);
  }
  return true;
}

void SegmentIndex::cut(std::size_t first) {
  Granules kept;
  for (std::size_t i = 0; i < first; ++i) kept.set(i);
  for (Granules& bitmap : bitmaps_) bitmap &= kept;
}

void SegmentIndex::clear() {
  for (Granules& bitmap : bitmaps_) bitmap.reset();
}

std::string SegmentIndex::encode_group(std::size_t group) const {
  const auto first = bitmaps_.begin() + static_cast<std::ptrdiff_t>(group * bucket_group);
  if (std::all_of(first, first + bucket_group, [](const Granules& granules) { return granules.none(); })) return {};
  std::string out;
  for (auto bitmap = first; bitmap != first + bucket_group; ++bitmap) put_bitmap(out, *bitmap);
  return out;
}

void SegmentIndex::decode_group(std::size_t group, std::string_view encoded) {
  for (std::size_t i = 0; i < bucket_group; ++i) {
    const std::size_t bytes = encoded_bytes(encoded);
    bitmaps_[group * bucket_group + i] = decode_bitmap(encoded.substr(0, bytes));
    encoded.remove_prefix(bytes);
  }
}

Granules granules_of(std::string_view encoded_group, TrigramBucket bucket) {
  for (std::size_t i = 0; i < bucket % bucket_group; ++i) encoded_group.remove_prefix(encoded_bytes(encoded_group));
  return decode_bitmap(encoded_group.substr(0, encoded_bytes(encoded_group)));
}

}  // namespace bale::catalog
