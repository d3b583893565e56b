// Which rows can hold a text: an index of the three-byte sequences in their names. Pure.
//
// Rows are taken together as granules of 64, and trigrams as 65,536 buckets, so that the index of a segment (65,536
// rows) is a bitmap of 1,024 granules for each bucket. What it lets through is looked at; it never leaves a row out.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bale::catalog {

/// What a person can do about an index that is damaged.
inline constexpr const char* damage_hint =
    "`bale catalog sync --rebuild` makes it anew; search and restore can do without it: --no-index";

inline constexpr std::size_t granule_rows = 64;
inline constexpr std::size_t segment_granules = 1024;
inline constexpr std::size_t trigram_buckets = 1 << 16;
/// Buckets whose bitmaps are stored together.
inline constexpr std::size_t bucket_group = 64;
inline constexpr std::size_t bucket_groups = trigram_buckets / bucket_group;

using Granules = std::bitset<segment_granules>;
using TrigramBucket = std::uint16_t;

/// Gathers the trigrams of texts; letters A-Z count as a-z. Not thread-safe.
class TrigramSet {
 public:
  void add(std::string_view text);
  /// The buckets that were hit, ascending. Leaves the set empty.
  std::vector<TrigramBucket> take();

 private:
  std::bitset<trigram_buckets> hit_;
  std::vector<TrigramBucket> buckets_;
};

/// The buckets that all texts hit which contain each of `literals`; none where no literal has three bytes.
std::vector<TrigramBucket> buckets_of(const std::vector<std::string>& literals);

/// Texts that whatever matches the pattern contains, in this order and without overlap: of SQL's LIKE (% and _), and of
/// shell patterns (* and ?, and [...], which GLOB knows).
std::vector<std::string> literals_of_like(std::string_view pattern);
std::vector<std::string> literals_of_glob(std::string_view pattern);
/// Whether `text` contains the literals in their order, without overlap.
bool contains_in_order(std::string_view text, const std::vector<std::string>& literals) noexcept;

/// The index of one segment while it is built.
class SegmentIndex {
 public:
  SegmentIndex() : bitmaps_(trigram_buckets) {}
  void add(TrigramBucket bucket, std::size_t granule) { bitmaps_[bucket].set(granule); }
  /// Forgets what was added for granules from `first` on.
  void cut(std::size_t first);
  void clear();
  /// The bitmaps of buckets group * bucket_group and on, encoded; empty where all are.
  std::string encode_group(std::size_t group) const;
  /// Takes over what encode_group() gave. Throws Error{corrupt}.
  void decode_group(std::size_t group, std::string_view encoded);

 private:
  std::vector<Granules> bitmaps_;
};

/// The bitmap of one bucket out of its encoded group. Throws Error{corrupt}.
Granules granules_of(std::string_view encoded_group, TrigramBucket bucket);

}  // namespace bale::catalog
