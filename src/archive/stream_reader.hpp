// Reads archives that have no seek table: one zstd stream from beginning to end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "archive/reader.hpp"
#include "archive/tar_stream.hpp"

namespace bale::archive {

/// An archive that was opened as a stream.
struct OpenedStream {
  std::unique_ptr<Reader> reader;
  std::optional<FrameStream::Tail> tail;  ///< what lies behind its last frame
};
/// See open_archive().
OpenedStream open_stream(transfer::RandomSource& source, const ReaderLimits& limits);

/// Whether a member of a tar is the manifest, by its name.
bool is_manifest_name(const std::string& member) noexcept;
/// Reads the present member, a manifest that claims `size` bytes, piece by piece; counts it in `memory`. Throws
/// Error{corrupt} when it claims more than `most`, or has fewer, and as parse_manifest() and TarStream::read().
Manifest read_manifest(TarStream& tar, ByteCount size, ByteCount most, MemoryShare& memory);
/// What an archive of Bale has whose end is gone.
Error no_seek_table(const std::string& name);

}  // namespace bale::archive
