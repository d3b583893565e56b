#include "base/hash.hpp"

#include <openssl/evp.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <new>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/xxh64.hpp"

namespace bale {
namespace {

/// Fetched once: EVP_sha256() makes OpenSSL 3 look the algorithm up again at every initialisation.
const EVP_MD* fetch(const char* name) {
  const EVP_MD* md = EVP_MD_fetch(nullptr, name, nullptr);
  if (md == nullptr) throw Error(ErrorKind::unsupported, std::string("OpenSSL does not offer ") + name);
  return md;
}

const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const md = fetch("SHA256");
  return md;
}

const EVP_MD* md5_algorithm() {
  static const EVP_MD* const md = fetch("MD5");
  return md;
}

const EVP_MD* sha1_algorithm() {
  static const EVP_MD* const md = fetch("SHA1");
  return md;
}

struct Running {
  explicit Running(const EVP_MD* algorithm) : md(algorithm), context(EVP_MD_CTX_new()) {
    if (context == nullptr) throw std::bad_alloc();
    EVP_DigestInit_ex2(context, md, nullptr);
  }
  ~Running() { EVP_MD_CTX_free(context); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  void update(ByteView bytes) { EVP_DigestUpdate(context, bytes.data(), bytes.size()); }
  template <std::size_t Size>
  Digest<Size> finish() {
    Digest<Size> digest;
    EVP_DigestFinal_ex(context, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    EVP_DigestInit_ex2(context, md, nullptr);
    return digest;
  }
  const EVP_MD* md;
  EVP_MD_CTX* context;
};

}  // namespace

struct Sha256::State : Running {
  State() : Running(sha256_algorithm()) {}
};
struct Md5::State : Running {
  State() : Running(md5_algorithm()) {}
};

struct Sha1::State : Running {
  State() : Running(sha1_algorithm()) {}
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
void Sha256::update(ByteView bytes) { state_->update(bytes); }
Sha256Digest Sha256::finish() { return state_->finish<32>(); }
Sha256Digest Sha256::of(ByteView bytes) {
  Sha256 running;
  running.update(bytes);
  return running.finish();
}

Sha256Digest hmac_sha256(ByteView key, ByteView message) {
  constexpr std::size_t block_bytes = 64;  // of SHA-256
  std::array<std::byte, block_bytes> pad{};
  if (key.size() > block_bytes) {
    const Sha256Digest digest = Sha256::of(key);
    std::copy(digest.begin(), digest.end(), pad.begin());
  } else {
    std::copy(key.begin(), key.end(), pad.begin());
  }
  for (std::byte& b : pad) b ^= std::byte{0x36};
  Sha256 running;
  running.update(pad);
  running.update(message);
  const Sha256Digest inner = running.finish();
  for (std::byte& b : pad) b ^= std::byte{0x36 ^ 0x5C};
  running.update(pad);
  running.update(inner);
  return running.finish();
}

Md5::Md5() : state_(std::make_unique<State>()) {}
Md5::~Md5() = default;
Md5::Md5(Md5&&) noexcept = default;
Md5& Md5::operator=(Md5&&) noexcept = default;
void Md5::update(ByteView bytes) { state_->update(bytes); }
Md5Digest Md5::finish() { return state_->finish<16>(); }
Md5Digest Md5::of(ByteView bytes) {
  Md5 running;
  running.update(bytes);
  return running.finish();
}

Sha1::Sha1() : state_(std::make_unique<State>()) {}
Sha1::~Sha1() = default;
Sha1::Sha1(Sha1&&) noexcept = default;
Sha1& Sha1::operator=(Sha1&&) noexcept = default;
void Sha1::update(ByteView bytes) { state_->update(bytes); }
Digest<20> Sha1::finish() { return state_->finish<20>(); }

std::uint64_t xxh64(ByteView bytes) noexcept { return XXH64(bytes.data(), bytes.size(), 0); }

struct Xxh64::State {
  XXH64_state_t running;
};

Xxh64::Xxh64() : state_(std::make_unique<State>()) { XXH64_reset(&state_->running, 0); }
Xxh64::~Xxh64() = default;
Xxh64::Xxh64(Xxh64&&) noexcept = default;
Xxh64& Xxh64::operator=(Xxh64&&) noexcept = default;
void Xxh64::update(ByteView bytes) { XXH64_update(&state_->running, bytes.data(), bytes.size()); }
std::uint64_t Xxh64::value() const noexcept { return XXH64_digest(&state_->running); }

template <std::size_t Size>
std::string to_hex_digest(const Digest<Size>& digest) {
  return to_hex(digest);
}
template std::string to_hex_digest(const Digest<16>&);
template std::string to_hex_digest(const Digest<32>&);

}  // namespace bale
