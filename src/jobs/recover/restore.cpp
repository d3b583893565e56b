#include "jobs/recover/restore.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "archive/deliver.hpp"
#include "archive/member_name.hpp"
#include "archive/reader.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "jobs/recover/stand_in.hpp"
#include "transfer/byte_io.hpp"

namespace bale::recover {
namespace {

using namespace bale::literals;

constexpr ByteCount piece_bytes = 1_MiB;

ObjectAddress archive_of(const catalog::Record& record) { return {record.archive_bucket, record.archive_key}; }

/// The names that the object can have in its archive: the catalog's word for whose bytes they are is not enough.
std::vector<std::string> names_of(const catalog::Record& record) {
  std::string_view relative = record.object_path.str();
  const std::string prefix = record.source_prefix + "/";
  if (prefix.size() > 1 && relative.starts_with(prefix)) relative.remove_prefix(prefix.size());
  return archive::possible_member_names(relative);
}

/// Every place where the record says that the archive is.
std::vector<ObjectAddress> copies_of(const catalog::Record& record) {
  std::vector<ObjectAddress> copies{archive_of(record)};
  for (const BucketName& bucket : record.target_buckets) {
    if (bucket != record.archive_bucket) copies.push_back({bucket, record.archive_key});
  }
  return copies;
}

/// The store speaks of a missing or unreadable object; the user has to hear that it is the archive.
Error out_of_reach_error(const Error& error, const ObjectAddress& archive) {
  if (error.kind() == ErrorKind::not_found && error.code().empty()) return error;  // it is there, without the object
  const bool gone = error.kind() == ErrorKind::not_found;
  const std::string what = gone ? std::string("the archive that holds the object is not there any more")
                                : "the archive that holds the object cannot be read: " + error.summary();
  const std::string hint = gone ? "`bale catalog search --all-versions` shows which other backups have the object"
                                : hint_of_unreadable(error);
  return Error(error.kind(), what, to_uri(archive), hint).with_code(error.code()).with_cause(error);
}

/// Hands the one object of an archive without random access on, in order.
class StreamVisitor final : public archive::FrameVisitor {
 public:
  explicit StreamVisitor(const std::function<void(ByteView)>& sink) : sink_(sink) {}
  void frame(std::shared_ptr<const archive::FrameData>, const std::vector<archive::MemberPiece>& pieces) override {
    for (const archive::MemberPiece& piece : pieces) {
      hash_.update(piece.bytes);
      if (!piece.bytes.empty()) sink_(piece.bytes);
      bytes_ += piece.bytes.size();
    }
  }
  void damaged(const archive::Damage& damage) override {
    if (!damage_) damage_ = damage.error;
  }
  void check(const catalog::Record& record) {
    if (damage_) throw *damage_;
    const bool differs = !record.sha256.empty() && record.sha256 != to_hex_digest(hash_.finish());
    if (bytes_ != record.object_size || differs) {
      throw Error(ErrorKind::corrupt, "the object in the archive is not the one that was packed",
                  to_uri(archive_of(record)));
    }
  }

 private:
  const std::function<void(ByteView)>& sink_;
  Sha256 hash_;
  ByteCount bytes_ = 0;
  std::optional<Error> damage_;
};

/// Gathers bytes into pieces that carry a ticket, for a sink.
class PieceWriter {
 public:
  PieceWriter(transfer::ByteSink& sink, flow::MemoryBudget& budget, std::stop_token stop)
      : sink_(sink), budget_(budget), stop_(std::move(stop)) {}
  void write(ByteView bytes) {
    while (!bytes.empty()) {
      if (piece_.bytes.capacity() == 0) piece_ = {Buffer(piece_bytes), budget_.acquire(piece_bytes, stop_)};
      const std::size_t taken = std::min(bytes.size(), piece_.bytes.spare().size());
      piece_.bytes.append(bytes.first(taken));
      bytes = bytes.subspan(taken);
      if (piece_.bytes.spare().empty()) flush();
    }
  }
  void flush() {
    if (!piece_.bytes.empty()) sink_.append(std::move(piece_));
    piece_ = {};
  }

