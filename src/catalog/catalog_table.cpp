#include "catalog/catalog_table.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/error.hpp"

namespace bale::catalog {
namespace {

using sqlite::Comparison;
using sqlite::Condition;
using sqlite::Value;

/// Columns of SQL, in their order.
enum class SqlColumn : int {
  backup_file,
  backup_timestamp,
  backup_date,
  source_bucket,
  source_prefix,
  object_name,
  object_path,
  object_size,
  creation_time,
  creation_date,
  target_buckets,
  source_region,
  archive_bucket,
  archive_key,
  archive_etag,
  event,
  version_id,
  sequencer,
  etag,
  sha256,
  storage_class,
  last_modified,
  current_since,
  headers,
  metadata,
  tags,
  frame_offset,
  frame_length,
  frame_skip,
  year,
  month,
  day,
};

// The number of a row: index, block and row.
constexpr int row_bits = 16, block_bits = 40, index_shift = row_bits + block_bits;

/// A text made of a number that is often the same as for the row before.
class MadeText {
 public:
  template <typename Make>
  std::string_view of(std::int64_t number, Make make) {
    if (!made_ || number != number_) text_ = make(number);
    made_ = true;
    number_ = number;
    return text_;
  }

 private:
  bool made_ = false;
  std::int64_t number_ = 0;
  std::string text_;
};

/// Values of a block's rows, as SQL sees them.
class SqlValues {
 public:
  explicit SqlValues(BlockReader& block) : block_(block) {}

  /// Whether all rows of the block have the same.
  bool constant(SqlColumn column) {
    using enum SqlColumn;
    switch (column) {
      case object_name: return false;
      case backup_timestamp:
      case backup_date: return block_.numbers(StoredColumn::backup_time).constant();
      case object_size: return block_.numbers(StoredColumn::object_size).constant();
      case creation_time:
      case creation_date:
      case last_modified: return block_.numbers(StoredColumn::last_modified).constant();
      case current_since: return block_.numbers(StoredColumn::current_since).constant();
      case event: return block_.numbers(StoredColumn::deleted).constant();
      case frame_offset: return block_.numbers(StoredColumn::frame_offset).constant();
      case frame_length: return block_.numbers(StoredColumn::frame_length).constant();
      case frame_skip: return block_.numbers(StoredColumn::frame_skip).constant();
      case year:
      case month:
      case day: return block_.texts(StoredColumn::day).constant();
      default: return block_.texts(stored_text(column)).constant();
    }
  }

  Value value(SqlColumn column, std::size_t row) {
    using enum SqlColumn;
    switch (column) {
      case backup_timestamp: return number(StoredColumn::backup_time, row);
      case backup_date: return backup_date_.of(number(StoredColumn::backup_time, row), date_of_seconds);
      case object_name: return block_.object_name(row);
      case object_size: return size_or_null(row);
      case creation_time: return creation_time_.of(number(StoredColumn::last_modified, row), timestamp_of);
      case creation_date: return creation_date_.of(number(StoredColumn::last_modified, row), date_of);
      case event: return std::string_view(number(StoredColumn::deleted, row) != 0 ? "delete" : "put");
      case last_modified: return number(StoredColumn::last_modified, row);
      case current_since: return number_or_null(StoredColumn::current_since, row);
      case frame_offset: return place(StoredColumn::frame_offset, row);
      case frame_length: return place(StoredColumn::frame_length, row);
      case frame_skip: return place(StoredColumn::frame_skip, row);
      case year: return partition(row, 0, 4);
      case month: return partition(row, 5, 2);
      case day: return partition(row, 8, 2);
      case backup_file:
      case source_bucket:
      case source_prefix:
      case object_path:
      case target_buckets: return block_.texts(stored_text(column)).at(row);
      default: return text_or_null(column, row);
    }
  }

