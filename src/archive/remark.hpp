// Remarks on an archive that is readable, for the user.
#pragma once

#include <string>

namespace bale::archive {

/// Something unexpected in an archive's file.
struct Remark {
  std::string text;
  bool is_unread = false;  ///< it was not read; else it was
  friend bool operator==(const Remark&, const Remark&) = default;
};

}  // namespace bale::archive