 private:
  transfer::ByteSink& sink_;
  flow::MemoryBudget& budget_;
  std::stop_token stop_;
  transfer::OutputPiece piece_;
};

store::ObjectAttributes attributes_of(const catalog::Record& record, const std::string& storage_class) {
  store::ObjectAttributes attributes;
  attributes.headers = record.headers;
  attributes.metadata = record.metadata;
  attributes.tags = record.tags;
  attributes.storage_class = storage_class;
  if (!storage_class.empty()) return attributes;
  // Whoever restores an object wants to read it: not from an archive class again.
  const bool archived =
      record.storage_class == "GLACIER" || record.storage_class == "DEEP_ARCHIVE" || record.storage_class.empty();
  attributes.storage_class = archived ? "STANDARD" : record.storage_class;
  return attributes;
}

Error is_different(const std::string& destination) {
  return Error(ErrorKind::precondition, "something else has this name already", destination,
               "restore to another place, or replace it with --overwrite");
}

}  // namespace

Restore::Restore(std::function<store::ObjectStore&(const catalog::Record&)> archives, store::ObjectStore* destination,
                 RestoreTarget target, RestoreOptions options, os::World& world, flow::Pools pools,
                 flow::MemoryBudget& budget)
    : archives_(std::move(archives)),
      destination_(destination),
      target_(std::move(target)),
      options_(options),
      world_(world),
      pools_(pools),
      budget_(budget) {}

void Restore::run(const std::vector<catalog::Record>& records, const std::function<void(const RestoredObject&)>& done) {
  std::vector<std::string> paths;
  if (target_.directory) {
    std::vector<std::string_view> keys;
    for (const catalog::Record& record : records) keys.push_back(record.object_path.str());
    paths = archive::safe_paths(keys);
  }
  std::mutex mutex;  // one call of done() at a time
  flow::ThreadPool workers(std::clamp<std::size_t>(records.size(), 1, options_.at_once), "bale-restore");
  flow::TaskGroup group;
  for (std::size_t i = 0; i < records.size(); ++i) {
    group.run(workers, [&, i] {
      if (world_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while restoring");
      const RestoredObject object = restore_one(records[i], target_.directory ? paths[i] : std::string());
      const std::scoped_lock lock(mutex);
      done(object);
    });
  }
  group.wait();
}

RestoredObject Restore::restore_one(const catalog::Record& record, const std::string& path) {
  RestoredObject object;
  object.record = &record;
  object.destination = target_.directory ? (*target_.directory / path).native()
                                         : to_uri(target_.bucket, ObjectKey(target_.prefix + record.object_path.str()));
  try {
    if (record.deleted)
      throw Error(ErrorKind::not_found, "the object was deleted at its source", record.object_path.str());
    if (record.archive_key.empty()) {
      throw Error(ErrorKind::unsupported, "the catalog row does not say where its archive is", record.backup_file,
                  "extract it from the archive with `bale archive extract`");
    }
    if (target_.directory)
      restore_file(record, path, object);
    else
      restore_object(record, object);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::cancelled) throw;
    object.fate = RestoreFate::failed;
    object.error = error;
  }
  return object;
}

ByteCount Restore::read(const catalog::Record& record, const std::function<void(ByteView)>& sink) {
  std::optional<Error> first;
  for (const ObjectAddress& copy : copies_of(record)) {
    bool begun = false;
    try {
      return read_copy(record, copy, [&](ByteView bytes) {
        begun = true;
        sink(bytes);
      });
    } catch (const Error& error) {
      // Gone, or of a class that has to be asked for first: another bucket may have the same archive.
      const bool out_of_reach = error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::denied;
      if (begun || !out_of_reach) throw;
      if (!first) first = out_of_reach_error(error, copy);
    }
  }
  throw *first;
}

ByteCount Restore::read_copy(const catalog::Record& record, const ObjectAddress& copy,
                             const std::function<void(ByteView)>& sink) {
  store::ObjectStore& store = archives_(record);
  if (record.location) {
    archive::read_located(store, copy, *record.location, record.object_size, record.sha256, sink, names_of(record));
    return record.location->frame_length;
  }
  const auto source = transfer::open_object_source(store, copy);
  const auto reader = archive::open_archive(*source);
  const auto& objects = reader->manifest().objects;
  const auto found = std::find_if(objects.begin(), objects.end(), [&](const archive::ManifestObject& object) {
    return object.key == record.object_path ||
           object.source_prefix + "/" + object.relative_key == record.object_path.str() ||
           (object.source_prefix.empty() && object.relative_key == record.object_path.str());
  });
  if (found == objects.end()) throw Error(ErrorKind::not_found, "the archive does not hold the object", to_uri(copy));
  StreamVisitor visitor(sink);
  reader->read({static_cast<std::size_t>(found - objects.begin())}, visitor, pools_, budget_, world_.stop);
  visitor.check(record);
  return reader->archive_bytes();
}

bool Restore::same_file(const catalog::Record& record, const os::fs::path& path) {
  const auto there = world_.files.info(path);
  if (!there || there->type != os::FileType::regular || there->size != record.object_size || record.sha256.empty())
    return false;
  const auto file = world_.files.open(path);
  Buffer buffer(piece_bytes);
  Sha256 hash;
  for (ByteCount offset = 0;;) {
    const std::size_t got = file->read_at(offset, {buffer.data(), buffer.capacity()});
    if (got == 0) break;
    hash.update({buffer.data(), got});
    offset += got;
  }
  return to_hex_digest(hash.finish()) == record.sha256;
}

void Restore::restore_file(const catalog::Record& record, const std::string& name, RestoredObject& object) {
  const os::fs::path path = *target_.directory / name;
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    if (!archive::is_directory_on_the_way(world_.files, *target_.directory / name.substr(0, slash))) break;
  }
  if (const auto there = world_.files.info(path)) {
    if (there->type == os::FileType::directory) {
      throw Error(ErrorKind::precondition, "a directory has the file's name", path.native(),
                  "restore to another place, or together with the objects below it: then it gets an escaped name");
    }
    if (same_file(record, path)) {
      object.fate = RestoreFate::same;
      return;
    }
    if (!options_.overwrite) throw is_different(path.native());
  }
  object.bytes_read = record.location ? record.location->frame_length : 0;
  object.fate = RestoreFate::restored;
  if (options_.dryrun) return;
  world_.files.make_directories(path.parent_path());
  os::AtomicFile file(world_.files, path, os::Links::refuse);
  object.bytes_read = read(record, [&](ByteView bytes) { file.file().write(bytes); });
  file.commit();
  world_.files.set_modified(path, record.last_modified);
}

