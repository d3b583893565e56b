#include "jobs/bucket/glacier.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "transfer/archived_object.hpp"

namespace bale::bucket {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view tiering = "INTELLIGENT_TIERING";
constexpr double gib = 1ULL << 30;
constexpr double days_a_month = 30;
constexpr double standard_storage = 0.023;  // of a GiB for a month

/// What one archive costs, by tier.
struct Price {
  double gib = 0;       ///< dollars of a GiB retrieved
  double thousand = 0;  ///< dollars of 1000 requests
};

// Rows as Archive, columns as Tier: standard, bulk, expedited.
constexpr std::array<std::array<Price, 3>, archive_count> prices{{
    {{{0.01, 0.05}, {0, 0.025}, {0.03, 10}}},
    {{{0.02, 0.10}, {0.0025, 0.025}, {0, 0}}},
    {{{0, 0}, {0, 0}, {0.03, 10}}},
    {{{0, 0}, {0, 0}, {0, 0}}},
}};

constexpr std::array<std::string_view, archive_count> names{
    "GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING (ARCHIVE_ACCESS)", "INTELLIGENT_TIERING (DEEP_ARCHIVE_ACCESS)"};

/// Rows as Archive, columns as Tier.
constexpr std::array<std::array<std::chrono::minutes, 3>, archive_count> waits{
    {{5h, 12h, 5min}, {12h, 48h, 0min}, {5h, 12h, 5min}, {12h, 48h, 0min}}};

std::size_t index(Archive archive) noexcept { return static_cast<std::size_t>(archive); }
std::size_t index(Tier tier) noexcept { return static_cast<std::size_t>(tier); }

bool is_deep(Archive archive) noexcept {
  return archive == Archive::deep_archive || archive == Archive::tiering_deep_access;
}

bool is_tiering(Archive archive) noexcept {
  return archive == Archive::tiering_access || archive == Archive::tiering_deep_access;
}

bool has_expired(const std::optional<store::ListedRestore>& restore, TimePoint now) {
  return restore && restore->expiry && *restore->expiry <= now;
}

double retrieval_of_class(std::string_view storage_class) noexcept {
  if (storage_class == "STANDARD_IA" || storage_class == "ONEZONE_IA") return 0.01;
  return storage_class == "GLACIER_IR" ? 0.03 : 0;
}

double put_of_class(std::string_view storage_class) noexcept {
  if (storage_class == "STANDARD_IA" || storage_class == "ONEZONE_IA") return 0.01;
  if (storage_class == "GLACIER_IR") return 0.02;
  if (storage_class == "GLACIER") return 0.03;
  return storage_class == "DEEP_ARCHIVE" ? 0.05 : 0.005;
}

}  // namespace

Readiness readiness_of(const store::ListedObject& object, bool tells_restores, TimePoint now) {
  const auto access = transfer::access_of(object);
  if (!access) return Readiness::unknown;
  if (*access == transfer::Access::restoring) return Readiness::coming;
  if (*access == transfer::Access::archived) return tells_restores ? Readiness::archived : Readiness::unknown;
  return has_expired(object.restore, now) ? Readiness::archived : Readiness::readable;
}

Readiness readiness_of(const store::ObjectInfo& info, TimePoint now) {
  if (!archive_of(info.storage_class, info.archive_status)) return Readiness::readable;
  switch (transfer::access_of(info)) {
    case transfer::Access::restoring: return Readiness::coming;
    case transfer::Access::readable:
      return has_expired(transfer::parse_restore(info.restore), now) ? Readiness::archived : Readiness::readable;
    default: return Readiness::archived;
  }
}

const std::string& to_string(Tier tier) {
  static const std::array<std::string, 3> tiers{"Standard", "Bulk", "Expedited"};
  return tiers[index(tier)];
}

Tier parse_tier(std::string_view name) {
  for (const Tier tier : {Tier::standard, Tier::bulk, Tier::expedited}) {
    if (to_lower(name) == to_lower(to_string(tier))) return tier;
  }
  throw Error(ErrorKind::invalid, fmt::format("'{}' is not a retrieval tier", escape_for_terminal(name)), {},
              "use Standard, Bulk or Expedited");
}

std::optional<Archive> archive_of(std::string_view storage_class, std::string_view archive_status) {
  if (storage_class == "GLACIER") return Archive::glacier;
  if (storage_class == "DEEP_ARCHIVE") return Archive::deep_archive;
  if (storage_class != tiering || archive_status.empty()) return std::nullopt;
  return archive_status == "DEEP_ARCHIVE_ACCESS" ? Archive::tiering_deep_access : Archive::tiering_access;
}

std::string_view name_of(Archive archive) noexcept { return names[index(archive)]; }

int days_for(Archive archive, int days) noexcept { return is_tiering(archive) ? 0 : days; }

bool has_tier(Archive archive, Tier tier) noexcept { return tier != Tier::expedited || !is_deep(archive); }

std::chrono::minutes longest_wait(Archive archive, Tier tier) noexcept { return waits[index(archive)][index(tier)]; }

std::string_view usual_wait(Archive archive, Tier tier) {
  return transfer::usual_wait(is_deep(archive) ? "DEEP_ARCHIVE" : "GLACIER", to_string(tier));
}

double restore_dollars(Archive archive, Tier tier, ByteCount bytes, int days) noexcept {
  const Price& price = prices[index(archive)][index(tier)];
  const double amount = static_cast<double>(bytes) / gib;
  return price.thousand / 1000 + amount * price.gib +
         amount * standard_storage * days_for(archive, days) / days_a_month;
}

double copy_dollars(std::string_view from_class, std::string_view to_class, ByteCount bytes) noexcept {
  constexpr double head_requests = 0.0004;  // of 1000: one HEAD goes before each copy
  return (put_of_class(to_class) + head_requests) / 1000 +
         static_cast<double>(bytes) / gib * retrieval_of_class(from_class);
}

void RestoreEstimate::add(Archive archive, ByteCount bytes) {
  Line& line = lines_[index(archive)];
  ++line.objects;
  line.bytes += bytes;
  line.dollars += restore_dollars(archive, has_tier(archive, tier_) ? tier_ : Tier::standard, bytes, days_);
}

std::uint64_t RestoreEstimate::objects() const noexcept {
  std::uint64_t all = 0;
  for (const Line& line : lines_) all += line.objects;
  return all;
}

ByteCount RestoreEstimate::bytes() const noexcept {
  ByteCount all = 0;
  for (const Line& line : lines_) all += line.bytes;
  return all;
}

double RestoreEstimate::dollars() const noexcept {
  double all = 0;
  for (const Line& line : lines_) all += line.dollars;
  return all;
}

std::chrono::minutes RestoreEstimate::wait() const noexcept {
  std::chrono::minutes longest{0};
  for (const Archive each :
       {Archive::glacier, Archive::deep_archive, Archive::tiering_access, Archive::tiering_deep_access}) {
    if (of(each).objects > 0)
      longest = std::max(longest, longest_wait(each, has_tier(each, tier_) ? tier_ : Tier::standard));
  }
  return longest;
}

}  // namespace bale::bucket
