// Objects of storage classes that cannot be read at once: what can be read, what has to be requested, what that costs.
// Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "store/object_store.hpp"

namespace bale::bucket {

/// Whether the bytes of an object can be read.
enum class Readiness {
  readable,  ///< at once
  coming,    ///< a restore is in progress
  archived,  ///< a restore has to be requested
  unknown,   ///< only a HEAD tells
};

/// Returns what a listing tells. The storage class of a restored object stays what it was: the restore status decides.
/// Objects in INTELLIGENT_TIERING are unknown: a listing never tells their archive tier. `tells_restores`: a listing of
/// this store that has no status for an object means that no restore was requested, or that its copy has expired.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html
Readiness readiness_of(const store::ListedObject& object, bool tells_restores, TimePoint now);

/// Returns what a HEAD tells: never `unknown`. A restored copy whose expiry has passed counts as archived.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
Readiness readiness_of(const store::ObjectInfo& info, TimePoint now);

/// How fast an archived object is restored, by S3's names: Standard, Bulk, Expedited.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
enum class Tier { standard, bulk, expedited };
/// "Standard", "Bulk", "Expedited".
const std::string& to_string(Tier tier);
/// Reads these names, in any case. Throws Error{invalid}.
Tier parse_tier(std::string_view name);

/// Where archived objects lie, as far as price and time of a restore depend on it.
enum class Archive {
  glacier,              ///< GLACIER: S3 Glacier Flexible Retrieval
  deep_archive,         ///< DEEP_ARCHIVE
  tiering_access,       ///< INTELLIGENT_TIERING, ARCHIVE_ACCESS
  tiering_deep_access,  ///< INTELLIGENT_TIERING, DEEP_ARCHIVE_ACCESS
};
inline constexpr std::size_t archive_count = 4;

/// Returns where an object lies by its storage class, and by its archive status, which a HEAD tells and which may be
/// empty. Absent for classes that are read at once, and for INTELLIGENT_TIERING without an archive status.
std::optional<Archive> archive_of(std::string_view storage_class, std::string_view archive_status);
/// "GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING (ARCHIVE_ACCESS)", ...
std::string_view name_of(Archive archive) noexcept;

/// Returns the days that a restore request names: 0, which means none, for the tiers of INTELLIGENT_TIERING.
int days_for(Archive archive, int days) noexcept;

/// Whether the archive has the tier: DEEP_ARCHIVE and its like have no Expedited.
bool has_tier(Archive archive, Tier tier) noexcept;

/// Returns how long S3 usually takes at most. Precondition: has_tier(archive, tier).
std::chrono::minutes longest_wait(Archive archive, Tier tier) noexcept;
/// The same for a person: "3 to 5 hours".
std::string_view usual_wait(Archive archive, Tier tier);

/// Dollars of one restore: the request, the bytes retrieved, and the readable copy in STANDARD for `days`. List prices
/// of us-east-1, which other regions exceed by up to a half. https://aws.amazon.com/s3/pricing/ (January 2025)
double restore_dollars(Archive archive, Tier tier, ByteCount bytes, int days) noexcept;

/// Dollars of one copy within a region: the requests, and the bytes retrieved from an infrequent access class.
double copy_dollars(std::string_view from_class, std::string_view to_class, ByteCount bytes) noexcept;

/// How much lies where, and what its restore costs.
class RestoreEstimate {
 public:
  struct Line {
    std::uint64_t objects = 0;
    ByteCount bytes = 0;
    double dollars = 0;
  };
  /// `days` as --days gives it.
  RestoreEstimate(Tier tier, int days) : tier_(tier), days_(days) {}
  /// Adds an object. Expedited is counted as Standard where the archive does not have it.
  void add(Archive archive, ByteCount bytes);
  const Line& of(Archive archive) const noexcept { return lines_[static_cast<std::size_t>(archive)]; }
  std::uint64_t objects() const noexcept;
  ByteCount bytes() const noexcept;
  double dollars() const noexcept;
  /// The longest usual wait of what was added; 0 without objects.
  std::chrono::minutes wait() const noexcept;
  Tier tier() const noexcept { return tier_; }

 private:
  Tier tier_;
  int days_;
  std::array<Line, archive_count> lines_{};
};

}  // namespace bale::bucket
