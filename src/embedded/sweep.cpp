#include "embedded/sweep.hpp"

#include "base/error.hpp"
#include "os/tree_walk.hpp"

namespace bale::embedded {
namespace {

/// How many unknown files are gathered before they are moved.
constexpr std::size_t most_candidates = 10'000;
/// How many lost files are told by name.
constexpr std::size_t most_told = 10;

struct DataFileName {
  BucketName bucket;
  LocatedFile located;
};

/// Reads "s3/<bucket>/<path of the object>"; absent when it is anything else.
std::optional<DataFileName> parse_data_file_name(const os::fs::path& path) {
  const std::string& text = path.native();
  if (!text.starts_with("s3/")) return std::nullopt;
  const auto slash = text.find('/', 3);
  if (slash == std::string::npos) return std::nullopt;
  const auto located = parse_object_path(text.substr(slash + 1));
  if (!located) return std::nullopt;
  return DataFileName{BucketName(text.substr(3, slash - 3)), *located};
}

/// Reads "uploads/<id>"; empty when it is anything else.
UploadId parse_upload_directory(const os::fs::path& path) {
  const UploadId upload(path.filename().native());
  return upload_directory(upload) == path ? upload : UploadId();
}

bool has_row(Database& database, const DataFileName& name) {
  return database
      .query(
          "SELECT 1 FROM versions JOIN buckets ON buckets.id = versions.bucket "
          "WHERE buckets.name = ? AND versions.key = ? AND versions.file = ?",
          name.bucket.str(), Blob{name.located.key.str()}, name.located.file.str())
      .step();
}

bool has_row(Database& database, const UploadId& upload) {
  return database.query("SELECT 1 FROM uploads WHERE id = ?", upload.str()).step();
}

/// Whether the path is that of an object's data or an upload's parts, and no row is about it.
bool is_unknown(Core& core, const os::fs::path& path) {
  if (const auto name = parse_data_file_name(path)) return !has_row(*core.readers.borrow(), *name);
  const UploadId upload = parse_upload_directory(path);
  return !upload.empty() && !has_row(*core.readers.borrow(), upload);
}

class Sweep {
 public:
  explicit Sweep(Core& core) : core_(core) {}

  /// Settles what a dead process was about to make or to remove. Nobody can be about to commit a row for it.
  void settle(const os::fs::path& path) {
    if (!is_unknown(core_, path)) return;
    // To an older copy of the database, objects that were complete look like what a killed process left.
    if (core_.lost.is_database_older || !core_.is_age_known) return keep(path);
    core_.files.remove_tree(path);
    core_.files.remove(path);  // the directories above it
  }

  /// Finds data files and uploads that neither the database nor a journal knows. They are not ours to remove.
  void search() {
    search_below("s3");
    for (const os::DirectoryEntry& entry : list("uploads")) add(os::fs::path("uploads") / entry.name);
    keep_candidates();
  }

 private:
  std::vector<os::DirectoryEntry> list(const os::fs::path& relative) {
    try {
      return core_.world.files.list(core_.files.absolute(relative));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found) return {};  // removed as empty by another process
      throw;
    }
  }

  void search_below(const os::fs::path& relative) {
    const os::fs::path directory = core_.files.absolute(relative);
    const auto unless_removed = [](const Error& error) {  // as empty, by another process
      if (error.kind() != ErrorKind::not_found) throw error;
    };
    try {
      os::walk_tree(core_.world.files, directory, {.describes_files = false},
                    {.file = [&](const os::WalkedFile& file) { add(relative / file.name); },
                     .skipped = [&](const os::fs::path& path,
                                    const std::string&) { add(relative / path.lexically_relative(directory)); },
                     .failed = [&](const os::fs::path&, const Error& error) { unless_removed(error); }});
    } catch (const Error& error) {
      unless_removed(error);
    }
  }

  void add(const os::fs::path& path) {
    if (!is_unknown(core_, path)) return;
    candidates_.push_back(path);
    if (candidates_.size() == most_candidates) keep_candidates();
  }

  /// In this order: what a living process makes or removes is in its journal before the row comes or goes.
  void keep_candidates() {
    if (candidates_.empty()) return;
    const std::set<std::string> announced = core_.journal.announced();
    for (const os::fs::path& path : candidates_) {
      if (!announced.contains(path.native()) && is_unknown(core_, path)) keep(path);
    }
    candidates_.clear();
  }

  void keep(const os::fs::path& path) {
    const os::fs::path place = os::fs::path(lost_directory) / path;
    if (!core_.files.move(path, place)) return;
    if (core_.lost.first.size() < most_told) core_.lost.first.push_back(place);
    ++core_.lost.count;
  }

  Core& core_;
  std::vector<os::fs::path> candidates_;
};

}  // namespace

void sweep_leftovers(Core& core) {
  const os::fs::path mark = core.files.absolute(older_database_mark);
  core.lost.is_database_older = core.world.files.info(mark).has_value();
  Sweep sweep(core);
  core.journal.sweep([&](const os::fs::path& path) { sweep.settle(path); });
  const bool may_miss_names = core.journal.machine_restarted() || core.lost.is_database_older || !core.is_age_known;
  if (may_miss_names) sweep.search();
  if (core.lost.is_database_older) core.world.files.remove(mark);
}

}  // namespace bale::embedded
