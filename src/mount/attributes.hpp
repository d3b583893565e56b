// What an object's file says of it in extended attributes. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "catalog/record.hpp"

namespace bale::mount {

/// How the names of all of them begin.
inline constexpr const char* attribute_prefix = "user.bale.";

/// Names and values, in the order in which they are listed; what the object does not have is left out. User metadata
/// and tags are one attribute each (user.bale.metadata.NAME, user.bale.tag.NAME), but for names that Linux does not
/// take, longer than 255 bytes or with a byte 0; user.bale.metadata and user.bale.tags have all of them, as JSON.
/// https://man7.org/linux/man-pages/man7/xattr.7.html
std::vector<std::pair<std::string, std::string>> attributes_of(const catalog::Record& record);

}  // namespace bale::mount
