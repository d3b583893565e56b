#include "store/read_exactly.hpp"

#include <fmt/format.h>

#include <span>

#include "base/error.hpp"

namespace bale::store {

void read_exactly(GetStream& stream, MutableBytes into, const std::string& where,
                  const std::function<void(ByteCount)>& moved) {
  for (std::size_t done = 0; done < into.size();) {
    const std::size_t got = stream.read(into.subspan(done));
    if (got == 0) {
      throw Error(ErrorKind::unavailable, fmt::format("the body ended after {} of {} bytes", done, into.size()), where);
    }
    done += got;
    if (moved) moved(got);
  }
}

void read_to_end(GetStream& stream, MutableBytes into, const std::string& where) {
  read_exactly(stream, into, where);
  expect_end(stream, where);
}

void expect_end(GetStream& stream, const std::string& where) {
  std::byte more{};
  if (stream.read({&more, 1}) != 0) throw Error(ErrorKind::corrupt, "the body is longer than was announced", where);
}

std::string read_unchecked(GetStream& stream, ByteCount most) {
  if (stream.length() > most) {
    throw Error(ErrorKind::invalid, fmt::format("the object has {}; at most {} are read", format_bytes(stream.length()),
                                                format_bytes(most)));
  }
  std::string text(stream.length(), '\0');
  read_exactly(stream, std::as_writable_bytes(std::span(text)));
  return text;
}

Buffer read_range(ObjectStore& store, const ObjectAddress& object, const ByteRange& range,
                  const ReadConditions& conditions) {
  const auto stream = store.get(object, range, conditions);
  const ByteCount length = range.last - range.first + 1;
  if (stream->offset() != range.first || stream->length() != length) {
    throw Error(ErrorKind::corrupt, "the store answered with another range than was asked for", to_uri(object));
  }
  Buffer bytes(length);
  bytes.resize(length);
  read_exactly(*stream, {bytes.data(), bytes.size()}, to_uri(object));
  return bytes;
}

}  // namespace bale::store
