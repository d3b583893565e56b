#include "jobs/recover/search.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "base/wildcards.hpp"
#include "catalog/version_order.hpp"
#include "jobs/recover/record_stream.hpp"
#include "jobs/recover/stand_in.hpp"

namespace bale::recover {
namespace {

/// Whether paths and patterns let the key through.
bool matches_name(const Query& query, std::string_view key) {
  if (query.paths.empty() && query.patterns.empty()) return true;
  const auto is_path = [&](const std::string& path) { return path == key; };
  const auto fits = [&](const std::string& pattern) { return pattern == key || wildcard_match(pattern, key); };
  return std::any_of(query.paths.begin(), query.paths.end(), is_path) ||
         std::any_of(query.patterns.begin(), query.patterns.end(), fits);
}

/// Whether the source had the record's version, or deletion, at `as_of`.
bool has_happened(const catalog::Record& record, TimePoint as_of, const std::optional<TimePoint>& now) {
  if (record.since() <= as_of) return true;
  const bool is_in_future = now && record.since() > *now;
  return is_in_future && record.backup_time <= as_of;
}

}  // namespace

bool matches(const Query& query, const catalog::Record& record) {
  const std::string& key = record.object_path.str();
  if (!query.bucket.empty() && record.source_bucket != query.bucket) return false;
  if (!key.starts_with(query.prefix)) return false;
  if (query.objects && !query.objects->contains(std::pair(record.source_bucket.str(), key))) return false;
  if (query.regex && !query.regex->matches(key)) return false;
  if (query.min_size && (!record.object_size || *record.object_size < *query.min_size)) return false;
  if (query.max_size && (!record.object_size || *record.object_size > *query.max_size)) return false;
  if (!query.contains.empty() && key.find(query.contains) == std::string::npos) return false;
  if (query.since && record.last_modified < *query.since) return false;
  if (query.until && record.last_modified >= *query.until) return false;
  if (query.as_of && !has_happened(record, *query.as_of, query.now)) return false;
  return matches_name(query, key);
}

bool is_newer(const catalog::Record& a, const catalog::Record& b) {
  const SourceOrder left = a.order(), right = b.order();
  if (left.is_after(right)) return true;
  if (right.is_after(left)) return false;
  if (left.sequencer.empty() != right.sequencer.empty()) return right.sequencer.empty();
  return a.backup_time > b.backup_time;
}

namespace {

std::vector<catalog::VersionRank> ranks_of(const std::vector<catalog::Record>& versions) {
  std::vector<catalog::VersionRank> ranks;
  ranks.reserve(versions.size());
  for (const catalog::Record& version : versions) ranks.push_back({version.order(), version.backup_time});
  return ranks;
}

/// Makes `versions` those that `indices` name, in their order.
void take_only(std::vector<catalog::Record>& versions, const std::vector<std::size_t>& indices) {
  std::vector<catalog::Record> taken;
  taken.reserve(indices.size());
  for (const std::size_t i : indices) taken.push_back(std::move(versions[i]));
  versions = std::move(taken);
}

}  // namespace

void sort_newest_first(std::vector<catalog::Record>& versions) {
  if (versions.size() > 1) take_only(versions, catalog::newest_first(ranks_of(versions)));
}

void add_contender(std::vector<catalog::Record>& contenders, catalog::Record record) {
  for (catalog::Record& known : contenders) add_places(known, record);
  contenders.push_back(std::move(record));
  if (contenders.size() > 1) take_only(contenders, catalog::contenders(ranks_of(contenders)));
}

void add_places(catalog::Record& record, const catalog::Record& other) {
  const auto place = [](const catalog::Record& r) {
    const archive::MemberLocation in = r.location.value_or(archive::MemberLocation{});
    return std::tuple(r.location.has_value(), in.frame_offset, in.frame_length, in.frame_skip);
  };
  const bool same_archive = !record.archive_key.empty() && record.archive_key == other.archive_key &&
                            record.sha256 == other.sha256 && place(record) == place(other);
  if (!same_archive) return;
  std::vector<BucketName>& places = record.target_buckets;
  for (const BucketName& bucket : other.target_buckets) {
    if (std::find(places.begin(), places.end(), bucket) == places.end()) places.push_back(bucket);
  }
}

namespace {

// Of a selection, beside the records: the key, a node of the map, a list of one.
constexpr ByteCount entry_bytes = 250;

void check_memory(const Query& query, ByteCount bytes) {
  if (bytes <= query.most_memory) return;
  throw Error(
      ErrorKind::invalid, "what was found does not fit into the memory", "--memory-limit",
      "raise it, go on in parts (--prefix, --since and --until), or search a local index (`bale catalog sync`)");
}

}  // namespace

void Selection::add(const catalog::Record& record) {
  if (!matches(query_, record)) return;
  auto& versions = found_[{record.source_bucket.str(), record.object_path.str()}];
  if (query_.all_versions || versions.empty()) {
    versions.push_back(records_.size());
    records_.add(record);
  } else {
    add_to_contenders(versions, record);
  }
  check_memory(query_, records_.memory() + found_.size() * entry_bytes);
}

void Selection::add_to_contenders(std::vector<std::size_t>& versions, const catalog::Record& record) {
  const std::vector<catalog::Record> known = versions_of(versions);
  std::vector<catalog::Record> kept = known;
  add_contender(kept, record);
  if (kept == known) return;
  std::vector<std::size_t> indices;
  for (const catalog::Record& each : kept) {
    const auto same = std::find(known.begin(), known.end(), each);
    const bool is_known = same != known.end();
    indices.push_back(is_known ? versions[static_cast<std::size_t>(same - known.begin())] : records_.size());
    if (!is_known) records_.add(each);
  }
  versions = std::move(indices);
  forget_replaced();
}

std::vector<catalog::Record> Selection::versions_of(const std::vector<std::size_t>& indices) const {
  std::vector<catalog::Record> versions;
  for (const std::size_t index : indices) versions.push_back(records_[index]);
  return versions;
}

/// Keeps what was replaced from becoming more than the rest.
void Selection::forget_replaced() {
  constexpr std::size_t few = 1000;
  if (records_.size() < 2 * found_.size() + few) return;
  catalog::RecordList kept;
  for (auto& [key, versions] : found_) {
    for (std::size_t& index : versions) {
      const std::size_t place = kept.size();
      kept.add(records_[index]);
      index = place;
    }
  }
  records_ = std::move(kept);
}

catalog::RecordList Selection::take(catalog::RecordList& deletions) {
  catalog::RecordList taken;
  for (const auto& [key, indices] : found_) {
    std::vector<catalog::Record> versions = versions_of(indices);
    sort_newest_first(versions);
    if (!query_.all_versions) versions.erase(versions.begin() + 1, versions.end());
    const bool left_out = versions.front().deleted && !query_.with_deleted && !query_.all_versions;
    if (left_out) deletions.add(versions.front());
    if (left_out) continue;
    for (const catalog::Record& version : versions) taken.add(version);
  }
  found_.clear();
  records_ = {};
  return taken;
}

catalog::RecordList Selection::take_contenders() {
  catalog::RecordList taken;
  for (const auto& [key, indices] : found_) {
    std::vector<catalog::Record> versions = versions_of(indices);
    sort_newest_first(versions);
    for (const catalog::Record& version : versions) taken.add(version);
  }
  found_.clear();
  records_ = {};
  return taken;
}

bool could_hold_matches(const Query& query, const ObjectKey& catalog_file) {
  if (query.bucket.empty()) return true;
  // {source_bucket}/{prefix}/{archive}, perhaps below the place to which the catalog was copied: every component that
  // is the bucket's name may be the bucket.
  const std::string archive = catalog::archive_key_of(catalog_file).str();
  if (archive.empty()) return true;
  const std::string directory = archive.substr(0, archive.rfind('/') + 1);
  const auto overlap = [](std::string_view a, std::string_view b) { return a.starts_with(b) || b.starts_with(a); };
  for (std::size_t begin = 0; begin < directory.size(); begin = directory.find('/', begin) + 1) {
    const std::size_t end = directory.find('/', begin);
    if (directory.substr(begin, end - begin) != query.bucket.str()) continue;
    const std::string_view prefix = std::string_view(directory).substr(end + 1);
    const auto below = [&](const std::string& path) { return path.starts_with(prefix); };
    const bool wanted =
        !query.patterns.empty() || query.paths.empty() || std::any_of(query.paths.begin(), query.paths.end(), below);
    if (wanted && overlap(prefix, query.prefix)) return true;
  }
  return false;
}

namespace {

/// Adds the rows of the archive itself; says in what is returned how that went.
CatalogDamage replace(const CatalogPlace& place, const catalog::DamagedFile& file, ByteCount most_memory,
                      Selection& selection) {
  try {
    const ObjectAddress archive = read_stand_in(*place.store, file, place.backup_buckets, place.allowed, most_memory,
                                                [&](const catalog::Record& row) { selection.add(row); });
    return {file.error, archive};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    const std::string what =
        fmt::format("{}; nor can its archive be read instead: {}", file.error.summary(), error.what());
    const Error both(file.error.kind(), what, file.error.where(), hint_of_unreadable(error));
    return {both.with_code(file.error.code()), std::nullopt};
  }
}

/// Searches the files of a catalog.
void scan_files(const CatalogPlace& place, flow::ThreadPool& connections, Selection& selection,
                std::vector<catalog::DamagedFile>& damaged) {
  catalog::scan(
      *place.store, place.bucket, place.prefix, connections,
      [&](const catalog::Record& record) { selection.add(record); },
      [&](const catalog::DamagedFile& file) { damaged.push_back(file); });
}

/// What the index knows of files that were damaged when they were read.
std::vector<catalog::DamagedFile> damaged_of_index(const CatalogPlace& place) {
  std::vector<catalog::DamagedFile> damaged;
  for (const catalog::IndexedFile& file : place.index->file().damaged_files()) {
    const ObjectAddress address{place.bucket, file.key};
    damaged.push_back({address, Error(file.damage_kind, file.damage, to_uri(address)), file.archive_key, file.buckets});
  }
  return damaged;
}

/// Passes records on, except other matches of a pattern that is exactly the key of an object.
class ExactNames {
 public:
  explicit ExactNames(const Query& query) : query_(query), narrowed_(query) {}

