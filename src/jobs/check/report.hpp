// Where the parts of a check leave what they find.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/mutex.hpp"
#include "flow/progress.hpp"
#include "jobs/check/finding.hpp"

namespace bale::check {

/// What was looked at, and how it went.
struct Counts {
  std::uint64_t archives = 0;   ///< distinct keys
  std::uint64_t copies = 0;     ///< of these archives, in all buckets
  ByteCount archive_bytes = 0;  ///< of all copies
  std::uint64_t catalog_files = 0, rows = 0;
  std::uint64_t opened = 0;               ///< copies whose end, seek table and manifest were read
  std::uint64_t without_places = 0;       ///< copies that were not opened: without random access, and nothing to read
  std::uint64_t not_readable = 0;         ///< copies and destination objects in an archive class
  std::uint64_t unknown_files = 0;        ///< neither archives nor catalog files, in the buckets of both
  std::uint64_t left_out = 0;             ///< copies and catalog files that are older than what was asked for
  std::uint64_t objects_read = 0;         ///< of archives, content hashed
  ByteCount bytes_read = 0;               ///< content of these
  std::uint64_t not_verifiable = 0;       ///< of the objects read: no SHA-256 anywhere
  std::uint64_t files_written = 0;        ///< catalog files that were rebuilt, or with a dry run would be
  std::uint64_t destination_objects = 0;  ///< that were compared with the catalog
  std::uint64_t destination_newer = 0;    ///< of these: a later version than the catalog's newest is there
  std::uint64_t destination_read = 0;     ///< of these: content hashed
  std::uint64_t destination_unknown = 0;  ///< of these: same size, but nothing tells the content without reading it
  std::uint64_t damage = 0, unexamined = 0, notices = 0, repaired = 0;  ///< findings; the repaired are not damage
};

/// Collects counts and hands findings on. Thread-safe.
class Report {
 public:
  /// `listener` is told of each finding, one call at a time, on any thread; what it throws ends the check. `progress`
  /// is borrowed.
  Report(std::function<void(const Finding&)> listener, flow::Progress& progress)
      : listener_(std::move(listener)), progress_(progress) {}

  void add(const Finding& finding) {
    const Lock lock(mutex_);
    if (finding.repair == Repair::done)
      ++counts_.repaired;
    else if (severity_of(finding.type) == Severity::damage)
      ++counts_.damage;
    else
      ++(severity_of(finding.type) == Severity::unexamined ? counts_.unexamined : counts_.notices);
    if (severity_of(finding.type) != Severity::notice) ++progress_.items_failed;
    listener_(finding);
  }
  /// Calls `change` with the counts, under the lock.
  template <typename Change>
  void count(Change change) {
    const Lock lock(mutex_);
    change(counts_);
  }
  Counts counts() const {
    const Lock lock(mutex_);
    return counts_;
  }
  flow::Progress& progress() noexcept { return progress_; }

 private:
  const std::function<void(const Finding&)> listener_;
  flow::Progress& progress_;
  mutable Mutex mutex_;
  Counts counts_ BALE_GUARDED_BY(mutex_);
};

/// The finding that says that a step failed: `damage` for damaged bytes, not_readable for what is archived, else
/// unexamined. Throws the error again where it concerns the whole command: cancelled, and defects of Bale.
Finding finding_of(const Error& error, FindingType damage, const std::string& where);

}  // namespace bale::check
