#include "embedded/sweep.hpp"

#include "base/error.hpp"

namespace bale::embedded {
namespace {

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

bool has_row(Database& database, const DataFileName& name) {
  return database
      .query(
          "SELECT 1 FROM versions JOIN buckets ON buckets.id = versions.bucket "
          "WHERE buckets.name = ? AND versions.key = ? AND versions.file = ?",
          name.bucket.str(), Blob{name.located.key.str()}, name.located.file.str())
      .step();
}

/// Removes the file unless a row names it. Only called when nobody can be about to commit that row.
void remove_unless_named(Core& core, const os::fs::path& path) {
  const auto name = parse_data_file_name(path);
  if (!name || has_row(*core.readers.borrow(), *name)) return;
  core.files.remove(path);
}

void sweep_directory(Core& core, const os::fs::path& relative) {
  std::vector<os::DirectoryEntry> entries;
  try {
    entries = core.world.files.list(core.files.absolute(relative));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return;  // removed as empty by another process
    throw;
  }
  for (const os::DirectoryEntry& entry : entries) {
    const os::fs::path path = relative / entry.name;
    if (entry.type == os::FileType::directory) {
      sweep_directory(core, path);
    } else if (const auto name = parse_data_file_name(path)) {
      // In this order: a process that dies or commits between the two questions leaves the file to the next sweep.
      if (!has_row(*core.readers.borrow(), *name) && !core.journal.is_made_by_living_process(name->located.file))
        remove_unless_named(core, path);
    }
  }
}

/// A directory of parts is made after the row of its upload, and removed after it.
void sweep_uploads(Core& core) {
  if (!core.world.files.info(core.files.absolute("uploads"))) return;
  for (const os::DirectoryEntry& entry : core.world.files.list(core.files.absolute("uploads"))) {
    const bool known = core.readers.borrow()->query("SELECT 1 FROM uploads WHERE id = ?", entry.name).step();
    if (!known) core.files.remove_tree(upload_directory(UploadId(entry.name)));
  }
}

}  // namespace

void sweep_leftovers(Core& core) {
  const std::size_t journals = core.journal.sweep([&](const os::fs::path& path) { remove_unless_named(core, path); });
  if (core.journal.machine_restarted()) sweep_directory(core, "s3");
  if (journals > 0) sweep_uploads(core);
}

}  // namespace bale::embedded
