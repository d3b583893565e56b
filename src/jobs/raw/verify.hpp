// Evidence for the files of a raw file: the record against the bucket, and against the local copy. And the deletion of
// local copies that are proven to be elsewhere.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/raw.hpp"
#include "jobs/raw/evidence.hpp"
#include "jobs/raw/record.hpp"
#include "jobs/raw/tools.hpp"
#include "store/object_store.hpp"

namespace bale::raw {

/// Returns where the local file of a record is: in the pool under its own name, or, where it was never copied, beside
/// the main path under the instrument's name. Pure.
os::fs::path local_path(const RawRecord& record, const FileRecord& file);

/// Returns what a record knows of a file, to be compared with its object. Pure.
KnownFile known_of(const FileRecord& file);

/// What was found of one file.
struct FileEvidence {
  std::string name;
  ObjectKey key;
  std::optional<Evidence> object;  ///< record against bucket; absent: not looked at
  std::optional<Evidence> local;   ///< record against the file in the pool; absent: not looked at
  std::optional<Error> failure;    ///< why something could not be looked at
};

/// What was found of a raw file.
struct Verification {
  std::vector<FileEvidence> files;
  /// Whether something was looked at of each file, and all of that is there and the same.
  bool is_proven() const noexcept;
};

struct VerifyScope {
  bool object = true;  ///< one HEAD a file; the local file is read where the record cannot tell
  bool local = true;   ///< the local file is read once and hashed; one that is missing is Verdict::missing
};

/// Compares every file of a record with its object and its local copy. A failure of one file is in its evidence. Throws
/// Error{cancelled} after a stop. All is borrowed.
Verification verify(const RawRecord& record, store::ObjectStore* store, const VerifyScope& scope, const Tools& tools);

/// Why the local copy of a raw file stays; empty where it was deleted.
struct PurgeResult {
  std::vector<std::string> reasons;
  std::size_t files = 0;  ///< deleted
  ByteCount bytes = 0;
  Verification verification;
};

/// Deletes the local copy of a raw file, as a whole, where `settings` says that it is proven safe:
///  - PurgingVerification::s3: the record is DONE, and every object and every local file is the recorded one;
///  - local and force_local: the record's copy is complete, every local file is the recorded one, and the instrument
///  still
///    has the file with the recorded size and MD5. `local` refuses where backup_type is s3.
/// Files that were in the pool already when they were backed up are local copies too; files that were uploaded from
/// another directory are not. A symbolic link on the way from the pool to a file is a doubt, too: nothing outside of
/// the pool is deleted. Any doubt about one file keeps all of them. Right before the deletion each file is looked at
/// once more, and `before_removal` is called: what it throws keeps the files. With `dryrun` nothing is deleted. The
/// record is not changed: its caller saves `purged`.
PurgeResult purge_local(const RawRecord& record, const config::RawConfig& settings, store::ObjectStore* store,
                        bool dryrun, const Tools& tools, const std::function<void()>& before_removal);

}  // namespace bale::raw
