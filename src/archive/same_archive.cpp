#include "archive/same_archive.hpp"

#include "base/error.hpp"
#include "transfer/byte_io.hpp"

namespace bale::archive {

bool is_copy_of(store::ObjectStore& store, const ObjectAddress& address, const store::ObjectInfo& there,
                const store::ObjectInfo& info, const Manifest& manifest, const ReaderLimits& limits) {
  if (there.size != info.size) return false;
  if (there.etag == info.etag) return true;
  try {
    const auto source = transfer::open_object_source(store, address);
    return open_archive(*source, limits)->manifest() == manifest;
  } catch (const Error& error) {
    if (error.code() != "InvalidObjectState") throw;
    return true;
  }
}

}  // namespace bale::archive
