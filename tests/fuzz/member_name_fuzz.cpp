// Names: lines of the input are keys. Every path is safe, and none stands in the way of another.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>

#include "archive/file_name.hpp"
#include "archive/member_name.hpp"
#include "archive/tar.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

using namespace bale;
using namespace bale::archive;

namespace {

/// Names of files, where every second key that ends with '/' is a folder marker.
void check_file_paths(const std::vector<std::string_view>& keys) {
  std::vector<NamedKey> named;
  for (std::size_t i = 0; i < keys.size(); ++i) named.push_back({keys[i], i % 2 == 0 && is_folder_marker(keys[i], 0)});
  const std::vector<std::string> paths = file_paths(named);
  std::set<std::string> files, directories;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string& path = paths[i];
    if (path.empty() && named[i].is_directory) continue;
    if (!is_file_path(path)) std::abort();
    if (named[i].is_directory)
      directories.insert(path);
    else if (!files.insert(path).second)
      std::abort();
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      directories.insert(path.substr(0, slash));
  }
  for (const std::string& file : files) {
    if (directories.contains(file)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 4096));
  std::vector<std::string_view> keys = split(text, '\n');
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  check_file_paths(keys);
  std::vector<std::string> paths = safe_paths(keys);
  for (const std::string& path : paths) {
    const bool escaped = path.starts_with("%/");
    if (!escaped && !is_safe_path(path)) std::abort();
    if (path.front() == '/' || path.find("//") != std::string::npos || path.find("/../") != std::string::npos)
      std::abort();
    std::vector<std::byte> header(tar_header_bytes(path, 5));
    encode_tar_header(header, path, 5, {});
    if (header.size() % 512 != 0) std::abort();
  }
  std::sort(paths.begin(), paths.end());
  if (std::adjacent_find(paths.begin(), paths.end()) != paths.end()) std::abort();
  for (const std::string& path : paths) {
    const auto below = std::lower_bound(paths.begin(), paths.end(), path + "/");
    if (below != paths.end() && below->starts_with(path + "/")) std::abort();
  }
  return 0;
}
