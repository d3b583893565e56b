// Reads archives that have an index beside them.
#pragma once

#include <memory>

#include "archive/sidecar.hpp"

namespace bale::archive {

/// An archive whose frames and objects an index tells. `source` is borrowed, and is the archive that the index is of:
/// see difference(). Reads nothing.
///
/// Reading some objects starts at the last frame in front of each and stops at its end; objects in neighbouring frames
/// share one pass. An object is handed on when the tar header in front of it has its name and size; what has a wrong
/// place is damage of that object, a damaged frame of the objects that need it. Frames are verified by their checksums
/// where they have them and are read to their end. Reading all objects reads all frames to their end, and throws
/// Error{corrupt} for damage that concerns no object. `memory` is what the sidecar takes; it is held by the reader.
std::unique_ptr<Reader> open_with_sidecar(transfer::RandomSource& source, Sidecar sidecar,
                                          MemoryShare memory = MemoryShare());

}  // namespace bale::archive
