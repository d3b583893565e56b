// The text of a catalog file: rows that know their place, so that damage is noticed wherever it is. See
// docs/format/catalog.md, "Checks". Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/record.hpp"

namespace bale::catalog {

/// The lines of a file with these rows, in this order, each ended with a newline and closed by its checks.
/// Deterministic.
std::string to_file_text(const std::vector<Record>& rows);

/// What is wrong with a catalog file, all of it together.
struct FileDamage {
  /// Rows that are missing or cannot be trusted; absent where nothing that is left says how many there were.
  std::optional<std::uint64_t> rows_lost;
  std::string first;  ///< the first thing that was noticed, for people: "line 3: the row's checksum is wrong"
};

/// Reads the text of a catalog file. Calls `visit` with every row that is sound, in order, also those of a damaged
/// file. Nothing is returned for a file that is whole. Rows without checks (of the reference) are
/// believed unless other rows of their file have checks. Throws what `visit` throws.
std::optional<FileDamage> read_file_text(std::string_view text, const std::function<void(Record)>& visit);

}  // namespace bale::catalog
