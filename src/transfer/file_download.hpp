// Downloads of objects: in parallel parts into a file, or in order to whoever takes the bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
  std::function<void(ByteCount)> sized = {};  ///< told the object's size where it was not known
  /// Told what HEAD says of the object, before a byte comes. What it throws ends the download.
  std::function<void(const store::ObjectInfo&)> found = {};
  std::function<void(std::int64_t)> moved = {};  ///< told the bytes that came
  /// Whether the file has a range already, of a download before that did not end: it is not asked for then, and the
  /// file is read once more for the check. Absent: it has none.
  std::function<bool(ByteCount first, ByteCount length)> has = {};
  /// Told each range that was written, by several threads and in any order; an object in one request comes in pieces,
  /// in order. What it throws ends the download.
  std::function<void(ByteCount first, ByteView bytes)> received = {};
  /// Parts name the version that HEAD showed, which needs the right s3:GetObjectVersion where the bucket has versions:
  /// the download then ends well although the object is replaced meanwhile. False: they name its ETag only.
  bool names_version = true;
  std::stop_token stop = {};  ///< ends the download: Error{cancelled}
};

/// Writes an object to the file that `open` gives when the object is known to be there; the caller gives the file its
/// name. Blocks of zeros become holes. The bytes are checked where the store gives evidence (store::ContentCheck), in
/// memory where that is possible, else in the file. Returns what the store says of the object. Throws Error: not_found;
/// corrupt when the bytes are not those of the object; precondition when it changes meanwhile. Memory: the parts under
/// way, of `budget`. Borrows all. Call on a thread that is not one of `connections`.
store::ObjectInfo download_file(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
                                const ObjectAddress& from, const FileDownload& download,
                                const std::function<os::AtomicFile&()>& open);

/// A file that a download is written to.
struct DownloadTarget {
  os::WritableFile& file;                                          ///< borrowed
  std::function<std::unique_ptr<os::ReadableFile>()> reopen = {};  ///< opens it for reading
};

/// The same, into a file that its caller has begun: for downloads that go on where one before them ended. `open` is
/// called once.
store::ObjectInfo download_into(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
                                const ObjectAddress& from, const FileDownload& download,
                                const std::function<DownloadTarget()>& open);

/// Gives the bytes of a response to `write`, in order and in pieces of 1 MiB at most. Throws what GetStream::read()
/// and `write` throw. Borrows all.
void download_stream(store::GetStream& stream, flow::MemoryBudget& budget, const FileDownload& download,
                     const std::function<void(ByteView)>& write);

}  // namespace bale::transfer
