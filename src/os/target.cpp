#include "os/target.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"

namespace bale::os {
namespace {

/// The directory itself, or the nearest one above it that exists.
std::optional<fs::path> existing_directory(Files& files, fs::path path) {
  if (path.empty()) path = ".";
  for (;;) {
    const auto found = files.info_followed(path);
    if (found && found->type == FileType::directory) return path;
    const fs::path above = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (above == path) return std::nullopt;
    path = above;
  }
}

}  // namespace

bool is_of_whole_target(const Error& error) noexcept {
  return error.code() == "ENOSPC" || error.code() == "EDQUOT" || error.code() == "EROFS";
}

void try_target(Files& files, const fs::path& target) {
  try {
    const auto directory = existing_directory(files, target);
    if (!directory) return;
    AtomicFile file(files, *directory / ".bale-trial");  // never gets its name
    Buffer page(page_bytes);
    page.resize(page_bytes);
    std::fill_n(page.data(), page_bytes, std::byte{'b'});
    file.file().write(page.view());
    file.file().sync();  // a quota or a file server may refuse only now
  } catch (const Error& error) {
    if (is_of_whole_target(error)) throw error.with_where(escape_name(target.native()));
  }
}

}  // namespace bale::os
