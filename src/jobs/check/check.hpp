// Archives, catalog files and destinations: whether all that should be there is there, and says the same.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/check/finding.hpp"
#include "jobs/check/pairing.hpp"
#include "jobs/check/report.hpp"
#include "os/clock.hpp"

namespace bale::check {

struct Options {
  std::optional<Share> read_data;  ///< content is read and hashed, of this share; absent: none
  bool repair = false;             ///< catalog files that are missing, damaged or wrong are rebuilt from their archives
  bool dryrun = false;             ///< nothing is written, and said what would be
  std::size_t at_once = 16;        ///< archives that are examined at the same time
  ByteCount row_bytes = 64ULL << 20;  ///< memory for rows, beside the budget of Tools
};

/// What a check works with; everything is borrowed.
struct Tools {
  flow::Pools pools;
  flow::MemoryBudget& budget;  ///< for content that is read
  os::Clock& clock;
  std::stop_token stop;
};

/// Examines the archives and catalog files of each place: that each archive has its catalog file and the reverse, in
/// every bucket that the rows name; that sizes, seek tables, trailers and manifests agree; that the rows are those that
/// the archive gives. A place whose buckets may not be listed is a finding, and the others go on. Memory: rows of some
/// archives at a time (Options::row_bytes), and the keys of what waits for its partner (pairing.hpp). Deletes nothing.
/// Throws Error{cancelled}, and what the report's listener throws.
void check_backups(const std::vector<Place>& places, const Options& options, const Tools& tools, Report& report);

/// A normal destination of a rule that has a backup too.
struct Destination {
  store::ObjectStore* store = nullptr;  ///< borrowed
  BucketName bucket;
};

/// A rule whose destinations are compared with its catalog.
struct DestinationRule {
  store::ObjectStore* catalog_store = nullptr;  ///< borrowed; of the backup's region
  BucketName catalog;
  Region source_region;
  BucketName source;
  std::string prefix;  ///< monitored prefix, without trailing '/'
  std::string suffix;
  std::vector<Destination> destinations;
  /// Borrowed; of the source's region. Asked how an object is encrypted whose content is not what the source's ETag
  /// says. Null: nobody is asked, and such an object counts as unknown.
  store::ObjectStore* source_store = nullptr;
};

/// Compares the newest catalog record of each key with the object at each destination: that it is there, has the size,
/// and the content by its ETag or, of Options::read_data, by its SHA-256 and by the MD5 that the source's ETag is,
/// where the source still has the object and says that it is one: what was damaged before it was packed has the right
/// SHA-256. Objects of a later version than the record's, and keys whose newest record is a deletion, are no findings.
/// Memory: Options::row_bytes; a larger catalog is read several times. Throws as check_backups().
void check_destinations(const std::vector<DestinationRule>& rules, const Options& options, const Tools& tools,
                        Report& report);

}  // namespace bale::check