 private:
  static StoredColumn stored_text(SqlColumn column) {
    static const std::map<SqlColumn, StoredColumn> stored = {
        {SqlColumn::backup_file, StoredColumn::backup_file},
        {SqlColumn::source_bucket, StoredColumn::source_bucket},
        {SqlColumn::source_prefix, StoredColumn::source_prefix},
        {SqlColumn::object_path, StoredColumn::object_path},
        {SqlColumn::target_buckets, StoredColumn::target_buckets},
        {SqlColumn::source_region, StoredColumn::source_region},
        {SqlColumn::archive_bucket, StoredColumn::archive_bucket},
        {SqlColumn::archive_key, StoredColumn::archive_key},
        {SqlColumn::archive_etag, StoredColumn::archive_etag},
        {SqlColumn::version_id, StoredColumn::version_id},
        {SqlColumn::sequencer, StoredColumn::sequencer},
        {SqlColumn::etag, StoredColumn::etag},
        {SqlColumn::sha256, StoredColumn::sha256},
        {SqlColumn::storage_class, StoredColumn::storage_class},
        {SqlColumn::headers, StoredColumn::headers},
        {SqlColumn::metadata, StoredColumn::metadata},
        {SqlColumn::tags, StoredColumn::tags},
    };
    return stored.at(column);
  }

  static std::string date_of(std::int64_t ms) { return to_date(from_epoch_ms(ms)); }
  static std::string date_of_seconds(std::int64_t seconds) { return to_date(from_epoch_ms(seconds * 1000)); }
  static std::string timestamp_of(std::int64_t ms) { return to_timestamp(from_epoch_ms(ms)); }

  std::int64_t number(StoredColumn column, std::size_t row) { return block_.numbers(column).at(row); }

  Value place(StoredColumn column, std::size_t row) {
    const std::int64_t stored = number(column, row);
    return stored == 0 ? Value() : Value(stored - 1);
  }

  Value number_or_null(StoredColumn column, std::size_t row) {
    const std::int64_t stored = number(column, row);
    return stored == 0 ? Value() : Value(stored);
  }

  Value size_or_null(std::size_t row) {
    const std::int64_t stored = number(StoredColumn::object_size, row);
    return stored == unknown_size ? Value() : Value(stored);
  }

  Value partition(std::size_t row, std::size_t begin, std::size_t length) {
    const std::string_view day = block_.texts(StoredColumn::day).at(row);
    return day.size() < begin + length ? Value() : Value(day.substr(begin, length));
  }

  Value text_or_null(SqlColumn column, std::size_t row) {
    const std::string_view text = block_.texts(stored_text(column)).at(row);
    return text.empty() ? Value() : Value(text);
  }

