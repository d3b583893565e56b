// Whether bytes that were read are those that were stored, by the cheapest evidence that the store gives.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "store/object_store.hpp"

namespace bale::store {

/// Holds the bytes of a whole object against what the store says of them: its checksum of the whole object where it
/// gave one, else the ETag where that is made of the bytes. An ETag is their MD5 for an object that was put in one
/// request, and the MD5 of the MD5s of its parts where their size is known; with a key of KMS or of the customer it is
/// something else. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html Used by one thread at a time, but
/// for add() and set_part().
class ContentCheck {
 public:
  /// `info` as HEAD or GET gave it, with the size of the whole object.
  explicit ContentCheck(const ObjectInfo& info);
  ~ContentCheck();
  ContentCheck(ContentCheck&&) noexcept;
  ContentCheck& operator=(ContentCheck&&) noexcept;

  /// Whether the store gave evidence; finish() holds against anything otherwise.
  bool is_possible() const noexcept { return method_ != nullptr; }
  /// Whether add() may take the place of update(): the evidence is a CRC.
  bool takes_ranges() const noexcept;
  /// Whether set_part() may take the place of update(): the bytes of every part but the last, or the object's size
  /// where it has one part. 0 where it may not.
  ByteCount part_bytes() const noexcept;

  /// The next bytes, in order from the first to the last.
  void update(ByteView bytes);
  /// The bytes from `offset` on: ranges in any order, by any thread. Only where takes_ranges().
  void add(ByteCount offset, ByteView bytes);
  /// The whole bytes of part `index`, counted from 0, in any order, by any thread. Only where part_bytes() > 0, or
  /// nothing is possible.
  void set_part(std::size_t index, ByteView bytes);
  /// After the last byte. Throws Error{corrupt} when the bytes are not those of the object; `where` names it.
  void finish(const ObjectAddress& where);

  /// How a check is made; private to content_check.cpp.
  class Method;

 private:
  std::unique_ptr<Method> method_;
};

/// Gives a body that is the whole object, and that the store gave evidence of, as one that is checked: the read that
/// finds its end, and would return 0, throws Error{corrupt} where the bytes are not those of the object. Who stops
/// before the end has bytes that nobody has checked. Gives any other body back as it is. `object` is for messages.
std::unique_ptr<GetStream> checked(std::unique_ptr<GetStream> stream, const ObjectAddress& object);

}  // namespace bale::store
