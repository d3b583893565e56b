// Telling the user of files whose names differ from their keys.
#pragma once

#include <string>
#include <string_view>

#include "archive/file_name.hpp"
#include "cli/context.hpp"

namespace bale::cli {

/// Warns of names that differ from their keys: of each that is escaped, and once of a '/' that is left out at the
/// beginning. Not thread-safe; borrows the context.
class NameChanges {
 public:
  explicit NameChanges(Context& context) : context_(context) {}
  /// `key` is a key or URI, `path` where its object is written.
  void tell(std::string_view key, std::string_view path, archive::NameChange change);

 private:
  Context& context_;
  bool told_slash_ = false;
};

}  // namespace bale::cli
