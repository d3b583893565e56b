#include "base/error.hpp"

#include <gtest/gtest.h>

#include <new>
#include <set>
#include <stdexcept>

namespace bale {
namespace {

TEST(Error, KeepsEveryPartThroughChanges) {
  const Error error = Error(ErrorKind::denied, "no", "s3://b/k", "ask")
                          .with_code("AccessDenied")
                          .with_cause(std::runtime_error("403"))
                          .with_retry_after(Milliseconds(7))
                          .without_effect()
                          .with_where("s3://b/other")
                          .with_summary("not now")
                          .with_hint("ask again");
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_STREQ(error.what(), "not now (s3://b/other)");
  EXPECT_EQ(error.summary(), "not now");
  EXPECT_EQ(error.where(), "s3://b/other");
  EXPECT_EQ(error.hint(), "ask again");
  EXPECT_EQ(error.code(), "AccessDenied");
  EXPECT_EQ(error.cause(), "403");
  EXPECT_EQ(error.retry_after(), Milliseconds(7));
  EXPECT_TRUE(error.had_no_effect());
  EXPECT_FALSE(Error(ErrorKind::denied, "no").had_no_effect());
  EXPECT_FALSE(Error(ErrorKind::denied, "no").retry_after());
}

TEST(Error, WhatHasNoEmptyPlace) { EXPECT_STREQ(Error(ErrorKind::invalid, "no").what(), "no"); }

TEST(ErrorKind, HasANameForEveryValue) {
  std::set<std::string_view> names;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind)
    names.insert(to_string(static_cast<ErrorKind>(kind)));
  EXPECT_EQ(names.size(), 11u);
}

TEST(ErrorKind, OnlyPassingFaultsAreTransient) {
  int transient = 0;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind)
    transient += is_transient(static_cast<ErrorKind>(kind)) ? 1 : 0;
  EXPECT_EQ(transient, 3);
  EXPECT_TRUE(is_transient(ErrorKind::throttled));
  EXPECT_TRUE(is_transient(ErrorKind::unavailable));
  EXPECT_TRUE(is_transient(ErrorKind::timeout));
}

template <typename Exception>
Error as_error(const Exception& exception) {
  try {
    throw exception;
  } catch (...) {
    return current_error();
  }
}

TEST(CurrentError, TurnsEverythingIntoAnError) {
  EXPECT_EQ(as_error(Error(ErrorKind::corrupt, "x").with_code("c")).code(), "c");
  EXPECT_EQ(as_error(std::bad_alloc()).kind(), ErrorKind::unavailable);
  EXPECT_EQ(as_error(std::runtime_error("odd")).kind(), ErrorKind::internal);
  EXPECT_EQ(as_error(std::runtime_error("odd")).summary(), "odd");
  EXPECT_EQ(as_error(7).kind(), ErrorKind::internal);
}

}  // namespace
}  // namespace bale
