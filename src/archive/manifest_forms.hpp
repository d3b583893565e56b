// The two forms in which S3 Cross-Region Compressor says where an object was. See docs/format/manifest.md.
#pragma once

#include <string_view>

#include "archive/manifest.hpp"

namespace bale::archive {

/// Makes `source_prefix` of every object the monitored prefix, and `key` that prefix and the relative key.
///
/// The published version of S3 Cross-Region Compressor writes the object's folder as `source_prefix`, its backup mode
/// the monitored prefix. The objects of one source bucket have one form. Where both are possible, `archive_name` (a URI
/// or a path) decides: archives lie below `{source bucket}/{monitored prefix}/`. Where that does not tell either, the
/// published form is taken.
///
/// A manifest of Bale (version above 0) and objects whose manifest names the key are left as they are. Counts what the
/// new list takes in `memory`. Throws Error{unsupported} where that exceeds its share.
void settle_source_prefixes(Manifest& manifest, std::string_view archive_name, MemoryShare& memory);

/// Returns the key that an object of the published form had in versions of Bale that knew the other form alone: rows of
/// their catalogs still name it. Empty for an object that lies in no folder below the monitored prefix.
std::string misread_key(const ManifestObject& object);

}  // namespace bale::archive
