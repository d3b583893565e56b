// Lists of objects that stand for a listing: S3 Inventory in CSV, and JSON lines as `bale s3 ls` prints them. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "store/listing.hpp"

namespace bale::bucket {

/// Which field of a CSV line tells what; -1: none does.
struct InventoryColumns {
  int bucket = -1, key = -1, size = -1, etag = -1, last_modified = -1, storage_class = -1;
  int is_latest = -1, is_delete_marker = -1;
};

/// Columns where nobody names them: bucket, key, size, LastModified, ETag, storage class, as `aws s3api
/// put-bucket-inventory-configuration` orders these optional fields.
inline constexpr std::string_view default_inventory_schema = "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass";

/// Reads the fileSchema of an inventory's manifest.json: names of columns, separated by commas. Throws Error{invalid}
/// where it names no Key or no Size.
InventoryColumns parse_inventory_schema(std::string_view schema);

/// Splits a line of CSV (RFC 4180): fields are quoted or not, a quote in a quoted field is doubled. Throws
/// Error{invalid} for a quote that is not closed.
std::vector<std::string> parse_csv_line(std::string_view line);

/// Returns the object that a line of an inventory names, its key decoded; nullopt for older versions, delete markers
/// and objects of other buckets than `bucket`. Throws Error{invalid}.
std::optional<store::ListedObject> parse_inventory_line(std::string_view line, const InventoryColumns& columns,
                                                        const BucketName& bucket);

/// Returns the object that a line of JSON names: key (and key_base64), size, etag, last_modified, storage_class;
/// nullopt for a line whose type is another one than object. Throws Error{invalid}.
std::optional<store::ListedObject> parse_json_object(std::string_view line);

/// An inventory's manifest.json.
struct InventoryManifest {
  struct File {
    std::string key;  ///< in the bucket of the manifest
    ByteCount size = 0;
    std::string md5;  ///< hex; empty where it is not told
  };
  std::string source_bucket;
  std::string schema;
  std::vector<File> files;
};
/// Throws Error{invalid}, also for formats other than CSV.
InventoryManifest parse_inventory_manifest(std::string_view json);

/// Gives the lines of a text, without their ends. Not thread-safe.
class LineReader {
 public:
  /// `read` puts bytes to the start of a buffer, and returns how many; 0 at the end.
  explicit LineReader(std::function<std::size_t(MutableBytes)> read) : read_(std::move(read)) {}
  /// Returns the next line, valid until the next call; nullopt at the end. Throws Error{invalid} for one of more than a
  /// MiB.
  std::optional<std::string_view> next();
  std::uint64_t number() const noexcept { return number_; }  ///< of the line that was returned last, from 1

 private:
  const std::function<std::size_t(MutableBytes)> read_;
  std::string text_;
  std::size_t begin_ = 0;
  std::uint64_t number_ = 0;
  bool is_at_end_ = false;
};

}  // namespace bale::bucket
