#include "archive/tar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "archive/layout.hpp"

namespace bale::archive {
namespace {

// Fields of a ustar header: offset and length. POSIX.1-2017, pax, "ustar Interchange Format".
struct Field {
  std::size_t at, length;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, uid_field{108, 8}, gid_field{116, 8}, size_field{124, 12},
    mtime_field{136, 12}, checksum_field{148, 8}, type_field{156, 1}, magic_field{257, 8}, devmajor_field{329, 8},
    devminor_field{337, 8}, prefix_field{345, 155};
constexpr char regular_file = '0', pax_header = 'x';
// Stands in the fields that the pax header overrides; a program that does not know pax extracts under this name.
constexpr std::string_view pax_name = "PaxHeaders/member";

/// A name as ustar stores it: `prefix` '/' `name`.
struct UstarName {
  std::string_view prefix, name;
};

std::optional<UstarName> split_name(std::string_view name) {
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii) return std::nullopt;
  if (name.size() <= name_field.length) return UstarName{{}, name};
  if (name.size() > prefix_field.length + 1 + name_field.length) return std::nullopt;
  // The earliest '/' that leaves at most 100 bytes behind it keeps the prefix shortest.
  const std::size_t slash = name.find('/', name.size() - name_field.length - 1);
  // No '/' at all is npos, which is greater than any length.
  if (slash > prefix_field.length || slash == 0 || slash + 1 == name.size()) return std::nullopt;
  return UstarName{name.substr(0, slash), name.substr(slash + 1)};
}

/// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (length != rest + std::to_string(length).size()) length = rest + std::to_string(length).size();
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string pax_records(std::string_view name, ByteCount size) {
  std::string records;
  if (!split_name(name)) records += pax_record("path", name);
  if (size > layout::ustar_max_size) records += pax_record("size", std::to_string(size));
  return records;
}

void put_text(std::byte* block, Field field, std::string_view text) {
  if (text.empty()) return;  // its data() may be null, which memcpy must not be given
  std::memcpy(block + field.at, text.data(), std::min(text.size(), field.length));
}

void put_octal(std::byte* block, Field field, std::uint64_t value) {
  put_text(block, field, fmt::format("{:0{}o}", value, field.length - 1));
}

void put_block(std::byte* block, UstarName name, ByteCount size, std::uint64_t seconds, char type, std::uint32_t mode) {
  std::memset(block, 0, layout::tar_block);
  put_text(block, name_field, name.name);
  put_text(block, prefix_field, name.prefix);
  put_octal(block, mode_field, mode & 0777);
  put_octal(block, uid_field, 0);
  put_octal(block, gid_field, 0);
  put_octal(block, size_field, size);
  put_octal(block, mtime_field, seconds);
  put_octal(block, devmajor_field, 0);
  put_octal(block, devminor_field, 0);
  put_text(block, type_field, {&type, 1});
  put_text(block, magic_field, std::string_view("ustar\00000", 8));
  put_text(block, checksum_field, "        ");
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < layout::tar_block; ++i) sum += static_cast<std::uint32_t>(block[i]);
  put_text(block, checksum_field, fmt::format("{:06o}", sum));
  block[checksum_field.at + 6] = std::byte{0};
}

}  // namespace

ByteCount tar_header_bytes(std::string_view name, ByteCount size) {
  const std::string records = pax_records(name, size);
  return records.empty() ? layout::tar_block : 2 * layout::tar_block + tar_padded(records.size());
}

void encode_tar_header(MutableBytes into, std::string_view name, ByteCount size, TimePoint modified,
                       std::uint32_t mode) {
  // Times that ustar's 11 octal digits cannot hold (before 1970, after 2242) are clamped; the manifest has them
  // exactly.
  const auto seconds = std::chrono::floor<std::chrono::seconds>(modified).time_since_epoch().count();
  const auto stamp = static_cast<std::uint64_t>(
      std::clamp<std::int64_t>(seconds, 0, static_cast<std::int64_t>(layout::ustar_max_size)));
  std::byte* block = into.data();
  const std::string records = pax_records(name, size);
  if (!records.empty()) {
    put_block(block, {{}, pax_name}, records.size(), stamp, pax_header, mode);
    block += layout::tar_block;
    std::memcpy(block, records.data(), records.size());
    std::memset(block + records.size(), 0, tar_padded(records.size()) - records.size());
    block += tar_padded(records.size());
  }
  const ByteCount shown = size > layout::ustar_max_size ? 0 : size;
  put_block(block, split_name(name).value_or(UstarName{{}, pax_name}), shown, stamp, regular_file, mode);
}

bool is_tar_header_of(ByteView header, std::string_view name, ByteCount size) {
  if (header.size() != tar_header_bytes(name, size)) return false;
  std::string there(as_text(header)), expected(header.size(), '\0');
  encode_tar_header(std::as_writable_bytes(std::span(expected)), name, size, {});
  // The first block is the pax header's where there is one, the last the member's own.
  for (const std::size_t block : {std::size_t{0}, there.size() - layout::tar_block}) {
    for (const Field field : {mode_field, mtime_field, checksum_field}) {
      there.replace(block + field.at, field.length, field.length, ' ');
      expected.replace(block + field.at, field.length, field.length, ' ');
    }
  }
  return there == expected;
}

bool has_tar_checksum(ByteView block) noexcept {
  // POSIX.1-2017, ustar: eight octal digits at 148, of the sum of all bytes, these eight taken as spaces. Some old
  // programs summed signed bytes.
  constexpr std::size_t checksum_at = 148, checksum_bytes = 8;
  if (block.size() != layout::tar_block) return false;
  std::int64_t plain = 0, with_signs = 0, written = 0;
  bool has_digits = false;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool is_of_checksum = i >= checksum_at && i < checksum_at + checksum_bytes;
    const auto byte = is_of_checksum ? std::uint8_t{' '} : std::to_integer<std::uint8_t>(block[i]);
    plain += byte;
    with_signs += static_cast<std::int8_t>(byte);
  }
  for (const std::byte byte : block.subspan(checksum_at, checksum_bytes)) {
    const char c = static_cast<char>(byte);
    const bool is_digit = c >= '0' && c <= '7';
    if (!is_digit && has_digits) break;
    if (!is_digit && c != ' ') return false;
    if (is_digit) written = written * 8 + (c - '0');
    has_digits |= is_digit;
  }
  return has_digits && (written == plain || written == with_signs);
}

}  // namespace bale::archive
