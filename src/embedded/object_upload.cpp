// Multipart uploads.
//
// The first writer of a part writes it straight to its place in one shared file, so that a complete upload becomes an
// object by giving that file a second name: nothing is copied. A place ("slot") is claimed in the database before it is
// written and never written again. A part that has no slot (it is sent again, or is larger than the first part that
// came) gets a file of its own. Where the parts that are completed are not just the slots 1..n in a row, they are put
// together by copying in the kernel.
#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "embedded/object_data.hpp"
#include "embedded/object_rules.hpp"
#include "embedded/object_store.hpp"
#include "store/checksum.hpp"
#include "store/object_rules.hpp"
#include "store/own_write.hpp"

namespace bale::embedded {
namespace {

using Durability = Database::Durability;

/// A shared file stays below this; ext4 ends a file at 16 TiB.
constexpr ByteCount most_shared_bytes = 8ULL << 40;

os::fs::path shared_file(const UploadId& upload) { return upload_directory(upload) / "parts"; }
os::fs::path part_file(const UploadId& upload, const std::string& file) { return upload_directory(upload) / file; }

/// One part on its way into an upload.
struct PartPlace {
  os::fs::path path;
  ByteCount offset = 0;
  std::string file;                                     ///< as in PartRow
  std::optional<store::Checksum::Algorithm> algorithm;  ///< of the upload
};

/// Claims a place for a part in the shared file of an upload; absent when it has to have a file of its own.
std::optional<ByteCount> claim_slot(WriteContext& context, UploadRow row, const UploadId& upload, std::uint32_t number,
                                    ByteCount size) {
  // The first part that can be followed by another one sets the size: the last may be smaller.
  if (!row.slot_bytes && size >= store::min_part_bytes) {
    row.slot_bytes = static_cast<std::int64_t>(size);
    context.database.execute("UPDATE uploads SET slot_bytes = ? WHERE id = ?", *row.slot_bytes, upload.str());
  }
  if (!row.slot_bytes || size > static_cast<ByteCount>(*row.slot_bytes)) return std::nullopt;
  const ByteCount offset = (number - 1) * static_cast<ByteCount>(*row.slot_bytes);
  if (offset + size > most_shared_bytes) return std::nullopt;
  const std::int64_t claimed =
      context.database.execute("INSERT OR IGNORE INTO slots(upload, number) VALUES(?, ?)", upload.str(), number);
  if (claimed == 0) return std::nullopt;
  return offset;
}

PartPlace place_part(Core& core, const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                     ByteCount size) {
  std::optional<ByteCount> offset;
  std::optional<store::Checksum::Algorithm> algorithm;
  // A claim that a power cut undoes had a part that was not acknowledged.
  core.commits.run(Durability::process, [&](WriteContext& context) {
    const UploadRow row = require_upload(context.database, object, upload);
    algorithm = row.algorithm;
    offset = claim_slot(context, row, upload, number, size);
  });
  if (offset) return {shared_file(upload), *offset, {}, algorithm};
  const std::string file = fmt::format("{}@{}", number, core.journal.new_file_id().str());
  return {part_file(upload, file), 0, file, algorithm};
}

/// Records a part that is durable. Returns the file of the part that it replaces, where that had one.
void record_part(Core& core, const ObjectAddress& object, const UploadId& upload, const PartRow& part) {
  std::string replaced;
  core.commits.run(Durability::power_safe, [&](WriteContext& context) {
    require_upload(context.database, object, upload);
    replaced.clear();
    {
      Query old =
          context.database.query("SELECT file FROM parts WHERE upload = ? AND number = ?", upload.str(), part.number);
      if (old.step()) replaced = old.text(0);
    }
    insert_part(context.database, upload, part);
  });
  if (!replaced.empty()) core.files.remove(part_file(upload, replaced));
}

/// Refuses a checksum of another algorithm than the upload was begun with, as S3 does.
void check_algorithm(const std::optional<store::Checksum>& checksum,
                     const std::optional<store::Checksum::Algorithm>& algorithm, const ObjectAddress& object) {
  if (!checksum || checksum->algorithm == algorithm) return;
  throw Error(ErrorKind::invalid,
              fmt::format("a checksum {} for an upload that was begun with {}", store::to_string(checksum->algorithm),
                          algorithm ? store::to_string(*algorithm) : "none"),
              to_uri(object))
      .with_code("InvalidRequest");
}

/// What a part is known by.
struct PartDigests {
  ETag etag;
  std::optional<store::Checksum> checksum;
};

PartDigests to_part(StoredDigests digests) { return {ETag(to_hex_digest(digests.md5)), std::move(digests.checksum)}; }

/// Writes one part with `write(file, place)`, which returns its digests, and records it.
template <typename Write>
ETag store_part(Core& core, const ObjectAddress& object, const UploadId& upload, std::uint32_t number, ByteCount size,
                const Write& write) {
  const PartPlace place = place_part(core, object, upload, number, size);
  try {
    PartDigests digests;
    {
      const auto file = core.files.open_or_create(place.path);
      digests = write(*file, place);
      file->sync();
    }
    core.files.sync_name(place.path);
    record_part(core, object, upload, {number, digests.etag, size, place.file, digests.checksum});
    return digests.etag;
  } catch (const Error& error) {
    // What was written in a slot stays there, unused, until the upload ends. An upload that has ended meanwhile has
    // lost its directory, which was made again for this part.
    if (error.code() == "NoSuchUpload")
      core.files.remove_tree(upload_directory(upload));
    else if (!place.file.empty())
      core.files.remove(place.path);
    throw;
  }
}

/// The parts that a complete request names, as they are stored. Throws InvalidPart, EntityTooSmall; InvalidRequest
/// where the object's checksum is made of those of the parts, and one is not named.
std::vector<PartRow> choose_parts(const std::vector<PartRow>& stored, const std::vector<store::UploadedPart>& listed,
                                  const ObjectAddress& object) {
  std::vector<PartRow> chosen;
  for (const store::UploadedPart& part : listed) {
    const auto found = std::lower_bound(stored.begin(), stored.end(), part.number,
                                        [](const PartRow& row, std::uint32_t number) { return row.number < number; });
    if (found == stored.end() || found->number != part.number || found->etag != part.etag) {
      throw Error(ErrorKind::invalid, fmt::format("part {} was not uploaded, or with another ETag", part.number),
                  to_uri(object))
          .with_code("InvalidPart");
    }
    if (part.checksum && part.checksum != found->checksum) {
      throw Error(ErrorKind::invalid, fmt::format("part {} was uploaded with another checksum", part.number),
                  to_uri(object))
          .with_code("InvalidPart");
    }
    if (!part.checksum && found->checksum && !store::is_joinable(found->checksum->algorithm)) {
      throw Error(ErrorKind::invalid,
                  fmt::format("the upload was begun with {}: the checksum of part {} is missing",
                              store::to_string(found->checksum->algorithm), part.number),
                  to_uri(object))
          .with_code("InvalidRequest");
    }
    chosen.push_back(*found);
  }
  for (std::size_t i = 0; i + 1 < chosen.size(); ++i) {
    if (chosen[i].size >= store::min_part_bytes) continue;
    throw Error(ErrorKind::invalid,
                fmt::format("part {} has {}; every part but the last has at least 5 MiB", chosen[i].number,
                            format_bytes(chosen[i].size)),
                to_uri(object))
        .with_code("EntityTooSmall");
  }
  return chosen;
}

ByteCount total_size(const std::vector<PartRow>& parts) {
  ByteCount size = 0;
  for (const PartRow& part : parts) size += part.size;
  return size;
}

/// The size that every part but the last has, and the last at most; 0 when they are not alike.
ByteCount size_of_parts(const std::vector<PartRow>& parts) {
  const ByteCount size = parts.front().size;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    if (last ? parts[i].size > size : parts[i].size != size) return 0;
  }
  return size;
}

/// The checksum of the object that the parts make; absent where it does not follow from theirs.
std::optional<store::Checksum> checksum_of_parts(const std::vector<PartRow>& parts) {
  std::optional<store::Checksum> whole;
  for (const PartRow& part : parts) {
    if (!part.checksum || !store::is_joinable(part.checksum->algorithm)) return std::nullopt;
    whole = whole ? store::join(*whole, *part.checksum, part.size) : *part.checksum;
  }
  return whole;
}

/// An upload that is being completed.
struct Completion {
  const ObjectAddress& object;
  const UploadId& upload;
  UploadRow row;
  std::vector<PartRow> parts;
  std::int64_t slots = 0;  ///< claimed ones
};

Completion read_completion(Database& database, const ObjectAddress& object, const UploadId& upload,
                           const std::vector<store::UploadedPart>& listed) {
  const Snapshot snapshot(database);
  Completion completion{object, upload, require_upload(database, object, upload), {}, 0};
  completion.parts = choose_parts(find_parts(database, upload, completion.row.algorithm), listed, object);
  Query slots = database.query("SELECT count(*) FROM slots WHERE upload = ?", upload.str());
  slots.step();
  completion.slots = slots.integer(0);
  return completion;
}

/// Throws where the parts do not make the object that the conditions say, with S3's codes.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
void check_whole(const Completion& completion, const store::WriteConditions& conditions) {
  const ByteCount size = total_size(completion.parts);
  if (conditions.size && *conditions.size != size) {
    throw Error(ErrorKind::invalid, fmt::format("the parts have {} bytes, not {}", size, *conditions.size),
                to_uri(completion.object))
        .with_code("InvalidRequest");
  }
  check_algorithm(conditions.checksum, completion.row.algorithm, completion.object);
  if (conditions.checksum && conditions.checksum != checksum_of_parts(completion.parts))
    throw Error(ErrorKind::corrupt, "the parts have another checksum than the whole is to have",
                to_uri(completion.object))
        .with_code("BadDigest");
}

/// Whether the shared file is the object: it holds the parts 1..n, each of its slot's size but the last, and nothing
/// else was or is being written to it.
bool is_shared_file_complete(const Completion& completion) {
  if (!completion.row.slot_bytes || completion.slots != static_cast<std::int64_t>(completion.parts.size()))
    return false;
  for (std::size_t i = 0; i < completion.parts.size(); ++i) {
    const PartRow& part = completion.parts[i];
    const bool last = i + 1 == completion.parts.size();
    if (!part.file.empty() || part.number != i + 1) return false;
    if (!last && part.size != static_cast<ByteCount>(*completion.row.slot_bytes)) return false;
  }
  return true;
}

/// Copies a last part that came first, and so has a file of its own, into its slot.
void adopt_last_part(Core& core, Completion& completion) {
  PartRow& last = completion.parts.back();
  if (last.file.empty() || !completion.row.slot_bytes || completion.parts.size() < 2) return;
  std::optional<ByteCount> offset;
  core.commits.run(Durability::process, [&](WriteContext& context) {
    offset = claim_slot(context, require_upload(context.database, completion.object, completion.upload),
                        completion.upload, last.number, last.size);
  });
  if (!offset) return;
  const auto source = core.world.files.open(core.files.absolute(part_file(completion.upload, last.file)));
  {
    const auto file = core.files.open_or_create(shared_file(completion.upload));
    file->copy_from(*source, 0, last.size, *offset);
    file->sync();
  }
  record_part(core, completion.object, completion.upload, {last.number, last.etag, last.size, {}, last.checksum});
  last.file.clear();
  ++completion.slots;
}

/// The parts of an upload that ends: whoever sweeps after a kill removes them. Made before the transaction that ends
/// the upload, and destroyed when the parts are removed.
class EndedUpload {
 public:
  EndedUpload(Core& core, const UploadId& upload) : announcement_(core.journal.announce(upload_directory(upload))) {}
  ~EndedUpload() {
    // Whether the transaction was committed may be unknown: whoever opens the directory next will know.
    if (std::uncaught_exceptions() > exceptions_) announcement_.leave_to_sweep();
  }
  EndedUpload(const EndedUpload&) = delete;
  EndedUpload& operator=(const EndedUpload&) = delete;

