// The end of an archive, looked at before it is decided whether to read the rest.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "archive/layout.hpp"
#include "archive/reader.hpp"
#include "archive/seek_table.hpp"
#include "transfer/byte_io.hpp"

namespace bale::check {

/// A source whose end is read once, when it is made, and then answered from memory. Thread-safe as the inner one.
class ArchiveEnd final : public transfer::RandomSource {
 public:
  /// Throws what the inner source throws.
  explicit ArchiveEnd(std::unique_ptr<transfer::RandomSource> inner)
      : inner_(std::move(inner)), end_(inner_->read_tail(end_bytes)) {}

  /// Whether it ends in a seek table, or in one and bytes that do not belong to the archive. Without one, to open the
  /// archive is to decompress all of it.
  bool has_seek_table() const {
    archive::SeekFooter footer;
    if (archive::bytes_behind_seek_table(end_.view())) return true;
    try {
      return archive::find_seek_footer(end_.view(), archive::ReaderLimits().max_frames, footer);
    } catch (const Error&) {
      return true;  // one that is damaged: opening says what is wrong
    }
  }

  ByteCount size() override { return inner_->size(); }
  void read_at(ByteCount offset, MutableBytes bytes) override { inner_->read_at(offset, bytes); }
  Buffer read_tail(ByteCount most) override {
    if (most > end_bytes) return inner_->read_tail(most);
    const std::size_t length = std::min<ByteCount>(most, end_.size());
    Buffer tail(length);
    tail.append(end_.view().last(length));
    return tail;
  }
  std::string name() const override { return inner_->name(); }

 private:
  static constexpr ByteCount end_bytes = 256 << 10;  // what open_archive() asks for: one request for most archives
  const std::unique_ptr<transfer::RandomSource> inner_;
  const Buffer end_;
};

}  // namespace bale::check
