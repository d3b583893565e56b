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

void read_by(ByteView index) {
  static const std::string archive = make_archive();
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
  read_by(bytes);
  if (size < 8) return 0;
  std::string sealed(as_text(bytes));
  const std::uint64_t sum = xxh64(bytes.first(size - 8));
  for (std::size_t i = 0; i < 8; ++i) sealed[size - 8 + i] = static_cast<char>(sum >> (8 * i));
  read_by(as_bytes(sealed));
  return 0;
}
