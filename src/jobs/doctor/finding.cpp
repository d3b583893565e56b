#include "jobs/doctor/finding.hpp"

#include <utility>

namespace bale::doctor {

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::limited: return "limited";
    case Verdict::failed: return "failed";
    case Verdict::skipped: return "skipped";
  }
  return "?";
}

Outcome ok(std::string seen) { return {Verdict::ok, std::move(seen), {}, {}}; }

Outcome limited(std::string seen, std::string consequence, std::string hint) {
  return {Verdict::limited, std::move(seen), std::move(consequence), std::move(hint)};
}

Outcome failed(std::string seen, std::string consequence, std::string hint) {
  return {Verdict::failed, std::move(seen), std::move(consequence), std::move(hint)};
}

Outcome skipped(std::string seen) { return {Verdict::skipped, std::move(seen), {}, {}}; }

}  // namespace bale::doctor
