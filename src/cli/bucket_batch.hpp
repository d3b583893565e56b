// Manifests and jobs of S3 Batch Operations in the place of a restore.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/hash.hpp"
#include "cli/bucket_restore.hpp"
#include "jobs/bucket/batch_job.hpp"
#include "jobs/bucket/restore.hpp"
#include "os/files.hpp"

namespace bale::cli {

/// The files of --emit-batch-job: manifests that grow as objects are told, and the jobs. Nothing appears under its name
/// before finish(). Not thread-safe. Borrows the context.
class BatchJobFiles {
 public:
  /// Throws Error{invalid} for options that S3 Batch Operations cannot follow, and as os::Files does.
  BatchJobFiles(Context& context, const BucketRestoreOptions& options, const BucketOptions& where);
  /// Takes what a dry run of the restore tells.
  void take(const bucket::RestoredObject& object);
  /// Writes the files, and says what to run.
  void finish();

 private:
  enum Kind { restore_archives, restore_tiering, copies, kinds };
  struct Manifest {
    std::unique_ptr<os::AtomicFile> file;
    Md5 md5;
    std::uint64_t objects = 0;
    std::string pending;
  };
  void add(Kind kind, const bucket::RestoredObject& object);
  void write_pending(Manifest& manifest);
  void finish(Kind kind, Manifest& manifest);
  std::string job_of(Kind kind, const bucket::BatchManifest& manifest) const;

  Context& context_;
  const BucketRestoreOptions& options_;
  const bool has_versions_;
  ObjectAddress location_;
  bucket::BatchOwner owner_;
  BucketName to_;
  std::string key_prefix_;  ///< before the keys of the copies
  const os::fs::path directory_;
  std::array<Manifest, kinds> manifests_;
  std::uint64_t too_large_ = 0;
};

}  // namespace bale::cli