  /// Looks for objects with such names.
  void look_into(catalog::CatalogDatabase& index, const std::stop_token& stop) {
    Query exact = query_;
    exact.paths = std::exchange(exact.patterns, {});
    if (exact.paths.empty()) return;
    const auto stream = search_index(index, exact, stop);
    while (const auto record = stream->next()) add(record->object_path.str());
  }
  void look_into(const catalog::RecordList& records) {
    for (std::size_t i = 0; i < records.size() && !query_.patterns.empty(); ++i) add(records.object_path(i));
  }

  bool lets_through(const catalog::Record& record, SearchNotes& notes) const {
    if (narrowed_.patterns.size() == query_.patterns.size()) return true;
    if (matches_name(narrowed_, record.object_path.str())) return true;
    for (const std::string& pattern : query_.patterns) {
      if (is_exact(pattern) && wildcard_match(pattern, record.object_path.str())) notes.exact_names.insert(pattern);
    }
    return false;
  }

 private:
  bool is_exact(std::string_view pattern) const {
    return std::find(narrowed_.patterns.begin(), narrowed_.patterns.end(), pattern) == narrowed_.patterns.end();
  }
  void add(std::string_view key) {
    if (key.find_first_not_of('*') == std::string_view::npos) return;  // `*` is everything
    const auto pattern = std::find(narrowed_.patterns.begin(), narrowed_.patterns.end(), key);
    if (pattern == narrowed_.patterns.end()) return;
    narrowed_.patterns.erase(pattern);
    narrowed_.paths.emplace_back(key);
  }

