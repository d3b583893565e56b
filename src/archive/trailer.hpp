// Bale's trailer: where in the tar stream manifest.json is. Pure.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace bale::archive {

struct Trailer {
  std::uint64_t manifest_offset = 0;  ///< of the first byte of manifest.json in the tar stream
  std::uint64_t manifest_bytes = 0;
  std::uint64_t objects = 0;
  std::uint64_t tar_bytes = 0;    ///< of the whole tar stream
  std::uint64_t frame_bytes = 0;  ///< frame_size it was written with
  friend bool operator==(const Trailer&, const Trailer&) = default;
};

/// The trailer as a skippable frame of layout::trailer_bytes bytes.
Buffer encode_trailer(const Trailer& trailer);

/// Whether `frame` starts like a trailer of Bale, of any version.
bool looks_like_trailer(ByteView frame) noexcept;

/// Throws Error{corrupt} naming what is wrong, Error{unsupported} for a version that is newer than this program.
Trailer decode_trailer(ByteView frame);

}  // namespace bale::archive
