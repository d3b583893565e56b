// Data files of objects on their way in and out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/hash.hpp"
#include "embedded/core.hpp"
#include "embedded/object_rows.hpp"
#include "store/object_rules.hpp"

namespace bale::embedded {

/// What the bytes of an object or part are known by.
struct StoredDigests {
  Md5Digest md5{};
  std::optional<store::Checksum> checksum;  ///< where one was wanted
};

/// Writes a body at an offset of a file, blocks of zeros as holes. Returns its MD5 and, where an algorithm is named,
/// its checksum. Throws Error{invalid} IncompleteBody when the body has not the size that it claims, and Error{corrupt}
/// BadDigest or XAmzContentSHA256Mismatch when its bytes have not the digests that it tells.
StoredDigests write_body(os::WritableFile& file, ByteCount offset, store::Body& body,
                         const std::optional<store::Checksum::Algorithm>& algorithm);
/// Reads a stretch of a file and returns the same of it.
StoredDigests read_digests(os::ReadableFile& file, const store::Extent& extent,
                           const std::optional<store::Checksum::Algorithm>& algorithm);

/// Files that belong to nobody once a transaction is committed. Used by one thread at a time.
class DoomedFiles {
 public:
  explicit DoomedFiles(Core& core) : core_(core) {}
  /// To be called inside the transaction.
  void add(const ObjectAddress& object, const std::vector<FileId>& files);
  /// After the commit. A file that cannot be removed is left to the next sweep: the commit stands.
  void remove() noexcept;
  /// The transaction may or may not be committed: whoever opens the directory next will know.
  void leave_to_sweep() noexcept;

 private:
  struct Doomed {
    os::fs::path path;
    WriterJournal::Announcement announcement;
  };
  Core& core_;
  std::vector<Doomed> files_;
};

/// The data of a version that is being made, under their final name. Removed unless published.
/// Used by one thread at a time.
class NewObjectFile {
 public:
  NewObjectFile(Core& core, const ObjectAddress& object);
  ~NewObjectFile();
  NewObjectFile(const NewObjectFile&) = delete;
  NewObjectFile& operator=(const NewObjectFile&) = delete;

  const FileId& id() const noexcept { return id_; }
  /// Makes the file, empty.
  os::WritableFile& create();
  /// Makes it another name of the file at `from` (relative), whose content is durable.
  void link_from(const os::fs::path& from);
  /// Makes content and name durable, then runs `change` in a transaction; the file stays when that is committed, and
  /// what it replaced is removed.
  VersionChange publish(const std::function<VersionChange(WriteContext&)>& change);

 private:
  Core& core_;
  const ObjectAddress object_;
  const FileId id_;
  const os::fs::path path_;
  WriterJournal::Announcement announcement_;
  std::unique_ptr<os::WritableFile> file_;
  bool in_place_ = false;
};

/// Runs changes of versions as one transaction, and removes the files that they gave to DoomedFiles.
void commit_changes(Core& core, const std::function<void(WriteContext&, DoomedFiles&)>& change);

/// Runs a change of versions that makes no new data, and removes what it replaced.
VersionChange change_versions(Core& core, const ObjectAddress& object,
                              const std::function<VersionChange(WriteContext&)>& change);

/// An object found and its data opened: what is read stays as it was, whatever happens to the key.
struct OpenedObject {
  BucketRow bucket;
  VersionRow row;
  std::unique_ptr<os::ReadableFile> file;
};
/// Throws as require_object and check_readable do; Error{corrupt} when the data are missing.
OpenedObject open_object(Core& core, const ObjectAddress& object, const store::ReadConditions& conditions);

}  // namespace bale::embedded
