// Names of tar members for keys that may be anything. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bale::archive {

/// Whether `path` can be made below a directory on a Linux file system as it is: not empty, not absolute, no empty, "."
/// or ".." component, none longer than 255 bytes, no NUL, at most 1,024 bytes. Control characters and bytes that are no
/// UTF-8 are what such file systems can hold.
bool is_safe_path(std::string_view path) noexcept;

/// A path for a relative key: the key itself where it is safe and does not start with "%/", else its escaped form: "%/"
/// and the key percent-encoded (its '/' too), in pieces of at most 200 bytes, '+' behind every piece but the last, '='
/// behind the last: "../x" becomes "%/..%2Fx=". Different keys get different paths, and an escaped path is never a
/// directory of another one.
std::string safe_path(std::string_view key);
/// The escaped form whatever the key is.
std::string escaped_path(std::string_view key);

/// Paths for keys that are to lie in one directory: safe_path(), but a key that another one needs as a directory ("a"
/// beside "a/b") is escaped too. Throws Error{invalid} when a key comes twice.
std::vector<std::string> safe_paths(const std::vector<std::string_view>& keys);

/// The names that the tar member of an object can have, which depends on the objects beside it and on the version of
/// Bale (earlier ones escaped control characters and what is no UTF-8): "objects/" and safe_path() or escaped_path() of
/// its relative key.
std::vector<std::string> possible_member_names(std::string_view relative_key);

}  // namespace bale::archive
