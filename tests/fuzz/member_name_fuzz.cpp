// Names: lines of the input are keys. Every path is safe, and none stands in the way of another.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "archive/member_name.hpp"
#include "archive/tar.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

using namespace bale;
using namespace bale::archive;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 4096));
  std::vector<std::string_view> keys = split(text, '\n');
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
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
