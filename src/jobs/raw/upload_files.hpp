// Step 2: the files of a raw file go to its bucket, and what is there already is adopted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/raw.hpp"
#include "flow/rate_limit.hpp"
#include "jobs/raw/record.hpp"
#include "jobs/raw/tools.hpp"
#include "store/object_store.hpp"

namespace bale::raw {

/// What an upload asks of its caller. The functions may be called by several threads, one at a time.
struct UploadHooks {
  /// Makes the record durable. Throws Error{precondition} LeaseLost where the lease was lost.
  std::function<void()> save;
  /// Called just before the object of a file is made. What it throws ends the upload: a lost lease, a source that
  /// changed.
  std::function<void(const FileRecord&)> before_object;
  /// Something that a person should know once: a right that is missing, a part size that was raised.
  std::function<void(const std::string&)> remark;
};

/// What an upload did.
struct UploadReport {
  std::size_t uploaded = 0;  ///< files
  std::size_t adopted = 0;   ///< files whose objects were there, with these bytes
  ByteCount sent_bytes = 0, adopted_bytes = 0;
};

/// Codes of the errors of upload_files(), beside those of the service.
inline constexpr const char* copy_changed = "LocalCopyChanged";  ///< the local file is not the recorded one
inline constexpr const char* upload_differs = "UploadDiffers";   ///< the object is not what was sent

/// Uploads the local files of a record, those of fewer than one part four at a time, larger ones one after
/// the other with parts in parallel. An object that has the file's bytes already is adopted: its ETag and part size are
/// recorded, and nothing is sent. An object that has other bytes is replaced (in a versioned bucket its version stays),
/// but not one that was uploaded for another id.
/// An upload id of the record is resumed. After each upload the object is looked at by HEAD and compared.
///
/// The first failure stops the others; uploads that are under way stay to be resumed, and are in the record. `record`
/// has bucket and keys; it is changed file by file and saved when an upload begins, every 10 seconds, and at the end.
/// `limit` may be null. Works with the rights to put and get objects and to abort uploads alone; what is missing is
/// remarked once. Throws Error: precondition with copy_changed, corrupt with upload_differs, and as
/// transfer::upload_file() does. All is borrowed. Call on a thread that is of neither pool.
UploadReport upload_files(RawRecord& record, const config::RawS3& settings, store::ObjectStore& store,
                          const UploadHooks& hooks, flow::RateLimit* limit, const Tools& tools);

}  // namespace bale::raw
