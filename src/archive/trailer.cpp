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
constexpr std::size_t reserved_at = version_at + 2;
constexpr std::size_t numbers_at = reserved_at + 2;
constexpr std::size_t seek_table_hash_at = numbers_at + 5 * 8;
constexpr std::size_t frame_hashes_at = seek_table_hash_at + layout::trailer_hash_bytes;
constexpr std::size_t checksum_bytes = 8;
static_assert(numbers_at == layout::trailer_head_bytes);
static_assert(seek_table_hash_at + checksum_bytes == layout::trailer_v1_bytes);
static_assert(frame_hashes_at + checksum_bytes == layout::trailer_bytes(0));

Error newer(std::uint16_t version) {
  return Error(
      ErrorKind::unsupported,
      fmt::format("the archive has format version {}; this program reads up to {}", version, layout::format_version),
      {}, "read it with a newer bale, or with zstd and tar");
}

Error damaged(std::string_view why) {
  return Error(ErrorKind::corrupt, fmt::format("the archive's trailer is damaged: {}", why));
}

/// Of a whole trailer. Every version ends in the checksum of its content in front of that, so that a flipped bit of the
/// version is not taken for a version.
bool is_intact(ByteView frame) noexcept {
  if (frame.size() < numbers_at + checksum_bytes) return false;
  const std::size_t checksum_at = frame.size() - checksum_bytes;
  return load_le<std::uint64_t>(frame, checksum_at) == xxh64(frame.subspan(signature_at, checksum_at - signature_at));
}

void read_hashes(ByteView frame, Trailer& trailer) {
  const bool exact = frame.size() >= layout::trailer_bytes(0) &&
                     (frame.size() - layout::trailer_bytes(0)) % layout::trailer_hash_bytes == 0 &&
                     load_le<std::uint16_t>(frame, reserved_at) == 0;
  if (!exact) throw damaged("its length is not that of its version");
  trailer.seek_table_hash = load_le<std::uint64_t>(frame, seek_table_hash_at);
  trailer.frame_hashes.resize((frame.size() - layout::trailer_bytes(0)) / layout::trailer_hash_bytes);
  std::size_t at = frame_hashes_at;
  for (std::uint64_t& hash : trailer.frame_hashes) {
    hash = load_le<std::uint64_t>(frame, at);
    at += layout::trailer_hash_bytes;
  }
}

}  // namespace

Buffer encode_trailer(const Trailer& trailer) {
  const std::uint64_t total = layout::trailer_bytes(trailer.frame_hashes.size());
  Buffer frame(total);
  append_le(frame, layout::trailer_magic);
  append_le(frame, static_cast<std::uint32_t>(total - layout::skippable_header_bytes));
  frame.append(as_bytes(layout::trailer_signature));
  append_le(frame, layout::format_version);
  append_le(frame, std::uint16_t{0});
  append_le(frame, trailer.manifest_offset);
  append_le(frame, trailer.manifest_bytes);
  append_le(frame, trailer.objects);
  append_le(frame, trailer.tar_bytes);
  append_le(frame, trailer.frame_bytes);
  append_le(frame, trailer.seek_table_hash);
  for (const std::uint64_t hash : trailer.frame_hashes) append_le(frame, hash);
  append_le(frame, xxh64(frame.view().subspan(layout::skippable_header_bytes)));
  return frame;
}

bool looks_like_trailer(ByteView frame) noexcept {
  return frame.size() >= version_at && load_le<std::uint32_t>(frame, 0) == layout::trailer_magic &&
         as_text(frame.subspan(signature_at, 4)) == layout::trailer_signature;
}

Trailer decode_trailer(ByteView frame) {
  if (!looks_like_trailer(frame) || frame.size() < layout::trailer_head_bytes) throw damaged("it is cut short");
  const auto version = load_le<std::uint16_t>(frame, version_at);
  if (load_le<std::uint32_t>(frame, 4) != frame.size() - layout::skippable_header_bytes) {
    if (version > layout::format_version) throw newer(version);
    throw damaged("its length is not that of its version");
  }
  if (!is_intact(frame)) throw damaged("its checksum does not match");
  if (version > layout::format_version) throw newer(version);
  if (version == 0) throw Error(ErrorKind::corrupt, "the archive's trailer claims format version 0");
  Trailer trailer{.version = version};
  if (version == 1 && frame.size() != layout::trailer_v1_bytes) throw damaged("its length is not that of its version");
  if (version > 1) read_hashes(frame, trailer);
  trailer.manifest_offset = load_le<std::uint64_t>(frame, numbers_at);
  trailer.manifest_bytes = load_le<std::uint64_t>(frame, numbers_at + 8);
  trailer.objects = load_le<std::uint64_t>(frame, numbers_at + 16);
  trailer.tar_bytes = load_le<std::uint64_t>(frame, numbers_at + 24);
  trailer.frame_bytes = load_le<std::uint64_t>(frame, numbers_at + 32);
  return trailer;
}

}  // namespace bale::archive
