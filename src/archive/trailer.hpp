// Bale's trailer: where in the tar stream manifest.json is, and what the bytes of the file are. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "archive/layout.hpp"
#include "base/bytes.hpp"

namespace bale::archive {

struct Trailer {
  std::uint64_t manifest_offset = 0;  ///< of the first byte of manifest.json in the tar stream
  std::uint64_t manifest_bytes = 0;
  std::uint64_t objects = 0;
  std::uint64_t tar_bytes = 0;    ///< of the whole tar stream
  std::uint64_t frame_bytes = 0;  ///< frame_size it was written with
  // From version 2 on. Content can be said by more than one sequence of bytes, so that its checksum does not tell
  // whether the bytes of the file are those that were written; these do.
  std::uint64_t seek_table_hash = 0;        ///< XXH64 of the whole seek table
  std::vector<std::uint64_t> frame_hashes;  ///< XXH64 of the compressed bytes of each frame in front of the trailer
  std::uint16_t version = layout::format_version;
  friend bool operator==(const Trailer&, const Trailer&) = default;
};

/// The trailer as a skippable frame of layout::trailer_bytes(frame_hashes.size()) bytes, always of the present version.
Buffer encode_trailer(const Trailer& trailer);

/// Whether `frame` starts like a trailer of Bale, of any version.
bool looks_like_trailer(ByteView frame) noexcept;

/// Reads a whole trailer; of one whose length none of the known versions has, the first layout::trailer_head_bytes are
/// enough. Throws Error{corrupt} naming what is wrong, Error{unsupported} for a version that is newer than this
/// program.
Trailer decode_trailer(ByteView frame);

}  // namespace bale::archive