bool Restore::same_object(const catalog::Record& record, const ObjectAddress& address, const store::ObjectInfo& there) {
  if (there.size != record.object_size) return false;
  // An ETag is of the content and of how it was cut into parts: equal ones mean equal bytes, different ones nothing.
  if (there.etag == record.etag) return true;
  if (record.sha256.empty()) return false;
  try {
    const auto stream = destination_->get(address, {}, {.version_id = {}, .if_match = there.etag});
    Buffer buffer(piece_bytes);
    Sha256 hash;
    while (const std::size_t got = stream->read({buffer.data(), buffer.capacity()})) hash.update({buffer.data(), got});
    return to_hex_digest(hash.finish()) == record.sha256;
  } catch (const Error& error) {
    // Of an archive class, or replaced or deleted since: nobody knows that it is the same.
    const bool tells_nothing = error.kind() == ErrorKind::denied || error.kind() == ErrorKind::precondition ||
                               error.kind() == ErrorKind::not_found;
    if (!tells_nothing) throw;
    return false;
  }
}

/// On what condition the object may be written; absent when it is there already. Throws when something else is there
/// that may not be replaced.
std::optional<store::WriteConditions> Restore::look_at(const catalog::Record& record, const ObjectAddress& address) {
  const auto there = destination_->head(address);
  if (!there) return store::WriteConditions{.if_none_match = true, .if_match = {}};
  if (same_object(record, address, *there)) return std::nullopt;
  if (!options_.overwrite) throw is_different(to_uri(address));
  return store::WriteConditions{.if_none_match = false, .if_match = there->etag};
}

void Restore::restore_object(const catalog::Record& record, RestoredObject& object) {
  const ObjectAddress address{target_.bucket, ObjectKey(target_.prefix + record.object_path.str())};
  const auto conditions = look_at(record, address);
  object.fate = conditions ? RestoreFate::restored : RestoreFate::same;
  if (!conditions) return;
  object.bytes_read = record.location ? record.location->frame_length : 0;
  if (options_.dryrun) return;
  transfer::ObjectSinkOptions sink_options;
  sink_options.attributes = attributes_of(record, target_.storage_class);
  sink_options.expected_bytes = record.object_size;
  sink_options.conditions = *conditions;
  try {
    const auto sink = transfer::open_object_sink(*destination_, pools_.connections, address, sink_options);
    PieceWriter writer(*sink, budget_, world_.stop);
    object.bytes_read = read(record, [&](ByteView bytes) { writer.write(bytes); });
    writer.flush();
    sink->finish();
  } catch (const Error& error) {
    // Something came there since: another restore of the same object, or this very write, sent twice on its way.
    if (error.kind() != ErrorKind::precondition || look_at(record, address)) throw;
    object.fate = RestoreFate::same;
  }
}

}  // namespace bale::recover
