#include "archive/memory_share.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"

namespace bale::archive {
namespace {

constexpr ByteCount least_share = 1 << 20;

}  // namespace

void MemoryShare::add(ByteCount bytes, std::string_view what) {
  const ByteCount most = std::max(most_, least_share);
  if (bytes > most - std::min(taken_, most)) {
    // A quarter of the budget is at least an eighth of the limit of the process (cli/context.cpp).
    const ByteCount enough = 16 * (taken_ + bytes);
    throw Error(ErrorKind::unsupported, fmt::format("{} take more than {} of memory", what, format_bytes(most)), {},
                fmt::format("run with a higher --memory-limit, perhaps {}", format_bytes(enough)));
  }
  taken_ += bytes;
  if (taken_ >= ticket_.bytes() + step_bytes) ticket_.charge_to(taken_);
}

void MemoryShare::give_back(ByteCount bytes) noexcept {
  taken_ -= std::min(taken_, bytes);
  if (taken_ < ticket_.bytes()) ticket_.charge_to(taken_);
}

}  // namespace bale::archive
