// Expecting an Error of a kind.
#pragma once

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace bale::testing {

/// Runs `call` and returns the Error that it throws; fails the test when it throws none.
template <typename Call>
Error error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return Error(ErrorKind::internal, "nothing was thrown");
}

#define EXPECT_ERROR(error_kind, error_code, ...)                                            \
  do {                                                                                       \
    const ::bale::Error error_caught = ::bale::testing::error_of([&] { __VA_ARGS__; });      \
    EXPECT_EQ(to_string(error_caught.kind()), to_string(error_kind)) << error_caught.what(); \
    EXPECT_EQ(error_caught.code(), error_code) << error_caught.what();                       \
  } while (false)

}  // namespace bale::testing
