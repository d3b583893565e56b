#include "base/sequencer_order.hpp"

#include <algorithm>

namespace bale {

int compare_sequencers(std::string_view a, std::string_view b) noexcept {
  const std::size_t length = std::max(a.size(), b.size());
  for (std::size_t i = 0; i < length; ++i) {
    const char left = i < a.size() ? a[i] : '0';
    const char right = i < b.size() ? b[i] : '0';
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

bool SourceOrder::is_after(const SourceOrder& other) const noexcept {
  if (!sequencer.empty() && !other.sequencer.empty()) {
    const int order = compare_sequencers(sequencer, other.sequencer);
    if (order != 0) return order > 0;
  }
  if (time != other.time) return time > other.time;
  return !sequencer.empty() && other.sequencer.empty();
}

}  // namespace bale
