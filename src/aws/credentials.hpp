// Who asks: the keys that requests are signed with.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"

namespace bale::aws {

/// One set of keys. Never printed: it has no text form, and no message holds any part of it but the access key's id.
struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;         ///< empty for keys that do not expire
  std::optional<TimePoint> expires;  ///< absent: they do not
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

}  // namespace bale::aws
