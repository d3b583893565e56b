// What the doctor says about a store.
#pragma once

#include <string>
#include <string_view>

namespace bale::doctor {

enum class Verdict {
  ok,       ///< as S3 does
  limited,  ///< otherwise than S3, and Bale copes: a named part of it does less, or works in another way
  failed,   ///< something that Bale's promises rest on does not work
  skipped,  ///< not tried
};

/// "ok", "limited", "failed", "skipped": as printed.
std::string_view to_string(Verdict verdict) noexcept;

/// What one probe came to. Texts are for people, and may hold any bytes that the store sent.
struct Outcome {
  Verdict verdict = Verdict::ok;
  std::string seen;         ///< what the store did
  std::string consequence;  ///< what this means for Bale; empty where there is nothing to say
  std::string hint;         ///< what to do about it; may be empty
};

/// An outcome with the name of its probe, as docs/doctor.md lists them.
struct Finding : Outcome {
  std::string probe;
};

Outcome ok(std::string seen);
Outcome limited(std::string seen, std::string consequence, std::string hint = {});
Outcome failed(std::string seen, std::string consequence, std::string hint = {});
Outcome skipped(std::string seen);

}  // namespace bale::doctor
