#include "jobs/bucket/manifest_sequence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "base/gzip.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::bucket {
namespace {

constexpr ByteCount most_manifest_bytes = 16 << 20;
/// Memory of an object in a list that is sorted, besides its key.
constexpr ByteCount object_bytes = sizeof(store::ListedObject) + 64;

/// One file of a list.
struct Part {
  std::string where;
  std::string md5;  ///< hex; empty: not known
  std::function<ReadFunction()> open;
};

/// Compares the MD5 of all bytes at their end.
ReadFunction md5_checked(ReadFunction read, std::string md5, std::string where) {
  if (md5.empty()) return read;
  auto digest = std::make_shared<Md5>();
  return [read = std::move(read), md5 = std::move(md5), where = std::move(where), digest](MutableBytes bytes) {
    const std::size_t got = read(bytes);
    digest->update(bytes.first(got));
    if (got == 0 && to_hex_digest(digest->finish()) != md5)
      throw Error(ErrorKind::corrupt, "the file is not the one that the manifest names", where);
    return got;
  };
}

/// Decompresses what begins as gzip; gives anything else as it is.
ReadFunction decompressed(ReadFunction read) {
  auto start = std::make_shared<std::string>();
  char first[2];
  while (start->size() < sizeof(first)) {
    const std::size_t got = read({reinterpret_cast<std::byte*>(first), sizeof(first) - start->size()});
    if (got == 0) break;
    start->append(first, got);
  }
  const bool is_compressed = is_gzip(as_bytes(*start));
  ReadFunction whole = [start, read = std::move(read)](MutableBytes bytes) {
    if (start->empty()) return read(bytes);
    const std::size_t count = std::min(bytes.size(), start->size());
    std::copy_n(as_bytes(*start).begin(), count, bytes.begin());
    start->erase(0, count);
    return count;
  };
  if (!is_compressed) return whole;
  auto gzip = std::make_shared<GzipReader>(std::move(whole));
  return [gzip](MutableBytes bytes) { return gzip->read(bytes); };
}

ReadFunction open_file(os::Files& files, const std::string& path) {
  std::shared_ptr<os::ReadableFile> file = files.open(path);
  return [file, at = ByteCount(0)](MutableBytes bytes) mutable {
    const std::size_t got = file->read_at(at, bytes);
    at += got;
    return got;
  };
}

ReadFunction open_object(store::ObjectStore& store, const ObjectAddress& object) {
  std::shared_ptr<store::GetStream> stream = store.get(object);
  return [stream](MutableBytes bytes) { return stream->read(bytes); };
}

/// Gives the objects of all parts, in the order of the lines.
class Objects {
 public:
  Objects(const std::vector<Part>& parts, const ManifestRequest& request, const InventoryColumns& columns)
      : parts_(parts), request_(request), columns_(columns) {}

  std::optional<store::ListedObject> next() {
    for (;;) {
      if (request_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
      if (!lines_) {
        if (part_ == parts_.size()) return std::nullopt;
        const Part& part = parts_[part_];
        lines_.emplace(decompressed(md5_checked(part.open(), part.md5, part.where)));
      }
      const auto line = lines_->next();
      if (!line) {
        lines_.reset();
        ++part_;
        continue;
      }
      if (line->find_first_not_of(" \t") == std::string_view::npos) continue;
      auto object = parse(*line);
      if (object && object->key.str().starts_with(request_.prefix)) return object;
    }
  }

 private:
  std::optional<store::ListedObject> parse(std::string_view line) const {
    try {
      const bool is_json = line.front() == '{';
      return is_json ? parse_json_object(line) : parse_inventory_line(line, columns_, request_.bucket);
    } catch (const Error& error) {
      throw error.with_where(fmt::format("{}: line {}", parts_[part_].where, lines_->number()))
          .with_hint("give an S3 Inventory in CSV, or what `bale --output json s3 ls --recursive` prints");
    }
  }

  const std::vector<Part>& parts_;
  const ManifestRequest& request_;
  const InventoryColumns& columns_;
  std::size_t part_ = 0;
  std::optional<LineReader> lines_;
};

class ManifestSequence final : public store::ObjectSequence {
 public:
  ManifestSequence(std::vector<Part> parts, ManifestRequest request, InventoryColumns columns)
      : parts_(std::move(parts)),
        request_(std::move(request)),
        columns_(columns),
        objects_(parts_, request_, columns_) {
    if (!is_in_order()) sort();
  }

