// Random reads and ordered writes of many bytes, whatever holds them: a local file or an object.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/files.hpp"
#include "store/object_store.hpp"

namespace bale::transfer {

/// Bytes of known number that can be read anywhere, by several threads at once.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual ByteCount size() = 0;
  /// Fills all of `bytes` from `offset` on. Throws Error{corrupt} when the source ends before.
  virtual void read_at(ByteCount offset, MutableBytes bytes) = 0;
  /// The last min(most, size()) bytes, in one request; size() is known without another request afterwards.
  virtual Buffer read_tail(ByteCount most) = 0;
  /// The object's ETag, known after the first answer of the store; empty for what has none.
  virtual ETag etag() const { return {}; }
  /// "file.tar.zst" or "s3://bucket/key", for messages.
  virtual std::string name() const = 0;
};

/// A local file. `files` is borrowed. Throws Error: not_found; invalid for a directory, pipe, device or socket.
std::unique_ptr<RandomSource> open_file_source(os::Files& files, const os::fs::path& path);

/// Reads one version of an object by ranged GETs: the first answer's version id or ETag is asked for ever after, so
/// that a change in between is Error{precondition} and never a mixture. The store is borrowed.
std::unique_ptr<RandomSource> open_object_source(store::ObjectStore& store, const ObjectAddress& object,
                                                 const VersionId& version = {});

/// A piece of output with the memory ticket that pays for it.
struct OutputPiece {
  Buffer bytes;
  flow::Ticket ticket;
};

/// Takes bytes in order and makes them durable under a name on finish(). append() is called by one thread at a time.
/// Destroyed without finish(), it leaves nothing under the name (and aborts an upload).
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void append(OutputPiece piece) = 0;
  /// Durable when it returns. Throws what any earlier write failed with.
  virtual void finish() = 0;
  virtual ByteCount written() const = 0;
  virtual std::string name() const = 0;
};

/// Writes a file that has its name when it is complete. A file that has the name now is replaced (a symlink to it
/// stays); one that appears meanwhile is kept, and finish() throws Error{precondition}. A pipe or character device
/// (Files::is_stream) takes the bytes as they come instead, and its reader is waited for until `stop` is requested
/// (Error{cancelled}). After a stop finish() throws Error{cancelled} too. `files` is borrowed. Throws Error{invalid}
/// for anything else that has the name, as os::place_of_new_file() does.
std::unique_ptr<ByteSink> open_file_sink(os::Files& files, const os::fs::path& path, std::stop_token stop = {});

/// What an object sink needs to know before the first byte.
struct ObjectSinkOptions {
  store::ObjectAttributes attributes;
  store::WriteConditions conditions;
  ByteCount expected_bytes = 0;       ///< an upper bound of the size; decides the part size (10,000 parts at most)
  ByteCount part_bytes = 8ULL << 20;  ///< the least part size; raised when expected_bytes demands it
  /// The name is new, and nobody else has it: where a single PUT is refused, and the same object is there, the request
  /// was sent twice on its way, and the refusal is the second one's.
  bool name_is_own = false;
  /// Once it is requested, append() and finish() throw Error{cancelled}, parts that are being sent break off, and an
  /// upload is aborted. Nobody requests the default.
  std::stop_token stop = {};
};

/// Writes one object: a single PUT while it fits into one part, else a multipart upload whose parts go up in parallel
/// on `connections`. append() takes the piece over and blocks only when too many parts are in flight. Store and pool
/// are borrowed.
class ObjectSink : public ByteSink {
 public:
  /// Valid after finish().
  virtual const store::PutResult& result() const = 0;
};
std::unique_ptr<ObjectSink> open_object_sink(store::ObjectStore& store, flow::ThreadPool& connections,
                                             const ObjectAddress& object, ObjectSinkOptions options);

/// The part size for an object of up to `total` bytes: at least `least` and 5 MiB, whole MiB, at most 10,000 parts.
/// Throws Error{invalid} when the object is larger than 10,000 parts of 5 GiB.
ByteCount choose_part_size(ByteCount total, ByteCount least);

}  // namespace bale::transfer