 private:
  WriterJournal::Announcement announcement_;
  const int exceptions_ = std::uncaught_exceptions();
};

bool is_upload(Database& database, const ObjectAddress& object, const UploadId& upload) {
  try {
    require_upload(database, object, upload);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Puts the parts together in the new file.
void assemble(Core& core, const Completion& completion, NewObjectFile& target) {
  if (is_shared_file_complete(completion)) return target.link_from(shared_file(completion.upload));
  if (completion.parts.size() == 1 && !completion.parts[0].file.empty())
    return target.link_from(part_file(completion.upload, completion.parts[0].file));
  os::WritableFile& file = target.create();
  ByteCount to = 0;
  for (const PartRow& part : completion.parts) {
    const bool in_slot = part.file.empty();
    const ByteCount from = in_slot ? (part.number - 1) * static_cast<ByteCount>(*completion.row.slot_bytes) : 0;
    const auto path = in_slot ? shared_file(completion.upload) : part_file(completion.upload, part.file);
    file.copy_from(*core.world.files.open(core.files.absolute(path)), from, part.size, to);
    to += part.size;
  }
}

}  // namespace

UploadId EmbeddedStore::create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) {
  check_object_key(object.key);
  store::check_attributes(attributes);
  UploadId upload(core_.journal.new_file_id().str());
  const StoredAttributes stored = to_stored_upload(attributes);
  core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
    const BucketRow bucket = require_bucket(context.database, object.bucket);
    context.database.execute(
        "INSERT INTO uploads(id, bucket, key, initiated, class, attributes, tags) VALUES(?, ?, ?, ?, ?, ?, ?)",
        upload.str(), bucket.id, Blob{object.key.str()}, context.time(), stored.storage_class, stored.attributes,
        stored.tags);
  });
  return upload;
}

