#include "catalog/scan.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/mutex.hpp"
#include "base/text.hpp"
#include "catalog/file.hpp"
#include "store/listing.hpp"
#include "store/read_exactly.hpp"

namespace bale::catalog {
namespace {

constexpr std::string_view file_suffix = ".jsonl";
constexpr std::size_t piece_bytes = 256 << 10;
constexpr std::string_view partition_names[] = {"year=", "month=", "day="};

std::string whose_text(const ObjectKey& archive) {
  return archive.empty() ? std::string() : " of archive " + escape_for_terminal(archive.str());
}

Error damage_error(const ObjectAddress& file, const ObjectKey& archive, const FileDamage& damage) {
  const std::string lost =
      damage.rows_lost ? fmt::format("; rows lost: {}", *damage.rows_lost) : std::string("; rows may be lost");
  const std::string whose = whose_text(archive);
  return Error(ErrorKind::corrupt, fmt::format("the catalog file{} is damaged: {}{}", whose, damage.first, lost),
               to_uri(file));
}

/// Whether a failed read says something about the one file alone.
bool concerns_one_file(const Error& error) {
  const ErrorKind kind = error.kind();
  return !is_transient(kind) && kind != ErrorKind::cancelled && kind != ErrorKind::internal &&
         error.code() != "NoSuchBucket";
}

/// The ETag that a file is listed with now; absent where it is no longer listed.
std::optional<ETag> list_again(store::ObjectStore& store, const ObjectAddress& file) {
  store::ListRequest request;
  request.prefix = file.key.str();
  request.max_keys = 1;  // of the keys that begin so, the first is the key itself
  store::Listing listing(store, file.bucket, request);
  while (const auto page = listing.next()) {
    if (page->objects.empty()) continue;
    const store::ListedObject& first = page->objects.front();
    return first.key == file.key ? std::optional(first.etag) : std::nullopt;
  }
  return std::nullopt;
}

/// The version of a catalog file that is listed.
struct ListedVersion {
  ETag etag;
  std::optional<Error> unreadable;  ///< why the store does not give the file
};

/// Calls `use` with the version of a catalog file that was listed with `etag`; see read_listed_file(). `use` may be
/// called again when it throws.
std::optional<ListedVersion> open_listed_file(store::ObjectStore& store, const ObjectAddress& file, const ETag& etag,
                                              const std::function<void(std::unique_ptr<store::GetStream>)>& use) {
  constexpr int most_attempts = 3;
  ETag wanted = etag;
  for (int attempt = 1;; ++attempt) {
    try {
      use(store.get(file, std::nullopt, {{}, wanted}));
      return ListedVersion{wanted, std::nullopt};
    } catch (const Error& error) {
      if (is_transient(error.kind())) {
        // Where the service lists the file and fails to give it, again and again, it fails for this file alone.
        if (!list_again(store, file)) return std::nullopt;
        return ListedVersion{wanted, error};
      }
      if (!concerns_one_file(error)) throw;
      const bool may_be_gone = error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::precondition;
      if (may_be_gone) {
        const auto now = list_again(store, file);
        if (!now) return std::nullopt;
        wanted = *now;
      }
      if (!may_be_gone || attempt == most_attempts) return ListedVersion{wanted, error};
    }
  }
}

/// Reads a piece of a catalog file. An error that concerns this file alone is thrown as Error{corrupt}.
std::size_t read_piece(store::GetStream& stream, MutableBytes into) {
  try {
    return stream.read(into);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::corrupt || !concerns_one_file(error)) throw;
    throw Error(ErrorKind::corrupt, error.summary());
  }
}

class Scan {
 public:
  Scan(store::ObjectStore& store, const std::function<void(Record)>& visit,
       const std::function<void(const DamagedFile&)>& damaged)
      : store_(store), visit_(visit), damaged_(damaged) {}

  void read_file(const ObjectAddress& file, const ETag& etag) {
    const auto visit = [&](Record record) {
      const Lock lock(mutex_);
      ++counts_.records;
      visit_(std::move(record));
    };
    const auto found = visit_listed_file(store_, file, etag, visit, [](ByteCount) {});
    if (!found) return;
    const Lock lock(mutex_);
    ++counts_.files;
    counts_.bytes += found->bytes;
    if (!found->damage) return;
    ++counts_.damaged_files;
    failing_.check(*found->damage);
    damaged_(*found->damage);
  }

  ScanCounts counts() const {
    const Lock lock(mutex_);
    return counts_;
  }

 private:
  store::ObjectStore& store_;
  const std::function<void(Record)>& visit_;
  const std::function<void(const DamagedFile&)>& damaged_;
  mutable Mutex mutex_;
  FailingFiles failing_ BALE_GUARDED_BY(mutex_);
  ScanCounts counts_ BALE_GUARDED_BY(mutex_);
};

}  // namespace

ObjectKey archive_key_of(const ObjectKey& catalog_file) {
  std::vector<std::string_view> parts = split(catalog_file.str(), '/');
  // bucket, three partitions, file
  if (parts.size() < 5 || !parts.back().ends_with(file_suffix)) return {};
  const std::size_t first = parts.size() - 4;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!parts[first + i].starts_with(partition_names[i])) return {};
  }
  std::string key;
  for (std::size_t i = 0; i < first; ++i) key.append(parts[i]).append("/");
  return ObjectKey(key.append(parts.back().substr(0, parts.back().size() - file_suffix.size())));
}

