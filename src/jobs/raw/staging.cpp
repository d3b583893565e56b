#include "jobs/raw/staging.hpp"

#include <set>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace bale::raw {
namespace {

class NameGiver {
 public:
  NameGiver(os::Files& files, const os::fs::path& staging, const os::fs::path& directory)
      : files_(files), staging_(staging), directory_(directory) {}

  void give(const std::string& name) {
    const std::string top = name.substr(0, name.find('/'));
    if (moved_.contains(top)) return;
    if (!files_.info(directory_ / top)) {
      rename(top);
      moved_.insert(top);
    } else {
      give_below(name);
    }
  }

 private:
  /// Gives one staged file its name in a folder that is there already.
  void give_below(const std::string& name) {
    const os::fs::path folder = (directory_ / name).parent_path();
    for (const os::fs::path& made : files_.make_directories(folder)) files_.sync_directory(made.parent_path());
    const auto there = files_.info(directory_ / name);
    if (there && there->type == os::FileType::directory) return;  // an empty folder that is there
    rename(name);
    files_.sync_directory(folder);
  }

  void rename(const std::string& name) {
    const os::fs::path from = staging_ / name, to = directory_ / name;
    try {
      files_.rename_new(from, to);
    } catch (const Error& error) {
      const auto staged = files_.info(from);
      const bool is_folder = staged && staged->type == os::FileType::directory;
      // rename() never replaces a folder that has entries.
      if (error.kind() != ErrorKind::unsupported || !is_folder) throw;
      files_.rename(from, to);
    }
  }

  os::Files& files_;
  const os::fs::path &staging_, &directory_;
  std::set<std::string> moved_;
};

}  // namespace

std::string staging_name(const std::string& id) {
  constexpr std::size_t most_of_id = 200;  // a name has at most 255 bytes
  const std::string label = id.size() <= most_of_id ? id : to_hex_digest(Sha256::of(as_bytes(id)));
  return ".bale-raw-" + label + ".partial";
}

void remove_tree(os::Files& files, const os::fs::path& path) {
  const auto info = files.info(path);
  if (!info) return;
  if (info->type == os::FileType::directory)
    for (const os::DirectoryEntry& entry : files.list(path)) remove_tree(files, path / entry.name);
  files.remove(path);
}

void give_names(os::Files& files, const os::fs::path& staging, const os::fs::path& directory,
                const std::vector<std::string>& names) {
  NameGiver giver(files, staging, directory);
  for (const std::string& name : names) giver.give(name);
  files.sync_directory(directory);
}

}  // namespace bale::raw
