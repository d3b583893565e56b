// Copies of objects whose bytes pass through this process: between stores that cannot copy from one another.
#pragma once

#include <functional>
#include <stop_token>

#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "store/object_store.hpp"
#include "transfer/copy.hpp"

namespace bale::transfer {

/// How the bytes go.
struct StreamCopy {
  ByteCount part_bytes = 8ULL << 20;  ///< least size of parts; an object of fewer bytes goes in one request
  std::size_t most_parts_under_way = 8;
  std::function<void(ByteCount)> moved = {};  ///< told the bytes that were written, by any thread
  std::function<void(ByteCount)> pass = {};   ///< called before so many bytes are read, by any thread: a rate limit
  std::stop_token stop = {};
};

/// Copies the object that `info` tells of, read with evidence, and no other version: Error{precondition} when it
/// changes meanwhile. Parts have the size of the source's parts where that is known and allowed, so that both objects
/// have one ETag. The bytes that were read are held against the source's checksum or ETag (store::ContentCheck) before
/// the copy is made: Error{corrupt} where they are others. An upload that was started is aborted on every failure.
/// Memory: the parts under way, of `budget`. Borrows all. Call on a thread that is not one of `connections`.
store::PutResult stream_copy(store::ObjectStore& source, const ObjectAddress& from, const store::ObjectInfo& info,
                             store::ObjectStore& destination, const ObjectAddress& to, const CopyOptions& options,
                             const StreamCopy& how, flow::ThreadPool& connections, flow::MemoryBudget& budget);

}  // namespace bale::transfer
