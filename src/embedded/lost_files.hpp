// Files of a store that its database does not know.
#pragma once

#include <cstddef>
#include <vector>

#include "os/files.hpp"

namespace bale::embedded {

/// Where such files go: below it they have the paths that they had in the store.
inline constexpr const char* lost_directory = "lost+found";

/// Files that neither the database nor a journal knew, and that were moved below lost_directory when the store was
/// opened.
struct LostFiles {
  std::size_t count = 0;
  std::vector<os::fs::path> first;  ///< where the first of them are now, relative to the store
  bool is_database_older = false;   ///< the database was brought back from an older copy
};

}  // namespace bale::embedded
