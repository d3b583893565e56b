#include "jobs/recover/record_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/text.hpp"
#include "base/wildcards.hpp"

namespace bale::recover {
namespace {

// Longer lists of paths are compared one by one with all that the other conditions leave.
constexpr std::size_t most_listed_paths = 500;

/// WHERE of SQL: what an index can rule out. It lets through all that matches(), and perhaps more.
class Where {
 public:
  /// `has_future_rows`: some are dated later than Query::now.
  Where(const Query& query, bool has_future_rows) {
    if (!query.bucket.empty()) add("source_bucket = ?", query.bucket.str());
    if (query.objects) add_objects(*query.objects);
    if (!query.prefix.empty()) add("object_path >= ?", query.prefix);
    if (!query.prefix.empty()) add_literal(query.prefix);
    if (!query.contains.empty()) add_literal(query.contains);
    if (query.regex) {
      for (const std::string& literal : query.regex->literals()) add_literal(literal);
    }
    add_names(query);
    if (query.since) add("last_modified >= ?", to_epoch_ms(*query.since));
    if (query.until) add("last_modified < ?", to_epoch_ms(*query.until));
    if (query.as_of && !has_future_rows) add("last_modified <= ?", to_epoch_ms(*query.as_of));
    if (query.min_size) add("object_size >= ?", static_cast<std::int64_t>(*query.min_size));
    if (query.max_size) add("object_size <= ?", static_cast<std::int64_t>(*query.max_size));
  }
  const std::string& text() const { return text_; }
  const std::vector<std::variant<std::int64_t, std::string>>& arguments() const { return arguments_; }

 private:
  void add(const std::string& condition, std::variant<std::int64_t, std::string> argument) {
    text_ += (text_.empty() ? " WHERE " : " AND ") + condition;
    arguments_.push_back(std::move(argument));
  }
  void add_literal(const std::string& literal) { add("object_path MATCH ?", literal); }

  void add_paths(const std::vector<std::string>& paths) {
    add("object_path IN (?", paths[0]);
    for (std::size_t i = 1; i < paths.size(); ++i) {
      text_ += ", ?";
      arguments_.emplace_back(paths[i]);
    }
    text_ += ")";
  }

  void add_objects(const ObjectSet& objects) {
    if (objects.empty() || objects.size() > most_listed_paths) return;
    std::vector<std::string> paths;
    for (const auto& [bucket, key] : objects) paths.push_back(key);
    add_paths(paths);
  }

  /// Paths and patterns are alternatives: all paths, or one pattern alone, can be asked for.
  void add_names(const Query& query) {
    if (query.patterns.size() == 1 && query.paths.empty()) {
      for (const std::string& literal : literals_of_wildcards(query.patterns[0])) add_literal(literal);
    }
    if (query.paths.empty() || !query.patterns.empty() || query.paths.size() > most_listed_paths) return;
    add_paths(query.paths);
  }

  std::string text_;
  std::vector<std::variant<std::int64_t, std::string>> arguments_;
};

/// Whether the state at a time depends on rows that are dated later than now: few indexes have any.
bool has_future_rows(catalog::CatalogDatabase& index, const Query& query) {
  if (!query.as_of || !query.now) return false;
  return index.sql()
      .made_query("SELECT 1 FROM catalog WHERE last_modified > ? LIMIT 1",
                  std::vector<std::variant<std::int64_t, std::string>>{to_epoch_ms(*query.now)})
      .step();
}

class IndexStream final : public RecordStream {
 public:
  IndexStream(catalog::CatalogDatabase& index, const Query& query, const std::stop_token& stop)
      : query_(query),
        rows_(ask(index, Where(query, has_future_rows(index, query)))),
        interrupt_(stop, [&index] { index.sql().interrupt(); }) {
    first_ = read();
  }

  std::optional<catalog::Record> next() override {
    if (first_) return std::exchange(first_, std::nullopt);
    return read();
  }

