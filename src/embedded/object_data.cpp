#include "embedded/object_data.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"

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

os::fs::path data_path(const ObjectAddress& object, const FileId& file) {
  return bucket_directory(object.bucket) / object_path(object.key, file);
}

}  // namespace

BodyDigests write_body(os::WritableFile& file, ByteCount offset, store::Body& body) {
  Md5 md5;
  std::uint64_t crc64 = 0;
  ByteCount written = 0;
  bool ends_in_hole = false;
  for (ByteView bytes; !(bytes = body.next(copy_block)).empty(); written += bytes.size()) {
    if (written + bytes.size() > body.size()) break;
    md5.update(bytes);
    crc64 = crc_of(crc64nvme, bytes, crc64);
    ends_in_hole = !write_with_holes(file, offset + written, bytes);
    body.sent(bytes.size());
  }
  if (written != body.size()) {
    throw Error(ErrorKind::invalid, fmt::format("the body does not have the {} bytes that it should", body.size()))
        .with_code("IncompleteBody");
  }
  if (ends_in_hole) file.extend_to(offset + written);
  return {md5.finish(), crc64};
}

Md5Digest md5_of(os::ReadableFile& file, const store::Extent& extent) {
  Md5 md5;
  Buffer block(std::min<std::size_t>(copy_block, std::max<ByteCount>(extent.length, 1)));
  for (ByteCount done = 0; done < extent.length;) {
    const auto wanted = static_cast<std::size_t>(std::min<ByteCount>(block.capacity(), extent.length - done));
    const std::size_t got = file.read_at(extent.offset + done, {block.data(), wanted});
    if (got == 0) throw Error(ErrorKind::corrupt, "the data file is shorter than the object");
    md5.update({block.data(), got});
    done += got;
  }
  return md5.finish();
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

VersionChange change_versions(Core& core, const ObjectAddress& object,
                              const std::function<VersionChange(WriteContext&)>& change) {
  DoomedFiles doomed(core);
  VersionChange done;
  try {
    core.commits.run(Database::Durability::power_safe, [&](WriteContext& context) {
      done = change(context);
      doomed.add(object, done.replaced);
    });
  } catch (const UncertainCommit&) {
    doomed.leave_to_sweep();
    throw;
  }
  doomed.remove();
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
