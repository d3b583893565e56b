// All digests of a file from one pass over its bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/names.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/files.hpp"

namespace bale::transfer {

/// What was computed of a file's bytes.
struct FileDigests {
  ByteCount size = 0;
  Md5Digest md5{};              ///< of the whole file
  ETag etag;                    ///< as EtagBuilder gives it
  std::uint64_t crc64nvme = 0;  ///< of the whole file
  friend bool operator==(const FileDigests&, const FileDigests&) = default;
};

/// How a file is read.
struct FileReading {
  ByteCount part_bytes = 0;  ///< of the ETag; above 0
  /// Takes the bytes from `offset` on, in order, while they are hashed: a writer, or a comparison. What it throws ends
  /// the reading. Absent: nobody.
  std::function<void(ByteCount offset, ByteView bytes)> take = {};
  /// Called for each piece after `take` has returned from it, in order, while later pieces are read, hashed and taken:
  /// who reads back what `take` has written. What it throws ends the reading. Needs `take`.
  std::function<void(ByteCount offset, ByteCount size)> follow = {};
  ByteCount more_bytes = 0;  ///< memory that `take` and `follow` use, taken from the budget with that of the pieces
  /// Told the bytes that were read, after each piece.
  std::function<void(ByteCount)> moved = {};
  std::stop_token stop = {};
};

/// Reads a file from its start to its end, once, and computes its digests: the whole MD5, the ETag, `take` and `follow`
/// each go on by themselves on `pools`, piece by piece, while the next pieces are read. A file of fewer than part_bytes
/// bytes has one MD5, computed once. Memory: six pieces of 2 MiB of `budget`, and more_bytes. Throws
/// Error{precondition} when the file gets shorter or longer meanwhile, Error{cancelled} after a stop, and what
/// read_at() throws. Call on a thread that is of neither pool. Borrows all.
FileDigests read_digests(os::ReadableFile& file, const FileReading& reading, flow::Pools pools,
                         flow::MemoryBudget& budget);

/// Computes the CRC64NVME of the first `size` bytes of a file from ranges that are read in parallel on `cores`. Throws
/// Error{corrupt} when the file has fewer bytes or more, Error{cancelled} after a stop. Memory: 1 MiB of `budget` a
/// core. Call on a thread that is not one of `cores`.
std::uint64_t read_crc64nvme(os::ReadableFile& file, ByteCount size, flow::ThreadPool& cores,
                             flow::MemoryBudget& budget, const std::function<void(ByteCount)>& moved = {},
                             std::stop_token stop = {});

}  // namespace bale::transfer
