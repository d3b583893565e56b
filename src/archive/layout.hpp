// Every constant of the archive format. Its description: docs/format/archive.md.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"

namespace bale::archive::layout {

// RFC 8878, 3.1.1 and 3.1.2: a frame starts with its magic number; 0x184D2A50..5F start frames that decoders skip.
inline constexpr std::uint32_t zstd_magic = 0xFD2FB528;
inline constexpr std::uint32_t skippable_magic_first = 0x184D2A50;
inline constexpr std::uint32_t skippable_magic_mask = 0xFFFFFFF0;
inline constexpr std::size_t skippable_header_bytes = 8;  ///< magic number, length of the content

// Zstandard seekable format 0.1.0 (contrib/seekable_format/zstd_seekable_compression_format.md of zstd).
inline constexpr std::uint32_t seek_table_magic = 0x184D2A5E;
inline constexpr std::uint32_t seek_footer_magic = 0x8F92EAB1;
inline constexpr std::size_t seek_footer_bytes = 9;  ///< number of frames, descriptor, magic number
inline constexpr std::size_t seek_entry_bytes = 12;  ///< compressed size, decompressed size, checksum
inline constexpr std::size_t seek_entry_bytes_plain = 8;
inline constexpr std::uint8_t seek_checksum_flag = 0x80;
inline constexpr std::uint8_t seek_reserved_bits = 0x7C;  ///< must be zero
inline constexpr std::uint8_t seek_unused_bits = 0x03;    ///< ignored by readers
inline constexpr std::uint32_t seek_max_frames = 0x8000000;

// Bale's trailer: a skippable frame in front of the seek table, and the last frame that the seek table lists.
inline constexpr std::uint32_t trailer_magic = 0x184D2A5B;
inline constexpr std::string_view trailer_signature = "BALE";
inline constexpr std::uint16_t format_version = 2;
/// Signature, version, five numbers and a checksum: all that version 1 has.
inline constexpr std::size_t trailer_v1_bytes = skippable_header_bytes + 8 + 5 * 8 + 8;
inline constexpr std::size_t trailer_hash_bytes = 8;  ///< XXH64
/// Of version 2: the same, a hash of the seek table, and one of each of the frames in front of the trailer.
constexpr std::uint64_t trailer_bytes(std::uint64_t frames) noexcept {
  return trailer_v1_bytes + (1 + frames) * trailer_hash_bytes;
}
/// Enough to see that it is a trailer, of which version, and how long.
inline constexpr std::size_t trailer_head_bytes = skippable_header_bytes + 8;
/// Low 32 bits of XXH64 of no bytes: the checksum of a frame that decompresses to nothing.
inline constexpr std::uint32_t checksum_of_nothing = 0x51D8E999;

// POSIX.1-2017, pax: ustar Interchange Format.
inline constexpr std::size_t tar_block = 512;
inline constexpr std::size_t tar_end_bytes = 2 * tar_block;  ///< two zero blocks end a tar
inline constexpr ByteCount ustar_max_size = 0777'7777'7777;  ///< 11 octal digits

inline constexpr std::string_view member_prefix = "objects/";
inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::size_t max_component_bytes = 255;  ///< NAME_MAX of Linux
inline constexpr std::size_t max_name_bytes = 8192;      ///< of a planned member; twice PATH_MAX of Linux

}  // namespace bale::archive::layout
