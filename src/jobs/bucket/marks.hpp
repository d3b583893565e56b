// The tags that mark a copy whose source was deleted: Deleted=True and DeletedAt=YYYY-MM-DDTHH:MM. Pure.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"
#include "store/object_store.hpp"

namespace bale::bucket {

inline constexpr const char* deleted_tag = "Deleted";
inline constexpr const char* deleted_at_tag = "DeletedAt";

/// Returns the time as DeletedAt has it, in UTC.
std::string deleted_at_text(TimePoint time);

/// Whether the tags say that the source was deleted: Deleted is "True", or "true" as some programs write it.
bool is_marked(const store::Tags& tags);

/// Returns when the source was deleted, with or without seconds in the text; nullopt where the tags do not say it.
std::optional<TimePoint> deleted_at(const store::Tags& tags);

/// Returns the tags with both marks added and everything else kept; the tags themselves where they are marked already:
/// a mark is never renewed. Nullopt where there is no room for the marks (S3 allows store::max_tags).
std::optional<store::Tags> with_marks(const store::Tags& tags, TimePoint now);

/// Returns the tags without the marks.
store::Tags without_marks(store::Tags tags);

}  // namespace bale::bucket
