#include "jobs/raw/pool.hpp"

#include <optional>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::raw {
namespace {

bool is_below(const os::fs::path& path, const os::fs::path& pool) {
  const os::fs::path below = path.lexically_relative(pool);
  return !below.empty() && *below.begin() != "..";
}

/// The id of a raw file whose record names a copy in the pool; absent where there is none.
std::optional<std::string> owner_of_a_copy(const os::fs::path& pool, RawRecords& records) {
  std::optional<std::string> owner;
  records.for_each(
      [&](const StoredRecord& stored) {
        const RawRecord& record = stored.record;
        const bool is_copied = record.copy.ended && !record.purged && !record.files.empty();
        if (is_copied && is_below(record.pool_path, pool)) owner = record.id;
      },
      [](const std::string&, const Error&) {});
  return owner;
}

}  // namespace

bool is_in_pool(os::Files& files, const os::fs::path& pool, const os::fs::path& path) {
  if (pool.empty()) return false;
  const auto real = [&](const os::fs::path& each) {
    return files.info_followed(each) ? files.resolve(each) : each.lexically_normal();
  };
  return is_below(real(path), real(pool));
}

void require_pool(os::Files& files, const os::fs::path& pool, RawRecords& records, bool create) {
  const auto found = files.info_followed(pool);
  if (found && found->type != os::FileType::directory)
    throw Error(ErrorKind::precondition, "the pool is no directory", escape_name(pool.native()),
                "set backup.pool_path to a directory")
        .with_code(pool_is_missing);
  if (create || (found && !files.list(pool).empty())) {
    if (!found) files.make_directories(pool);
    return;
  }
  if (const auto owner = owner_of_a_copy(pool, records)) {
    throw Error(ErrorKind::unavailable,
                std::string(found ? "the pool is empty" : "the pool is missing") + ", and the record of " +
                    escape_name(*owner) + " names a local copy in it",
                escape_name(pool.native()),
                "mount the disk of the pool; if the copies are gone for good, run the backup with --create-pool")
        .with_code(pool_is_missing);
  }
  if (found) return;
  if (!files.info_followed(pool.parent_path()))
    throw Error(ErrorKind::precondition, "the pool is missing, and so is the directory that it should be in",
                escape_name(pool.native()), "mount the disk of the pool, or run the backup with --create-pool")
        .with_code(pool_is_missing);
  files.make_directories(pool);
}

}  // namespace bale::raw
