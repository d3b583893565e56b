// An archive of any bytes, opened and read with small limits: whatever the bytes are, the end is an Error or sound
// data.
#pragma once

#include <cstdlib>

#include "archive/deliver.hpp"
#include "archive/reader.hpp"
#include "base/error.hpp"

namespace bale::fuzz {

class BytesSource final : public transfer::RandomSource {
 public:
  explicit BytesSource(ByteView bytes) : bytes_(bytes) {}
  ByteCount size() override { return bytes_.size(); }
  void read_at(ByteCount offset, MutableBytes into) override {
    // A reader that asks for bytes outside of the file did not check what it was told.
    if (offset > bytes_.size() || into.size() > bytes_.size() - offset) std::abort();
    std::copy_n(bytes_.data() + offset, into.size(), into.data());
  }
  Buffer read_tail(ByteCount most) override {
    Buffer tail(std::min<ByteCount>(most, bytes_.size()));
    tail.append(bytes_.last(tail.capacity()));
    return tail;
  }
  std::string name() const override { return "input"; }

 private:
  ByteView bytes_;
};

/// Wants nothing but that no piece leaves its frame or its object.
class CheckingVisitor final : public archive::FrameVisitor {
 public:
  explicit CheckingVisitor(const archive::Manifest& manifest) : manifest_(manifest) {}
  void frame(std::shared_ptr<const archive::FrameData> frame,
             const std::vector<archive::MemberPiece>& pieces) override {
    for (const archive::MemberPiece& piece : pieces) {
      const bool inside_frame =
          piece.bytes.empty() || (piece.bytes.data() >= frame->bytes.data() &&
                                  piece.bytes.data() + piece.bytes.size() <= frame->bytes.data() + frame->bytes.size());
      const bool inside_object = piece.offset + piece.bytes.size() <= manifest_.objects.at(piece.object).size;
      if (!inside_frame || !inside_object) std::abort();
    }
  }
  void damaged(const archive::Damage&) override {}

 private:
  const archive::Manifest& manifest_;
};

inline void open_and_read(ByteView bytes) {
  static flow::ThreadPool connections(1, "connection"), cores(1, "core");
  flow::MemoryBudget budget(64 << 20);
  const archive::ReaderLimits limits{.max_manifest_bytes = 1 << 20, .max_frames = 4096, .max_frame_bytes = 4 << 20};
  try {
    BytesSource source(bytes);
    const auto reader = archive::open_archive(source, limits);
    CheckingVisitor visitor(reader->manifest());
    reader->read({}, visitor, {connections, cores}, budget, {});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) std::abort();
  }
}

}  // namespace bale::fuzz
