// Seek table and trailer, taken from the end of the input as a reader takes them from the end of a file.
#include <cstdlib>

#include "archive/frame_index.hpp"
#include "archive/layout.hpp"
#include "archive/seek_table.hpp"
#include "archive/trailer.hpp"
#include "base/error.hpp"

using namespace bale;
using namespace bale::archive;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const Trailer trailer = decode_trailer(bytes);
    // What is accepted of the present version has one spelling.
    const bool same =
        trailer.version < layout::format_version || as_text(encode_trailer(trailer).view()) == as_text(bytes);
    if (!same) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) std::abort();
  }
  try {
    SeekFooter footer;
    if (!find_seek_footer(bytes, 4096, footer) || footer.table_bytes() > size) return 0;
    const auto entries = decode_seek_table(bytes.last(footer.table_bytes()), footer);
    const FrameIndex index(entries, size - footer.table_bytes(), 1 << 30);
    if (index.tar_bytes() > 0 && index.frame_of(index.tar_bytes() - 1) + 1 != index.frames().size()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) std::abort();
  }
  return 0;
}
