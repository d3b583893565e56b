#include "archive/seek_table.hpp"

#include <fmt/format.h>

#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "base/error.hpp"

namespace bale::archive {

ByteCount SeekFooter::table_bytes() const noexcept {
  const std::size_t entry = checksums ? layout::seek_entry_bytes : layout::seek_entry_bytes_plain;
  return layout::skippable_header_bytes + ByteCount{frames} * entry + layout::seek_footer_bytes;
}

ByteCount seek_table_bytes(std::size_t frames) noexcept {
  return layout::skippable_header_bytes + ByteCount{frames} * layout::seek_entry_bytes + layout::seek_footer_bytes;
}

Buffer encode_seek_table(const std::vector<SeekEntry>& entries) {
  if (entries.size() > layout::seek_max_frames) {
    throw Error(ErrorKind::invalid,
                fmt::format("the archive has {} frames; the format allows {}", entries.size(), layout::seek_max_frames),
                {}, "use a larger --frame-size");
  }
  const ByteCount total = seek_table_bytes(entries.size());
  Buffer table(total);
  append_le(table, layout::seek_table_magic);
  append_le(table, static_cast<std::uint32_t>(total - layout::skippable_header_bytes));
  for (const SeekEntry& entry : entries) {
    append_le(table, entry.compressed);
    append_le(table, entry.decompressed);
    append_le(table, entry.checksum);
  }
  append_le(table, static_cast<std::uint32_t>(entries.size()));
  append_le(table, layout::seek_checksum_flag);
  append_le(table, layout::seek_footer_magic);
  return table;
}

bool find_seek_footer(ByteView tail, std::uint64_t max_frames, SeekFooter& footer) {
  if (tail.size() < layout::seek_footer_bytes) return false;
  const ByteView last = tail.last(layout::seek_footer_bytes);
  if (load_le<std::uint32_t>(last, 5) != layout::seek_footer_magic) return false;
  const auto descriptor = load_le<std::uint8_t>(last, 4);
  footer.frames = load_le<std::uint32_t>(last, 0);
  footer.checksums = (descriptor & layout::seek_checksum_flag) != 0;
  footer.unused_bits = (descriptor & layout::seek_unused_bits) != 0;
  if ((descriptor & layout::seek_reserved_bits) != 0)
    throw Error(ErrorKind::corrupt, "the seek table's descriptor has reserved bits set");
  const std::uint64_t most = std::min<std::uint64_t>(max_frames, layout::seek_max_frames);
  if (footer.frames > most)
    throw Error(ErrorKind::corrupt,
                fmt::format("the seek table claims {} frames; at most {} are read", footer.frames, most));
  return true;
}

std::optional<ByteCount> bytes_behind_seek_table(ByteView tail) noexcept {
  for (std::size_t end = tail.size(); end >= layout::seek_footer_bytes; --end) {
    if (load_le<std::uint32_t>(tail, end - 4) != layout::seek_footer_magic) continue;
    const auto descriptor = load_le<std::uint8_t>(tail, end - 5);
    const SeekFooter footer{load_le<std::uint32_t>(tail, end - layout::seek_footer_bytes),
                            (descriptor & layout::seek_checksum_flag) != 0, false};
    const ByteCount length = footer.table_bytes();
    const bool is_table = (descriptor & layout::seek_reserved_bits) == 0 && length <= end &&
                          load_le<std::uint32_t>(tail, end - length) == layout::seek_table_magic &&
                          load_le<std::uint32_t>(tail, end - length + 4) == length - layout::skippable_header_bytes;
    if (is_table) return tail.size() - end;
  }
  return std::nullopt;
}

std::vector<SeekEntry> decode_seek_table(ByteView table, const SeekFooter& footer) {
  if (table.size() != footer.table_bytes()) throw Error(ErrorKind::corrupt, "the seek table is cut short");
  const auto magic = load_le<std::uint32_t>(table, 0);
  const auto length = load_le<std::uint32_t>(table, 4);
  if (magic != layout::seek_table_magic || length != table.size() - layout::skippable_header_bytes)
    throw Error(ErrorKind::corrupt, "the seek table's header does not fit its footer");
  std::vector<SeekEntry> entries(footer.frames);
  std::size_t at = layout::skippable_header_bytes;
  for (SeekEntry& entry : entries) {
    entry.compressed = load_le<std::uint32_t>(table, at);
    entry.decompressed = load_le<std::uint32_t>(table, at + 4);
    if (footer.checksums) entry.checksum = load_le<std::uint32_t>(table, at + 8);
    at += footer.checksums ? layout::seek_entry_bytes : layout::seek_entry_bytes_plain;
  }
  return entries;
}

}  // namespace bale::archive
