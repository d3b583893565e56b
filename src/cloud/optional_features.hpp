// The features of a write that some servers do not support, and how to leave them out. Pure.
#pragma once

#include "base/error.hpp"
#include "store/object_store.hpp"

namespace bale::cloud {

/// What the request of a write contains that some servers do not support. Borrows the attributes.
struct OptionalFeatures {
  const store::ObjectAttributes& attributes;
  bool has_checksum = false;  ///< an x-amz-checksum-* header or element
};

/// Returns whether `error` may mean that the server does not support a part of the request: 501, or a 400 that names no
/// other reason.
bool may_be_unsupported(const Error& error);

/// Returns `refusal` with a hint that lists the optional features of the request, since a server rarely says which of
/// them it does not support, and the options of Bale that leave them out. Returns `refusal` as it is where it has a
/// hint, where its cause is known, and where the request had no such feature.
Error name_features(const Error& refusal, const OptionalFeatures& sent);

}  // namespace bale::cloud
