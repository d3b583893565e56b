#include "cli/name_changes.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/text.hpp"
#include "cli/output.hpp"

namespace bale::cli {

void NameChanges::tell(std::string_view key, std::string_view path, archive::NameChange change) {
  switch (change) {
    case archive::NameChange::none: return;
    case archive::NameChange::leading_slash:
      if (std::exchange(told_slash_, true)) return;
      return emit_warning(context_, "the '/' at the beginning of names is left out");
    case archive::NameChange::escaped:
      return emit_warning(context_, fmt::format("{} gets the escaped name {}: its own name is not possible there",
                                                escape_name(key), escape_name(path)));
  }
}

}  // namespace bale::cli
