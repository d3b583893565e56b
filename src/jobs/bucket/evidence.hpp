// Whether an object and its copy are the same: what was compared, and what it shows. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "jobs/bucket/difference.hpp"
#include "store/object_store.hpp"

namespace bale::bucket {

enum class Verdict { same, differs, missing, extra, unknown };
/// "same", "differs", "missing", "extra", "unknown".
std::string_view to_string(Verdict verdict) noexcept;

/// How much is asked for, each level with its price in requests: see docs/bucket.md.
enum class Level {
  size,      ///< listings only: equal sizes count as same
  etag,      ///< ETags of the listings; a HEAD of both sides where they differ, to learn whether they are MD5s
  checksum,  ///< and checksums of the whole objects, by the same HEADs
  full,      ///< and headers, user metadata and tags of every object, by a HEAD of both sides
};
/// "size", "etag", "checksum", "full". Throws Error{invalid} for another name.
Level parse_level(std::string_view name);
std::string_view to_string(Level level) noexcept;

/// The result of a comparison.
struct Evidence {
  Verdict verdict = Verdict::unknown;
  /// What was compared: "etag", "crc64nvme", "sha256", "size", "size+time", "journal", "metadata", "tags", "content",
  /// "listing" (missing, extra); of unknown, why nothing could be.
  std::string by;
};

/// What listings may decide.
struct ListedRules {
  Level level = Level::checksum;
  /// Of objects that were last written before this time, and whose copies were written after them, equal sizes show
  /// equal content where nothing in the listings shows more ("size+time"). Absent: they never do.
  std::optional<TimePoint> since = {};
};

/// The longest time that an upload in parts is taken to last: LastModified of an object is the beginning of its upload.
/// Common lifecycle rules abort older uploads.
inline constexpr std::chrono::hours longest_upload{7 * 24};

/// Whether the copy was certainly written after its source was, as far as listings tell. Pure.
bool is_written_after(const store::ListedObject& copy, const store::ListedObject& source);

/// Whether the journal's entry is about exactly these two objects. Pure.
bool is_of(const JournalEntry& entry, const store::ListedObject& source, const store::ListedObject& copy);

/// Compares what listings and the journal tell of a name that both sides have. Returns nullopt where a HEAD of both
/// sides could tell more, at this level. Pure.
std::optional<Evidence> judge_listed(const Pair& pair, const ListedRules& rules);

/// Compares what HEAD with evidence tells of the content of two objects. Pure.
Evidence judge_content(const store::ObjectInfo& left, const store::ObjectInfo& right);

/// Returns the first thing besides the content in which two objects differ ("content-type", "metadata", ...); empty
/// where they differ in nothing else. Pure.
std::string metadata_difference(const store::ObjectInfo& left, const store::ObjectInfo& right);

}  // namespace bale::bucket
