// Names in the pool and keys in the bucket belong to one raw file each.
#pragma once

#include "jobs/raw/record.hpp"
#include "records/record_store.hpp"

namespace bale::raw {

/// Codes of the errors of claim_names(): another raw file has the key or the name in the pool.
inline constexpr const char* key_of_other_record = "KeyOfOtherRecord";
inline constexpr const char* name_of_other_record = "NameOfOtherRecord";

/// What is claimed.
struct Claims {
  bool pool = true;  ///< the local files in record.pool_path: each, or the folder that all are in
  bool key = true;   ///< record.s3_backup_key in record.bucket
};

/// Claims the names of a raw file for its id, in the table of records: ids such as "x" and "x.raw" may give the same
/// names, and a copy or object that two records share would be deleted or replaced for one of them. A claim stays; one
/// whose raw file has no record is taken over. To be called with the lease of the record, before a file or object is
/// made. Throws Error{precondition} with a code above that names the other raw file; errors of the store. Borrows all.
void claim_names(records::RecordStore& store, RawRecords& records, const RawRecord& record, const Claims& claims);

}  // namespace bale::raw
