#include "archive/located_header.hpp"

#include <algorithm>

#include "archive/tar.hpp"
#include "base/error.hpp"

namespace bale::archive {

HeaderCheck::HeaderCheck(ByteCount skip, ByteCount size, const std::vector<std::string>& names)
    : skip_(skip), size_(size), names_(&names) {
  for (const std::string& name : names) most_ = std::max(most_, tar_header_bytes(name, size));
}

void HeaderCheck::take(ByteView bytes, ByteCount left) {
  const ByteCount before = left > most_ ? left - most_ : 0;
  if (before < bytes.size()) end_.append(as_text(bytes.subspan(before)));
}

void HeaderCheck::check() const {
  if (names_->empty() || (size_ == 0 && skip_ == 0)) return;
  const bool known = std::any_of(names_->begin(), names_->end(), [&](const std::string& name) {
    const ByteCount length = tar_header_bytes(name, size_);
    return length <= end_.size() && is_tar_header_of(as_bytes(end_).last(length), name, size_);
  });
  if (!known)
    throw Error(ErrorKind::corrupt,
                "another object, or none, is at the recorded place: the archive and the record differ");
}

}  // namespace bale::archive
