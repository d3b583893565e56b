// Whether a file changed between two looks at it. Pure.
#pragma once

#include <optional>
#include <string>

#include "os/files.hpp"

namespace bale::raw {

/// What two looks at one path say about the bytes that were read between them.
enum class Change {
  none,     ///< the file is the same
  content,  ///< the file was written, replaced or is no file any more
  gone,     ///< nothing has the name
  unclear,  ///< only times differ that change without a write, too: the bytes have to be read again and compared
};

/// Compares two looks at one path. Another size or a modification time that is more than 1 ms away is a write. Up to 1
/// ms is `unclear`: network file systems round times, and a look can fall on both sides of a millisecond. Another time
/// of change (st_ctime) alone is `unclear` too: chmod and link change it, and so does a writer that sets the
/// modification time back. An inode that differs with all else equal is a replaced file.
Change compare(const os::FileInfo& before, const std::optional<os::FileInfo>& after) noexcept;

/// Describes the change for a person: "changed while it was read: 1,000 bytes of 2026-11-30T10:00:00.000Z, now 2,000
/// bytes of ...".
std::string describe_change(const os::FileInfo& before, const os::FileInfo& after);

}  // namespace bale::raw
