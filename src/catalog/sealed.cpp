#include "catalog/sealed.hpp"

#include "base/bytes.hpp"
#include "base/hash.hpp"

namespace bale::catalog {
namespace {

constexpr std::size_t checksum_bytes = 8;

std::uint64_t checksum_of(std::string_view data, std::int64_t id) noexcept {
  // An odd factor: different ids never give the same product.
  return xxh64(as_bytes(data)) ^ (static_cast<std::uint64_t>(id) * 0x9e3779b97f4a7c15ULL);
}

}  // namespace

std::string seal(std::string data, std::int64_t id) {
  std::uint64_t checksum = checksum_of(data, id);
  for (std::size_t i = 0; i < checksum_bytes; ++i, checksum >>= 8) data.push_back(static_cast<char>(checksum & 0xff));
  return data;
}

std::optional<std::string_view> unseal(std::string_view sealed, std::int64_t id) noexcept {
  if (sealed.size() < checksum_bytes) return std::nullopt;
  const std::string_view data = sealed.substr(0, sealed.size() - checksum_bytes);
  std::uint64_t checksum = 0;
  for (std::size_t i = sealed.size(); i > data.size(); --i)
    checksum = checksum << 8 | static_cast<unsigned char>(sealed[i - 1]);
  if (checksum != checksum_of(data, id)) return std::nullopt;
  return data;
}

std::int64_t checksum_of_row(std::string_view values) noexcept {
  return static_cast<std::int64_t>(xxh64(as_bytes(values)));
}

}  // namespace bale::catalog