ETag EmbeddedStore::upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                                store::Body& body) {
  store::check_part_number(number);
  store::check_upload_size(body.size());
  // Before a slot is claimed, which a refused part would leave empty.
  if (const auto told = body.digests().checksum)
    check_algorithm(told, require_upload(*core_.readers.borrow(), object, upload).algorithm, object);
  return store_part(core_, object, upload, number, body.size(), [&](os::WritableFile& file, const PartPlace& place) {
    return to_part(write_body(file, place.offset, body, place.algorithm));
  });
}

ETag EmbeddedStore::upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                                     const store::CopySource& from, const std::optional<store::ByteRange>& range) {
  store::check_part_number(number);
  const OpenedObject source = open_object(core_, from.address, {from.version_id, from.if_match});
  if (range && (range->suffix || range->last >= source.row.size)) {
    throw Error(ErrorKind::invalid, fmt::format("the range is not one of the {} bytes of the source", source.row.size),
                to_uri(from.address))
        .with_code("InvalidArgument");
  }
  const store::Extent extent = store::resolve_range(range, source.row.size);
  store::check_upload_size(extent.length);
  const bool has_md5 = source.row.etag.str().find('-') == std::string::npos && extent.length == source.row.size;
  return store_part(core_, object, upload, number, extent.length, [&](os::WritableFile& file, const PartPlace& place) {
    file.copy_from(*source.file, extent.offset, extent.length, place.offset);
    if (has_md5 && !place.algorithm) return PartDigests{source.row.etag, std::nullopt};
    return to_part(read_digests(*source.file, extent, place.algorithm));
  });
}