  BlockReader& block_;
  MadeText backup_date_, creation_time_, creation_date_;
};

bool holds(Comparison comparison, int order) {
  switch (comparison) {
    case Comparison::equal: return order == 0;
    case Comparison::less: return order < 0;
    case Comparison::less_or_equal: return order <= 0;
    case Comparison::greater: return order > 0;
    case Comparison::greater_or_equal: return order >= 0;
    default: return true;
  }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool contains_ignoring_case(std::string_view text, std::string_view wanted) {
  return std::search(text.begin(), text.end(), wanted.begin(), wanted.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

/// A condition, ready to be asked of many rows. Lets through what it cannot judge.
class Filter {
 public:
  explicit Filter(Condition condition) : condition_(std::move(condition)) {
    if (const auto* text = std::get_if<std::string>(&condition_.value)) {
      if (condition_.comparison == Comparison::like) literals_ = literals_of_like(*text);
      if (condition_.comparison == Comparison::glob) literals_ = literals_of_glob(*text);
      if (condition_.comparison == Comparison::equal || condition_.comparison == Comparison::match) literals_ = {*text};
    }
  }

  SqlColumn column() const { return static_cast<SqlColumn>(condition_.column); }
  bool is_of_names() const { return column() == SqlColumn::object_name || column() == SqlColumn::object_path; }
  const std::vector<std::string>& literals() const { return literals_; }

  bool lets_through(const Value& value) const {
    if (std::holds_alternative<std::monostate>(value)) return false;  // NULL meets no condition
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      const auto* wanted = std::get_if<std::string>(&condition_.value);
      if (wanted == nullptr) return true;
      if (condition_.comparison == Comparison::match) return contains_ignoring_case(*text, *wanted);
      const bool is_pattern = condition_.comparison == Comparison::like || condition_.comparison == Comparison::glob;
      if (is_pattern) return contains_in_order(*text, literals_);
      return holds(condition_.comparison, text->compare(*wanted));
    }
    const auto* wanted = std::get_if<std::int64_t>(&condition_.value);
    const std::int64_t number = std::get<std::int64_t>(value);
    return wanted == nullptr || holds(condition_.comparison, number < *wanted ? -1 : number > *wanted ? 1 : 0);
  }

 private:
  Condition condition_;
  std::vector<std::string> literals_;
};

class CatalogRows final : public sqlite::Rows {
 public:
  CatalogRows(const std::vector<IndexFile*>& indexes, std::vector<Condition> conditions) : indexes_(indexes) {
    std::vector<std::string> literals;
    for (Condition& condition : conditions) {
      if (condition.column < 0) {
        only_row_ = std::get<std::int64_t>(condition.value);
        continue;
      }
      filters_.emplace_back(std::move(condition));
      const Filter& filter = filters_.back();
      if (filter.is_of_names()) literals.insert(literals.end(), filter.literals().begin(), filter.literals().end());
    }
    // What rules out whole blocks first, names (which are long) last.
    std::stable_sort(filters_.begin(), filters_.end(),
                     [](const Filter& a, const Filter& b) { return a.is_of_names() < b.is_of_names(); });
    buckets_ = buckets_of(literals);
  }

  bool next() override {
    while (++at_ >= selected_.size()) {
      if (!next_block()) return false;
    }
    return true;
  }

  Value value(int column) override { return values_->value(static_cast<SqlColumn>(column), selected_[at_]); }
  std::int64_t row_number() override {
    return static_cast<std::int64_t>(next_index_ - 1) << index_shift | block_->info().id << row_bits |
           static_cast<std::int64_t>(selected_[at_]);
  }

 private:
  /// Moves to the next block with rows that are let through, in front of the first of them.
  bool next_block() {
    while (true) {
      if (next_block_ == blocks_.size()) {
        if (next_index_ == indexes_.size()) return false;
        blocks_ = indexes_[next_index_++]->blocks();
        next_block_ = 0;
        segment_ = -1;
        continue;
      }
      const BlockInfo& info = blocks_[next_block_++];
      if (!could_hold(info)) continue;
      block_.emplace(index(), info);
      values_.emplace(*block_);
      select(info);
      if (selected_.empty()) continue;
      at_ = static_cast<std::size_t>(-1);
      return true;
    }
  }

  IndexFile& index() { return *indexes_[next_index_ - 1]; }

  bool could_hold(const BlockInfo& info) {
    if (only_row_ && *only_row_ >> row_bits != (static_cast<std::int64_t>(next_index_ - 1) << block_bits | info.id))
      return false;
    if (buckets_.empty()) return true;
    const std::int64_t segment = info.id / segment_blocks;
    if (segment != segment_) granules_ = index().granules_with(segment, buckets_);
    segment_ = segment;
    for (std::size_t i = 0; i < block_granules; ++i) {
      if (granules_[first_granule(info) + i]) return true;
    }
    return false;
  }

  static constexpr std::size_t block_granules = most_block_rows / granule_rows;
  static std::size_t first_granule(const BlockInfo& info) {
    return static_cast<std::size_t>(info.id % segment_blocks) * block_granules;
  }

  void select(const BlockInfo& info) {
    selected_.clear();
    for (const Filter& filter : filters_) {
      if (filter.column() != SqlColumn::object_name && values_->constant(filter.column()) &&
          !filter.lets_through(values_->value(filter.column(), 0)))
        return;
    }
    for (std::size_t row = 0; row < info.rows; ++row) {
      if (!buckets_.empty() && !granules_[first_granule(info) + row / granule_rows]) {
        row += granule_rows - 1 - row % granule_rows;
        continue;
      }
      if (block_->is_there(row)) selected_.push_back(row);
    }
    for (const Filter& filter : filters_) {
      if (filter.column() != SqlColumn::object_name && values_->constant(filter.column())) continue;
      std::erase_if(selected_,
                    [&](std::size_t row) { return !filter.lets_through(values_->value(filter.column(), row)); });
      if (selected_.empty()) return;
    }
    if (!only_row_) return;
    std::erase_if(selected_, [&](std::size_t row) {
      return static_cast<std::int64_t>(row) != (*only_row_ & ((1 << row_bits) - 1));
    });
  }

  const std::vector<IndexFile*> indexes_;
  std::size_t next_index_ = 0;
  std::vector<BlockInfo> blocks_;  ///< of the index before next_index_
  std::vector<Filter> filters_;
  std::vector<TrigramBucket> buckets_;
  std::optional<std::int64_t> only_row_;
  std::int64_t segment_ = -1;
  Granules granules_;
  std::size_t next_block_ = 0;
  std::optional<BlockReader> block_;
  std::optional<SqlValues> values_;
  std::vector<std::size_t> selected_;
  std::size_t at_ = 0;
};

}  // namespace

const std::vector<sqlite::Column>& CatalogTable::columns() const {
  using enum sqlite::ColumnType;
  static const std::vector<sqlite::Column> columns = {{"backup_file"},
                                                      {"backup_timestamp", integer},
                                                      {"backup_date"},
                                                      {"source_bucket"},
                                                      {"source_prefix"},
                                                      {"object_name"},
                                                      {"object_path"},
                                                      {"object_size", integer},
                                                      {"creation_time"},
                                                      {"creation_date"},
                                                      {"target_buckets"},
                                                      {"source_region"},
                                                      {"archive_bucket"},
                                                      {"archive_key"},
                                                      {"archive_etag"},
                                                      {"event"},
                                                      {"version_id"},
                                                      {"sequencer"},
                                                      {"etag"},
                                                      {"sha256"},
                                                      {"storage_class"},
                                                      {"last_modified", integer},
                                                      {"current_since", integer},
                                                      {"headers"},
                                                      {"metadata"},
                                                      {"tags"},
                                                      {"frame_offset", integer},
                                                      {"frame_length", integer},
                                                      {"frame_skip", integer},
                                                      {"year"},
                                                      {"month"},
                                                      {"day"}};
  return columns;
}

std::unique_ptr<sqlite::Rows> CatalogTable::rows(std::vector<Condition> conditions) {
  return std::make_unique<CatalogRows>(indexes_, std::move(conditions));
}

std::string record_columns() {
  std::string text;
  for (const char* name : record_column_names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

Record record_of(const sqlite::Query& row) {
  RecordColumns columns{};
  std::iota(columns.begin(), columns.end(), 0);
  return record_of(row, columns);
}

Record record_of(const sqlite::Query& row, const RecordColumns& columns) {
  std::size_t next = 0;  // each is asked for once, in the order of record_column_names
  const auto text = [&] { return row.text(columns[next++]); };
  const auto number = [&] {
    const int column = columns[next++];
    return column == no_column ? 0 : row.integer(column);
  };
  Record record;
  record.backup_file = text();
  record.backup_time = from_epoch_ms(number() * 1000);
  record.source_bucket = BucketName(text());
  record.source_prefix = text();
  record.object_name = text();
  record.object_path = ObjectKey(text());
  if (row.is_null(columns[next]))
    record.object_size.reset();
  else
    record.object_size = static_cast<ByteCount>(row.integer(columns[next]));
  ++next;
  record.last_modified = from_epoch_ms(number());
  if (const std::int64_t ms = number(); ms != 0) record.current_since = from_epoch_ms(ms);  // NULL reads as 0
  record.target_buckets = buckets_from_json(text());
  record.source_region = Region(text());
  record.archive_bucket = BucketName(text());
  record.archive_key = ObjectKey(text());
  record.archive_etag = ETag(text());
  record.deleted = text() == "delete";
  record.version_id = VersionId(text());
  record.sequencer = text();
  record.etag = ETag(text());
  record.sha256 = text();
  record.storage_class = text();
  record.headers = headers_from_json(text());
  record.metadata = map_from_json(text());
  record.tags = map_from_json(text());
  if (row.is_null(columns[next])) return record;
  const auto offset = static_cast<ByteCount>(number()), length = static_cast<ByteCount>(number()),
             skip = static_cast<ByteCount>(number());
  record.location = archive::MemberLocation{offset, length, skip};
  return record;
}

CatalogDatabase::CatalogDatabase(const std::filesystem::path& path, const std::string& catalog) : file_(path, catalog) {
  table_.add(file_);
  sqlite::add_table(file_.database(), "catalog", table_);
  sqlite::add_table(file_.database(), "catalog_table_name", table_);
  file_.database().run_script("PRAGMA case_sensitive_like=ON");
}

}  // namespace bale::catalog
