#include "store/own_write.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::store {

bool is_md5(const ETag& etag) noexcept {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return etag.str().size() == 2 * sizeof(Md5Digest) && std::all_of(etag.str().begin(), etag.str().end(), is_hex);
}

std::optional<ETag> multipart_etag(const std::vector<UploadedPart>& parts) {
  Md5 all;
  for (const UploadedPart& part : parts) {
    if (!is_md5(part.etag)) return std::nullopt;
    const std::string digest = from_hex(part.etag.str());
    all.update(as_bytes(digest));
  }
  return ETag(fmt::format("{}-{}", to_hex_digest(all.finish()), parts.size()));
}

ETag content_etag(Body& body) {
  if (const auto known = body.digests().md5) return ETag(to_hex_digest(*known));
  constexpr std::size_t piece_bytes = 1 << 20;
  Md5 md5;
  body.rewind();
  for (ByteView piece = body.next(piece_bytes); !piece.empty(); piece = body.next(piece_bytes)) md5.update(piece);
  return ETag(to_hex_digest(md5.finish()));
}

}  // namespace bale::store