store::PutResult EmbeddedStore::complete_upload(const ObjectAddress& object, const UploadId& upload,
                                                const std::vector<store::UploadedPart>& parts,
                                                const store::WriteConditions& conditions) {
  store::check_part_order(parts);
  store::check_whole_checksum(conditions.checksum);
  Completion completion = read_completion(*core_.readers.borrow(), object, upload, parts);
  check_target(object, conditions);
  check_whole(completion, conditions);
  adopt_last_part(core_, completion);
  const EndedUpload ended(core_, upload);
  NewObjectFile file(core_, object);
  assemble(core_, completion, file);
  const ETag etag = store::multipart_etag(parts).value();
  const VersionChange change = file.publish([&](WriteContext& context) {
    UploadRow row = require_upload(context.database, object, upload);
    complete_attributes(row.stored, checksum_of_parts(completion.parts), size_of_parts(completion.parts));
    // A part that was sent again meanwhile is not the one that was put together.
    if (choose_parts(find_parts(context.database, upload, row.algorithm), parts, object) != completion.parts) {
      throw Error(ErrorKind::unavailable, "a part was uploaded while the upload was completed", to_uri(object))
          .with_code("OperationAborted");
    }
    const NewVersion version{file.id(), total_size(completion.parts), etag, row.stored,
                             "ObjectCreated:CompleteMultipartUpload"};
    VersionChange done = insert_version(context, object, version, conditions, now());
    delete_upload(context.database, upload);
    return done;
  });
  core_.files.remove_tree(upload_directory(upload));
  return {etag, change.version};
}

void EmbeddedStore::abort_upload(const ObjectAddress& object, const UploadId& upload) {
  const auto forget = [&] {
    const EndedUpload ended(core_, upload);
    bool known = false;
    core_.commits.run(Durability::power_safe, [&](WriteContext& context) {
      const BucketRow bucket = require_bucket(context.database, object.bucket);
      known = context.database
                  .query("SELECT 1 FROM uploads WHERE id = ? AND bucket = ? AND key = ?", upload.str(), bucket.id,
                         Blob{object.key.str()})
                  .step();
      if (known) delete_upload(context.database, upload);
    });
    if (known) core_.files.remove_tree(upload_directory(upload));
  };
  try {
    forget();
  } catch (const Error& error) {
    // On a full disk there is no room to note that the upload is gone, until its parts are.
    if (error.kind() != ErrorKind::unavailable || !is_upload(*core_.readers.borrow(), object, upload)) throw;
    core_.files.remove_tree(upload_directory(upload));
    forget();
  }
}

std::vector<store::UploadedPart> EmbeddedStore::list_parts(const ObjectAddress& object, const UploadId& upload) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  const UploadRow row = require_upload(*reader, object, upload);
  std::vector<store::UploadedPart> parts;
  for (const PartRow& part : find_parts(*reader, upload, row.algorithm))
    parts.push_back({part.number, part.etag, part.size, part.checksum});
  return parts;
}

}  // namespace bale::embedded
