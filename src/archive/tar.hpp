// Headers of tar members, written by hand: the header's length depends on name and size alone, so that a plan knows
// every offset before the first byte is fetched. POSIX.1-2017 ustar, with a pax header where ustar does not suffice.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace bale::archive {

/// Rounds up to whole tar blocks.
constexpr ByteCount tar_padded(ByteCount bytes) noexcept { return (bytes + 511) / 512 * 512; }

/// Length of the header that encode_tar_header() gives.
ByteCount tar_header_bytes(std::string_view name, ByteCount size);

/// Writes the header of a regular file into `into`, which must have tar_header_bytes(name, size) bytes. `modified` is
/// kept to the second, `mode` has the permission bits. Deterministic: owner 0.
void encode_tar_header(MutableBytes into, std::string_view name, ByteCount size, TimePoint modified,
                       std::uint32_t mode = 0644);

/// Whether `header` is a header that encode_tar_header() gives for this name and size, whatever the time and mode.
bool is_tar_header_of(ByteView header, std::string_view name, ByteCount size);

/// Returns whether a block of 512 bytes has the checksum of a tar header, of any dialect; false for zeros alone.
bool has_tar_checksum(ByteView block) noexcept;

}  // namespace bale::archive