  const store::ListedObject* next() override {
    if (is_sorted_) return at_ < sorted_.size() ? &sorted_[at_++] : nullptr;
    std::string last = current_ ? current_->key.str() : std::string();
    current_ = objects_.next();
    if (current_ && current_->key.str() <= last)
      throw Error(ErrorKind::precondition, "the list changed while it was read", request_.place);
    return current_ ? &*current_ : nullptr;
  }
  std::uint64_t requests() const noexcept override { return 0; }

 private:
  bool is_in_order() {
    Objects objects(parts_, request_, columns_);
    std::string last;
    bool is_ordered = true;
    while (const auto object = objects.next()) {
      bytes_ += object_bytes + object->key.str().size();
      is_ordered = is_ordered && object->key.str() > last;
      if (is_ordered) last = object->key.str();
    }
    return is_ordered;
  }

  void sort() {
    if (bytes_ > request_.most_memory) {
      throw Error(
          ErrorKind::invalid,
          fmt::format("the list is not in the order of its keys, and sorting it takes {}", format_bytes(bytes_)),
          request_.place, "sort it by its key, bytewise (LC_ALL=C sort), or raise --memory-limit");
    }
    while (auto object = objects_.next()) sorted_.push_back(std::move(*object));
    const auto by_key = [](const store::ListedObject& a, const store::ListedObject& b) { return a.key < b.key; };
    std::sort(sorted_.begin(), sorted_.end(), by_key);
    const auto twice =
        std::adjacent_find(sorted_.begin(), sorted_.end(), [](const auto& a, const auto& b) { return a.key == b.key; });
    if (twice != sorted_.end())
      throw Error(ErrorKind::invalid, "the list has a key twice", escape_name(twice->key.str()));
    is_sorted_ = true;
  }

  const std::vector<Part> parts_;
  const ManifestRequest request_;
  const InventoryColumns columns_;
  Objects objects_;
  ByteCount bytes_ = 0;
  std::optional<store::ListedObject> current_;
  std::vector<store::ListedObject> sorted_;
  bool is_sorted_ = false;
  std::size_t at_ = 0;
};

std::string read_whole(ReadFunction read, const std::string& where) {
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    if (before > most_manifest_bytes) throw Error(ErrorKind::invalid, "the manifest is too long", where);
    constexpr std::size_t step = 64 << 10;
    text.resize(before + step);
    const std::size_t got = read({reinterpret_cast<std::byte*>(text.data()) + before, step});
    text.resize(before + got);
    if (got == 0) return text;
  }
}

}  // namespace

std::unique_ptr<store::ObjectSequence> open_manifest(os::Files& files, store::ObjectStore& store,
                                                     const ManifestRequest& request) {
  const bool is_remote = is_s3_uri(request.place);
  const auto open = [&files, &store, is_remote, place = request.place] {
    return is_remote ? open_object(store, parse_s3_uri(place)) : open_file(files, place);
  };
  if (!request.place.ends_with("manifest.json")) {
    const InventoryColumns columns =
        parse_inventory_schema(request.schema.empty() ? default_inventory_schema : std::string_view(request.schema));
    return std::make_unique<ManifestSequence>(std::vector<Part>{{request.place, "", open}}, request, columns);
  }
  if (!is_remote) {
    throw Error(ErrorKind::invalid, "the files of an inventory are in its bucket", request.place,
                "give the s3:// URI of its manifest.json");
  }
  InventoryManifest manifest;
  try {
    manifest = parse_inventory_manifest(read_whole(open(), request.place));
  } catch (const Error& error) {
    throw error.where().empty() ? error.with_where(request.place) : error;
  }
  std::vector<Part> parts;
  const BucketName bucket = parse_s3_uri(request.place).bucket;
  for (const InventoryManifest::File& file : manifest.files) {
    const ObjectAddress object{bucket, ObjectKey(file.key)};
    parts.push_back({to_uri(object), file.md5, [&store, object] { return open_object(store, object); }});
  }
  const InventoryColumns columns = parse_inventory_schema(request.schema.empty() ? manifest.schema : request.schema);
  return std::make_unique<ManifestSequence>(std::move(parts), request, columns);
}

}  // namespace bale::bucket
