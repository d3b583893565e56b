// Whether two objects are copies of one archive.
#pragma once

#include "archive/manifest.hpp"
#include "archive/reader.hpp"
#include "store/object_store.hpp"

namespace bale::archive {

/// Returns whether the object `there` at `address` of `store` is a copy of an archive whose object is `info` and whose
/// manifest is `manifest`. Equal sizes and ETags say so at once. The ETag of a copy differs where it was made in parts
/// or encrypted: then the manifests decide, which hold the hash of every object. One of an archive class (GLACIER)
/// cannot be read, and counts as a copy. Throws what the store throws, and Error{corrupt} where the object is no
/// archive.
bool is_copy_of(store::ObjectStore& store, const ObjectAddress& address, const store::ObjectInfo& there,
                const store::ObjectInfo& info, const Manifest& manifest, const ReaderLimits& limits = {});

}  // namespace bale::archive
