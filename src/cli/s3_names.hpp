// What `bale s3` makes of names: keys, local paths, options. Pure.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/filter_rules.hpp"
#include "base/names.hpp"
#include "store/object_store.hpp"

namespace bale::cli {

/// What a recursive command says that has nothing to do.
std::string_view nothing_found(const std::vector<FilterRule>& rules) noexcept;

/// Content type by the extension of a file name, regardless of case; empty when it is not known.
std::string_view guess_content_type(std::string_view name) noexcept;

/// Either side of a copy: an object or prefix, a local path, or standard input or output ("-").
struct Location {
  enum class Kind { remote, local, stream };
  Kind kind = Kind::local;
  ObjectAddress object;
  std::filesystem::path path;
};
/// "s3://bucket/key", "-", else a path. Throws Error{invalid} for "s3:" that is no S3 URI, and illegal bucket names.
Location parse_location(std::string_view text);
/// The same for either side of a copy, where "/dev/stdin" and "/dev/stdout" are standard input and output too.
Location parse_source(std::string_view text);
Location parse_destination(std::string_view text);
/// Whether the name of an output means standard output: "-", "/dev/stdout", "/dev/fd/1". Nothing else may go there
/// then.
bool is_standard_output(std::string_view text);

/// `prefix` as the start of keys below it: with '/' at its end, unless it is empty.
std::string as_directory(std::string_view prefix);

/// The path below `directory` for a key relative to the copied prefix. Throws Error{invalid} when the key cannot be a
/// path as it is: empty, '.' or '..' components, a NUL. So nothing is ever written outside of `directory`, and two keys
/// never meet in one file.
std::filesystem::path local_path_for(const std::filesystem::path& directory, std::string_view relative_key);

/// Reads --metadata: "name=value", several joined by commas ("a=1,b=2"; a comma that no "name=" follows belongs to the
/// value), or a JSON object of strings. Names become lower case. Adds to `metadata`. Throws Error{invalid},
/// also for a name that `metadata` has already.
void add_metadata(std::string_view text, store::UserMetadata& metadata);
/// Reads --tagging: URL-encoded "name=value&name=value". Adds to `tags`. Throws Error{invalid}, also for a name that
/// `tags` has already.
void add_tagging(std::string_view text, store::Tags& tags);
/// Reads --tag: "name=value", taken as it is. Adds to `tags`. Throws Error{invalid}, also for a name that `tags` has
/// already.
void add_tag(std::string_view text, store::Tags& tags);

}  // namespace bale::cli
