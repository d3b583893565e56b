// Statistics as items of the settings table (COMPRESSION_SETTINGS_TABLE). Pure.
//
// A bucket and prefix has one item in the form of S3 Cross-Region Compressor, so that its table goes on working and
// both programs can share one:
//
//     BucketPrefix "bucket/prefix/"   LevelStats {"12": {sum_benefit, trials, objects}, ...}
//     SumCpuFactor, TotalProcessedFiles, Version, LastUpdated (seconds)
//
// and one more item for every content class, of which that program knows nothing:
//
//     BucketPrefix "#text-2#bucket/prefix/"   Generation g   LastUpdated
//     Sums<g>, Sums<g-1>: {"12": {trials, objects, bytes, probed, stored, seconds, log_sum, log_square}, ...}
//
// Sums are only ever added to, so that no writer loses another's. After generation_trials trials a new generation
// begins, and the one before the last is forgotten: data change.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "compression/content_class.hpp"
#include "compression/statistics.hpp"
#include "records/record_store.hpp"

namespace bale::compression {

inline constexpr std::string_view settings_key_attribute = "BucketPrefix";
/// Estimates rest on this many to twice as many trials of a class.
inline constexpr std::uint64_t generation_trials = 200;

/// "bucket/prefix/", or "bucket/"; `prefix` with or without '/' at its end.
std::string settings_key(const BucketName& bucket, std::string_view prefix);
/// "#text-2#bucket/prefix/": no bucket's name starts with '#'.
std::string class_key(std::string_view settings_key, const ContentClass& content_class);
/// The key alone, as the record store wants it.
records::Item key_item(const std::string& key);

/// What an item says, and what in it could not be understood and is left out, for people.
struct PrefixRead {
  PrefixBenefits benefits;
  std::vector<std::string> warnings;
};
PrefixRead read_prefix(const records::Item& item);

struct ClassRead {
  std::uint64_t generation = 0;
  ClassStatistics present;  ///< of this generation
  ClassStatistics before;   ///< of the one before
  std::vector<std::string> warnings;
};
ClassRead read_class(const records::Item& item);

/// Adds `more` to the item of a prefix. Its places must be there: see make_prefix_places().
records::Update add_to_prefix(const PrefixBenefits& more, TimePoint now);
/// Updates, in their order, that make the places that add_to_prefix(more) adds to, and change nothing that is there.
std::vector<records::Update> make_prefix_places(const PrefixBenefits& more);

/// Adds `more` to generation `generation` of a class. Its places must be there: see make_class_places().
records::Update add_to_class(const ClassStatistics& more, std::uint64_t generation, TimePoint now);
/// Updates, in their order, that make the places that add_to_class(more, generation) adds to, and change nothing that
/// is there.
std::vector<records::Update> make_class_places(const ClassStatistics& more, std::uint64_t generation);

/// Begins generation `next`; what was before `last` is forgotten.
records::Update begin_generation(std::uint64_t next, std::uint64_t last);

}  // namespace bale::compression
