#include "jobs/bucket/glacier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/error.hpp"
#include "base/text.hpp"
#include "store/object_rules.hpp"

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

struct Wait {
  std::chrono::minutes longest{};
  std::string_view text;
};

constexpr std::array<std::array<Wait, 3>, archive_count> waits{{
    {{{5h, "3 to 5 hours"}, {12h, "5 to 12 hours"}, {5min, "1 to 5 minutes"}}},
    {{{12h, "up to 12 hours"}, {48h, "up to 48 hours"}, {}}},
    {{{5h, "3 to 5 hours"}, {12h, "5 to 12 hours"}, {5min, "1 to 5 minutes"}}},
    {{{12h, "up to 12 hours"}, {48h, "up to 48 hours"}, {}}},
}};

std::size_t index(Archive archive) noexcept { return static_cast<std::size_t>(archive); }
std::size_t index(Tier tier) noexcept { return static_cast<std::size_t>(tier); }

bool is_deep(Archive archive) noexcept {
  return archive == Archive::deep_archive || archive == Archive::tiering_deep_access;
}

bool is_tiering(Archive archive) noexcept {
  return archive == Archive::tiering_access || archive == Archive::tiering_deep_access;
}

/// The number of a month's English name; 0 for anything else.
int month_of(std::string_view name) {
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t found = name.size() == 3 ? months.find(name) : std::string_view::npos;
  return found == std::string_view::npos || found % 3 != 0 ? 0 : static_cast<int>(found / 3) + 1;
}

/// Reads "Fri, 21 Dec 2012 00:00:00 GMT".
std::optional<TimePoint> parse_http_date(std::string_view text) {
  const std::size_t comma = text.find(", ");
  if (comma == std::string_view::npos) return std::nullopt;
  const std::vector<std::string_view> words = split(text.substr(comma + 2), ' ');
  if (words.size() < 4) return std::nullopt;
  const int month = month_of(words[1]);
  if (month == 0) return std::nullopt;
  try {
    return parse_time(fmt::format("{}-{:02}-{:0>2} {}", words[2], month, words[0], words[3]));
  } catch (const Error&) {
    return std::nullopt;
  }
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
  if (object.storage_class == tiering) return Readiness::unknown;
  if (!store::is_archive_class(object.storage_class)) return Readiness::readable;
  if (!object.restore) return tells_restores ? Readiness::archived : Readiness::unknown;
  if (object.restore->in_progress) return Readiness::coming;
  return object.restore->expiry && *object.restore->expiry <= now ? Readiness::archived : Readiness::readable;
}

Readiness readiness_of(const store::ObjectInfo& info, TimePoint now) {
  if (!archive_of(info.storage_class, info.archive_status)) return Readiness::readable;
  if (info.restore.find("ongoing-request=\"true\"") != std::string::npos) return Readiness::coming;
  if (info.restore.find("ongoing-request=\"false\"") == std::string::npos) return Readiness::archived;
  const auto expiry = restore_expiry(info.restore);
  return expiry && *expiry <= now ? Readiness::archived : Readiness::readable;
}

std::optional<TimePoint> restore_expiry(std::string_view header) {
  constexpr std::string_view name = "expiry-date=\"";
  const std::size_t begin = header.find(name);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view rest = header.substr(begin + name.size());
  return parse_http_date(rest.substr(0, rest.find('"')));
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

std::chrono::minutes longest_wait(Archive archive, Tier tier) noexcept {
  return waits[index(archive)][index(tier)].longest;
}

std::string_view usual_wait(Archive archive, Tier tier) noexcept { return waits[index(archive)][index(tier)].text; }

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
