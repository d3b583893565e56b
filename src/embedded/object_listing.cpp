// Listings: pages in bytewise key order, each found through an index.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "base/text.hpp"
#include "embedded/object_store.hpp"

namespace bale::embedded {
namespace {

constexpr std::uint32_t most_keys_a_page = 1000;
/// Greater than every key: no byte of UTF-8 is 0xFF.
constexpr std::string_view after_every_key = "\xff";

/// Where a listing goes on: at the first key that is not less than `key`.
struct Position {
  std::string key;
  std::int64_t before_id = 0;  ///< of versions: of `key` itself only those with a smaller id; 0: all
};

/// The smallest key that is greater than `key`.
std::string successor(std::string_view key) { return std::string(key) + '\0'; }

/// A bound above every key that starts with `prefix`, and below all others that are greater.
std::string end_of_prefix(std::string_view prefix) { return std::string(prefix).append(after_every_key); }

std::string to_token(const Position& position) {
  return fmt::format("{:x}.{}", position.before_id, to_hex(as_bytes(position.key)));
}

Position from_token(const std::string& token) {
  const auto fail = [] {
    return Error(ErrorKind::invalid, "that is not a continuation token").with_code("InvalidArgument");
  };
  const auto dot = token.find('.');
  if (dot == std::string::npos) throw fail();
  Position position;
  const auto read = std::from_chars(token.data(), token.data() + dot, position.before_id, 16);
  if (read.ec != std::errc() || read.ptr != token.data() + dot) throw fail();
  position.key = from_hex(std::string_view(token).substr(dot + 1));
  return position;
}

Position start_of(const store::ListRequest& request) {
  if (!request.continuation.empty()) return from_token(request.continuation);
  if (request.start_after.empty()) return {request.prefix, 0};
  return {std::max(request.prefix, successor(request.start_after)), 0};
}

std::uint32_t page_size(const store::ListRequest& request) { return std::min(request.max_keys, most_keys_a_page); }

/// The prefix that a key is rolled up into; empty where it is listed itself.
std::string rolled_up(std::string_view key, const store::ListRequest& request) {
  if (request.delimiter.empty()) return {};
  const auto at = key.find(request.delimiter, request.prefix.size());
  if (at == std::string_view::npos) return {};
  return std::string(key.substr(0, at + request.delimiter.size()));
}

/// Spelt out so that each query is one literal.
#define BALE_LISTED_COLUMNS "key, size, etag, modified, class, attributes, restored_until"

Query objects_from(Database& database, const BucketRow& bucket, const Position& from, const std::string& end) {
  return database.query("SELECT " BALE_LISTED_COLUMNS
                        " FROM versions INDEXED BY current_objects "
                        "WHERE bucket = ? AND latest = 1 AND marker = 0 AND key >= ? AND key < ? ORDER BY key",
                        bucket.id, Blob{from.key}, Blob{end});
}

/// Reads the columns of an object as it is listed at `now`.
store::ListedObject read_object(const Query& row, const store::ListRequest& request, TimePoint now) {
  store::ListedObject object{ObjectKey(row.text(0)), static_cast<ByteCount>(row.integer(1)), ETag(row.text(2)),
                             from_epoch_ms(row.integer(3)), row.text(4)};
  object.checksum_algorithm = checksum_algorithm_of(row.text(5));
  object.checksum_is_whole = object.checksum_algorithm.has_value();  // others are not kept
  if (request.with_restore_status && !row.is_null(6)) {
    const TimePoint until = from_epoch_ms(row.integer(6));
    if (now < until) object.restore = store::ListedRestore{.in_progress = false, .expiry = until};
  }
  return object;
}

/// One page of objects, as long as keys come one by one. A common prefix ends the run: the next one starts behind it.
class PageBuilder {
 public:
  PageBuilder(Database& database, const BucketRow& bucket, const store::ListRequest& request, TimePoint now)
      : database_(database), bucket_(bucket), request_(request), now_(now), position_(start_of(request)) {}

  store::ListPage build() {
    if (page_size(request_) == 0) return {};
    while (run()) {
    }
    return std::move(page_);
  }

 private:
  /// Reads on until a common prefix is found and skipped (true), the page is full, or there is no more.
  bool run() {
    Query row = objects_from(database_, bucket_, position_, end_of_prefix(request_.prefix));
    while (row.step()) {
      if (page_.objects.size() + page_.common_prefixes.size() == page_size(request_)) {
        page_.next = to_token(position_);
        return false;
      }
      const std::string key = row.text(0);
      if (std::string common = rolled_up(key, request_); !common.empty()) {
        position_.key = end_of_prefix(common);
        page_.common_prefixes.push_back(std::move(common));
        return true;
      }
      page_.objects.push_back(read_object(row, request_, now_));
      position_.key = successor(key);
    }
    return false;
  }

  Database& database_;
  const BucketRow& bucket_;
  const store::ListRequest& request_;
  const TimePoint now_;
  Position position_;
  store::ListPage page_;
};

Query versions_from(Database& database, const BucketRow& bucket, const Position& from, const std::string& end) {
  const std::int64_t before = from.before_id == 0 ? INT64_MAX : from.before_id;
  return database.query("SELECT " BALE_LISTED_COLUMNS
                        ", version, latest, marker, id FROM versions INDEXED BY versions_by_key "
                        "WHERE bucket = ? AND key >= ? AND key < ? AND (key > ? OR id < ?) ORDER BY key, id DESC",
                        bucket.id, Blob{from.key}, Blob{end}, Blob{from.key}, before);
}

}  // namespace

store::ListPage EmbeddedStore::list(const BucketName& bucket, const store::ListRequest& request) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const BucketRow row = require_bucket(*reader, bucket);
  return PageBuilder(*reader, row, request, now()).build();
}

store::VersionPage EmbeddedStore::list_versions(const BucketName& bucket, const store::ListRequest& request) {
  if (!request.delimiter.empty())
    throw Error(ErrorKind::unsupported, "versions are listed without a delimiter", "s3://" + bucket.str());
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const BucketRow bucket_row = require_bucket(*reader, bucket);
  store::VersionPage page;
  if (page_size(request) == 0) return page;
  Position position = start_of(request);
  Query row = versions_from(*reader, bucket_row, position, end_of_prefix(request.prefix));
  while (row.step()) {
    if (page.versions.size() == page_size(request)) {
      page.next = to_token(position);
      break;
    }
    store::ListedVersion version;
    static_cast<store::ListedObject&>(version) = read_object(row, request, now());
    version.version_id = VersionId(row.text(7));
    version.is_latest = row.integer(8) != 0;
    version.is_delete_marker = row.integer(9) != 0;
    position = {version.key.str(), row.integer(10)};
    page.versions.push_back(std::move(version));
  }
  return page;
}

std::vector<store::ListedUpload> EmbeddedStore::list_uploads(const BucketName& bucket, const std::string& prefix) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const BucketRow bucket_row = require_bucket(*reader, bucket);
  Query row = reader->query(
      "SELECT key, id, initiated FROM uploads WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key, initiated, id",
      bucket_row.id, Blob{prefix}, Blob{end_of_prefix(prefix)});
  std::vector<store::ListedUpload> uploads;
  while (row.step())
    uploads.push_back({ObjectKey(row.text(0)), UploadId(row.text(1)), core_.time.wall_time(row.integer(2))});
  return uploads;
}

}  // namespace bale::embedded