 private:
  std::optional<catalog::Record> read() {
    if (is_at_end_) return std::nullopt;
    while (rows_.step()) {
      catalog::Record record = catalog::record_of(rows_);
      if (matches(query_, record)) return record;
    }
    is_at_end_ = true;
    return std::nullopt;
  }

  static sqlite::Query ask(catalog::CatalogDatabase& index, const Where& where) {
    return index.sql().made_query(fmt::format("SELECT {} FROM catalog{} ORDER BY source_bucket, object_path",
                                              catalog::record_columns(), where.text()),
                                  where.arguments());
  }

  const Query query_;
  sqlite::Query rows_;
  std::stop_callback<std::function<void()>> interrupt_;
  std::optional<catalog::Record> first_;
  bool is_at_end_ = false;
};

class ListStream final : public RecordStream {
 public:
  explicit ListStream(catalog::RecordList records) : records_(std::move(records)) {}
  std::optional<catalog::Record> next() override {
    if (next_ == records_.size()) return std::nullopt;
    return records_[next_++];
  }

 private:
  const catalog::RecordList records_;
  std::size_t next_ = 0;
};

auto key_of(const catalog::Record& record) { return std::tie(record.source_bucket, record.object_path); }

/// Few streams (one a region): the least head is looked for.
class MergedStream final : public RecordStream {
 public:
  explicit MergedStream(std::vector<std::unique_ptr<RecordStream>> streams) : streams_(std::move(streams)) {
    for (const auto& stream : streams_) heads_.push_back(stream->next());
  }
  std::optional<catalog::Record> next() override {
    std::optional<std::size_t> least;
    for (std::size_t i = 0; i < heads_.size(); ++i) {
      if (heads_[i] && (!least || key_of(*heads_[i]) < key_of(*heads_[*least]))) least = i;
    }
    if (!least) return std::nullopt;
    return std::exchange(heads_[*least], streams_[*least]->next());
  }

 private:
  std::vector<std::unique_ptr<RecordStream>> streams_;
  std::vector<std::optional<catalog::Record>> heads_;
};

/// The versions of one key; false when `visit` has had enough.
bool choose_of(std::vector<catalog::Record>& versions, const Query& query,
               const std::function<bool(const catalog::Record&)>& visit,
               const std::function<void(const catalog::Record&)>& left_out) {
  sort_newest_first(versions);
  if (!query.all_versions) versions.erase(versions.begin() + 1, versions.end());
  if (versions.front().deleted && !query.with_deleted && !query.all_versions) {
    left_out(versions.front());
    return true;
  }
  return std::all_of(versions.begin(), versions.end(), visit);
}

}  // namespace

std::unique_ptr<RecordStream> search_index(catalog::CatalogDatabase& index, const Query& query,
                                           const std::stop_token& stop) {
  return std::make_unique<IndexStream>(index, query, stop);
}

std::unique_ptr<RecordStream> stream_of(catalog::RecordList records) {
  return std::make_unique<ListStream>(std::move(records));
}

std::unique_ptr<RecordStream> merge(std::vector<std::unique_ptr<RecordStream>> streams) {
  if (streams.size() == 1) return std::move(streams.front());
  return std::make_unique<MergedStream>(std::move(streams));
}

void choose(RecordStream& records, const Query& query, const std::function<bool(const catalog::Record&)>& visit,
            const std::function<void(const catalog::Record&)>& left_out) {
  std::vector<catalog::Record> versions;
  while (auto record = records.next()) {
    if (!versions.empty() && key_of(versions.front()) != key_of(*record)) {
      if (!choose_of(versions, query, visit, left_out)) return;
      versions.clear();
    }
    // Without all versions, few are kept: a key may have any number of them.
    if (query.all_versions)
      versions.push_back(std::move(*record));
    else
      add_contender(versions, std::move(*record));
  }
  if (!versions.empty()) choose_of(versions, query, visit, left_out);
}

}  // namespace bale::recover
