// Whether a store says what the bytes of an object can be checked by, and says it rightly.
#pragma once

#include <gtest/gtest.h>

#include "store/content_check.hpp"

namespace bale::testing {

/// Reads an object to its end and holds its bytes against what the store says of them; whether it says anything.
inline bool is_checked(store::ObjectStore& store, const ObjectAddress& object) {
  store::ContentCheck check(store.head(object, {.version_id = {}, .if_match = {}, .with_evidence = true}).value());
  const auto stream = store.get(object);
  check.update(as_bytes(store::read_all(*stream, 1ULL << 30)));
  std::byte end{};
  EXPECT_EQ(stream->read({&end, 1}), 0U);  // where the stream checks for itself
  check.finish(object);
  return check.is_possible();
}

}  // namespace bale::testing
