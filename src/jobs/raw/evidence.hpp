// Whether an object of S3 has the bytes of a file: the evidence, and what was compared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jobs/raw/tools.hpp"
#include "os/files.hpp"
#include "store/object_store.hpp"
#include "transfer/file_digests.hpp"

namespace bale::raw {

enum class Verdict { same, differs, missing, unknown };
/// "same", "differs", "missing", "unknown".
std::string_view to_string(Verdict verdict) noexcept;

/// What is known of a file without reading it. Empty members are unknown.
struct KnownFile {
  ByteCount size = 0;
  std::optional<Md5Digest> md5;  ///< of the whole file
  ETag etag;                     ///< for parts of part_bytes
  ByteCount part_bytes = 0;
  std::optional<std::uint64_t> crc64nvme;  ///< of the whole file
  /// `etag` was read from the object when it was proven to be the file: as long as the object has it, nobody wrote it,
  /// even where the ETag is no MD5.
  bool is_etag_of_object = false;
};

/// The result of a comparison.
struct Evidence {
  Verdict verdict = Verdict::unknown;
  std::string by;            ///< "etag", "crc64nvme", "size"; for unknown: why nothing could be compared
  ETag etag;                 ///< of the object
  ByteCount part_bytes = 0;  ///< part size of the object's ETag; 0: one PUT, or unknown
  /// Of the file, where it was read for the comparison; its `etag` is of a part size of the comparison's choice.
  std::optional<transfer::FileDigests> digests = {};
};

/// Reads 32 hex digits. Returns nullopt for another text. Pure.
std::optional<Md5Digest> read_md5(std::string_view hex) noexcept;

/// Compares an object with what is known of a file; reads nothing. Pure. `unknown` means that the object's ETag is of
/// another part size, or is no MD5, and that the store keeps no CRC64NVME: the file itself can tell.
Evidence compare_known(const KnownFile& file, const store::ObjectInfo& object);

/// Returns part sizes with which `size` bytes have `parts` parts, the likeliest first, at most four: `told` where the
/// store told the size (ObjectInfo::part_bytes), else those that common tools use. Pure.
std::vector<ByteCount> likely_part_sizes(ByteCount size, std::uint32_t parts, ByteCount told);

/// Compares an object with a file by reading the file once: its CRC64NVME and its ETags for the likely part sizes of
/// the object. Throws as transfer::read_digests() does.
Evidence compare_reading(os::ReadableFile& file, const store::ObjectInfo& object, const Tools& tools);

}  // namespace bale::raw
