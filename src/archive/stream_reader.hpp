// Reads archives that have no seek table: one zstd stream from beginning to end.
#pragma once

#include <memory>

#include "archive/reader.hpp"

namespace bale::archive {

/// See open_archive().
std::unique_ptr<Reader> open_stream(transfer::RandomSource& source, const ReaderLimits& limits);

}  // namespace bale::archive
