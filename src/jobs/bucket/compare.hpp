// Two buckets held against each other, key by key.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "jobs/bucket/difference.hpp"
#include "jobs/bucket/evidence.hpp"
#include "jobs/bucket/place.hpp"
#include "jobs/bucket/tools.hpp"

namespace bale::bucket {

/// Whether a name takes part. Absent: every name does.
using NameFilter = std::function<bool(std::string_view name)>;

struct CompareRequest {
  Side left, right;
  ListedRules listed;
  bool metadata = true, tags = true;  ///< at Level::full
  NameFilter is_wanted;
};

/// What was found of one name. Valid during the call that tells it.
struct Finding {
  std::string_view name;
  Evidence evidence;
  const store::ListedObject* left = nullptr;
  const store::ListedObject* right = nullptr;
  std::optional<Error> failure;  ///< why nothing could be compared
};

struct CompareCounts {
  std::uint64_t same = 0, differs = 0, missing = 0, extra = 0, unknown = 0;
  std::uint64_t failed = 0;  ///< among the unknown
  std::uint64_t left = 0, right = 0;
  ByteCount left_bytes = 0, right_bytes = 0;
  std::uint64_t total() const noexcept { return same + differs + missing + extra + unknown; }
};

/// Compares two listings, with a journal of the right side where there is one, and asks both stores where the level
/// wants it. `found` is told of every name, same ones too, one call at a time, by any thread, not in order where stores
/// are asked. A failure at one name is a Finding; a listing that fails ends the comparison. Throws Error, after what is
/// under way has ended; Error{cancelled} after a stop. Borrows all.
CompareCounts compare(const CompareRequest& request, store::ObjectSequence& left, store::ObjectSequence& right,
                      EntrySequence* journal, const Tools& tools, const std::function<void(const Finding&)>& found);

/// Compares the content, and for Level::full headers, metadata and tags, of one object on both sides by HEAD. `known`:
/// the journal's word where the stores cannot tell. Throws Error.
Evidence compare_by_head(const CompareRequest& request, std::string_view name,
                         const std::optional<Evidence>& known = std::nullopt);

}  // namespace bale::bucket
