// The body of a request that counts what is sent of it.
#pragma once

#include <string_view>
#include <utility>

#include "store/object_store.hpp"

namespace bale::testing {

/// Counts as a progress line does; `content` is borrowed.
class CountedBody final : public store::Body {
 public:
  explicit CountedBody(std::string_view content) : inner_(as_bytes(content)) {}
  ByteCount size() const override { return inner_.size(); }
  ByteView next(std::size_t most) override { return inner_.next(most); }
  void rewind() override {
    inner_.rewind();
    taken_back += std::exchange(sent_now, 0);
  }
  void sent(ByteCount bytes) override { sent_now += bytes; }
  ByteCount sent_now = 0, taken_back = 0;

 private:
  store::MemoryBody inner_;
};

}  // namespace bale::testing
