#include "base/gzip.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale {
namespace {

/// printf 'hello\n' | gzip -n
const std::string hello = from_hex("1f8b0800000000000003cb48cdc9c9e7020020303a3606000000");

std::string unpacked(std::string bytes, std::size_t piece = 3) {
  GzipReader reader([bytes = std::move(bytes), at = std::size_t(0), piece](MutableBytes to) mutable {
    const std::size_t count = std::min({to.size(), piece, bytes.size() - at});
    std::copy_n(as_bytes(bytes).begin() + static_cast<std::ptrdiff_t>(at), count, to.begin());
    at += count;
    return count;
  });
  std::string text;
  std::byte buffer[4];
  while (const std::size_t got = reader.read(buffer)) text += as_text({buffer, got});
  return text;
}

TEST(Gzip, ReadsMembersOneAfterTheOther) {
  EXPECT_EQ(unpacked(hello), "hello\n");
  EXPECT_EQ(unpacked(hello + hello, 1000), "hello\nhello\n");
  EXPECT_TRUE(is_gzip(as_bytes(hello)));
  EXPECT_FALSE(is_gzip(as_bytes("\x1f")));
}

TEST(Gzip, RefusesDamageAndCuts) {
  for (std::size_t length = 0; length < hello.size(); ++length)
    EXPECT_THROW(unpacked(hello.substr(0, length)), Error) << length;
  std::string damaged = hello;
  damaged[hello.size() - 7] = static_cast<char>(damaged[hello.size() - 7] ^ 1);  // the CRC
  EXPECT_THROW(unpacked(damaged), Error);
  EXPECT_THROW(unpacked("no gzip at all"), Error);
}

}  // namespace
}  // namespace bale
