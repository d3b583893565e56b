// What a person is told of an archive that is read all the same.
#pragma once

#include <string>

namespace bale::archive {

/// Something that a file holds against expectation.
struct Remark {
  std::string text;
  bool is_unread = false;  ///< it was not read; else it was
  friend bool operator==(const Remark&, const Remark&) = default;
};

}  // namespace bale::archive
