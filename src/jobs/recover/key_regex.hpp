// Regular expressions over keys.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bale::recover {

/// A regular expression of RE2's syntax (https://github.com/google/re2/wiki/Syntax), which takes time in proportion to
/// the text, whatever the expression. Thread-safe.
class KeyRegex {
 public:
  /// Throws Error{invalid} with RE2's words and the expression.
  explicit KeyRegex(const std::string& expression);
  ~KeyRegex();
  KeyRegex(const KeyRegex&) = delete;
  KeyRegex& operator=(const KeyRegex&) = delete;
  /// Whether some part of the key matches (^ and $ are the ends of the key).
  bool matches(std::string_view key) const;
  /// Texts of three bytes and more that every key contains which matches; letters A-Z may stand as a-z in it.
  const std::vector<std::string>& literals() const noexcept { return literals_; }

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  std::vector<std::string> literals_;
};

}  // namespace bale::recover
