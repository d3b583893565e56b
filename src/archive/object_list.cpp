#include "archive/object_list.hpp"

#include <algorithm>
#include <stdexcept>

#include "archive/layout.hpp"
#include "base/text.hpp"
#include "base/varint.hpp"

namespace bale::archive {
namespace {

// Blocks are as large as all before them, within these bounds.
constexpr ByteCount least_block_bytes = 4 << 10, most_block_bytes = 1 << 20;
constexpr std::size_t sha256_bytes = 32;

// What is not packed, since it follows from the relative key.
constexpr std::uint64_t usual_name = 1, usual_key = 2, usual_member = 4;
constexpr std::uint64_t has_sha256 = 8, has_odd_sha256 = 16, has_current_since = 32, has_mode = 64,
                        has_content_member = 128;

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
  std::string_view bytes(std::size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::string_view text() { return bytes(number()); }
  std::map<std::string, std::string> map() {
    std::map<std::string, std::string> map;
    for (std::uint64_t left = number(); left > 0; --left) {
      const std::string_view name = text();
      map.emplace_hint(map.end(), name, text());
    }
    return map;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

template <typename Headers, typename Visit>
void for_each_header(Headers& headers, Visit visit) {
  for (auto* header :
       {&headers.content_type, &headers.cache_control, &headers.content_disposition, &headers.content_encoding,
        &headers.content_language, &headers.expires, &headers.website_redirect})
    visit(*header);
}

std::string key_of(std::string_view prefix, std::string_view relative_key) {
  return prefix.empty() ? std::string(relative_key) : std::string(prefix) + "/" + std::string(relative_key);
}

bool is_usual_key(const ManifestObject& object) {
  const std::string_view key = object.key.str(), prefix = object.source_prefix;
  if (prefix.empty()) return key == object.relative_key;
  return key.size() == prefix.size() + 1 + object.relative_key.size() && key.starts_with(prefix) &&
         key[prefix.size()] == '/' && key.ends_with(object.relative_key);
}

bool is_usual_member(const ManifestObject& object) {
  return object.member.size() == layout::member_prefix.size() + object.relative_key.size() &&
         object.member.starts_with(layout::member_prefix) && object.member.ends_with(object.relative_key);
}

bool is_hex_digest(std::string_view text) {
  return text.size() == 2 * sha256_bytes && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

void put_digest(std::string& out, std::string_view hex) {
  for (std::size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
}

// What pack() and pack_attributes() put, unpack() and unpack_attributes() take, in the same order.

std::string pack(const ManifestObject& object) {
  const bool is_hex = is_hex_digest(object.sha256);
  const std::uint64_t flags = (object.object_name == basename(object.relative_key) ? usual_name : 0) |
                              (is_usual_key(object) ? usual_key : 0) | (is_usual_member(object) ? usual_member : 0) |
                              (is_hex                  ? has_sha256
                               : object.sha256.empty() ? 0
                                                       : has_odd_sha256) |
                              (object.current_since ? has_current_since : 0) | (object.mode ? has_mode : 0) |
                              (object.content_member.empty() ? 0 : has_content_member);
  std::string out;
  put_varint(out, flags);
  put(out, object.relative_key);
  if ((flags & usual_name) == 0) put(out, object.object_name);
  if ((flags & usual_key) == 0) put(out, object.key.str());
  if ((flags & usual_member) == 0) put(out, object.member);
  if ((flags & has_content_member) != 0) put(out, object.content_member);
  if ((flags & has_sha256) != 0) put_digest(out, object.sha256);
  if ((flags & has_odd_sha256) != 0) put(out, object.sha256);
  put(out, object.sequencer);
  if (object.current_since) put_varint(out, static_cast<std::uint64_t>(to_epoch_ms(*object.current_since)));
  if (object.mode) put_varint(out, *object.mode);
  return out += pack_attributes(object);
}

void unpack(std::string_view packed, ManifestObject& object) {
  Unpacker in(packed);
  const std::uint64_t flags = in.number();
  object.relative_key = in.text();
  object.object_name = (flags & usual_name) != 0 ? basename(object.relative_key) : in.text();
  object.key =
      ObjectKey((flags & usual_key) != 0 ? key_of(object.source_prefix, object.relative_key) : std::string(in.text()));
  object.member =
      (flags & usual_member) != 0 ? std::string(layout::member_prefix) + object.relative_key : std::string(in.text());
  if ((flags & has_content_member) != 0) object.content_member = in.text();
  if ((flags & has_sha256) != 0) object.sha256 = to_hex(as_bytes(in.bytes(sha256_bytes)));
  if ((flags & has_odd_sha256) != 0) object.sha256 = in.text();
  object.sequencer = in.text();
  if ((flags & has_current_since) != 0) object.current_since = from_epoch_ms(static_cast<std::int64_t>(in.number()));
  if ((flags & has_mode) != 0) object.mode = static_cast<std::uint32_t>(in.number());
  unpack_attributes(in.rest(), object);
}

}  // namespace

std::string pack_attributes(const ManifestObject& object) {
  std::string out;
  put_varint(out, static_cast<std::uint64_t>(to_epoch_ms(object.last_modified)));
  put_varint(out, object.size);
  put(out, object.etag.str());
  put(out, object.storage_class);
  put(out, object.version_id.str());
  for_each_header(object.headers, [&](const std::string& header) { put(out, header); });
  put(out, object.metadata);
  put(out, object.tags);
  return out;
}

void unpack_attributes(std::string_view packed, ManifestObject& object) {
  Unpacker in(packed);
  object.last_modified = from_epoch_ms(static_cast<std::int64_t>(in.number()));
  object.size = in.number();
  object.etag = ETag(in.text());
  object.storage_class = in.text();
  object.version_id = VersionId(in.text());
  for_each_header(object.headers, [&](std::string& header) { header = in.text(); });
  object.metadata = in.map();
  object.tags = in.map();
}

ObjectList::Entry ObjectList::made(const ManifestObject& object) {
  const std::string packed = pack(object);
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < packed.size()) {
    blocks_.emplace_back();
    blocks_.back().reserve(
        std::max<ByteCount>(packed.size(), std::clamp(text_bytes_, least_block_bytes, most_block_bytes)));
    text_bytes_ += blocks_.back().capacity();
  }
  Source source{object.source_bucket, object.source_prefix};
  if (sources_.empty() || sources_.back() != source) {
    source_bytes_ += 2 * sizeof(Source) + source.bucket.str().size() + source.prefix.size();
    sources_.push_back(std::move(source));
  }
  Entry entry;
  entry.block = static_cast<std::uint32_t>(blocks_.size() - 1);
  entry.at = static_cast<std::uint32_t>(blocks_.back().size());
  entry.length = static_cast<std::uint32_t>(packed.size());
  entry.source = static_cast<std::uint32_t>(sources_.size() - 1);
  entry.size = object.size;
  entry.data_offset = object.data_offset.value_or(no_offset);
  entry.members_before = static_cast<std::uint32_t>(object.members_before);
  blocks_.back() += packed;
  return entry;
}

void ObjectList::push_back(const ManifestObject& object) { entries_.push_back(made(object)); }

void ObjectList::set(std::size_t i, const ManifestObject& object) { entries_[i] = made(object); }

const ManifestObject ObjectList::operator[](std::size_t i) const {  // NOLINT(readability-const-return-type)
  const Entry& entry = entries_[i];
  ManifestObject object;
  object.source_bucket = sources_[entry.source].bucket;
  object.source_prefix = sources_[entry.source].prefix;
  unpack(std::string_view(blocks_[entry.block]).substr(entry.at, entry.length), object);
  object.data_offset = data_offset_of(i);
  object.members_before = entry.members_before;
  return object;
}

const ManifestObject ObjectList::at(std::size_t i) const {  // NOLINT(readability-const-return-type)
  if (i >= entries_.size()) throw std::out_of_range("no such object");
  return (*this)[i];
}

void ObjectList::set_place(std::size_t i, std::optional<ByteCount> data_offset, std::size_t members_before) noexcept {
  entries_[i].data_offset = data_offset.value_or(no_offset);
  entries_[i].members_before = static_cast<std::uint32_t>(members_before);
}

void ObjectList::keep_only(const std::vector<bool>& kept) {
  std::size_t to = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (kept[i]) entries_[to++] = entries_[i];
  }
  entries_.resize(to);
}

ByteCount ObjectList::memory() const noexcept {
  return text_bytes_ + source_bytes_ + entries_.capacity() * sizeof(Entry);
}

bool operator==(const ObjectList& a, const ObjectList& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

}  // namespace bale::archive
