#include "embedded/object_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "store/checksum.hpp"

namespace bale::embedded {
namespace {

constexpr std::size_t copy_block = 1 << 20;
/// Zeros are looked for in blocks of this size; smaller holes are not worth an extent each.
constexpr std::size_t hole_block = 64 << 10;

bool is_zero(ByteView block) {
  // Compared with itself, one byte on: all bytes equal the first.
  return block[0] == std::byte{0} && std::memcmp(block.data(), block.data() + 1, block.size() - 1) == 0;
}

/// Writes `bytes` at `offset` but for whole blocks of zeros. Returns whether the last byte was written.
bool write_with_holes(os::WritableFile& file, ByteCount offset, ByteView bytes) {
  std::size_t pending = 0;  // start of what is not written yet
  std::size_t at = 0;
  for (; at + hole_block <= bytes.size(); at += hole_block) {
    if (!is_zero(bytes.subspan(at, hole_block))) continue;
    if (at > pending) file.write_at(offset + pending, bytes.subspan(pending, at - pending));
    pending = at + hole_block;
  }
  if (pending < bytes.size()) file.write_at(offset + pending, bytes.subspan(pending));
  return pending < bytes.size();
}

Error bad_digest(const char* code, const char* digest) {
  return Error(ErrorKind::corrupt, fmt::format("the bytes that came have another {} than the body tells", digest))
      .with_code(code);
}

/// Computes of the bytes what is wanted, and what has to be held against the digests that the body tells, each once.
class BodyHashes {
 public:
  BodyHashes(store::BodyDigests told, const std::optional<store::Checksum::Algorithm>& wanted)
      : told_(std::move(told)), wanted_(wanted) {
    if (wanted_) add(*wanted_);
    if (told_.checksum) add(told_.checksum->algorithm);
    if (told_.sha256) add(store::Checksum::Algorithm::sha256);
  }
  void update(ByteView bytes) {
    md5_.update(bytes);
    for (auto& [algorithm, checksum] : checksums_) checksum.update(bytes);
  }
  /// Throws where the body told other digests.
  StoredDigests finish() {
    StoredDigests digests{md5_.finish(), std::nullopt};
    if (told_.md5 && *told_.md5 != digests.md5) throw bad_digest("BadDigest", "MD5");
    for (auto& [algorithm, running] : checksums_) {
      store::Checksum checksum = running.finish();
      if (told_.checksum && told_.checksum->algorithm == algorithm && *told_.checksum != checksum)
        throw bad_digest("BadDigest", "checksum");
      if (told_.sha256 && algorithm == store::Checksum::Algorithm::sha256 &&
          as_text({told_.sha256->data(), told_.sha256->size()}) != checksum.value)
        throw bad_digest("XAmzContentSHA256Mismatch", "SHA-256");
      if (wanted_ == algorithm) digests.checksum = std::move(checksum);
    }
    return digests;
  }

