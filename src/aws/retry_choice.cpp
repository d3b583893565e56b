#include "aws/retry_choice.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::aws {
namespace {

/// A setting and the place where it stands.
struct Said {
  std::string text, where;
};

std::optional<Said> find(const os::Environment& environment, const SharedConfig& config, const std::string& profile,
                         const char* variable, const char* setting) {
  if (auto text = get_nonempty(environment, variable)) return Said{*text, variable};
  if (auto text = config.get(profile, setting)) return Said{*text, fmt::format("{} of profile {}", setting, profile)};
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> resolve_max_attempts(const os::Environment& environment, const SharedConfig& config,
                                                  const std::string& profile) {
  if (const auto mode = find(environment, config, profile, "AWS_RETRY_MODE", "retry_mode")) {
    const std::string word = to_lower(mode->text);
    if (word != "legacy" && word != "standard" && word != "adaptive") {
      throw Error(ErrorKind::invalid, fmt::format("'{}' is no retry mode", escape_for_terminal(mode->text)),
                  mode->where, "it is standard, adaptive or legacy; Bale waits the same with each");
    }
  }
  const auto said = find(environment, config, profile, "AWS_MAX_ATTEMPTS", "max_attempts");
  if (!said) return std::nullopt;
  constexpr std::uint32_t most = 1000;
  std::uint32_t attempts = 0;
  const char* const end = said->text.data() + said->text.size();
  const auto [rest, failure] = std::from_chars(said->text.data(), end, attempts);
  if (failure != std::errc() || rest != end || attempts == 0 || attempts > most) {
    throw Error(ErrorKind::invalid, fmt::format("'{}' is no number of attempts", escape_for_terminal(said->text)),
                said->where, fmt::format("it is a number from 1, which tries once, to {}", most));
  }
  return attempts;
}

}  // namespace bale::aws
