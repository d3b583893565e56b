#include "embedded/object_rules.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::embedded {

std::string restore_header(TimePoint until) {
  return fmt::format("ongoing-request=\"false\", expiry-date=\"{}\"", to_http_date(until));
}

}  // namespace bale::embedded
