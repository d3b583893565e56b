#include "os/entropy.hpp"

#include <sys/random.h>

#include <cerrno>

#include "base/error.hpp"

namespace bale::os {
namespace {

class SystemEntropy final : public Entropy {
 public:
  void fill(MutableBytes bytes) override {
    while (!bytes.empty()) {
      const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error(ErrorKind::unavailable, "the system gives no random bytes");
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
  }
};

}  // namespace

std::uint64_t Entropy::next_u64() {
  std::uint64_t value = 0;
  fill(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

Entropy& system_entropy() {
  static SystemEntropy entropy;
  return entropy;
}

}  // namespace bale::os