  const Query& query_;
  Query narrowed_;  ///< with those patterns among the paths
};

/// Adds the rows of the index to `streams` and the files that it knows as damaged to `damaged`. Returns false, with a
/// note and nothing added, when the index cannot be used.
bool try_index(const CatalogPlace& place, const Query& query, const std::stop_token& stop,
               std::vector<std::unique_ptr<RecordStream>>& streams, std::vector<catalog::DamagedFile>& damaged,
               ExactNames& names, SearchNotes& notes) {
  try {
    auto stream = search_index(*place.index, query, stop);
    damaged = damaged_of_index(place);
    names.look_into(*place.index, stop);
    streams.push_back(std::move(stream));
    return true;
  } catch (const std::exception&) {
    const Error error = current_error();
    if (error.kind() == ErrorKind::cancelled) throw error;
    notes.unusable_indexes.push_back(error);
    return false;
  }
}

void judge_damage(const CatalogPlace& place, const Query& query, OnDamage on_damage,
                  const std::vector<catalog::DamagedFile>& damaged, Selection& selection, SearchNotes& notes) {
  for (const catalog::DamagedFile& file : damaged) {
    if (!could_hold_matches(query, file.file.key)) continue;
    if (on_damage == OnDamage::read_archive) {
      notes.damage.push_back(replace(place, file, query.most_memory, selection));
    } else {
      const Error error = file.error.with_hint("`bale restore` reads the list in the archive itself instead");
      notes.damage.push_back({error, std::nullopt});
    }
  }
}

}  // namespace

SearchNotes search_each(const std::vector<CatalogPlace>& catalogs, const Query& query, flow::ThreadPool& connections,
                        OnDamage on_damage, const std::stop_token& stop,
                        const std::function<bool(const catalog::Record&)>& visit,
                        const std::function<void(const catalog::Record&)>& left_out) {
  Selection gathered(query);
  SearchNotes notes;
  std::size_t gone = 0;
  std::vector<std::unique_ptr<RecordStream>> streams;
  ExactNames names(query);
  for (const CatalogPlace& place : catalogs) {
    std::vector<catalog::DamagedFile> damaged;
    try {
      const bool is_indexed = place.index && try_index(place, query, stop, streams, damaged, names, notes);
      if (!is_indexed) scan_files(place, connections, gathered, damaged);
    } catch (const Error& error) {
      // The catalog of one region is gone: those of the others have what they have.
      if (error.code() != "NoSuchBucket" || ++gone == catalogs.size()) throw;
      notes.damage.push_back({error, std::nullopt});
      continue;
    }
    judge_damage(place, query, on_damage, damaged, gathered, notes);
  }
  // What another catalog says may be newer: deletions too are left out only at the end.
  catalog::RecordList scanned = gathered.take_contenders();
  names.look_into(scanned);
  streams.push_back(stream_of(std::move(scanned)));
  choose(
      *merge(std::move(streams)), query,
      [&](const catalog::Record& record) { return !names.lets_through(record, notes) || visit(record); },
      [&](const catalog::Record& deletion) {
        if (names.lets_through(deletion, notes)) left_out(deletion);
      });
  return notes;
}

SearchResult search(const std::vector<CatalogPlace>& catalogs, const Query& query, flow::ThreadPool& connections,
                    OnDamage on_damage, const std::stop_token& stop) {
  SearchResult result;
  const auto keep = [&](catalog::RecordList& list, const catalog::Record& record) {
    list.add(record);
    check_memory(query, result.records.memory() + result.deletions.memory());
  };
  SearchNotes notes = search_each(
      catalogs, query, connections, on_damage, stop,
      [&](const catalog::Record& record) {
        keep(result.records, record);
        return true;
      },
      [&](const catalog::Record& deletion) { keep(result.deletions, deletion); });
  result.damage = std::move(notes.damage);
  result.unusable_indexes = std::move(notes.unusable_indexes);
  result.exact_names = std::move(notes.exact_names);
  return result;
}

}  // namespace bale::recover
