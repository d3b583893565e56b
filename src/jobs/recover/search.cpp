#include "jobs/recover/search.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace bale::recover {

bool matches(const Query& query, const catalog::Record& record) {
  const std::string& key = record.object_path.str();
  if (!query.bucket.empty() && record.source_bucket != query.bucket) return false;
  if (!key.starts_with(query.prefix)) return false;
  if (!query.contains.empty() && key.find(query.contains) == std::string::npos) return false;
  if (query.since && record.last_modified < *query.since) return false;
  if (query.until && record.last_modified >= *query.until) return false;
  if (query.paths.empty() && query.patterns.empty()) return true;
  const auto is_path = [&](const std::string& path) { return path == key; };
  const auto fits = [&](const std::string& pattern) { return wildcard_match(pattern, key); };
  return std::any_of(query.paths.begin(), query.paths.end(), is_path) ||
         std::any_of(query.patterns.begin(), query.patterns.end(), fits);
}

bool is_newer(const catalog::Record& a, const catalog::Record& b) {
  const SourceOrder left = a.order(), right = b.order();
  if (left.is_after(right)) return true;
  if (right.is_after(left)) return false;
  return a.backup_time > b.backup_time;
}

void Selection::add(catalog::Record record) {
  if (!matches(query_, record)) return;
  auto& versions = found_[{record.source_bucket.str(), record.object_path.str()}];
  if (!query_.all_versions && !versions.empty()) {
    if (is_newer(record, versions.front())) versions.front() = std::move(record);
    return;
  }
  versions.push_back(std::move(record));
}

std::vector<catalog::Record> Selection::take() {
  std::vector<catalog::Record> records;
  for (auto& [key, versions] : found_) {
    std::stable_sort(versions.begin(), versions.end(), is_newer);
    if (versions.front().deleted && !query_.with_deleted && !query_.all_versions) continue;
    std::move(versions.begin(), versions.end(), std::back_inserter(records));
  }
  found_.clear();
  return records;
}

std::vector<catalog::Record> search(const std::vector<CatalogPlace>& catalogs, const Query& query,
                                    flow::ThreadPool& connections, const std::function<void(const Error&)>& damaged) {
  Selection selection(query);
  for (const CatalogPlace& place : catalogs) {
    catalog::scan(
        *place.store, place.bucket, place.prefix, connections,
        [&](catalog::Record record) { selection.add(std::move(record)); }, damaged);
  }
  return selection.take();
}

}  // namespace bale::recover
