// Reads a listing page by page and holds what the server answers against what was asked for.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "flow/thread_pool.hpp"
#include "store/object_store.hpp"
#include "store/pages_ahead.hpp"

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
  std::optional<std::string> last_key_, last_prefix_;  ///< of the pages so far; at first the key to start after
  std::size_t empty_pages_ = 0;                        ///< in a row
  bool is_at_end_ = false;
};

/// The pages of one listing of versions: as Listing, for versions. Versions of a page that come in another order than
/// S3's, which is by key, and of one key the newest first, are put into it (moto lists all delete markers last).
class VersionListing {
 public:
  /// `request` without a continuation token and without a delimiter.
  VersionListing(ObjectStore& store, BucketName bucket, ListRequest request);
  /// As Listing::next().
  std::optional<VersionPage> next();

 private:
  void check(const VersionPage& page);
  [[noreturn]] void refuse(const std::string& fault) const;

  ObjectStore& store_;
  const BucketName bucket_;
  ListRequest request_;
  std::string last_key_;         ///< of the pages so far; at first the key to start after
  std::size_t empty_pages_ = 0;  ///< in a row
  bool is_at_end_ = false;
};

/// What a sequence lists.
struct SequenceOptions {
  std::string prefix = {};
  std::string start_after = {};           ///< keys greater than this
  std::optional<std::string> until = {};  ///< the last key that may come; nothing behind it is asked for
  bool with_restore_status = false;       ///< ListRequest::with_restore_status
  std::uint32_t page_keys = 1000;         ///< keys in one page, 1-1,000
  std::stop_token stop = {};              ///< next() then throws Error{cancelled}, and nothing more is asked for
};

/// Listed objects or versions one after the other, in bytewise order of their keys, of one key the newest version
/// first. Used by one thread at a time.
template <typename Item>
class Sequence {
 public:
  virtual ~Sequence() = default;
  /// Returns the next item, which is valid until the next call; nullptr after the last, and from then on. Throws what
  /// the listing failed with, as Listing::next() does: a sequence that ends with nullptr is complete.
  virtual const Item* next() = 0;
  /// Returns how many pages were asked for so far. Thread-safe.
  virtual std::uint64_t requests() const noexcept = 0;
};
using ObjectSequence = Sequence<ListedObject>;
using VersionSequence = Sequence<ListedVersion>;

/// Returns the request of a listing's first page.
ListRequest to_request(const SequenceOptions& options);
/// Throws Error{cancelled} once the options' stop was requested.
void check_stop(const SequenceOptions& options, const BucketName& bucket);

/// A sequence of one listing, whose pages are read ahead on a pool.
template <typename Item, typename Pages>
class Streamed final : public Sequence<Item> {
 public:
  /// Asks for the first page at once. Borrows the store and the pool, of which it uses one thread at a time; next() is
  /// not to be called on one of its threads. At most `pages_ahead` pages (at least 1) wait to be taken, and one more is
  /// being read.
  Streamed(ObjectStore& store, const BucketName& bucket, SequenceOptions options, flow::ThreadPool& pool,
           std::size_t pages_ahead = 2);
  const Item* next() override;
  std::uint64_t requests() const noexcept override { return requests_; }

 private:
  std::optional<std::vector<Item>> read();

  const SequenceOptions options_;
  const BucketName bucket_;
  Pages pages_;
  bool is_past_end_ = false;  ///< a key behind `until` was read
  std::atomic<std::uint64_t> requests_{0};
  std::vector<Item> page_;
  std::size_t index_ = 0;                ///< in page_, of the next item
  PagesAhead<std::vector<Item>> ahead_;  // the last member: its destructor ends the reads of the others
};
using StreamedListing = Streamed<ListedObject, Listing>;
using StreamedVersions = Streamed<ListedVersion, VersionListing>;

}  // namespace bale::store
