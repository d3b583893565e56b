#include "aws/s3_checksum.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::aws {

const ChecksumNames& names_of(store::Checksum::Algorithm algorithm) noexcept {
  return *std::find_if(checksum_names.begin(), checksum_names.end(),
                       [algorithm](const ChecksumNames& names) { return names.algorithm == algorithm; });
}

std::optional<store::Checksum> parse_checksum(const ChecksumNames& names, std::string_view base64) {
  try {
    std::string value = from_base64(base64);
    if (value.size() == names.bytes) return store::Checksum{names.algorithm, std::move(value)};
  } catch (const Error&) {
    // not a checksum of S3
  }
  return std::nullopt;
}

std::string encode_checksum(const store::Checksum& checksum) { return to_base64(as_bytes(checksum.value)); }

}  // namespace bale::aws
