// Makes the index of an archive by reading it once.
#pragma once

#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/read_ahead.hpp"
#include "archive/sidecar.hpp"
#include "flow/progress.hpp"
#include "transfer/byte_io.hpp"

namespace bale::archive {

/// An index, and what is not in it.
struct BuiltSidecar {
  Sidecar sidecar;
  bool has_manifest = false;      ///< false: the tar's regular members are the objects, by their names
  std::size_t missing = 0;        ///< objects of the manifest that the tar does not hold; they have no data_offset
  std::size_t not_regular = 0;    ///< without a manifest: symlinks, directories, devices, which are no objects
  std::vector<LeftOut> left_out;  ///< without a manifest: members left out that have data
  std::vector<Remark> remarks;    ///< what lies behind the archive, or was left out
  MemoryShare memory;             ///< what the sidecar takes
};

struct BuildOptions {
  ReadAheadMeans means;
  ReaderLimits limits;
  std::stop_token stop;
  flow::Progress* progress = nullptr;  ///< counts bytes of the file; borrowed
};

/// Reads the archive from beginning to end, in memory that grows with its members and frames but not with its bytes.
/// Objects are those of manifest.json where the tar has one; else its regular members, each with its name less a
/// leading "./" as key, of several with one name the last. A hard link is an object with the bytes and the place of the
/// member that it leads to. A manifest.json that is none, in a tar without members below
/// objects/, is a member like others. Throws Error{corrupt} for damage, Error{unsupported} for more frames than an
/// index holds and for members and frames that take more memory than their share, Error{cancelled}.
BuiltSidecar build_sidecar(transfer::RandomSource& source, const BuildOptions& options);

}  // namespace bale::archive
