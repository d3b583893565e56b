// Brings a raw file back from its bucket.
#pragma once

#include <string>
#include <vector>

#include "jobs/raw/record.hpp"
#include "jobs/raw/tools.hpp"
#include "store/object_store.hpp"

namespace bale::raw {

/// What was brought back.
struct FetchResult {
  std::size_t restored = 0;      ///< files that were written
  std::size_t same = 0;          ///< files that were there, with these bytes
  ByteCount received_bytes = 0;  ///< in this run
  ByteCount kept_bytes = 0;      ///< of ranges that an earlier run had received
  bool is_proven = true;         ///< false: for a file neither record nor bucket has a digest; its size is right
};

/// Brings the files of a raw file back into `directory`, which is made where missing, with their modification times,
/// and makes the empty folders. All names appear together at the end: until then the files are in
/// ".bale-raw-ID.partial", where an interrupted run leaves what it received, and the next run goes on. Each file is
/// received in parts, in parallel, on the condition that the object is the recorded one, and compared with the digests
/// of record and bucket. No version is named: the right to read objects (s3:GetObject) suffices.
///
/// A file that is there with the recorded bytes stays; another file that has the name is Error{precondition}: nothing
/// is replaced. Throws Error: corrupt where bytes are not the recorded ones (what was received is then removed), denied
/// InvalidObjectState for an archived object, not_found, cancelled. Memory: as transfer::download_file(). All is
/// borrowed. Call on a thread that is of neither pool.
FetchResult fetch(const RawRecord& record, store::ObjectStore& store, const os::fs::path& directory,
                  const Tools& tools);

}  // namespace bale::raw
