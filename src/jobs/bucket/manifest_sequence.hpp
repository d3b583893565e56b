// A list of objects in the place of a listing: S3 Inventory or JSON lines, from a file or from a bucket.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "jobs/bucket/inventory.hpp"
#include "os/files.hpp"
#include "store/listing.hpp"

namespace bale::bucket {

/// Where a manifest is, and what of it is wanted.
struct ManifestRequest {
  std::string
      place;  ///< path or s3:// URI of a CSV file, JSON lines, either with gzip, or an inventory's manifest.json
  std::string schema;  ///< columns of a CSV file; empty: default_inventory_schema, or what manifest.json says
  BucketName bucket;   ///< objects of others are left out
  std::string prefix;  ///< keys that do not begin so are left out
  ByteCount most_memory = 256ULL << 20;  ///< for sorting
  std::stop_token stop = {};
};

/// Returns the objects in bytewise order of their keys. The list is read twice: first to learn whether it is whole and
/// in order, then as a stream; one that is not in order is sorted in memory. Throws Error: invalid with the line for
/// what is no such list, or where it is not in order and too large to be sorted; corrupt where a file is damaged.
/// Borrows files and store.
std::unique_ptr<store::ObjectSequence> open_manifest(os::Files& files, store::ObjectStore& store,
                                                     const ManifestRequest& request);

}  // namespace bale::bucket
