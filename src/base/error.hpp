// The one exception type of Bale: a kind to branch on, and words for a person.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace bale {

/// What a caller can do about a failure. Every Error has exactly one kind.
enum class ErrorKind {
  not_found,     ///< the named thing does not exist
  denied,        ///< credentials or permissions do not allow it
  throttled,     ///< asked too often; the same request may succeed later
  precondition,  ///< a condition of the request (If-Match, conditional write) does not hold
  invalid,       ///< the request, argument or configuration is wrong; repeating it is useless
  corrupt,       ///< bytes are not what they claim to be
  unavailable,   ///< a passing fault of a service, the network or the machine
  timeout,       ///< no answer within the time allowed
  cancelled,     ///< the caller or a signal asked to stop
  unsupported,   ///< this backend, build or file version cannot do it
  internal,      ///< a defect in Bale
};

/// Stable lower-case name of a kind ("not_found"), as printed in JSON output and logs.
std::string_view to_string(ErrorKind kind) noexcept;

/// A failure: what happened, to what, and what a person can do about it.
/// Immutable after construction; safe to copy between threads.
class Error : public std::exception {
 public:
  /// `what` says what went wrong, without the place; `where` names the place ("s3://bucket/key",
  /// "settings.json: stack_name"); `hint` tells a person what to do next and may be empty.
  Error(ErrorKind kind, std::string what, std::string where = {}, std::string hint = {});

  ErrorKind kind() const noexcept { return kind_; }
  /// "what (where)", or only what.
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& summary() const noexcept { return what_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& hint() const noexcept { return hint_; }
  /// The service's own code ("NoSuchKey"), for logs; empty where no service spoke.
  const std::string& code() const noexcept { return code_; }
  /// what() of the failure underneath, or empty.
  const std::string& cause() const noexcept { return cause_; }

  /// How long the service asked to be left alone (x-amz-retry-after, Retry-After); absent where it did not say.
  const std::optional<Milliseconds>& retry_after() const noexcept { return retry_after_; }
  /// Whether the request certainly changed nothing: it never reached the service, or the service refused to begin with
  /// it. False: nobody knows; the service may have done it, and only its answer was lost.
  bool had_no_effect() const noexcept { return had_no_effect_; }

  Error with_summary(std::string what) const;
  Error with_code(std::string code) const;
  Error with_cause(const std::exception& cause) const;
  Error with_where(std::string where) const;
  Error with_hint(std::string hint) const;
  Error with_retry_after(Milliseconds wait) const;
  /// A copy whose had_no_effect() is true.
  Error without_effect() const;

 private:
  void write_message();
  ErrorKind kind_;
  std::string what_, where_, hint_, code_, cause_;
  std::string message_;
  std::optional<Milliseconds> retry_after_;
  bool had_no_effect_ = false;
};

/// Whether repeating the same request may succeed without anything being changed: throttled,
/// unavailable and timeout.
bool is_transient(ErrorKind kind) noexcept;

/// Turns the exception in flight into an Error: an Error is returned as it is, std::bad_alloc becomes
/// `unavailable`, anything else `internal`. Call only inside a catch block.
Error current_error();

}  // namespace bale
