// Whether bytes that were read are those that were stored, by the ETag of their object.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "store/object_store.hpp"

namespace bale::transfer {

/// Computes the ETag of an object from its bytes where that is possible: it is their MD5 for an object that was put in
/// one request, and the MD5 of the MD5s of its parts where their size is known. Not with a KMS key: the ETag is
/// something else then. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html Not thread-safe, apart from
/// set_part() of different parts.
class EtagCheck {
 public:
  /// `info` as HEAD or GET gave it, with the size of the whole object.
  explicit EtagCheck(const store::ObjectInfo& info);

  /// Whether the ETag can be computed; finish() holds against anything otherwise.
  bool is_possible() const noexcept { return possible_; }
  /// Bytes of every part but the last; the object's size where it has one part only. 0 unless is_possible().
  ByteCount part_bytes() const noexcept { return part_bytes_; }

  /// The next bytes, in order from the first to the last.
  void update(ByteView bytes);
  /// In place of update(), for parts in any order: the whole bytes of part `index`, counted from 0, of part_bytes()
  /// each but the last.
  void set_part(std::size_t index, ByteView bytes);
  /// After the last byte. Throws Error{corrupt} when the bytes are not those of the ETag; `where` names the object.
  void finish(const ObjectAddress& where);

 private:
  void end_part();
  ETag etag_;
  bool possible_ = false;
  bool in_parts_ = false;  ///< the ETag ends with "-N"
  ByteCount part_bytes_ = 0;
  Md5 part_;
  ByteCount in_part_ = 0;  ///< bytes of the part so far
  std::size_t next_ = 0;
  std::vector<Md5Digest> parts_;
};

}  // namespace bale::transfer
