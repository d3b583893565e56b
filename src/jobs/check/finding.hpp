// What a check of backups finds. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.hpp"

namespace bale::check {

/// What is wrong, or could not be looked at. docs/check.md has a line for each.
enum class FindingType {
  missing_bucket,            ///< a bucket that must hold archives or catalog files does not exist
  missing_archive,           ///< a catalog file, but no copy of its archive
  missing_copy,              ///< one of the buckets that the rows name does not have the archive
  missing_catalog_file,      ///< an archive, but no catalog file
  damaged_catalog_file,      ///< a catalog file that does not hold all rows that were written into it
  missing_row,               ///< an object of the archive without a row
  surplus_row,               ///< a row without an object in the archive
  different_row,             ///< a row that says something else than the archive
  refused_bucket,            ///< rows that name a bucket which may not be read, or an archive of another source
  damaged_archive,           ///< sizes, seek table, trailer or manifest do not agree
  replaced_archive,          ///< other bytes than those that landed, though all may be readable
  copies_differ,             ///< two copies of one archive are not the same
  damaged_object,            ///< the content of an object is not what was packed
  missing_at_destination,    ///< a normal destination does not have an object
  different_at_destination,  ///< a normal destination has other content, or an older version
  unexamined,                ///< the store refused, or did not answer: nothing is known
  not_readable,              ///< archived (GLACIER, DEEP_ARCHIVE): to be asked for before it can be read
  unnamed_copy,              ///< a copy of an archive that its rows do not name, so that no restore uses it
  bytes_behind_archive,      ///< bytes behind the end of an archive, which is readable all the same
};

/// Stable name of a type: "missing-archive".
std::string_view to_string(FindingType type) noexcept;

enum class Severity {
  damage,      ///< something is lost, damaged, or says something wrong
  unexamined,  ///< nobody knows
  notice,      ///< worth knowing, and no failure
};
Severity severity_of(FindingType type) noexcept;
/// "damage", "unexamined", "notice".
std::string_view to_string(Severity severity) noexcept;

/// What a person does about findings of this type; empty where the finding itself says it.
std::string_view hint_of(FindingType type) noexcept;

/// Whether `--repair-catalog` did something about a finding.
enum class Repair { none, would, done };

struct Finding {
  FindingType type = FindingType::unexamined;
  std::string where;                   ///< URI of the archive, catalog file, destination object or bucket
  ObjectKey archive;                   ///< the archive that it is about; empty where it is about none
  std::vector<ObjectAddress> objects;  ///< the source objects that it touches; empty where they are not known
  std::string what;                    ///< for people, without the place
  std::string hint;                    ///< what to do next
  Repair repair = Repair::none;
};

/// One of `of` shares of a whole: together the shares cover everything, each item is in exactly one of them, always in
/// the same one.
struct Share {
  std::uint32_t number = 1;  ///< from 1
  std::uint32_t of = 1;
  /// Decided by XXH64 of the key's bytes.
  bool holds(std::string_view key) const noexcept;
};

/// Reads "2/7". Throws Error{invalid} unless 1 <= n <= t <= 1,000,000.
Share parse_share(std::string_view text);

}  // namespace bale::check
