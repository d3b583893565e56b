// The index of an archive that has none of its own, in a file beside it. Pure. See docs/format/sidecar.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "archive/manifest.hpp"
#include "archive/reader.hpp"
#include "base/bytes.hpp"
#include "base/names.hpp"

namespace bale::archive {

/// What tells one archive from another without reading it whole.
struct ArchiveIdentity {
  ByteCount bytes = 0;           ///< of the file
  std::uint64_t tail_xxh64 = 0;  ///< of its last identity_tail_bytes, or of all where it is shorter
  ETag etag;                     ///< of the object; empty for a file
  friend bool operator==(const ArchiveIdentity&, const ArchiveIdentity&) = default;
};
/// What is hashed; the frames of foreign seek tables and manifests are here, so that two archives of one size differ.
inline constexpr ByteCount identity_tail_bytes = 64 << 10;

/// `tail`: the last bytes of the file, identity_tail_bytes or more, or all of it.
ArchiveIdentity identity_of(ByteCount archive_bytes, ByteView tail, const ETag& etag);
/// How the archive that is there differs from the one of which an index is, in words; empty where it does not. ETags
/// are compared where both are known.
std::string difference(const ArchiveIdentity& recorded, const ArchiveIdentity& present);

/// A frame of the file. Skippable frames are frames that decompress to nothing.
struct SidecarFrame {
  ByteCount file_offset = 0, file_bytes = 0;
  ByteCount tar_offset = 0, tar_bytes = 0;
  ByteCount file_end() const noexcept { return file_offset + file_bytes; }
  ByteCount tar_end() const noexcept { return tar_offset + tar_bytes; }
  friend bool operator==(const SidecarFrame&, const SidecarFrame&) = default;
};

/// Why a member of the tar that has data is no object of an index.
enum class WhyLeftOut : std::uint8_t {
  no_link_target = 1,   ///< a hard link to what is not in front of it
  unknown_type = 2,     ///< has data, but its type is unknown
  directory_data = 3,   ///< a directory that has data
  not_in_one_piece = 4  ///< a sparse file
};
/// A member of the tar that has data, and is no object of an index.
struct LeftOut {
  std::string member;
  WhyLeftOut why = WhyLeftOut::no_link_target;
  friend bool operator==(const LeftOut&, const LeftOut&) = default;
};
/// Says why a member is left out, for a person.
std::string_view to_string(WhyLeftOut why) noexcept;
/// Bytes of names of such members in an index; of more members it has the number.
inline constexpr std::size_t max_left_out_bytes = 1 << 20;

/// Where the frames and the objects of an archive are.
struct Sidecar {
  ArchiveIdentity archive;
  std::vector<SidecarFrame> frames;  ///< they fill the file, in its order
  /// The last of the frames is bytes behind the archive that are no frame, and not read.
  bool has_tail = false;
  bool tail_is_zero = false;              ///< it is padding
  bool tar_goes_on = false;               ///< other bytes than a tar follow the end of the tar; they are not read
  std::uint64_t left_out = 0;             ///< members that have data, and are no objects
  std::vector<LeftOut> left_out_members;  ///< the first of them, where the archive has no manifest
  /// An object without data_offset is one that the tar does not hold.
  Manifest manifest;
  /// By object: where its tar headers begin in the tar stream; 0 without data_offset.
  std::vector<ByteCount> header_offsets;
  /// Number of the frames that are zstd frames.
  std::size_t real_frames() const noexcept { return frames.size() - (has_tail ? 1 : 0); }
  ByteCount tar_bytes() const noexcept { return frames.empty() ? 0 : frames.back().tar_end(); }
  friend bool operator==(const Sidecar&, const Sidecar&) = default;
};

/// Frames of an archive that an index may have: half a gigabyte of memory.
inline constexpr std::uint64_t max_sidecar_frames = 1 << 24;
/// Bytes that are read of an index; a manifest of 2 GiB compresses to less.
inline constexpr ByteCount max_sidecar_bytes = 1ULL << 30;

/// Deterministic: equal indexes give equal bytes. Throws Error{unsupported} when there are more than
/// max_sidecar_frames.
Buffer encode_sidecar(const Sidecar& sidecar);
/// Reads an index; counts what it takes in `memory`. Throws Error{corrupt} naming what is wrong (a checksum, a frame or
/// object outside of the archive, objects that overlap), Error{unsupported} for a later version, and where it takes
/// more memory than its share. Every declared size is bounded before memory is taken for it.
Sidecar decode_sidecar(ByteView bytes, const ReaderLimits& limits, MemoryShare& memory);
/// The same, with a share of its own that ends with the call.
Sidecar decode_sidecar(ByteView bytes, const ReaderLimits& limits = {});

}  // namespace bale::archive
