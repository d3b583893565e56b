// Checksums of what the local index stores: SQLite notices damage to its own structure, not to the values. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bale::catalog {

/// Appends a checksum of `data` and of the row `id` that it is stored under: 8 bytes, lowest first.
std::string seal(std::string data, std::int64_t id);
/// Returns what seal() was given; nullopt where the bytes are not what it returned for this id. Borrows `sealed`.
std::optional<std::string_view> unseal(std::string_view sealed, std::int64_t id) noexcept;

/// Returns the checksum of a row's values, joined by the caller so that different rows give different texts.
std::int64_t checksum_of_row(std::string_view values) noexcept;

}  // namespace bale::catalog
