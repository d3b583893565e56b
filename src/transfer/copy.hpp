// Server-side copies of objects of any size, with everything that belongs to them.
#pragma once

#include <optional>
#include <stop_token>

#include "flow/thread_pool.hpp"
#include "store/object_store.hpp"

namespace bale::transfer {

/// How a copy differs from its source. What is empty stays as it is at the source.
struct CopyOptions {
  VersionId version_id;                      ///< of the source; empty: the current one
  std::optional<std::string> storage_class;  ///< absent: the source's
  std::optional<std::string> kms_key_arn;    ///< absent: the destination bucket's default
  std::optional<store::SystemHeaders> headers;
  std::optional<store::UserMetadata> metadata;
  std::optional<store::Tags> tags;
  store::WriteConditions conditions;
};

/// Copies one object within the service, without its bytes passing through this process: CopyObject up to 5 GiB, above
/// that a multipart copy whose parts go in parallel on `connections`. CreateMultipartUpload copies nothing by itself,
/// so headers, metadata, tags and storage class are read first and sent along in both cases: the result is the same for
/// every size. `source` and `destination` are the stores of the regions of the two buckets (they may be the same); the
/// request goes to the destination's. Throws Error{not_found} when the source is gone, Error{precondition} when it
/// changed meanwhile. An upload that was started is aborted on every failure. Call on a thread that is not one of
/// `connections`.
store::PutResult copy_object(store::ObjectStore& source, const ObjectAddress& from, store::ObjectStore& destination,
                             const ObjectAddress& to, const CopyOptions& options, flow::ThreadPool& connections,
                             std::stop_token stop = {});

/// The same for an object that a HEAD told of: `info`. That object is copied and no other: Error{precondition} when it
/// was replaced since.
store::PutResult copy_known(store::ObjectStore& source, const ObjectAddress& from, const store::ObjectInfo& info,
                            store::ObjectStore& destination, const ObjectAddress& to, const CopyOptions& options,
                            flow::ThreadPool& connections, std::stop_token stop = {});

/// Returns what is stored with a copy of the object that `info` tells of. Asks `source` for its tags where it has any
/// and `options` name none.
store::ObjectAttributes attributes_of_copy(store::ObjectStore& source, const ObjectAddress& from,
                                           const store::ObjectInfo& info, const CopyOptions& options);

}  // namespace bale::transfer
