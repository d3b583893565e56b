#include "jobs/raw/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "jobs/raw/pool.hpp"
#include "jobs/raw/source_change.hpp"
#include "os/directory_tree.hpp"
#include "transfer/file_digests.hpp"

namespace bale::raw {
namespace {

/// Whether the files were never copied: their names are those of the instrument.
bool is_in_place(const RawRecord& record) {
  return os::fs::path(record.source_path).parent_path() == os::fs::path(record.pool_path);
}

/// The name of a file in record.pool_path.
const std::string& local_name(const RawRecord& record, const FileRecord& file) {
  return is_in_place(record) && !file.source.empty() ? file.source : file.name;
}

/// The name of an empty folder in record.pool_path. Empty folders are in the folder that is the raw file.
std::string local_folder(const RawRecord& record, const std::string& folder) {
  if (!is_in_place(record)) return folder;
  const std::string main = os::fs::path(record.source_path).filename().native();
  const auto slash = folder.find('/');
  return slash == std::string::npos ? main : main + folder.substr(slash);
}

/// Compares the digests of a file with its record.
Evidence compare_digests(const FileRecord& file, const transfer::FileDigests& digests) {
  const auto result = [&](bool is_same, const char* by) {
    return Evidence{is_same ? Verdict::same : Verdict::differs, by, digests.etag, file.part_bytes, digests};
  };
  if (file.size != digests.size) return result(false, "size");
  if (!file.md5.empty()) return result(file.md5 == to_hex_digest(digests.md5), "md5");
  if (file.crc64nvme) return result(*file.crc64nvme == digests.crc64nvme, "crc64nvme");
  if (!file.etag.empty() && file.part_bytes > 0) return result(file.etag == digests.etag, "etag");
  return {Verdict::unknown, "the record holds no digest of this file", digests.etag, 0, digests};
}

Evidence compare_file(const FileRecord& file, const os::fs::path& path, const Tools& tools) {
  const auto local = tools.world.files.open_if_exists(path);
  if (!local) return {.verdict = Verdict::missing, .by = "the file does not exist"};
  if (local->size() != file.size) return {.verdict = Verdict::differs, .by = "size"};
  const ByteCount part_bytes = file.part_bytes > 0 ? file.part_bytes : file.size + 1;
  return compare_digests(file,
                         transfer::read_digests(*local,
                                                {.part_bytes = part_bytes,
                                                 .moved = [&](ByteCount bytes) { tools.progress.bytes_done += bytes; },
                                                 .stop = tools.world.stop},
                                                tools.pools, tools.budget));
}

Evidence compare_object(const RawRecord& record, const FileRecord& file, store::ObjectStore& store,
                        const Tools& tools) {
  const auto object = store.head({record.bucket, file.key}, {.version_id = {}, .if_match = {}, .with_evidence = true});
  if (!object) return {.verdict = Verdict::missing, .by = "the object does not exist"};
  Evidence evidence = compare_known(known_of(file), *object);
  if (evidence.verdict != Verdict::unknown) return evidence;
  const auto local = tools.world.files.open_if_exists(local_path(record, file));
  return local && local->size() == file.size ? compare_reading(*local, *object, tools) : evidence;
}

FileEvidence look(const RawRecord& record, const FileRecord& file, store::ObjectStore* store, const VerifyScope& scope,
                  const Tools& tools) {
  FileEvidence found{.name = file.name, .key = file.key};
  try {
    if (scope.object && store != nullptr) found.object = compare_object(record, file, *store, tools);
    if (scope.local) found.local = compare_file(file, local_path(record, file), tools);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    found.failure = error;
  }
  ++tools.progress.items_done;
  return found;
}

/// What was found, as the end of a sentence.
std::string describe(const Evidence& evidence) {
  switch (evidence.verdict) {
    case Verdict::same: return "is the recorded one";
    case Verdict::differs: return fmt::format("differs from its record ({})", evidence.by);
    case Verdict::missing: return "is missing";
    case Verdict::unknown: break;
  }
  return fmt::format("could not be compared ({})", evidence.by);
}

void add_reasons(const Verification& verification, std::vector<std::string>& reasons) {
  for (const FileEvidence& file : verification.files) {
    const std::string name = escape_name(file.name);
    if (file.failure) reasons.push_back(fmt::format("{}: {}", name, file.failure->what()));
    if (file.object && file.object->verdict != Verdict::same)
      reasons.push_back(fmt::format("{}: the object {}", name, describe(*file.object)));
    if (file.local && file.local->verdict != Verdict::same)
      reasons.push_back(fmt::format("{}: the local file {}", name, describe(*file.local)));
  }
}

/// Whether the instrument still has the files, with the recorded bytes.
void check_instrument(const RawRecord& record, const Tools& tools, std::vector<std::string>& reasons) {
  for (const FileRecord& file : record.files) {
    const os::fs::path path =
        os::fs::path(record.source_path).parent_path() / (file.source.empty() ? file.name : file.source);
    const auto source = tools.world.files.info_followed(path);
    const auto copy = tools.world.files.info_followed(local_path(record, file));
    if (source && copy && source->device == copy->device && source->inode == copy->inode) {
      reasons.push_back(escape_name(file.name) + ": the path on the instrument leads to the local copy itself");
      continue;
    }
    const Evidence evidence = compare_file(file, path, tools);
    if (evidence.verdict != Verdict::same)
      reasons.push_back(fmt::format("{}: the instrument's file {}", escape_name(file.name), describe(evidence)));
  }
}

/// Tells the files whose deletion would reach out of the pool.
void check_inside_pool(const RawRecord& record, const os::fs::path& pool, os::Files& files,
                       std::vector<std::string>& reasons) {
  if (!pool.empty() && files.info_followed(pool) && files.info_followed(record.pool_path)) {
    const os::fs::path below = files.resolve(record.pool_path).lexically_relative(files.resolve(pool));
    if (below.empty() || *below.begin() == "..")
      reasons.push_back(escape_name(record.pool_path) + " leads out of the pool");
  }
  os::DirectoryTree tree(files, os::fs::path(record.pool_path), os::Durability::each_file);
  for (const FileRecord& file : record.files) {
    try {
      const auto info = tree.info(local_name(record, file));  // refuses symbolic links on the way
      if (info && info->type != os::FileType::regular)
        reasons.push_back(escape_name(file.name) + " is no regular file");
    } catch (const Error& error) {
      reasons.push_back(fmt::format("{}: {}", escape_name(file.name), error.what()));
    }
  }
}

/// Deletes the files, then the folders that they leave empty.
void remove_files(const RawRecord& record, os::Files& files, PurgeResult& result) {
  const os::fs::path pool = record.pool_path;
  std::set<os::fs::path, std::greater<>> folders;  // the deepest first
  for (const FileRecord& file : record.files) {
    const os::fs::path name = local_name(record, file);
    if (!files.remove(pool / name)) continue;
    ++result.files;
    result.bytes += file.size;
    for (os::fs::path folder = name.parent_path(); !folder.empty(); folder = folder.parent_path())
      folders.insert(folder);
  }
  for (const std::string& empty : record.empty_folders)
    for (os::fs::path folder = local_folder(record, empty); !folder.empty(); folder = folder.parent_path())
      folders.insert(folder);
  for (const os::fs::path& folder : folders) files.remove(pool / folder);
  if (files.info(pool)) files.sync_directory(pool);
}

}  // namespace

os::fs::path local_path(const RawRecord& record, const FileRecord& file) {
  return os::fs::path(record.pool_path) / local_name(record, file);
}

KnownFile known_of(const FileRecord& file) {
  return {.size = file.size,
          .md5 = read_md5(file.md5),
          .etag = file.etag,
          .part_bytes = file.part_bytes,
          .crc64nvme = file.crc64nvme,
          .is_etag_of_object = file.state == FileState::uploaded};
}

bool Verification::is_proven() const noexcept {
  return std::all_of(files.begin(), files.end(), [](const FileEvidence& file) {
    return !file.failure && (file.object || file.local) && (!file.object || file.object->verdict == Verdict::same) &&
           (!file.local || file.local->verdict == Verdict::same);
  });
}

Verification verify(const RawRecord& record, store::ObjectStore* store, const VerifyScope& scope, const Tools& tools) {
  Verification verification;
  for (const FileRecord& file : record.files) {
    if (tools.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    verification.files.push_back(look(record, file, store, scope, tools));
  }
  return verification;
}

PurgeResult purge_local(const RawRecord& record, const config::RawConfig& settings, store::ObjectStore* store,
                        bool dryrun, const Tools& tools, const std::function<void()>& before_removal) {
  PurgeResult result;
  const bool by_bucket = settings.purging_verification == config::PurgingVerification::s3;
  if (by_bucket && record.backup_status != BackupStatus::done) result.reasons.emplace_back("backup_status is not DONE");
  if (by_bucket && store == nullptr) result.reasons.emplace_back("the configuration has no section backup.s3");
  if (!by_bucket && !record.copy.ended) result.reasons.emplace_back("the local copy is incomplete");
  if (settings.purging_verification == config::PurgingVerification::local &&
      settings.backup_type == config::BackupType::s3)
    result.reasons.emplace_back("purging_verification_type local is not allowed with backup_type s3");
  if (record.files.empty()) result.reasons.emplace_back("the record names no file");
  if (record.purged) result.reasons.emplace_back("the local copy was already deleted");
  // Files that were in the pool already are local copies, whoever made them.
  if (is_in_place(record) && !is_in_pool(tools.world.files, settings.pool_path, record.pool_path))
    result.reasons.emplace_back("no local copy: the recorded path is the instrument's own");
  if (!result.reasons.empty()) return result;

  check_inside_pool(record, settings.pool_path, tools.world.files, result.reasons);
  if (!result.reasons.empty()) return result;
  std::map<std::string, os::FileInfo> before;
  for (const FileRecord& file : record.files) {
    const auto info = tools.world.files.info(local_path(record, file));
    if (info) before[file.name] = *info;
  }
  result.verification = verify(record, store, {.object = by_bucket, .local = true}, tools);
  add_reasons(result.verification, result.reasons);
  if (!by_bucket && result.reasons.empty()) check_instrument(record, tools, result.reasons);
  for (const FileRecord& file : record.files) {
    const bool is_same =
        before.contains(file.name) &&
        compare(before.at(file.name), tools.world.files.info(local_path(record, file))) == Change::none;
    if (!is_same) result.reasons.push_back(escape_name(file.name) + ": the local file changed while it was verified");
  }
  if (!result.reasons.empty() || dryrun) return result;
  before_removal();
  remove_files(record, tools.world.files, result);
  return result;
}

}  // namespace bale::raw
