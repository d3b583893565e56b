#include "jobs/check/finding.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::check {
namespace {

constexpr std::uint32_t most_shares = 1'000'000;

constexpr std::string_view repair_hint =
    "`bale check --repair-catalog` rebuilds the catalog file from the archive (--dryrun says what it would write)";
constexpr std::string_view other_backup_hint =
    "`bale catalog search --all-versions` shows which other backups have the objects; where the source still has "
    "them, `bale replicate backfill` backs them up again";

std::optional<std::uint32_t> whole_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string_view to_string(FindingType type) noexcept {
  switch (type) {
    case FindingType::missing_bucket: return "missing-bucket";
    case FindingType::missing_archive: return "missing-archive";
    case FindingType::missing_copy: return "missing-copy";
    case FindingType::missing_catalog_file: return "missing-catalog-file";
    case FindingType::damaged_catalog_file: return "damaged-catalog-file";
    case FindingType::missing_row: return "missing-row";
    case FindingType::surplus_row: return "surplus-row";
    case FindingType::different_row: return "different-row";
    case FindingType::refused_bucket: return "refused-bucket";
    case FindingType::damaged_archive: return "damaged-archive";
    case FindingType::replaced_archive: return "replaced-archive";
    case FindingType::copies_differ: return "copies-differ";
    case FindingType::damaged_object: return "damaged-object";
    case FindingType::missing_at_destination: return "missing-at-destination";
    case FindingType::different_at_destination: return "different-at-destination";
    case FindingType::unexamined: return "unexamined";
    case FindingType::not_readable: return "not-readable";
    case FindingType::unnamed_copy: return "unnamed-copy";
    case FindingType::bytes_behind_archive: return "bytes-behind-archive";
  }
  return "?";
}

Severity severity_of(FindingType type) noexcept {
  switch (type) {
    case FindingType::unexamined: return Severity::unexamined;
    case FindingType::not_readable:
    case FindingType::unnamed_copy:
    case FindingType::bytes_behind_archive: return Severity::notice;
    default: return Severity::damage;
  }
}

std::string_view to_string(Severity severity) noexcept {
  switch (severity) {
    case Severity::damage: return "damage";
    case Severity::unexamined: return "unexamined";
    case Severity::notice: return "notice";
  }
  return "?";
}

std::string_view hint_of(FindingType type) noexcept {
  switch (type) {
    case FindingType::missing_bucket: return "check the configuration, the account and the region";
    case FindingType::missing_archive:
    case FindingType::damaged_object: return other_backup_hint;
    case FindingType::missing_copy: return "`bale s3 cp` copies the archive from a bucket that has it";
    case FindingType::missing_catalog_file:
    case FindingType::damaged_catalog_file:
    case FindingType::missing_row:
    case FindingType::surplus_row:
    case FindingType::different_row: return repair_hint;
    case FindingType::damaged_archive:
      return "keep the file: `bale archive verify` names the objects that are whole, `bale archive extract` gets them";
    case FindingType::replaced_archive:
      return "`bale check --read-data` tells whether its objects are whole; if they are, --read-data --repair-catalog "
             "has the catalog take it as it is";
    case FindingType::copies_differ: return "`bale archive verify` tells which copy is whole";
    case FindingType::missing_at_destination:
    case FindingType::different_at_destination:
      return "remove what is there (`bale s3 rm URI`), then `bale restore KEY --to s3://DESTINATION` brings the object "
             "back";
    case FindingType::not_readable:
      return "ask S3 to make the archive readable for some days (RestoreObject), then check again";
    case FindingType::bytes_behind_archive:
      return "find out what was added to the archive; its objects are not touched";
    case FindingType::unnamed_copy: return "no restore reads a copy that the catalog does not name";
    case FindingType::refused_bucket:
      return "correct the configuration, or give --allow-bucket BUCKET if you trust what is in it";
    case FindingType::unexamined: return "";
  }
  return "";
}

bool Share::holds(std::string_view key) const noexcept { return xxh64(as_bytes(key)) % of == number - 1; }

Share parse_share(std::string_view text) {
  const auto pieces = split(text, '/');
  const auto number = pieces.size() == 2 ? whole_number(pieces[0]) : std::nullopt;
  const auto of = pieces.size() == 2 ? whole_number(pieces[1]) : std::nullopt;
  if (!number || !of || *number == 0 || *of == 0 || *number > *of || *of > most_shares) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is no share of a whole", escape_for_terminal(text)), {},
                "the second of seven shares is 2/7");
  }
  return {*number, *of};
}

}  // namespace bale::check
