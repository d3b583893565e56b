#include "catalog/record_list.hpp"

#include <algorithm>

#include "base/varint.hpp"

namespace bale::catalog {
namespace {

constexpr std::size_t block_bytes = 1 << 20;
constexpr ByteCount node_bytes = 48;  ///< of the set, beside the text

void put(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

void put(std::string& out, const std::map<std::string, std::string>& map) {
  put_varint(out, map.size());
  for (const auto& [name, value] : map) {
    put(out, name);
    put(out, value);
  }
}

/// Takes what put() wrote, one after the other.
class Unpacker {
 public:
  explicit Unpacker(std::string_view packed) : rest_(packed) {}
  std::uint64_t number() { return take_varint(rest_).value(); }
  std::string_view text() {
    const std::size_t size = number();
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  std::map<std::string, std::string> map() {
    std::map<std::string, std::string> map;
    for (std::uint64_t left = number(); left > 0; --left) {
      const std::string_view name = text();
      map.emplace_hint(map.end(), name, text());
    }
    return map;
  }

 private:
  std::string_view rest_;
};

// What pack_*() puts, unpack_*() takes, in the same order.

std::string pack_common(const Record& record) {
  std::string out;
  put(out, record.backup_file);
  put_varint(out, static_cast<std::uint64_t>(to_epoch_ms(record.backup_time)));
  put(out, record.source_bucket.str());
  put(out, record.source_prefix);
  put_varint(out, record.target_buckets.size());
  for (const BucketName& bucket : record.target_buckets) put(out, bucket.str());
  put(out, record.source_region.str());
  put(out, record.archive_bucket.str());
  put(out, record.archive_key.str());
  put(out, record.archive_etag.str());
  return out;
}

void unpack_common(std::string_view packed, Record& record) {
  Unpacker in(packed);
  record.backup_file = in.text();
  record.backup_time = from_epoch_ms(static_cast<std::int64_t>(in.number()));
  record.source_bucket = BucketName(in.text());
  record.source_prefix = in.text();
  for (std::uint64_t left = in.number(); left > 0; --left) record.target_buckets.emplace_back(in.text());
  record.source_region = Region(in.text());
  record.archive_bucket = BucketName(in.text());
  record.archive_key = ObjectKey(in.text());
  record.archive_etag = ETag(in.text());
}

template <typename Headers, typename Visit>
void for_each_header(Headers& headers, Visit visit) {
  for (auto* header :
       {&headers.content_type, &headers.cache_control, &headers.content_disposition, &headers.content_encoding,
        &headers.content_language, &headers.expires, &headers.website_redirect})
    visit(*header);
}

std::string pack_own(const Record& record) {
  std::string out;
  put(out, record.object_path.str());
  const bool is_usual = record.object_name == basename(record.object_path.str());
  put_varint(out, is_usual ? 1 : 0);
  if (!is_usual) put(out, record.object_name);
  put(out, record.version_id.str());
  put(out, record.sequencer);
  put_varint(out, record.current_since ? static_cast<std::uint64_t>(to_epoch_ms(*record.current_since)) : 0);
  put(out, record.etag.str());
  put(out, record.sha256);
  put(out, record.storage_class);
  for_each_header(record.headers, [&](const std::string& header) { put(out, header); });
  put(out, record.metadata);
  put(out, record.tags);
  return out;
}

void unpack_own(std::string_view packed, Record& record) {
  Unpacker in(packed);
  record.object_path = ObjectKey(in.text());
  const bool is_usual = in.number() == 1;
  record.object_name = is_usual ? basename(record.object_path.str()) : in.text();
  record.version_id = VersionId(in.text());
  record.sequencer = in.text();
  if (const std::uint64_t ms = in.number(); ms != 0)
    record.current_since = from_epoch_ms(static_cast<std::int64_t>(ms));
  record.etag = ETag(in.text());
  record.sha256 = in.text();
  record.storage_class = in.text();
  for_each_header(record.headers, [&](std::string& header) { header = in.text(); });
  record.metadata = in.map();
  record.tags = in.map();
}

}  // namespace

const char* RecordList::keep(std::string_view texts) {
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < texts.size()) {
    blocks_.emplace_back().reserve(std::max(block_bytes, texts.size()));
    memory_ += blocks_.back().capacity();
  }
  std::string& block = blocks_.back();
  block.append(texts);
  return block.data() + block.size() - texts.size();
}

void RecordList::add(const Record& record) {
  const auto [common, is_new] = commons_.insert(pack_common(record));
  if (is_new) memory_ += common->capacity() + node_bytes;
  const std::string own = pack_own(record);
  rows_.push_back({keep(own), static_cast<std::uint32_t>(own.size()), record.deleted, record.object_size,
                   record.last_modified, &*common, record.location});
  memory_ += sizeof(Row);
}

Record RecordList::operator[](std::size_t index) const {
  const Row& row = rows_[index];
  Record record;
  unpack_common(*row.common, record);
  unpack_own({row.texts, row.text_bytes}, record);
  record.deleted = row.deleted;
  record.object_size = row.object_size;
  record.last_modified = row.last_modified;
  record.location = row.location;
  return record;
}

std::string_view RecordList::object_path(std::size_t index) const {
  const Row& row = rows_[index];
  return Unpacker({row.texts, row.text_bytes}).text();
}

}  // namespace bale::catalog
