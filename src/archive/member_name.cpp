#include "archive/member_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "archive/layout.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

constexpr std::string_view escape_directory = "%/";
constexpr std::size_t escaped_piece_bytes = 200;
// More than a key of S3 can have (1,024 bytes of UTF-8), and well below PATH_MAX once a destination stands before it.
constexpr std::size_t max_path_bytes = 1024;

bool is_safe_component(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." && name.size() <= layout::max_component_bytes;
}

}  // namespace

bool is_safe_path(std::string_view path) noexcept {
  if (path.size() > max_path_bytes || path.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const std::size_t slash = path.find('/');
    if (!is_safe_component(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string escaped_path(std::string_view key) {
  const std::string encoded = percent_encode(key);
  std::string path(escape_directory);
  std::string_view rest = encoded;
  while (rest.size() > escaped_piece_bytes) {
    path.append(rest.substr(0, escaped_piece_bytes)).append("+/");
    rest.remove_prefix(escaped_piece_bytes);
  }
  return path.append(rest).append("=");
}

std::string safe_path(std::string_view key) {
  return is_safe_path(key) && !key.starts_with(escape_directory) && key != "%" ? std::string(key) : escaped_path(key);
}

std::vector<std::string> safe_paths(const std::vector<std::string_view>& keys) {
  std::vector<std::string_view> sorted(keys);
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    throw Error(ErrorKind::invalid, "a member is planned twice", escape_name(*twice));
  const auto is_directory = [&](std::string_view key) {
    const std::string directory = std::string(key) + '/';
    const auto below = std::lower_bound(sorted.begin(), sorted.end(), directory);
    return below != sorted.end() && below->starts_with(directory);
  };
  std::vector<std::string> paths;
  paths.reserve(keys.size());
  for (const std::string_view key : keys) paths.push_back(is_directory(key) ? escaped_path(key) : safe_path(key));
  return paths;
}

std::vector<std::string> possible_member_names(std::string_view relative_key) {
  const std::string prefix(layout::member_prefix);
  return {prefix + safe_path(relative_key), prefix + escaped_path(relative_key)};
}

}  // namespace bale::archive