 private:
  void add(store::Checksum::Algorithm algorithm) { checksums_.try_emplace(algorithm, algorithm); }
  const store::BodyDigests told_;
  const std::optional<store::Checksum::Algorithm> wanted_;
  Md5 md5_;
  std::map<store::Checksum::Algorithm, store::RunningChecksum> checksums_;
};

os::fs::path data_path(const ObjectAddress& object, const FileId& file) {
  return bucket_directory(object.bucket) / object_path(object.key, file);
}

}  // namespace

StoredDigests write_body(os::WritableFile& file, ByteCount offset, store::Body& body,
                         const std::optional<store::Checksum::Algorithm>& algorithm) {
  BodyHashes hashes(body.digests(), algorithm);
  ByteCount written = 0;
  bool ends_in_hole = false;
  for (ByteView bytes; !(bytes = body.next(copy_block)).empty(); written += bytes.size()) {
    if (written + bytes.size() > body.size()) break;
    hashes.update(bytes);
    ends_in_hole = !write_with_holes(file, offset + written, bytes);
    body.sent(bytes.size());
  }
  if (written != body.size()) {
    throw Error(ErrorKind::invalid, fmt::format("the body does not have the {} bytes that it should", body.size()))
        .with_code("IncompleteBody");
  }
  StoredDigests digests = hashes.finish();
  if (ends_in_hole) file.extend_to(offset + written);
  return digests;
}

StoredDigests read_digests(os::ReadableFile& file, const store::Extent& extent,
                           const std::optional<store::Checksum::Algorithm>& algorithm) {
  BodyHashes hashes({}, algorithm);
  Buffer block(std::min<std::size_t>(copy_block, std::max<ByteCount>(extent.length, 1)));
  for (ByteCount done = 0; done < extent.length;) {
    const auto wanted = static_cast<std::size_t>(std::min<ByteCount>(block.capacity(), extent.length - done));
    const std::size_t got = file.read_at(extent.offset + done, {block.data(), wanted});
    if (got == 0) throw Error(ErrorKind::corrupt, "the data file is shorter than the object");
    hashes.update({block.data(), got});
    done += got;
  }
  return hashes.finish();
}

void DoomedFiles::add(const ObjectAddress& object, const std::vector<FileId>& files) {
  for (const FileId& file : files) {
    os::fs::path path = data_path(object, file);
    auto announcement = core_.journal.announce(path);
    files_.push_back({std::move(path), std::move(announcement)});
  }
}

void DoomedFiles::remove() noexcept {
  for (Doomed& doomed : files_) {
    try {
      core_.files.remove(doomed.path);
    } catch (const std::exception&) {
      doomed.announcement.leave_to_sweep();
    }
  }
}

void DoomedFiles::leave_to_sweep() noexcept {
  for (Doomed& doomed : files_) doomed.announcement.leave_to_sweep();
}

NewObjectFile::NewObjectFile(Core& core, const ObjectAddress& object)
    : core_(core),
      object_(object),
      id_(core.journal.new_file_id()),
      path_(data_path(object, id_)),
      announcement_(core.journal.announce(path_)) {}

NewObjectFile::~NewObjectFile() {
  file_.reset();
  if (!in_place_) return;
  try {
    core_.files.remove(path_);
  } catch (const std::exception&) {
    announcement_.leave_to_sweep();
  }
}

os::WritableFile& NewObjectFile::create() {
  file_ = core_.files.create(path_);
  in_place_ = true;
  return *file_;
}

void NewObjectFile::link_from(const os::fs::path& from) {
  in_place_ = true;  // before: a copy that fails half-way is removed too
  core_.files.link_or_copy(from, path_);
}

VersionChange NewObjectFile::publish(const std::function<VersionChange(WriteContext&)>& change) {
  if (file_) file_->sync();
  file_.reset();
  core_.files.sync_name(path_);
  try {
    VersionChange done = change_versions(core_, object_, change);
    in_place_ = false;
    return done;
  } catch (const UncertainCommit&) {
    in_place_ = false;
    announcement_.leave_to_sweep();
    throw;
  }
}

void commit_changes(Core& core, const std::function<void(WriteContext&, DoomedFiles&)>& change) {
  DoomedFiles doomed(core);
  try {
    core.commits.run(Database::Durability::power_safe, [&](WriteContext& context) { change(context, doomed); });
  } catch (const UncertainCommit&) {
    doomed.leave_to_sweep();
    throw;
  }
  doomed.remove();
}

VersionChange change_versions(Core& core, const ObjectAddress& object,
                              const std::function<VersionChange(WriteContext&)>& change) {
  VersionChange done;
  commit_changes(core, [&](WriteContext& context, DoomedFiles& doomed) {
    done = change(context);
    doomed.add(object, done.replaced);
  });
  return done;
}

OpenedObject open_object(Core& core, const ObjectAddress& object, const store::ReadConditions& conditions) {
  // A read that loses the race with an overwrite finds the data gone and looks the row up again.
  FileId missing;
  for (;;) {
    OpenedObject opened;
    {
      auto reader = core.readers.borrow();
      const Snapshot snapshot(*reader);
      opened.bucket = require_bucket(*reader, object.bucket);
      opened.row = require_object(*reader, opened.bucket, object, conditions);
    }
    check_readable(opened.row, object, core.world.clock.now());
    const os::fs::path path = core.files.absolute(data_path(object, opened.row.file));
    opened.file = core.world.files.open_if_exists(path);
    if (opened.file) return opened;
    if (missing == opened.row.file) {
      throw Error(ErrorKind::corrupt, "the object's data file is missing", to_uri(object),
                  fmt::format("put the file back: {}", path.native()));
    }
    missing = opened.row.file;
  }
}

}  // namespace bale::embedded
