// Reads a listing page by page and holds what the server answers against what was asked for.
#pragma once

#include <optional>
#include <string>

#include "store/object_store.hpp"

namespace bale::store {

/// The longest key of S3, in bytes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
inline constexpr std::size_t max_key_bytes = 1024;

/// The pages of one listing. For callers that rely on a listing being complete, in order and about the prefix that was
/// asked for: a server that ignores the prefix, repeats a page or lists out of order would otherwise keep them busy for
/// ever, or make them believe that objects are gone. Not thread-safe; borrows the store.
class Listing {
 public:
  /// `request` without a continuation token.
  Listing(ObjectStore& store, BucketName bucket, ListRequest request);
  /// Returns the next page, perhaps an empty one; nullopt after the last. Throws what the store throws, and
  /// Error{corrupt} that names the server's fault: a key or common prefix that is not below the prefix, is too long or
  /// is out of order; a page that continues with itself; more than 100 pages in a row without anything.
  std::optional<ListPage> next();

 private:
  void check(const ListPage& page);
  void check_name(const std::string& name, std::optional<std::string>& last) const;
  [[noreturn]] void refuse(const std::string& fault) const;

  ObjectStore& store_;
  const BucketName bucket_;
  ListRequest request_;
  std::optional<std::string> last_key_, last_prefix_;  ///< of the pages so far
  std::size_t empty_pages_ = 0;                        ///< in a row
  bool is_at_end_ = false;
};

}  // namespace bale::store
