// One archive, all its copies, and what the catalog says of it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/reader.hpp"
#include "catalog/file.hpp"
#include "catalog/record.hpp"
#include "jobs/check/check.hpp"
#include "jobs/check/pairing.hpp"
#include "jobs/check/report.hpp"
#include "jobs/check/rows.hpp"
#include "transfer/byte_io.hpp"

namespace bale::check {

/// Memory that a catalog file takes for each of its bytes: a row as text, as a record of the file, as one of the
/// archive, and the manifest's object.
inline constexpr ByteCount bytes_per_file_byte = 6;

/// Examines one pair, and repairs its catalog files where that was asked for. Used by one thread, which may wait for
/// tasks on the pools. Everything is borrowed.
class PairCheck {
 public:
  PairCheck(const Place& place, const Options& options, const Tools& tools, Report& report, Pair pair);
  ~PairCheck();
  PairCheck(const PairCheck&) = delete;
  PairCheck& operator=(const PairCheck&) = delete;

  /// Findings come in the end, all of them. Throws what concerns the whole command: a stop, and what the listener
  /// throws.
  void run();

 private:
  /// A catalog file, read.
  struct File {
    ObjectAddress address;
    ETag etag;  ///< what a repair replaces
    std::vector<catalog::Record> rows;
    std::optional<catalog::FileDamage> damage;
    bool known = false;        ///< false: it could not be read
    bool replaced = false;     ///< its rows are of an archive with another ETag
    bool needs_write = false;  ///< it is missing, damaged, or not what the archive says
  };
  /// A copy whose end was read.
  struct OpenCopy {
    ObjectAddress address;
    std::unique_ptr<transfer::RandomSource> source;
    std::unique_ptr<archive::Reader> reader;
    bool read_data = false;
    bool read_whole = false;  ///< all of its objects are what was packed
  };

  void read_files();
  void read_file(const CatalogFile& file);
  ObjectKey archive_key_of(const catalog::Record& row);
  void find_copies();
  void refuse(const catalog::Record& row, const BucketName& bucket);
  bool is_listed(const BucketName& bucket) const;
  void look_for_copy(const BucketName& bucket, std::vector<BucketName>& missing);
  void report_missing(const std::vector<BucketName>& named, const std::vector<BucketName>& missing);
  void open_copies();
  void open_copy(const Copy& copy);
  void compare_copies();
  void compare_etags();
  void look_behind_ends();
  bool is_other_content(const Copy& copy, const ETag& other);
  const Copy* copy_in(const BucketName& bucket) const;
  void look_for_file();
  void drop_file_of_another(const std::string& where);
  std::optional<store::ObjectInfo> wait_for_file(const ObjectAddress& file, TimePoint stored);
  void look_for_file_by_name(const std::string& where);
  void compare_rows();
  void compare_file(File& file);
  void read_contents();
  void read_content(OpenCopy& copy);
  void repair();
  void repair_file(const File& file);
  std::string rebuilt_text(const File& file) const;
  void write_file(const File& file, const std::string& text);

  /// The first copy that is whole, or null.
  const OpenCopy* sound_copy() const;
  std::vector<catalog::Record> expected_rows(const std::vector<BucketName>& buckets, TimePoint stored) const;
  std::vector<BucketName> buckets_for_rows() const;
  bool has_places() const;
  std::vector<ObjectAddress> all_objects() const;
  Finding& add(FindingType type, const std::string& where, std::string what, std::vector<ObjectAddress> objects = {});
  /// Runs a step; what fails is a finding, and false returned.
  template <typename Step>
  bool guarded(FindingType damage, const std::string& where, Step step);

  const Place& place_;
  const Options& options_;
  const Tools& tools_;
  Report& report_;
  Pair pair_;
  std::vector<File> files_;
  std::vector<OpenCopy> open_;
  std::map<std::size_t, std::string> more_hashes_;
  std::vector<BucketName> refused_;  ///< buckets that rows name and that may not be read
  std::vector<Finding> findings_;
};

}  // namespace bale::check
