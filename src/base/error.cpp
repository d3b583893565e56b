#include "base/error.hpp"

#include <new>

namespace bale {

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::denied: return "denied";
    case ErrorKind::throttled: return "throttled";
    case ErrorKind::precondition: return "precondition";
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::corrupt: return "corrupt";
    case ErrorKind::unavailable: return "unavailable";
    case ErrorKind::timeout: return "timeout";
    case ErrorKind::cancelled: return "cancelled";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::internal: return "internal";
  }
  return "internal";
}

Error::Error(ErrorKind kind, std::string what, std::string where, std::string hint)
    : kind_(kind), what_(std::move(what)), where_(std::move(where)), hint_(std::move(hint)) {
  write_message();
}

void Error::write_message() { message_ = where_.empty() ? what_ : what_ + " (" + where_ + ")"; }

Error Error::with_summary(std::string what) const {
  Error copy = *this;
  copy.what_ = std::move(what);
  copy.write_message();
  return copy;
}

Error Error::with_code(std::string code) const {
  Error copy = *this;
  copy.code_ = std::move(code);
  return copy;
}

Error Error::with_cause(const std::exception& cause) const {
  Error copy = *this;
  copy.cause_ = cause.what();
  return copy;
}

Error Error::with_where(std::string where) const {
  Error copy = *this;
  copy.where_ = std::move(where);
  copy.write_message();
  return copy;
}

Error Error::with_hint(std::string hint) const {
  Error copy = *this;
  copy.hint_ = std::move(hint);
  return copy;
}

Error Error::with_retry_after(Milliseconds wait) const {
  Error copy = *this;
  copy.retry_after_ = wait;
  return copy;
}

Error Error::without_effect() const {
  Error copy = *this;
  copy.had_no_effect_ = true;
  return copy;
}

bool is_transient(ErrorKind kind) noexcept {
  return kind == ErrorKind::throttled || kind == ErrorKind::unavailable || kind == ErrorKind::timeout;
}

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorKind::unavailable, "out of memory", {}, "lower --memory-limit or give the process more memory");
  } catch (const std::exception& error) {
    return Error(ErrorKind::internal, error.what());
  } catch (...) {
    return Error(ErrorKind::internal, "an exception that is not a std::exception");
  }
}

}  // namespace bale
