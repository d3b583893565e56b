#include "jobs/check/pairing.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "catalog/scan.hpp"
#include "jobs/check/listing.hpp"

namespace bale::check {
namespace {

constexpr std::string_view archive_suffix = ".tar.zst";

/// "eu-west-1", "us-gov-east-1": lower-case words and a number.
bool looks_like_region(std::string_view text) {
  const auto words = split(text, '-');
  if (words.size() < 3) return false;
  const auto all_in = [](std::string_view word, char first, char last) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) { return c >= first && c <= last; });
  };
  return all_in(words.back(), '0', '9') &&
         std::all_of(words.begin(), words.end() - 1, [&](std::string_view word) { return all_in(word, 'a', 'z'); });
}

/// "2025-01-23" of a catalog file's partitions.
std::string day_of(const ObjectKey& catalog_file) {
  const auto parts = split(catalog_file.str(), '/');
  std::string day;
  for (std::size_t i = parts.size() - 4; i + 1 < parts.size(); ++i)
    day.append(day.empty() ? "" : "-").append(parts[i].substr(parts[i].find('=') + 1));
  return day;
}

void count_left_out(Report& report) {
  report.count([](Counts& counts) { ++counts.left_out; });
}

void count_unknown(Report& report) {
  report.count([](Counts& counts) { ++counts.unknown_files; });
}

/// A listing that begins: absent, with a finding, where the bucket does not exist.
std::optional<Listing> begin_listing(const Place& place, const Scope& scope, Report& report) {
  Listing listing(*place.store, scope.bucket, scope.prefix);
  try {
    listing.peek();
    return listing;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    const FindingType type = FindingType::missing_bucket;
    report.add({type, to_uri(scope.bucket, {}), {}, {}, "there is no such bucket", std::string(hint_of(type)), {}});
    return std::nullopt;
  }
}

/// Archives of several buckets in the order of their keys, the copies of one together.
class ArchiveStream {
 public:
  ArchiveStream(const Place& place, Report& report) : since_(place.since), report_(report) {
    for (const Scope& scope : place.backups) {
      if (auto listing = begin_listing(place, scope, report)) listings_.push_back(std::move(*listing));
    }
    advance();
  }
  const std::optional<Pair>& peek() const noexcept { return head_; }
  Pair take() {
    Pair taken = std::move(*head_);
    advance();
    return taken;
  }

 private:
  void advance() {
    head_.reset();
    for (Listing& listing : listings_) {
      for (; listing.peek() != nullptr; listing.pop()) {
        const bool is_archive = is_archive_name(listing.peek()->key);
        if (is_archive && (!since_ || listing.peek()->last_modified >= *since_)) break;
        is_archive ? count_left_out(report_) : count_unknown(report_);
      }
      const store::ListedObject* object = listing.peek();
      if (object != nullptr && (!head_ || object->key < head_->archive)) head_ = Pair{object->key, {}, {}};
    }
    if (!head_) return;
    for (Listing& listing : listings_) {
      const store::ListedObject* object = listing.peek();
      if (object == nullptr || object->key != head_->archive) continue;
      const auto same_bucket = [&](const Copy& copy) { return copy.bucket == listing.bucket(); };
      // Prefixes of one bucket may overlap.
      if (std::none_of(head_->copies.begin(), head_->copies.end(), same_bucket))
        head_->copies.push_back({listing.bucket(), object->size, object->etag, true});
      listing.pop();
    }
  }

  const std::optional<TimePoint> since_;
  Report& report_;
  std::vector<Listing> listings_;
  std::optional<Pair> head_;
};

/// Catalog files in the order of their own keys.
class FileStream {
 public:
  FileStream(const Place& place, Report& report)
      : first_day_(place.since ? to_date(*place.since) : ""),
        report_(report),
        listing_(begin_listing(place, place.catalog, report)) {
    advance();
  }
  const std::optional<Pair>& peek() const noexcept { return head_; }
  Pair take() {
    Pair taken = std::move(*head_);
    advance();
    return taken;
  }

