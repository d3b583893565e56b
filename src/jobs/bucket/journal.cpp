#include "jobs/bucket/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/varint.hpp"
#include "store/listing.hpp"

namespace bale::bucket {
namespace {

/// A block is closed when it has this many bytes: one read of it is one small piece of memory.
constexpr std::size_t block_bytes = 64 << 10;
constexpr std::size_t md5_bytes = 16;
constexpr std::size_t most_text_bytes = 2048;  ///< of an ETag or version id

// How an ETag is written.
constexpr char etag_empty = 0, etag_md5 = 1, etag_parts = 2, etag_text = 3, etag_of_source = 4;

// Bits of an entry's flags; the lowest three are the origin.
constexpr unsigned flag_marked = 8, flag_forgotten = 16, flag_version = 32;

std::uint32_t crc_of_text(std::string_view text) { return static_cast<std::uint32_t>(crc_of(crc32c, as_bytes(text))); }

void put_fixed(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

std::uint64_t fixed_of(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

std::int64_t seconds_of(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

/// The number behind the "-" of the ETag of an upload in parts, written as it is read again; absent for another text.
std::optional<std::uint32_t> parts_of(std::string_view digits) {
  std::uint32_t parts = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), parts);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return std::to_string(parts) == digits ? std::optional(parts) : std::nullopt;
}

bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void put_etag(std::string& out, const std::string& etag) {
  constexpr std::size_t hex = 2 * md5_bytes;
  if (etag.empty()) {
    out += etag_empty;
    return;
  }
  if (etag.size() >= hex && is_lower_hex(std::string_view(etag).substr(0, hex))) {
    const std::string digest = from_hex(std::string_view(etag).substr(0, hex));
    if (etag.size() == hex) {
      out += etag_md5;
      out += digest;
      return;
    }
    const auto parts = etag[hex] == '-' ? parts_of(std::string_view(etag).substr(hex + 1)) : std::nullopt;
    if (parts) {
      out += etag_parts;
      out += digest;
      put_varint(out, *parts);
      return;
    }
  }
  out += etag_text;
  put_text(out, etag);
}

void put_entry(std::string& out, const JournalEntry& entry, std::string_view last) {
  const std::size_t shared = static_cast<std::size_t>(
      std::mismatch(entry.name.begin(), entry.name.end(), last.begin(), last.end()).first - entry.name.begin());
  put_varint(out, shared);
  put_text(out, std::string_view(entry.name).substr(shared));
  unsigned flags = static_cast<unsigned>(entry.origin);
  if (entry.marked) flags |= flag_marked;
  if (entry.is_forgotten) flags |= flag_forgotten;
  if (!entry.source_version.empty()) flags |= flag_version;
  out += static_cast<char>(flags);
  put_varint(out, static_cast<std::uint64_t>(to_epoch_ms(entry.noted)));
  if (entry.is_forgotten) return;
  put_etag(out, entry.source_etag.str());
  if (entry.copy_etag == entry.source_etag && !entry.copy_etag.empty())
    out += etag_of_source;
  else
    put_etag(out, entry.copy_etag.str());
  put_varint(out, entry.size);
  put_varint(out, static_cast<std::uint64_t>(seconds_of(entry.source_modified)));
  if (entry.marked) put_varint(out, static_cast<std::uint64_t>(to_epoch_ms(*entry.marked)));
  if (!entry.source_version.empty()) put_text(out, entry.source_version.str());
}

/// Takes fields off the front of a text; `ok` turns false at the first one that is not whole.
struct Fields {
  std::string_view rest;
  bool ok = true;

  std::uint64_t number() {
    const auto value = take_varint(rest);
    ok = ok && value.has_value();
    return value.value_or(0);
  }
  std::string_view bytes(std::uint64_t count) {
    ok = ok && count <= rest.size();
    if (!ok) return {};
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(count);
    return taken;
  }
  std::string_view text(std::size_t most) {
    const std::uint64_t size = number();
    ok = ok && size <= most;
    return ok ? bytes(size) : std::string_view();
  }
  unsigned byte() {
    const std::string_view one = bytes(1);
    return ok ? static_cast<unsigned char>(one.front()) : 0;
  }
  /// A time in units of `Unit` since 1970, before the year 10000.
  template <typename Unit>
  TimePoint time() {
    constexpr std::uint64_t most = std::chrono::duration_cast<Unit>(std::chrono::hours(8030LL * 8766)).count();
    const std::uint64_t value = number();
    ok = ok && value <= most;
    return TimePoint(std::chrono::duration_cast<Milliseconds>(Unit(ok ? static_cast<std::int64_t>(value) : 0)));
  }
};

std::string take_etag(Fields& fields, const std::string& source, bool is_copy) {
  const unsigned kind = fields.byte();
  if (kind == etag_empty) return {};
  if (kind == etag_of_source && is_copy && !source.empty()) return source;
  if (kind == etag_text) return std::string(fields.text(most_text_bytes));
  fields.ok = fields.ok && (kind == etag_md5 || kind == etag_parts);
  const std::string_view digest = fields.bytes(md5_bytes);
  if (!fields.ok) return {};
  const std::string hex = to_hex(as_bytes(digest));
  if (kind == etag_md5) return hex;
  const std::uint64_t parts = fields.number();
  fields.ok = fields.ok && parts <= std::numeric_limits<std::uint32_t>::max();
  return fmt::format("{}-{}", hex, parts);
}

Error damaged(const char* what, const std::string& where) {
  return Error(ErrorKind::corrupt, fmt::format("the journal is damaged: {}", what), where,
               "remove it: the next backup compares the buckets without it, and writes it anew");
}

std::string header_of(std::string_view identity, std::string_view first) {
  std::string fields;
  put_text(fields, identity);
  put_text(fields, first);
  std::string header(journal_magic);
  put_fixed(header, fields.size(), 4);
  put_fixed(header, crc_of_text(fields), 4);
  return header + fields;
}

constexpr std::size_t header_start_bytes = journal_magic.size() + 8;

JournalHeader parse_header(std::string_view start, std::string_view fields, const std::string& where) {
  if (fixed_of(start.substr(journal_magic.size() + 4, 4)) != crc_of_text(fields))
    throw damaged("the checksum of its header is wrong", where);
  Fields parsed{fields};
  JournalHeader header;
  header.identity = parsed.text(most_journal_header_bytes);
  header.first = parsed.text(store::max_key_bytes);
  if (!parsed.ok || !parsed.rest.empty()) throw damaged("its header is wrong", where);
  return header;
}

/// Checks the first bytes of a file, and returns how many bytes of fields follow them.
std::size_t field_bytes_of(std::string_view start, const std::string& where) {
  if (start.size() < header_start_bytes || !start.starts_with(journal_magic))
    throw damaged("it does not begin as a journal of a known version", where);
  const std::uint64_t bytes = fixed_of(start.substr(journal_magic.size(), 4));
  if (bytes > most_journal_header_bytes - header_start_bytes) throw damaged("its header is too long", where);
  return bytes;
}

}  // namespace

void JournalWriter::begin(std::string_view first) {
  has_begun_ = true;
  take_(header_of(identity_, first));
}

void JournalWriter::add(const JournalEntry& entry) {
  if (!has_begun_) begin(entry.name);
  if (entries_ > 0 && entry.name <= last_)
    throw Error(ErrorKind::internal, "entries of a journal are out of order", escape_name(entry.name));
  put_entry(block_, entry, in_block_ == 0 ? std::string_view() : last_);
  last_ = entry.name;
  ++in_block_;
  ++entries_;
  if (block_.size() >= block_bytes) end_block();
}

void JournalWriter::end_block() {
  std::string payload;
  put_varint(payload, in_block_);
  payload += block_;
  std::string frame;
  put_fixed(frame, payload.size(), 4);
  put_fixed(frame, crc_of_text(payload), 4);
  take_(frame);
  take_(payload);
  block_.clear();
  in_block_ = 0;
}

void JournalWriter::finish() {
  if (!has_begun_) begin({});
  if (in_block_ > 0) end_block();
  std::string count, frame;
  put_fixed(count, entries_, 8);
  put_fixed(frame, 0, 4);
  put_fixed(frame, crc_of_text(count), 4);
  take_(frame + count);
}

JournalHeader read_journal_header(std::string_view bytes, const std::string& where) {
  const std::size_t fields = field_bytes_of(bytes, where);
  if (bytes.size() < header_start_bytes + fields) throw damaged("its header is cut", where);
  return parse_header(bytes.substr(0, header_start_bytes), bytes.substr(header_start_bytes, fields), where);
}

JournalReader::JournalReader(ReadBytes read, std::string where) : read_(std::move(read)), where_(std::move(where)) {
  const std::string start = take(header_start_bytes);
  header_ = parse_header(start, take(field_bytes_of(start, where_)), where_);
}

void JournalReader::refuse(const char* what) const { throw damaged(what, where_); }

std::string JournalReader::take(std::size_t bytes) {
  std::string taken(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const std::size_t got = read_({reinterpret_cast<std::byte*>(taken.data()) + have, bytes - have});
    if (got == 0) refuse("it ends too early");
    have += got;
  }
  return taken;
}

void JournalReader::read_block() {
  const std::string frame = take(8);
  const std::uint64_t bytes = fixed_of(std::string_view(frame).substr(0, 4));
  if (bytes > most_journal_block_bytes) refuse("a block is too long");
  block_ = take(bytes == 0 ? 8 : bytes);
  if (fixed_of(std::string_view(frame).substr(4)) != crc_of_text(block_)) refuse("the checksum of a block is wrong");
  if (bytes == 0) return check_end();
  rest_ = block_;
  const auto count = take_varint(rest_);
  if (!count || *count == 0 || *count > rest_.size()) refuse("a block has another number of entries");
  left_ = *count;
}

void JournalReader::check_end() {
  if (fixed_of(block_) != entries_) refuse("entries are missing");
  is_at_end_ = true;
}

void JournalReader::read_entry() {
  const bool is_first = entries_ == 0;
  Fields fields{rest_};
  const std::uint64_t shared = fields.number();
  if (shared > entry_.name.size()) fields.ok = false;
  const std::string_view suffix = fields.text(store::max_key_bytes);
  const unsigned flags = fields.byte();
  JournalEntry entry;
  entry.noted = fields.time<Milliseconds>();
  if (!fields.ok) refuse("an entry is wrong");
  entry.name = entry_.name.substr(0, shared);
  entry.name += suffix;
  entry.is_forgotten = (flags & flag_forgotten) != 0;
  if ((flags & 7U) > static_cast<unsigned>(Origin::none) || flags >= 2 * flag_version) refuse("an entry is wrong");
  entry.origin = static_cast<Origin>(flags & 7U);
  if (!entry.is_forgotten) {
    entry.source_etag = ETag(take_etag(fields, {}, false));
    entry.copy_etag = ETag(take_etag(fields, entry.source_etag.str(), true));
    entry.size = fields.number();
    entry.source_modified = fields.time<std::chrono::seconds>();
    if ((flags & flag_marked) != 0) entry.marked = fields.time<Milliseconds>();
    if ((flags & flag_version) != 0) entry.source_version = VersionId(fields.text(most_text_bytes));
  }
  if (!fields.ok || entry.name.size() > store::max_key_bytes) refuse("an entry is wrong");
  if (!is_first && entry.name <= last_name()) refuse("entries are out of order");
  if (is_first && entry.name != header_.first) refuse("its header names another first entry");
  rest_ = fields.rest;
  entry_ = std::move(entry);
  ++entries_;
  if (--left_ == 0 && !rest_.empty()) refuse("a block is longer than its entries");
}

const JournalEntry* JournalReader::next() {
  if (is_at_end_) return nullptr;
  if (left_ == 0) {
    read_block();
    if (is_at_end_) return nullptr;
    last_ = entry_.name;
    entry_.name.clear();  // names of a block do not lean on the block before
    begins_block_ = true;
  }
  read_entry();
  begins_block_ = false;
  return &entry_;
}

const std::string& JournalReader::last_name() const noexcept { return begins_block_ ? last_ : entry_.name; }

MergedEntries::MergedEntries(std::vector<MergeInput> inputs) : waiting_(std::move(inputs)) {
  std::stable_sort(waiting_.begin(), waiting_.end(),
                   [](const MergeInput& a, const MergeInput& b) { return a.first > b.first; });
}

/// Opens what may have names up to `name`; null: the first input that has any.
void MergedEntries::open_until(const std::string* name) {
  while (!waiting_.empty() && (name == nullptr ? open_.empty() : waiting_.back().first <= *name)) {
    Open opened{waiting_.back().open(), nullptr};
    waiting_.pop_back();
    opened.head = opened.entries->next();
    if (opened.head != nullptr) open_.push_back(std::move(opened));
  }
}

const JournalEntry* MergedEntries::next() {
  for (;;) {
    open_until(nullptr);
    if (open_.empty()) return nullptr;
    const auto least = [&] {
      return std::min_element(open_.begin(), open_.end(),
                              [](const Open& a, const Open& b) { return a.head->name < b.head->name; })
          ->head->name;
    };
    std::string name = least();
    for (std::size_t before = 0; before != open_.size();) {  // an input that is opened may begin earlier
      before = open_.size();
      open_until(&name);
      name = least();
    }
    bool has_any = false;
    for (Open& each : open_) {
      if (each.head->name != name) continue;
      if (!has_any || each.head->noted >= entry_.noted) entry_ = *each.head;
      has_any = true;
      each.head = each.entries->next();
    }
    std::erase_if(open_, [](const Open& each) { return each.head == nullptr; });
    if (!entry_.is_forgotten) return &entry_;
  }
}

}  // namespace bale::bucket
