// Where an object's data are, as a function of its key: a person finds them, and no two keys meet.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/names.hpp"

namespace bale::embedded {

/// The unique part of a data file's name: 18 characters that sort by the time of their making.
using FileId = Named<struct FileIdTag>;
inline constexpr std::size_t file_id_length = 18;

/// The path of an object's data below the directory of its bucket: "<escaped key>@<file>".
///
/// The key is split at '/'. In each piece '%', '@', control characters and bytes that are not UTF-8 are written as %XX;
/// a piece that is "." or ".." is written with %2E; an empty piece is "%"; a piece longer than 200 bytes is continued
/// in the next component, which "%+" at its end says. Only files have an '@', so that `a` and `a/b` never meet.
std::filesystem::path object_path(const ObjectKey& key, const FileId& file);

struct LocatedFile {
  ObjectKey key;
  FileId file;
};
/// The reverse of object_path; absent when the path is none of its results.
std::optional<LocatedFile> parse_object_path(const std::filesystem::path& path);

}  // namespace bale::embedded
