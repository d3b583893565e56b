// The seek table at the end of an archive: size of every frame, compressed and decompressed. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"

namespace bale::archive {

/// One frame as the seek table lists it.
struct SeekEntry {
  std::uint32_t compressed = 0;
  std::uint32_t decompressed = 0;
  std::uint32_t checksum = 0;  ///< low 32 bits of XXH64 of the decompressed bytes; 0 where the table has none
  friend bool operator==(const SeekEntry&, const SeekEntry&) = default;
};

/// What the last 9 bytes of a file in the seekable format say.
struct SeekFooter {
  std::uint32_t frames = 0;
  bool checksums = false;
  bool unused_bits = false;  ///< bits that readers ignore and writers leave 0 are set
  /// Length of the whole seek table, its skippable header and the footer included.
  ByteCount table_bytes() const noexcept;
};

/// Bytes that encode_seek_table() gives for so many frames.
ByteCount seek_table_bytes(std::size_t frames) noexcept;

/// The seek table as a skippable frame, with checksums. Throws Error{invalid} when there are more than
/// layout::seek_max_frames entries.
Buffer encode_seek_table(const std::vector<SeekEntry>& entries);

/// Looks for a footer in the last bytes of a file. False when there is none. Throws Error{corrupt} when there is one
/// that cannot be right: more than `max_frames` frames, reserved bits set.
bool find_seek_footer(ByteView tail, std::uint64_t max_frames, SeekFooter& footer);

/// Returns how many bytes of `tail` lie behind the last whole seek table in it, 0 where it ends with one; absent where
/// there is none. The entries of the table are not read.
std::optional<ByteCount> bytes_behind_seek_table(ByteView tail) noexcept;

/// Reads a whole seek table (footer.table_bytes() bytes). Throws Error{corrupt} naming what is wrong.
std::vector<SeekEntry> decode_seek_table(ByteView table, const SeekFooter& footer);

}  // namespace bale::archive
