#include "os/target.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "base/text.hpp"
#include "os/directory.hpp"

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

std::optional<TimePoint> file_system_time(Files& files, const fs::path& target) {
  static std::atomic<std::uint64_t> next{0};
  try {
    const auto existing = existing_directory(files, target);
    if (!existing) return std::nullopt;
    const auto directory = files.open_directory(*existing);
    const std::string name = fmt::format(".{}-time-{}.bale-tmp", ::getpid(), next.fetch_add(1));
    directory->create(name, 0600).reset();
    const auto found = directory->info(name);
    directory->remove(name);
    return found ? std::optional(found->modified) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace bale::os