 private:
  void advance() {
    head_.reset();
    if (!listing_) return;
    for (; listing_->peek() != nullptr; listing_->pop()) {
      const store::ListedObject& object = *listing_->peek();
      ObjectKey archive = paired_archive_key(object.key);
      if (archive.empty()) {
        count_unknown(report_);
        continue;
      }
      if (day_of(object.key) < first_day_) {
        count_left_out(report_);
        continue;
      }
      head_ = Pair{std::move(archive), {}, {{object.key, object.size}}};
      listing_->pop();
      return;
    }
  }

  const std::string first_day_;
  Report& report_;
  std::optional<Listing> listing_;
  std::optional<Pair> head_;
};

using Waiting = std::map<ObjectKey, Pair>;

/// Joins what is alone with what waits, where the two belong together.
void meet(Pair alone, Waiting& waiting, const std::function<void(Pair)>& visit) {
  const auto found = waiting.find(alone.archive);
  const bool is_partner = found != waiting.end() && found->second.copies.empty() != alone.copies.empty();
  if (is_partner) {
    Pair pair = std::move(found->second);
    waiting.erase(found);
    if (pair.copies.empty()) pair.copies = std::move(alone.copies);
    pair.files.insert(pair.files.end(), alone.files.begin(), alone.files.end());
    return visit(std::move(pair));
  }
  if (found == waiting.end()) {
    const ObjectKey key = alone.archive;
    waiting.emplace(key, std::move(alone));
  } else {
    found->second.files.insert(found->second.files.end(), alone.files.begin(), alone.files.end());
  }
}

/// Other keys that the archive of a catalog file may have, in the order in which they are tried.
std::vector<ObjectKey> other_archive_keys(const Pair& alone) {
  std::vector<ObjectKey> keys;
  // A bucket may be called like a region: then what was taken for the replaced program's region is part of the key.
  const ObjectKey whole = catalog::archive_key_of(alone.files.front().key);
  if (whole != alone.archive) keys.push_back(whole);
  // The replaced program may have left the source bucket out.
  const std::string& key = alone.archive.str();
  const std::size_t slash = key.find('/');
  if (slash != std::string::npos && slash + 1 < key.size()) keys.emplace_back(key.substr(slash + 1));
  return keys;
}

/// Gives the files of a pair without archive to an archive that is theirs after all, if there is one.
void give_files(Pair& alone, Waiting& waiting) {
  for (const ObjectKey& key : other_archive_keys(alone)) {
    const auto other = waiting.find(key);
    if (other == waiting.end() || other->second.copies.empty()) continue;
    auto& files = other->second.files;
    files.insert(files.end(), alone.files.begin(), alone.files.end());
    alone.files.clear();
    return;
  }
}

void visit_rest(Waiting waiting, const std::function<void(Pair)>& visit) {
  for (auto& [key, pair] : waiting) {
    if (pair.copies.empty() && !pair.files.empty()) give_files(pair, waiting);
  }
  for (auto& [key, pair] : waiting) {
    if (!pair.copies.empty() || !pair.files.empty()) visit(std::move(pair));
  }
}

}  // namespace

bool is_archive_name(const ObjectKey& key) noexcept { return key.str().ends_with(archive_suffix); }

ObjectKey paired_archive_key(const ObjectKey& catalog_file) {
  ObjectKey whole = catalog::archive_key_of(catalog_file);
  const std::size_t slash = whole.str().find('/');
  if (slash == std::string::npos || !looks_like_region(std::string_view(whole.str()).substr(0, slash))) return whole;
  ObjectKey rest(whole.str().substr(slash + 1));
  // {region}/{archive} alone has no source bucket: the region is one then.
  return rest.str().find('/') == std::string::npos ? whole : rest;
}

void pair_up(const Place& place, Report& report, const std::function<void(Pair)>& visit) {
  ArchiveStream archives(place, report);
  FileStream files(place, report);
  Waiting waiting;
  while (archives.peek() || files.peek()) {
    const bool archive_first = archives.peek() && (!files.peek() || archives.peek()->archive <= files.peek()->archive);
    meet(archive_first ? archives.take() : files.take(), waiting, visit);
  }
  visit_rest(std::move(waiting), visit);
}

}  // namespace bale::check