bool is_catalog_file(const ObjectKey& key) noexcept { return key.str().ends_with(file_suffix); }

std::string partition_day(const ObjectKey& catalog_file) {
  const std::vector<std::string_view> parts = split(catalog_file.str(), '/');
  if (parts.size() < 4) return {};
  std::string day;
  for (std::size_t i = 0; i < 3; ++i) {
    std::string_view part = parts[parts.size() - 4 + i];
    if (!part.starts_with(partition_names[i])) return {};
    part.remove_prefix(partition_names[i].size());
    const bool is_number = part.size() == (i == 0 ? 4u : 2u) && part.find_first_not_of("0123456789") == part.npos;
    if (!is_number) return {};
    day.append(day.empty() ? "" : "-").append(part);
  }
  return day;
}

std::optional<DamagedFile> read_catalog_file(const ObjectAddress& file, const std::function<std::string_view()>& next,
                                             const std::function<void(Record)>& visit, ByteCount most_held) {
  DamagedFile found{file, Error(ErrorKind::corrupt, ""), archive_key_of(file.key), {}};
  const std::function<void(Record)> take = [&](Record record) {
    if (found.buckets.empty()) found.buckets = record.target_buckets;
    if (!record.archive_key.empty()) found.archive_key = record.archive_key;
    visit(std::move(record));
  };
  FileReader reader(take, most_held);
  for (;;) {
    std::string_view piece;
    try {
      piece = next();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      found.error = damage_error(file, found.archive_key, {std::nullopt, error.summary()});
      return found;
    }
    if (piece.empty()) break;
    reader.add(piece);
  }
  const auto damage = reader.finish();
  if (!damage) return std::nullopt;
  found.error = damage_error(file, found.archive_key, *damage);
  return found;
}

std::optional<DamagedFile> read_catalog_file(const ObjectAddress& file, std::string_view text,
                                             const std::function<void(Record)>& visit) {
  return read_catalog_file(
      file, [&] { return std::exchange(text, {}); }, visit, text.size());
}

void FailingFiles::check(const DamagedFile& file) {
  constexpr int most = 8;
  if (is_transient(file.error.kind()) && ++count_ > most) throw Error(file.error);
}

DamagedFile unreadable_file(const ObjectAddress& file, const Error& error) {
  DamagedFile found{file, Error(ErrorKind::corrupt, ""), archive_key_of(file.key), {}};
  if (error.kind() == ErrorKind::corrupt) {
    found.error = damage_error(file, found.archive_key, {std::nullopt, error.summary()});
  } else {
    found.error = Error(error.kind(),
                        fmt::format("the catalog file{} is listed, and cannot be read: {}",
                                    whose_text(found.archive_key), error.summary()),
                        to_uri(file))
                      .with_code(error.code());
  }
  return found;
}

std::optional<ListedFileText> read_listed_file(store::ObjectStore& store, const ObjectAddress& file, const ETag& etag,
                                               ByteCount most) {
  std::string text;
  auto version = open_listed_file(store, file, etag, [&](std::unique_ptr<store::GetStream> stream) {
    text = store::read_unchecked(*stream, most);
  });
  if (!version) return std::nullopt;
  return ListedFileText{std::move(text), std::move(version->etag), std::move(version->unreadable)};
}

std::optional<VisitedFile> visit_listed_file(store::ObjectStore& store, const ObjectAddress& file, const ETag& etag,
                                             const std::function<void(Record)>& visit,
                                             const std::function<void(ByteCount)>& read, ByteCount most_held) {
  std::unique_ptr<store::GetStream> stream;
  const auto version = open_listed_file(store, file, etag,
                                        [&](std::unique_ptr<store::GetStream> opened) { stream = std::move(opened); });
  if (!version) return std::nullopt;
  VisitedFile found{version->etag, 0, std::nullopt};
  if (version->unreadable) {
    found.damage = unreadable_file(file, *version->unreadable);
    return found;
  }
  Buffer piece(piece_bytes);
  std::size_t last = 0;
  const auto next = [&] {
    if (last > 0) read(last);
    last = read_piece(*stream, {piece.data(), piece.capacity()});
    found.bytes += last;
    return as_text({piece.data(), last});
  };
  found.damage = read_catalog_file(file, next, visit, most_held);
  return found;
}

ScanCounts scan(store::ObjectStore& store, const BucketName& bucket, const std::string& prefix,
                flow::ThreadPool& connections, const std::function<void(Record)>& visit,
                const std::function<void(const DamagedFile&)>& damaged) {
  Scan scan(store, visit, damaged);
  store::ListRequest request;
  request.prefix = prefix;
  store::Listing listing(store, bucket, request);
  while (const auto page = listing.next()) {
    flow::TaskGroup group;
    for (const store::ListedObject& object : page->objects) {
      if (!is_catalog_file(object.key)) continue;
      group.run(connections,
                [&scan, file = ObjectAddress{bucket, object.key}, etag = object.etag] { scan.read_file(file, etag); });
    }
    group.wait();
  }
  return scan.counts();
}

}  // namespace bale::catalog
