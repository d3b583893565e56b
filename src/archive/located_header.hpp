// The tar header in front of an object, by which it is known whose bytes follow. Internal to archive/.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace bale::archive {

/// Collects the end of what lies in front of an object, and holds it against the names that the object may have. Not
/// thread-safe; `names` is borrowed.
class HeaderCheck {
 public:
  /// An object of `size` bytes that begins `skip` bytes behind the start of its first frame. No names: any will do.
  HeaderCheck(ByteCount skip, ByteCount size, const std::vector<std::string>& names);
  /// The next bytes in front of the object; it begins `left` bytes behind the first of them. Bytes that are further
  /// away than most() may be left out.
  void take(ByteView bytes, ByteCount left);
  /// How many bytes in front of the object count.
  ByteCount most() const noexcept { return most_; }
  /// To be called when everything in front of the object was taken. Throws Error{corrupt} unless it ends with the
  /// header of one of the names and the size. The header of an empty object may end the frame before; it is not asked
  /// for then.
  void check() const;

 private:
  ByteCount skip_, size_;
  const std::vector<std::string>* names_;
  ByteCount most_ = 0;
  std::string end_;
};

}  // namespace bale::archive
