#include "jobs/raw/inventory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.hpp"
#include "base/text.hpp"
#include "jobs/raw/local_copy.hpp"

namespace bale::raw {
namespace {

class Look {
 public:
  Look(os::Files& files, SourceSet& set) : files_(files), set_(set) {}

  /// Adds what has the name, and everything below it.
  void add(const std::string& name) {
    const os::fs::path path = set_.directory / name;
    const auto info = is_main(name) ? files_.info_followed(path) : files_.info(path);
    if (!info) return;  // removed since it was listed
    Found found{.path = name, .type = info->type, .size = info->size, .modified = info->modified};
    if (info->type == os::FileType::regular) {
      found.is_readable = can_open(path);
      set_.infos[name] = *info;
      set_.newest = std::max(set_.newest, info->modified);
    }
    std::vector<os::DirectoryEntry> entries;
    if (info->type == os::FileType::directory) found.is_readable = list(path, entries);
    set_.found.push_back(std::move(found));
    for (const os::DirectoryEntry& entry : entries) add(name + "/" + entry.name);
  }

 private:
  bool is_main(const std::string& name) const { return name == set_.main_name; }
  bool can_open(const os::fs::path& path) {
    try {
      return files_.open_if_exists(path) != nullptr;
    } catch (const Error&) {
      return false;
    }
  }
  bool list(const os::fs::path& path, std::vector<os::DirectoryEntry>& entries) {
    try {
      entries = files_.list(path);
      return true;
    } catch (const Error&) {
      return false;
    }
  }
  os::Files& files_;
  SourceSet& set_;
};

void check_others(const Layout& layout, const SourceSet& set, const std::vector<os::fs::path>& others) {
  for (const os::fs::path& other : others) {
    const std::string name = other.lexically_normal().lexically_relative(set.directory.lexically_normal()).native();
    if (belongs_to(layout, name, set.main_name)) continue;
    throw Error(ErrorKind::invalid,
                fmt::format("the path does not belong to the acquisition {}", escape_name(set.main_name)),
                escape_name(other.native()), "back up each acquisition under its own id");
  }
}

}  // namespace

SourceSet look_at_source(os::Files& files, const os::fs::path& main_path, const std::vector<os::fs::path>& others) {
  os::fs::path path = main_path.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "x.d/"
  const auto info = files.info_followed(path);
  if (!info) {
    throw Error(ErrorKind::not_found, "the source is gone: it was removed or renamed", escape_name(path.native()),
                "look for a renamed file (instrument software often renames failed acquisitions)")
        .with_code(source_gone);
  }
  SourceSet set{.directory = path.parent_path().empty() ? "." : path.parent_path(),
                .main_name = path.filename().native()};
  const Layout& layout = layout_of(set.main_name, info->type);
  Look look(files, set);
  look.add(set.main_name);
  if (layout.takes_siblings) {
    for (const os::DirectoryEntry& entry : files.list(set.directory))
      if (entry.name != set.main_name && belongs_to(layout, entry.name, set.main_name)) look.add(entry.name);
  }
  check_others(layout, set, others);
  return set;
}

SourceSet wait_until_settled(os::Files& files, os::Clock& clock, const os::fs::path& main_path,
                             const std::vector<os::fs::path>& others, Milliseconds rest, const std::stop_token& stop,
                             const std::function<void(Milliseconds)>& waits) {
  constexpr Milliseconds most_between_looks{10'000}, least_between_looks{100};
  const Milliseconds between = std::clamp(rest / 10, least_between_looks, most_between_looks);
  const auto is_equal = [](const SourceSet& a, const SourceSet& b) {
    return std::equal(a.infos.begin(), a.infos.end(), b.infos.begin(), b.infos.end(), [](const auto& x, const auto& y) {
      return x.first == y.first && x.second.size == y.second.size && x.second.modified == y.second.modified;
    });
  };
  SourceSet seen = look_at_source(files, main_path, others);
  auto since = clock.steady();
  for (;;) {
    const TimePoint now = clock.now();
    const auto watched = std::chrono::duration_cast<Milliseconds>(clock.steady() - since);
    const Milliseconds at_rest = seen.newest <= now ? std::max<Milliseconds>(now - seen.newest, watched) : watched;
    if (at_rest >= rest) return seen;
    if (waits) waits(rest - at_rest);
    if (!clock.sleep_for(std::min(between, rest - at_rest), stop))
      throw Error(ErrorKind::cancelled, "interrupted while waiting for the acquisition to end");
    SourceSet next = look_at_source(files, main_path, others);
    if (!is_equal(seen, next)) since = clock.steady();
    seen = std::move(next);
  }
}

}  // namespace bale::raw
