// Where the objects of a source bucket go: what the configuration says, or a table that is looked at now and then.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "archive/manifest.hpp"
#include "base/mutex.hpp"
#include "config/replication.hpp"
#include "os/clock.hpp"
#include "records/record_store.hpp"

namespace bale::service {

/// Thread-safe.
class TargetDirectory {
 public:
  virtual ~TargetDirectory() = default;
  /// At least one target. Throws Error{not_found} for a bucket that has none, and what the table answers: then nothing
  /// of the bucket can be packed now.
  virtual std::vector<archive::Target> targets_of(const BucketName& bucket) = 0;
};

/// The destinations of a rule, the same for every bucket.
class RuleTargets final : public TargetDirectory {
 public:
  explicit RuleTargets(const config::Rule& rule);
  std::vector<archive::Target> targets_of(const BucketName&) override { return targets_; }

 private:
  std::vector<archive::Target> targets_;
};

/// The table of S3 Cross-Region Compressor: items with the key ParameterName, "/{stack}/{bucket}/{prefix}" or
/// "/{stack}/{bucket}", and the list Destinations of maps {region, bucket, kms_key_arn, storage_class, backup}. The
/// item of the prefix counts, else that of the bucket. Remembered for five minutes. Records and clock are borrowed.
class TableTargets final : public TargetDirectory {
 public:
  TableTargets(records::RecordStore& records, TableName table, std::string stack, std::string prefix, os::Clock& clock);
  std::vector<archive::Target> targets_of(const BucketName& bucket) override;

 private:
  struct Remembered {
    std::vector<archive::Target> targets;
    std::chrono::steady_clock::time_point since;
  };
  std::vector<archive::Target> look_up(const BucketName& bucket);

  records::RecordStore& records_;
  const TableName table_;
  const std::string stack_, prefix_;
  os::Clock& clock_;
  Mutex mutex_;
  std::map<BucketName, Remembered> remembered_ BALE_GUARDED_BY(mutex_);
};

/// Of an item of that table. An empty string is the same as an absent member. Throws Error{invalid} naming `name` and
/// what is wrong with it. Pure.
std::vector<archive::Target> parse_destinations(const records::Item& item, const std::string& name);

}  // namespace bale::service
