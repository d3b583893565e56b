// Downloads of objects: in parallel parts into a file, or in order to whoever takes the bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>

#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/files.hpp"
#include "store/object_store.hpp"

namespace bale::transfer {

/// How an object is downloaded.
struct FileDownload {
  VersionId version = {};                    ///< empty: the current one
  std::optional<ByteCount> known_size = {};  ///< where a listing told it: saves a request for a small object
  ByteCount part_bytes = 8ULL << 20;         ///< an object of two parts and more comes in parts
  std::size_t most_parts_under_way = 16;
  std::function<void(ByteCount)> sized = {};     ///< told the object's size where it was not known
  std::function<void(std::int64_t)> moved = {};  ///< told the bytes that came
  std::stop_token stop = {};                     ///< ends the download: Error{cancelled}
};

/// Writes an object to the file that `open` gives when the object is known to be there; the caller gives the file its
/// name. Blocks of zeros become holes. The bytes are checked where the store gives evidence (store::ContentCheck), in
/// memory where that is possible, else in the file. Returns what the store says of the object. Throws Error: not_found;
/// corrupt when the bytes are not those of the object; precondition when it changes meanwhile. Memory: the parts under
/// way, of `budget`. Borrows all. Call on a thread that is not one of `connections`.
store::ObjectInfo download_file(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
                                const ObjectAddress& from, const FileDownload& download,
                                const std::function<os::AtomicFile&()>& open);

/// Gives the bytes of a response to `write`, in order and in pieces of 1 MiB at most. Throws what GetStream::read()
/// and `write` throw. Borrows all.
void download_stream(store::GetStream& stream, flow::MemoryBudget& budget, const FileDownload& download,
                     const std::function<void(ByteView)>& write);

}  // namespace bale::transfer
