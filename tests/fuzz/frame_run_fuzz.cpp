// Frames one behind the other, and a seek table without the rest of an archive: whatever the bytes are, memory is
// bounded and the frames add up.
#include <cstdlib>

#include "archive/frame_reader.hpp"
#include "archive_input.hpp"
#include "base/error.hpp"

using namespace bale;
using namespace bale::archive;

namespace {

void read_run(ByteView run) {
  const auto may_hold = [](ByteCount claimed) {
    if (claimed > 1 << 20) throw Error(ErrorKind::invalid, "too much");
  };
  ByteCount end = 0;
  bool is_first = true;
  for (const RunFrame& frame : decompress_run(run, may_hold)) {
    if (!is_first && frame.at != end) std::abort();
    if (frame.content.empty() || frame.compressed == 0) std::abort();
    end = frame.at + frame.compressed;
    is_first = false;
  }
  if (end > run.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    read_run(bytes);
  } catch (const Error&) {  // the only way to refuse
  }
  try {
    fuzz::BytesSource source(bytes);
    const FrameIndex index = read_frame_index(source);
    ByteCount end = 0;
    for (const Frame& frame : index.frames()) {
      if (frame.file_offset < end || frame.file_offset + frame.compressed > size) std::abort();
      end = frame.file_offset + frame.compressed;
    }
  } catch (const Error&) {
  }
  return 0;
}
