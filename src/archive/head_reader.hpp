// An archive that is only the beginning of its file.
#pragma once

#include <memory>
#include <vector>

#include "archive/reader.hpp"
#include "transfer/byte_io.hpp"

namespace bale::archive {

/// The first bytes of another source. Thread-safe as that one.
class HeadSource final : public transfer::RandomSource {
 public:
  /// The first `bytes` of `whole`, which is borrowed and has at least as many.
  HeadSource(transfer::RandomSource& whole, ByteCount bytes) : whole_(whole), bytes_(bytes) {}
  ByteCount size() override { return bytes_; }
  void read_at(ByteCount offset, MutableBytes bytes) override { whole_.read_at(offset, bytes); }
  Buffer read_tail(ByteCount most) override;
  ETag etag() const override { return whole_.etag(); }
  std::string name() const override { return whole_.name(); }

 private:
  transfer::RandomSource& whole_;
  const ByteCount bytes_;
};

/// Returns a reader of the archive that `inner` has opened in `head`, with `remarks` on what follows it in the file of
/// `file_bytes`.
std::unique_ptr<Reader> reader_of_head(std::unique_ptr<HeadSource> head, std::unique_ptr<Reader> inner,
                                       ByteCount file_bytes, std::vector<Remark> remarks);

}  // namespace bale::archive
