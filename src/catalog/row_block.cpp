#include "catalog/row_block.hpp"

#include <algorithm>

#include "archive/compress.hpp"
#include "base/error.hpp"
#include "base/varint.hpp"
#include "catalog/trigrams.hpp"

namespace bale::catalog {
namespace {

// How a column is stored: its first byte.
constexpr char same_in_all_rows = 0;
constexpr char compressed = 1;
constexpr char derived_from_path = 2;

// Speed counts: a query decodes what it looks at, and level 1 takes half of what level 3 takes.
constexpr int level = 1;
constexpr ByteCount frame_bytes = 1 << 20;
/// A thousand rows of the longest texts (2 KiB of metadata, 1 KiB of key, written as JSON) are well below this.
constexpr ByteCount most_column_bytes = 64 << 20;

Error damaged() { return Error(ErrorKind::corrupt, "the local catalog index is damaged", {}, damage_hint); }

std::uint64_t take_number(std::string_view& in) {
  if (const auto number = take_varint(in)) return *number;
  throw damaged();
}

/// Small numbers of either sign become small numbers.
std::uint64_t zigzag(std::uint64_t value) { return (value << 1) ^ (value >> 63 != 0 ? ~std::uint64_t{0} : 0); }
std::uint64_t from_zigzag(std::uint64_t value) { return (value >> 1) ^ ((value & 1) != 0 ? ~std::uint64_t{0} : 0); }

std::string compress(const std::string& content) {
  std::string out(1, compressed);
  put_varint(out, content.size());
  const archive::CompressedFrame frame =
      archive::compress_frame_at(as_bytes(content), level, std::max<ByteCount>(frame_bytes, content.size()));
  out.append(as_text(frame.bytes.view()));
  return out;
}

/// The content of a compressed column; `encoded` is behind its first byte.
std::string decompress(std::string_view encoded) {
  const std::uint64_t size = take_number(encoded);
  if (size > most_column_bytes) throw damaged();
  std::string content(size, '\0');
  try {
    archive::decompress_frame(as_bytes(encoded), {reinterpret_cast<std::byte*>(content.data()), content.size()});
  } catch (const Error& error) {
    throw error.kind() == ErrorKind::corrupt ? damaged() : error;
  }
  return content;
}

std::string encode_texts(const std::vector<std::string_view>& texts) {
  const bool same = std::all_of(texts.begin(), texts.end(), [&](std::string_view text) { return text == texts[0]; });
  if (same) return std::string(1, same_in_all_rows).append(texts[0]);
  std::string content;
  for (const std::string_view text : texts) put_varint(content, text.size());
  for (const std::string_view text : texts) content.append(text);
  return compress(content);
}

/// Encodes a column of numbers that `value` takes from a row.
template <typename Value>
std::string numbers(std::span<const IndexedRow> rows, Value value) {
  std::vector<std::int64_t> values;
  values.reserve(rows.size());
  for (const IndexedRow& row : rows) values.push_back(static_cast<std::int64_t>(value(row)));
  return encode_numbers(values);
}

/// Encodes a column of texts that `value` takes from a row: views of the row.
template <typename Value>
std::string texts(std::span<const IndexedRow> rows, Value value) {
  std::vector<std::string_view> views;
  views.reserve(rows.size());
  for (const IndexedRow& row : rows) views.push_back(value(row));
  return encode_texts(views);
}

/// As texts(), of texts that are made.
template <typename Value>
std::string made_texts(std::span<const IndexedRow> rows, Value value) {
  std::vector<std::string> made;
  made.reserve(rows.size());
  for (const IndexedRow& row : rows) made.push_back(value(row));
  return encode_texts({made.begin(), made.end()});
}

void encode_number_columns(std::span<const IndexedRow> rows, EncodedColumns& columns) {
  const auto put = [&](StoredColumn column, auto value) {
    columns[static_cast<std::size_t>(column)] = numbers(rows, value);
  };
  using enum StoredColumn;
  put(file, [](const IndexedRow& r) { return r.file; });
  put(backup_time, [](const IndexedRow& r) { return to_epoch_ms(r.record.backup_time) / 1000; });
  put(last_modified, [](const IndexedRow& r) { return to_epoch_ms(r.record.last_modified); });
  put(object_size, [](const IndexedRow& r) {
    return r.record.object_size ? static_cast<std::int64_t>(*r.record.object_size) : unknown_size;
  });
  put(deleted, [](const IndexedRow& r) { return r.record.deleted ? 1 : 0; });
  const auto place = [](ByteCount archive::MemberLocation::*member) {
    return [member](const IndexedRow& r) { return r.record.location ? (*r.record.location).*member + 1 : 0; };
  };
  put(frame_offset, place(&archive::MemberLocation::frame_offset));
  put(frame_length, place(&archive::MemberLocation::frame_length));
  put(frame_skip, place(&archive::MemberLocation::frame_skip));
  put(current_since,
      [](const IndexedRow& r) { return r.record.current_since ? to_epoch_ms(*r.record.current_since) : 0; });
}

void encode_text_columns(std::span<const IndexedRow> rows, EncodedColumns& columns) {
  const auto put = [&](StoredColumn column, auto value) {
    columns[static_cast<std::size_t>(column)] =
        texts(rows, [&](const IndexedRow& row) -> std::string_view { return value(row.record); });
  };
  using enum StoredColumn;
  put(object_path, [](const Record& r) -> std::string_view { return r.object_path.str(); });
  put(object_name, [](const Record& r) -> std::string_view { return r.object_name; });
  const bool is_basename = std::all_of(rows.begin(), rows.end(), [](const IndexedRow& row) {
    return row.record.object_name == basename(row.record.object_path.str());
  });
  if (is_basename) columns[static_cast<std::size_t>(object_name)] = std::string(1, derived_from_path);
  put(source_bucket, [](const Record& r) -> std::string_view { return r.source_bucket.str(); });
  put(source_prefix, [](const Record& r) -> std::string_view { return r.source_prefix; });
  put(backup_file, [](const Record& r) -> std::string_view { return r.backup_file; });
  put(source_region, [](const Record& r) -> std::string_view { return r.source_region.str(); });
  put(archive_bucket, [](const Record& r) -> std::string_view { return r.archive_bucket.str(); });
  put(archive_key, [](const Record& r) -> std::string_view { return r.archive_key.str(); });
  put(archive_etag, [](const Record& r) -> std::string_view { return r.archive_etag.str(); });
  put(version_id, [](const Record& r) -> std::string_view { return r.version_id.str(); });
  put(sequencer, [](const Record& r) -> std::string_view { return r.sequencer; });
  put(etag, [](const Record& r) -> std::string_view { return r.etag.str(); });
  put(sha256, [](const Record& r) -> std::string_view { return r.sha256; });
  put(storage_class, [](const Record& r) -> std::string_view { return r.storage_class; });
}

void encode_json_columns(std::span<const IndexedRow> rows, EncodedColumns& columns) {
  const auto put = [&](StoredColumn column, auto value) {
    columns[static_cast<std::size_t>(column)] = made_texts(rows, value);
  };
  using enum StoredColumn;
  put(target_buckets, [](const IndexedRow& r) { return buckets_to_json(r.record.target_buckets); });
  put(headers, [](const IndexedRow& r) { return headers_to_json(r.record.headers); });
  put(metadata, [](const IndexedRow& r) { return map_to_json(r.record.metadata); });
  put(tags, [](const IndexedRow& r) { return map_to_json(r.record.tags); });
  put(day, [](const IndexedRow& r) { return r.day; });
}

}  // namespace

std::string encode_numbers(std::span<const std::int64_t> values) {
  const bool same = std::all_of(values.begin(), values.end(), [&](std::int64_t value) { return value == values[0]; });
  std::string out;
  if (same) {
    out += same_in_all_rows;
    put_varint(out, zigzag(static_cast<std::uint64_t>(values[0])));
    return out;
  }
  std::uint64_t previous = 0;  // unsigned: differences of far numbers wrap round, and back
  for (const std::int64_t value : values) {
    put_varint(out, zigzag(static_cast<std::uint64_t>(value) - previous));
    previous = static_cast<std::uint64_t>(value);
  }
  return compress(out);
}

EncodedColumns encode_rows(std::span<const IndexedRow> rows) {
  EncodedColumns columns;
  encode_number_columns(rows, columns);
  encode_text_columns(rows, columns);
  encode_json_columns(rows, columns);
  return columns;
}

NumberColumn decode_numbers(std::string_view encoded, std::size_t rows) {
  if (encoded.empty()) throw damaged();
  const char form = encoded.front();
  encoded.remove_prefix(1);
  if (form == same_in_all_rows) return NumberColumn({static_cast<std::int64_t>(from_zigzag(take_number(encoded)))});
  if (form != compressed) throw damaged();
  const std::string content = decompress(encoded);
  std::string_view rest = content;
  std::vector<std::int64_t> values(rows);
  std::uint64_t previous = 0;
  for (std::int64_t& value : values) {
    previous += from_zigzag(take_number(rest));
    value = static_cast<std::int64_t>(previous);
  }
  return NumberColumn(std::move(values));
}

TextColumn decode_texts(std::string_view encoded, std::size_t rows) {
  if (encoded.empty()) throw damaged();
  const char form = encoded.front();
  encoded.remove_prefix(1);
  if (form == same_in_all_rows) return TextColumn(std::string(encoded), {static_cast<std::uint32_t>(encoded.size())});
  if (form != compressed) throw damaged();
  std::string content = decompress(encoded);
  std::string_view rest = content;
  std::vector<std::uint32_t> ends(rows);
  std::uint64_t end = 0;
  for (std::uint32_t& place : ends) {
    end += take_number(rest);
    if (end > content.size()) throw damaged();
    place = static_cast<std::uint32_t>(end);
  }
  if (end != rest.size()) throw damaged();
  content.erase(0, content.size() - rest.size());
  return TextColumn(std::move(content), std::move(ends));
}

bool is_derived(std::string_view encoded) noexcept { return encoded.size() == 1 && encoded[0] == derived_from_path; }

}  // namespace bale::catalog
