#include "archive/manifest_forms.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/text.hpp"

namespace bale::archive {
namespace {

std::string_view without_slashes_behind(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

/// The folder of a key without the '/' behind it; empty for a key of the root.
std::string_view folder_of(std::string_view key) {
  const auto slash = key.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : without_slashes_behind(key.substr(0, slash));
}

std::string joined(std::string_view above, std::string_view below) {
  std::string path(above);
  if (!above.empty() && !below.empty()) path += '/';
  return path.append(below);
}

/// The monitored prefix if `source_prefix` is the folder of the object; absent where it cannot be that.
std::optional<std::string> prefix_above_folder(const ManifestObject& object) {
  const std::string_view folder = folder_of(object.relative_key), prefix = object.source_prefix;
  if (folder.empty()) return object.source_prefix;
  if (prefix == folder) return std::string();
  const bool is_below =
      prefix.size() > folder.size() && prefix.ends_with(folder) && prefix[prefix.size() - folder.size() - 1] == '/';
  if (!is_below) return std::nullopt;
  return std::string(without_slashes_behind(prefix.substr(0, prefix.size() - folder.size() - 1)));
}

bool ends_with_path(std::string_view path, std::string_view end) {
  return path == end || (path.size() > end.size() && path.ends_with(end) && path[path.size() - end.size() - 1] == '/');
}

/// Whether the archive's folder is that of archives of `source`, whose name is escaped in paths of files.
bool lies_below(std::string_view archive_folder, const std::string& source) {
  return ends_with_path(archive_folder, source) || ends_with_path(archive_folder, escape_name(source));
}

/// Decides by the place of the archive whether the prefix above the folder is the monitored one.
bool is_published(std::string_view archive_name, const BucketName& bucket, const std::string& above_folder,
                  const std::string& as_written, bool otherwise) {
  std::string_view folder = folder_of(archive_name);
  // The longer path is the stronger sign: "a/a" ends with "a" too.
  if (lies_below(folder, joined(bucket.str(), as_written))) return false;
  if (lies_below(folder, joined(bucket.str(), above_folder))) return true;
  // An earlier version of the backup mode put archives below the prefix alone.
  if (is_s3_uri(archive_name)) {
    folder = folder.substr(std::min(folder.size(), std::string_view("s3://").size()));
    const auto slash = folder.find('/');
    folder = slash == std::string_view::npos ? std::string_view() : folder.substr(slash + 1);
    if (folder == as_written) return false;
    if (folder == above_folder) return true;
  }
  return otherwise;
}

/// What the objects of one source bucket have in common.
struct SourceForms {
  std::optional<std::string> as_written, above_folder;  ///< of the first object
  bool is_one_prefix = true;  ///< every object has the same source_prefix, as in the form of the backup mode
  bool is_one_above = true;   ///< every object has the same prefix above its folder, as in the published form

  void take(const ManifestObject& object) {
    const auto above = prefix_above_folder(object);
    if (!as_written) {
      as_written = object.source_prefix;
      above_folder = above;
    }
    is_one_prefix &= *as_written == object.source_prefix;
    is_one_above &= above.has_value() && above == above_folder;
  }
};

/// Whether the manifest itself names the key. Such a key is kept.
bool has_own_key(const ManifestObject& object) {
  return object.key.str() != joined(object.source_prefix, object.relative_key);
}

bool is_in_published_form(const ManifestObject& object, const SourceForms& forms, std::string_view archive_name) {
  const auto above = prefix_above_folder(object);
  if (!above || *above == object.source_prefix || has_own_key(object)) return false;
  if (forms.is_one_prefix != forms.is_one_above) return forms.is_one_above;
  return is_published(archive_name, object.source_bucket, *above, object.source_prefix, forms.is_one_above);
}

}  // namespace

void settle_source_prefixes(Manifest& manifest, std::string_view archive_name, MemoryShare& memory) {
  if (manifest.version > 0) return;
  std::map<std::string, SourceForms> sources;
  for (const ManifestObject& object : manifest.objects) sources[object.source_bucket.str()].take(object);
  ObjectList settled;
  bool is_changed = false;
  for (ManifestObject object : manifest.objects) {
    if (is_in_published_form(object, sources.at(object.source_bucket.str()), archive_name)) {
      object.source_prefix = *prefix_above_folder(object);
      object.key = ObjectKey(joined(object.source_prefix, object.relative_key));
      is_changed = true;
    }
    const ByteCount before = settled.memory();
    settled.push_back(object);
    memory.add(settled.memory() - before, "the objects of the manifest");
  }
  memory.give_back(is_changed ? manifest.objects.memory() : settled.memory());
  if (is_changed) manifest.objects = std::move(settled);
}

std::string misread_key(const ManifestObject& object) {
  const std::string_view folder = folder_of(object.relative_key);
  return folder.empty() ? std::string() : joined(joined(object.source_prefix, folder), object.relative_key);
}

}  // namespace bale::archive
