// The body of a GET that goes on where a broken connection left it.
#pragma once

#include <memory>

#include "flow/retrier.hpp"
#include "store/object_store.hpp"

namespace bale::store {

/// Wraps `first`, the answer to a GET of `object` under `conditions`. When the body breaks, the rest is asked for by a
/// range, of the same content: If-Match with the ETag of the first answer; where that content has been replaced, by the
/// version that the first answer named, if any. No byte comes twice, none is missing.
///
/// read() throws, besides the failures of the store: Error{precondition} when the object was replaced meanwhile and has
/// no versions, {not_found} when it was removed. After bytes have come, the attempts are counted anew.
/// `inner` and `retrier` are borrowed and outlive the stream.
std::unique_ptr<GetStream> resume_when_broken(ObjectStore& inner, flow::Retrier& retrier, const ObjectAddress& object,
                                              const ReadConditions& conditions, std::unique_ptr<GetStream> first);

}  // namespace bale::store
