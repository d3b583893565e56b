#include "jobs/recover/key_regex.hpp"

#include <re2/filtered_re2.h>
#include <re2/re2.h>

#include "base/error.hpp"

namespace bale::recover {
namespace {

RE2::Options options() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(64 << 20);
  return options;
}

/// The literals of RE2's own filter without which nothing can match: those for which the others alone are not enough.
std::vector<std::string> required_literals(const std::string& expression) {
  re2::FilteredRE2 filter(3);
  int id = 0;
  if (filter.Add(expression, options(), &id) != RE2::NoError) return {};
  std::vector<std::string> literals;
  filter.Compile(&literals);
  std::vector<std::string> required;
  for (int i = 0; i < static_cast<int>(literals.size()); ++i) {
    std::vector<int> others, potential;
    for (int other = 0; other < static_cast<int>(literals.size()); ++other) {
      if (other != i) others.push_back(other);
    }
    filter.AllPotentials(others, &potential);
    if (potential.empty()) required.push_back(literals[static_cast<std::size_t>(i)]);
  }
  return required;
}

}  // namespace

struct KeyRegex::Compiled {
  explicit Compiled(const std::string& expression) : regex(expression, options()) {}
  RE2 regex;
};

KeyRegex::KeyRegex(const std::string& expression) : compiled_(std::make_unique<Compiled>(expression)) {
  if (!compiled_->regex.ok())
    throw Error(ErrorKind::invalid, "the regular expression cannot be read: " + compiled_->regex.error(), expression);
  literals_ = required_literals(expression);
}

KeyRegex::~KeyRegex() = default;

bool KeyRegex::matches(std::string_view key) const {
  return RE2::PartialMatch(re2::StringPiece(key.data(), key.size()), compiled_->regex);
}

}  // namespace bale::recover
