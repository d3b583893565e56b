// The body of a request whose owner knows digests of it.
#pragma once

#include <string_view>
#include <utility>

#include "store/object_store.hpp"

namespace bale::testing {

/// Tells `digests`, and counts the bytes that next() gives; `content` is borrowed.
class DigestedBody final : public store::Body {
 public:
  DigestedBody(std::string_view content, store::BodyDigests digests)
      : inner_(as_bytes(content)), digests_(std::move(digests)) {}
  ByteCount size() const override { return inner_.size(); }
  ByteView next(std::size_t most) override {
    const ByteView bytes = inner_.next(most);
    given += bytes.size();
    return bytes;
  }
  void rewind() override { inner_.rewind(); }
  store::BodyDigests digests() const override { return digests_; }
  ByteCount given = 0;

 private:
  store::MemoryBody inner_;
  const store::BodyDigests digests_;
};

}  // namespace bale::testing
