#include "jobs/bucket/evidence.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"
#include "store/own_write.hpp"

namespace bale::bucket {
namespace {

TimePoint whole_seconds(TimePoint time) { return std::chrono::floor<std::chrono::seconds>(time); }

bool is_in_parts(const ETag& etag) { return etag.str().find('-') != std::string::npos; }

std::string_view name_of(store::Checksum::Algorithm algorithm) {
  switch (algorithm) {
    case store::Checksum::Algorithm::crc64nvme: return "crc64nvme";
    case store::Checksum::Algorithm::crc32c: return "crc32c";
    case store::Checksum::Algorithm::crc32: return "crc32";
    case store::Checksum::Algorithm::sha256: return "sha256";
    case store::Checksum::Algorithm::sha1: break;
  }
  return "sha1";
}

Evidence judge_known(const Pair& pair) {
  const bool is_by_time = pair.known->origin == Origin::time;
  return {Verdict::same, is_by_time ? "size+time" : "journal"};
}

}  // namespace

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::same: return "same";
    case Verdict::differs: return "differs";
    case Verdict::missing: return "missing";
    case Verdict::extra: return "extra";
    case Verdict::unknown: break;
  }
  return "unknown";
}

std::string_view to_string(Level level) noexcept {
  switch (level) {
    case Level::size: return "size";
    case Level::etag: return "etag";
    case Level::checksum: return "checksum";
    case Level::full: break;
  }
  return "full";
}

Level parse_level(std::string_view name) {
  for (const Level level : {Level::size, Level::etag, Level::checksum, Level::full})
    if (to_string(level) == name) return level;
  throw Error(ErrorKind::invalid, fmt::format("'{}' is no level", escape_name(name)), "--level",
              "use size, etag, checksum or full");
}

bool is_written_after(const store::ListedObject& copy, const store::ListedObject& source) {
  const auto allowance = is_in_parts(source.etag) ? Milliseconds(longest_upload) : Milliseconds(0);
  return copy.last_modified >= source.last_modified + allowance;
}

bool is_of(const JournalEntry& entry, const store::ListedObject& source, const store::ListedObject& copy) {
  return !entry.copy_etag.empty() && entry.origin != Origin::none && entry.source_etag == source.etag &&
         entry.copy_etag == copy.etag && entry.size == source.size && entry.size == copy.size &&
         whole_seconds(entry.source_modified) == whole_seconds(source.last_modified);
}

std::optional<Evidence> judge_listed(const Pair& pair, const ListedRules& rules) {
  if (pair.right == nullptr) return Evidence{Verdict::missing, "listing"};
  if (pair.left == nullptr) return Evidence{Verdict::extra, "listing"};
  const store::ListedObject &left = *pair.left, &right = *pair.right;
  if (left.size != right.size) return Evidence{Verdict::differs, "size"};
  if (rules.level == Level::size) return Evidence{Verdict::same, "size"};
  if (rules.level == Level::full) return std::nullopt;
  if (!left.etag.empty() && left.etag == right.etag) return Evidence{Verdict::same, "etag"};
  if (pair.known != nullptr && is_of(*pair.known, left, right)) return judge_known(pair);
  const bool are_md5 = store::is_md5(left.etag) && store::is_md5(right.etag);
  // An MD5 that differs is worth a HEAD, to be sure that it is an MD5: nothing old may hide behind its date.
  if (are_md5) return std::nullopt;
  if (rules.since && left.last_modified < *rules.since && is_written_after(right, left))
    return Evidence{Verdict::same, "size+time"};
  if (rules.level == Level::checksum) return std::nullopt;
  return Evidence{Verdict::unknown, "the ETags are of parts that differ"};
}

Evidence judge_content(const store::ObjectInfo& left, const store::ObjectInfo& right) {
  if (left.size != right.size) return {Verdict::differs, "size"};
  if (left.checksum && right.checksum && left.checksum->algorithm == right.checksum->algorithm) {
    const bool is_same = left.checksum->value == right.checksum->value;
    return {is_same ? Verdict::same : Verdict::differs, std::string(name_of(left.checksum->algorithm))};
  }
  if (left.is_etag_opaque || right.is_etag_opaque)
    return {Verdict::unknown, "an ETag is no MD5 (encryption with a key), and no checksum is on both sides"};
  if (left.etag == right.etag) return {Verdict::same, "etag"};
  if (store::is_md5(left.etag) && store::is_md5(right.etag)) return {Verdict::differs, "etag"};
  if (left.part_bytes > 0 && left.part_bytes == right.part_bytes) return {Verdict::differs, "etag"};
  return {Verdict::unknown, "the ETags are of parts that differ, and no checksum is on both sides"};
}

std::string metadata_difference(const store::ObjectInfo& left, const store::ObjectInfo& right) {
  const store::SystemHeaders &a = left.headers, &b = right.headers;
  if (a.content_type != b.content_type) return "content-type";
  if (a.cache_control != b.cache_control) return "cache-control";
  if (a.content_disposition != b.content_disposition) return "content-disposition";
  if (a.content_encoding != b.content_encoding) return "content-encoding";
  if (a.content_language != b.content_language) return "content-language";
  if (a.expires != b.expires) return "expires";
  if (a.website_redirect != b.website_redirect) return "website-redirect";
  return left.metadata == right.metadata ? "" : "metadata";
}

}  // namespace bale::bucket
