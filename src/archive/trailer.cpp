#include "archive/trailer.hpp"

#include <fmt/format.h>

#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t signature_at = layout::skippable_header_bytes;
constexpr std::size_t version_at = signature_at + 4;
constexpr std::size_t numbers_at = version_at + 4;  // two reserved bytes behind the version
constexpr std::size_t checksum_at = numbers_at + 5 * 8;
static_assert(checksum_at + 8 == layout::trailer_bytes);

}  // namespace

Buffer encode_trailer(const Trailer& trailer) {
  Buffer frame(layout::trailer_bytes);
  append_le(frame, layout::trailer_magic);
  append_le(frame, static_cast<std::uint32_t>(layout::trailer_content_bytes));
  frame.append(as_bytes(layout::trailer_signature));
  append_le(frame, layout::format_version);
  append_le(frame, std::uint16_t{0});
  append_le(frame, trailer.manifest_offset);
  append_le(frame, trailer.manifest_bytes);
  append_le(frame, trailer.objects);
  append_le(frame, trailer.tar_bytes);
  append_le(frame, trailer.frame_bytes);
  append_le(frame, xxh64(frame.view().subspan(layout::skippable_header_bytes)));
  return frame;
}

bool looks_like_trailer(ByteView frame) noexcept {
  return frame.size() >= version_at && load_le<std::uint32_t>(frame, 0) == layout::trailer_magic &&
         as_text(frame.subspan(signature_at, 4)) == layout::trailer_signature;
}

Trailer decode_trailer(ByteView frame) {
  if (!looks_like_trailer(frame) || frame.size() < numbers_at)
    throw Error(ErrorKind::corrupt, "the archive's trailer is damaged");
  // The version comes first, so that a newer format may change everything behind it.
  const auto version = load_le<std::uint16_t>(frame, version_at);
  const bool intact =
      frame.size() == layout::trailer_bytes && load_le<std::uint32_t>(frame, 4) == layout::trailer_content_bytes &&
      load_le<std::uint64_t>(frame, checksum_at) ==
          xxh64(frame.subspan(layout::skippable_header_bytes, checksum_at - layout::skippable_header_bytes));
  if (!intact && version > layout::format_version && frame.size() != layout::trailer_bytes) {
    throw Error(
        ErrorKind::unsupported,
        fmt::format("the archive has format version {}; this program reads up to {}", version, layout::format_version),
        {}, "read it with a newer bale, or with zstd and tar");
  }
  if (!intact) throw Error(ErrorKind::corrupt, "the archive's trailer is damaged: its checksum does not match");
  if (version > layout::format_version) {
    throw Error(
        ErrorKind::unsupported,
        fmt::format("the archive has format version {}; this program reads up to {}", version, layout::format_version),
        {}, "read it with a newer bale, or with zstd and tar");
  }
  if (version == 0) throw Error(ErrorKind::corrupt, "the archive's trailer claims format version 0");
  return {load_le<std::uint64_t>(frame, numbers_at), load_le<std::uint64_t>(frame, numbers_at + 8),
          load_le<std::uint64_t>(frame, numbers_at + 16), load_le<std::uint64_t>(frame, numbers_at + 24),
          load_le<std::uint64_t>(frame, numbers_at + 32)};
}

}  // namespace bale::archive
