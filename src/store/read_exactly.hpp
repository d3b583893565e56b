// Fills memory from a body: the one way, and the one meaning of a body that ends too early.
#pragma once

#include <functional>
#include <string>

#include "store/object_store.hpp"

namespace bale::store {

/// Fills all of `into` with the next bytes of the stream. `moved` is told of bytes as they come. Throws what the stream
/// throws, and Error{unavailable} naming `where` for a body that ends before: the port promises that, so that a store
/// which breaks its promise is met as a broken connection, and never as bytes that nobody wrote.
void read_exactly(GetStream& stream, MutableBytes into, const std::string& where = {},
                  const std::function<void(ByteCount)>& moved = {});

/// read_exactly(), and then reads on to the end of the body: only there a stream of a whole object tells whether the
/// bytes are those of the object. Throws Error{corrupt} naming `where` for a body that is longer.
void read_to_end(GetStream& stream, MutableBytes into, const std::string& where = {});

/// Reads on at the end of a body, where a stream of a whole object throws if the bytes were not those of the object.
/// Throws Error{corrupt} naming `where` for a body that is longer.
void expect_end(GetStream& stream, const std::string& where = {});

/// Returns the bytes of a body of at most `most` bytes, also where they are not those of the object: read_all() without
/// the check at the end, for callers whose bytes have checks of their own and are used as far as those hold. Throws as
/// read_all() does otherwise.
std::string read_unchecked(GetStream& stream, ByteCount most);

/// Returns the range of the object, in memory of its length. Throws as ObjectStore::get() and read_exactly() do, and
/// Error{corrupt} where the store answers with another range. `range` has no suffix.
Buffer read_range(ObjectStore& store, const ObjectAddress& object, const ByteRange& range,
                  const ReadConditions& conditions = {});

}  // namespace bale::store
