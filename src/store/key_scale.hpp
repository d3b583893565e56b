// Keys as numbers: where, by the keys that a listing has shown, the keys that it has not shown may lie. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/object_store.hpp"

namespace bale::store {

/// Reads keys as numbers of mixed radix, one digit a column, and measures how dense keys are by those of one page. The
/// digits of a column are the characters that the page has there, so that decimal, hexadecimal and other numbers of
/// fixed width, and dates and directories made of them, are read as what they are. A value; all functions are pure.
/// What it tells are guesses: a listing may only use them to choose where to start another request.
class KeyScale {
 public:
  /// Makes the scale of a page, whose keys are in ascending order; its second half tells how dense keys are. `before`:
  /// keys before the page, ascending, from which more of the digits are learned. Returns nullopt for fewer than two
  /// keys, for keys that are not UTF-8, and for keys that differ only where no number can tell.
  static std::optional<KeyScale> of(std::span<const ListedObject> page, std::span<const std::string> before = {});

  /// Returns a key, which need not exist, with about `count` keys between it and `from`. It is UTF-8 and greater than
  /// `from`. Returns nullopt where the scale does not reach so far.
  std::optional<std::string> ahead(std::string_view from, double count) const;

  /// Returns about how many keys are greater than `from` and not greater than `to`; nullopt where the scale does not
  /// reach from one to the other.
  std::optional<double> count_between(std::string_view from, std::string_view to) const;

 private:
  struct Column {
    std::u32string digits;  ///< ascending
    std::uint64_t weight = 1;
  };
  KeyScale() = default;
  std::optional<std::uint64_t> value(std::string_view key) const;

  std::string prefix_;  ///< what all keys on the scale begin with
  std::vector<Column> columns_;
  std::uint64_t end_ = 1;  ///< greater than every value
  double per_key_ = 1;     ///< how far keys are from one another
};

/// Returns a key that is greater than all keys of the innermost directory (what ends in '/') that holds both keys, and
/// not greater than any key behind it. Returns nullopt where they have no directory in common.
std::optional<std::string> after_directory(std::string_view first, std::string_view last);

}  // namespace bale::store
