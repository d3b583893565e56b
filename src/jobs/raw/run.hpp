// The backup of one raw file from its record: local copy, upload, and what becomes of a failure.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/raw.hpp"
#include "flow/rate_limit.hpp"
#include "jobs/raw/local_copy.hpp"
#include "jobs/raw/record.hpp"
#include "jobs/raw/tools.hpp"
#include "jobs/raw/upload_files.hpp"
#include "jobs/raw/verify.hpp"
#include "records/lease.hpp"
#include "store/bucket_settings.hpp"
#include "store/object_store.hpp"

namespace bale::raw {

/// What a run works with. Borrowed: the members outlive it.
struct RunPorts {
  RawRecords& records;
  records::RecordStore& record_store;
  /// The store of the configuration's region, and the settings of its buckets. Null where there is no section s3.
  store::ObjectStore* store = nullptr;
  store::BucketSettings* settings = nullptr;
  bool is_aws = true;  ///< the store is AWS's own, not a server of another make
  records::LeaseHolder self;
  records::HasEnded has_ended;
  flow::RateLimit* limit = nullptr;  ///< of bytes sent; may be null
  /// Returns `store` with requests that are not tried again after a stop; empty, or null: `store` itself is used.
  std::function<std::unique_ptr<store::ObjectStore>(std::stop_token)> stoppable_store = {};
  /// Directory in which the processes of this host share RawS3::max_uploads; empty: they do not.
  os::fs::path upload_slots = {};
};

/// What `raw backup` is asked for.
struct BackupRequest {
  std::string id;
  os::fs::path main_path;
  std::vector<os::fs::path> other_paths;
  std::string project, instrument;
  std::optional<Milliseconds> settle;  ///< how long the acquisition must have been at rest; absent: not waited for
  bool copy_only = false;              ///< step 1 alone, whatever backup_type is
  bool create_pool = false;            ///< makes the pool where it is missing, whatever the records say
  /// The layout of keys, where it is not that of the configuration. Refused for a raw file that is uploaded with
  /// another: its keys stay.
  std::optional<config::KeyLayout> key_layout = {};
  std::optional<RawRecord> known = {};  ///< what another program's record says, for an id that has no record yet
  std::function<void(Milliseconds)> waits = {};
};

/// What a run did.
struct RunResult {
  RawRecord record;
  std::vector<CopiedFile> copied;      ///< step 1; empty where it was not done
  std::optional<UploadReport> upload;  ///< step 2
};

/// What purge() did.
struct Purged {
  RawRecord record;
  PurgeResult result;
};

/// Runs the steps of raw files. Thread-safe for different ids.
///
/// Each run holds the lease of its record, and every write of the record is conditional on it. A failure is written
/// into the record (FAILED, with its reason) and thrown; a lease that is held by somebody else, or was lost, changes
/// nothing. An upload that fails leaves what is local alone, and stays to be resumed. A failure that may pass is tried
/// again RawS3::retries times, RawS3::retry_delay apart, until RawS3::timeout is over.
class RawRun {
 public:
  /// Borrows all. `remark` tells what a person should know.
  RawRun(const config::RawConfig& config, const RunPorts& ports, const Tools& tools,
         std::function<void(const std::string&)> remark)
      : config_(config), ports_(ports), tools_(tools), remark_(std::move(remark)) {}

  /// Steps 1 and 2 (step 2 where backup_type is s3 and not copy_only).
  RunResult backup(const BackupRequest& request);
  /// Step 2 of an id that has a record. Throws Error{not_found} where it has none; Error{invalid} where backup_type is
  /// not s3.
  RunResult upload(const std::string& id);
  /// Aborts the uploads of an id, and removes every part of them. Returns how many there were. Uploads of others under
  /// the same keys stay: an upload is aborted only where the record names it.
  std::size_t abort(const std::string& id);

  /// Deletes the local copy as purge_local() does, holding the lease, and records when. Throws Error{not_found} for an
  /// id that has no record.
  Purged purge(const std::string& id, bool dryrun);

  /// Describes what backup() would do, without an effect: the plan of files and keys, and the bucket.
  RawRecord plan(const BackupRequest& request);

 private:
  struct Held;
  RawRecord planned(const BackupRequest& request, std::optional<RawRecord> known);
  bool is_copy(const os::fs::path& directory) const;
  config::KeyLayout layout_for(const RawRecord& record, const BackupRequest& request) const;
  void claim(const RawRecord& record, bool pool, bool key);
  void check_source_of(const RawRecord& record, const FileRecord& file, const std::vector<CopiedFile>& copied);
  void abort_replaced(const RawRecord& before, const RawRecord& now);
  void remove_copies(const RawRecord& record, const std::vector<CopiedFile>& copied);
  void give_up_uploads(Held& held, const Error& reason);
  std::unique_ptr<records::Lease> acquire(const std::string& id);
  bool is_refused_for_acls(const Error& error, const BucketName& bucket);
  void copy(Held& held, RunResult& result);
  void upload(Held& held, RunResult& result, const std::function<void(const FileRecord&)>& check_source);
  UploadReport upload_with_retries(Held& held, const std::function<void(const FileRecord&)>& check_source);
  /// Whether a failure is written into the record as that of its backup.
  enum class OnFailure { record, leave };
  template <typename Steps>
  RunResult hold(const std::string& id, OnFailure on_failure, Steps steps);
  const config::RawS3& s3() const;

  const config::RawConfig& config_;
  const RunPorts ports_;
  const Tools& tools_;
  const std::function<void(const std::string&)> remark_;
};

/// Returns the exit status that tells a pipeline what to do after a failure: 75 (EX_TEMPFAIL) where the same run may
/// succeed later, 4 where a lease or a right is in the way, 3 where the source is gone, 130 after an interruption, 1
/// for everything that stays as it is. Pure.
int exit_status_of(const Error& error) noexcept;

}  // namespace bale::raw
