// Indexes of any bytes beside one sound archive: refused, or what is read by them stays inside of the archive. Once as
// they are, and once with their checksum made right, so that what is behind it is reached.
#include <string>

#include "archive/compress.hpp"
#include "archive/sidecar_reader.hpp"
#include "archive/tar.hpp"
#include "base/hash.hpp"
#include "fuzz/archive_input.hpp"

using namespace bale;
using namespace bale::archive;

namespace {

void add_member(std::string& tar, std::string_view name, std::size_t size) {
  std::string header(tar_header_bytes(name, size), '\0');
  encode_tar_header({reinterpret_cast<std::byte*>(header.data()), header.size()}, name, size, {});
  tar += header + std::string(size, name[0]);
  tar.resize(tar_padded(tar.size()));
}

/// Three members in frames of 1000 bytes, stored: the same bytes with every version of zstd. The corpus is of this
/// file.
std::string make_archive() {
  std::string tar, frames;
  add_member(tar, "a", 700);
  add_member(tar, "b", 0);
  add_member(tar, "c", 3000);
  tar.append(1024, '\0');
  for (std::size_t at = 0; at < tar.size(); at += 1000)
    frames +=
        as_text(compress_frame_at(as_bytes(std::string_view(tar).substr(at, 1000)), store_level, 1000).bytes.view());
  return frames;
}

const std::string& archive_bytes() {
  static const std::string bytes = make_archive();
  return bytes;
}

void read_by(ByteView index) {
  const std::string& archive = archive_bytes();
  static flow::ThreadPool connections(1, "connection"), cores(1, "core");
  const ReaderLimits limits{.max_manifest_bytes = 1 << 20, .max_frames = 4096, .max_frame_bytes = 4 << 20};
  flow::MemoryBudget budget(64 << 20);
  try {
    Sidecar sidecar = decode_sidecar(index, limits);
    if (sidecar.archive.bytes != archive.size()) return;
    fuzz::BytesSource source(as_bytes(archive));
    const auto reader = open_with_sidecar(source, std::move(sidecar));
    fuzz::CheckingVisitor visitor(reader->manifest());
    const std::size_t objects = reader->manifest().objects.size();
    for (std::size_t i = 0; i < objects && i < 4; ++i) {
      if (reader->manifest().objects[i].data_offset) std::ignore = reader->locate(i);
      reader->read({i}, visitor, {connections, cores}, budget, {});
    }
    reader->read({}, visitor, {connections, cores}, budget, {});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) std::abort();
  }
}

template <typename Number>
void append_number(std::string& text, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i) text += static_cast<char>(value >> (8 * i));
}

std::string sealed(std::string index) {
  index.resize(index.size() - 8);
  append_number(index, xxh64(as_bytes(index)));
  return index;
}

/// An index of the archive: the first two bytes are the numbers of frames and objects, then come their entries, the
/// rest is the manifest. The highest bit of the second byte makes it one of version 2, whose flags are the highest
/// three of the first. Empty where there are too few.
std::string index_of_sections(ByteView bytes) {
  if (bytes.size() < 2) return {};
  const bool is_second_version = (bytes[1] & std::byte{0x80}) != std::byte{0};
  const auto flags = std::to_integer<std::uint32_t>(bytes[0] >> 5);
  const auto frames = std::to_integer<std::size_t>(is_second_version ? bytes[0] & std::byte{0x1F} : bytes[0]);
  const auto objects = std::to_integer<std::size_t>(bytes[1] & std::byte{0x7F});
  if (bytes.size() < 2 + frames * 16 + objects * 4) return {};
  const ByteView manifest = bytes.subspan(2 + frames * 16 + objects * 4);
  std::string index = "BALE-IDX";
  append_number(index, std::uint32_t{is_second_version ? 2U : 1U});  // version, no ETag
  append_number(index, is_second_version ? flags : 0U);
  for (const std::uint64_t number : {std::uint64_t{archive_bytes().size()}, std::uint64_t{0}, std::uint64_t{frames},
                                     std::uint64_t{objects}, std::uint64_t{manifest.size()}})
    append_number(index, number);
  std::string sections;
  for (const ByteView content :
       {bytes.subspan(2, frames * 16), bytes.subspan(2 + frames * 16, objects * 4), manifest}) {
    const CompressedFrame frame = compress_frame_at(content, store_level, 1000);
    append_number(index, std::uint64_t{frame.bytes.size()});
    sections += as_text(frame.bytes.view());
  }
  return sealed(index + sections + "checksum");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
  read_by(bytes);
  if (size < 8) return 0;
  read_by(as_bytes(sealed(std::string(as_text(bytes)))));
  if (const std::string index = index_of_sections(bytes); !index.empty()) read_by(as_bytes(index));
  return 0;
}
