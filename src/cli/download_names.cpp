#include "cli/download_names.hpp"

#include <algorithm>
#include <utility>

#include "store/listing.hpp"

namespace bale::cli {
namespace {

using archive::Taken;

bool is_marker(std::string_view relative_key, const store::ListedObject& object) {
  return archive::is_folder_marker(relative_key, object.size);
}

/// Whether file_paths() leaves the key as it is.
bool is_plain(std::string_view key, bool is_directory) {
  if (!is_directory) return archive::is_file_path(key);
  return !key.empty() && archive::is_file_path(key.substr(0, key.size() - 1));
}

}  // namespace

DownloadNames::DownloadNames(Context& context, BucketName bucket, std::string prefix,
                             std::function<bool(std::string_view)> wanted, Sink sink)
    : context_(context),
      bucket_(std::move(bucket)),
      prefix_(std::move(prefix)),
      wanted_(std::move(wanted)),
      sink_(std::move(sink)),
      stream_({.file = [this](std::string_view path,
                              std::int64_t number) { sink_(take(number), std::string(path), false); },
               .directory = [this](std::string_view path,
                                   std::int64_t number) { sink_(take(number), std::string(path), true); },
               .odd = [this](std::string_view, std::int64_t number) { odd_.push_back(take(number)); }}) {}

store::ListedObject DownloadNames::take(std::int64_t number) { return std::move(waiting_.extract(number).mapped()); }

void DownloadNames::add(const store::ListedObject& object) {
  const std::string key = relative(object);
  if (!wanted_(key)) return;
  const bool is_directory = is_marker(key, object);
  if (number_ > 0 && key <= last_) {
    // A server that lists in another order: what needs the path as a directory cannot be known.
    if (is_plain(key, is_directory))
      sink_(object, is_directory ? key.substr(0, key.size() - 1) : key, is_directory);
    else
      odd_.push_back(object);
    return;
  }
  last_ = key;
  waiting_.emplace(++number_, object);
  stream_.add({key, is_directory}, number_);
}

void DownloadNames::finish() {
  stream_.finish();
  std::sort(odd_.begin(), odd_.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  for (const store::ListedObject& object : odd_) {
    const std::string key = relative(object);
    const bool is_directory = is_marker(key, object);
    const std::string path =
        archive::place_of({key, is_directory}, [this](const std::string& each) { return taken_at(each); });
    keep(path, is_directory);
    sink_(object, path, is_directory);
  }
}

Taken DownloadNames::taken_at(const std::string& path) {
  const auto [known, is_new] = known_.try_emplace(path, Taken::nothing);
  if (is_new) known->second = look_at(path);
  return known->second;
}

/// What the keys that are their own paths have at `path`.
Taken DownloadNames::look_at(const std::string& path) {
  store::ObjectStore& store = context_.store(context_.region());
  store::Listing below(store, bucket_, {.prefix = prefix_ + path + "/"});
  while (const auto page = below.next()) {
    for (const store::ListedObject& object : page->objects) {
      const std::string key = relative(object);
      if (wanted_(key) && is_plain(key, is_marker(key, object))) return Taken::directory;
    }
  }
  const bool is_there = archive::is_file_path(path) && wanted_(path) &&
                        store.head({bucket_, ObjectKey(prefix_ + path)}, {.version_id = {}, .if_match = {}});
  return is_there ? Taken::file : Taken::nothing;
}

void DownloadNames::keep(std::string path, bool is_directory) {
  if (path.empty()) return;
  known_[path] = is_directory ? Taken::directory : Taken::file;
  for (std::size_t slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/')) {
    path.resize(slash);
    known_[path] = Taken::directory;
  }
}

}  // namespace bale::cli
