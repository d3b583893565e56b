// One upload of an object in parts, from its beginning or its resumption to its completion or its abort. The only code
// that calls create_upload(), complete_upload() and abort_upload() of a store, probes and sweeps of old uploads
// excepted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/mutex.hpp"
#include "os/signals.hpp"
#include "store/object_store.hpp"
#include "store/own_write.hpp"

namespace bale::transfer {

/// Code of the error of MultipartUpload::complete() where another writer's object has the key.
inline constexpr const char* upload_conflict = "UploadConflict";
/// Code of the errors of an upload that the store does not know any more: it was aborted, by a lifecycle rule for one.
inline constexpr const char* no_such_upload = "NoSuchUpload";

/// What is known of the bytes of one part. Empty members are unknown.
struct PartDigests {
  ByteCount size = 0;
  std::optional<Md5Digest> md5 = {};
  std::optional<store::Checksum> checksum = {};
};

/// How an upload begins, and what becomes of it when it is not completed.
struct MultipartOptions {
  store::ObjectAttributes attributes;
  /// Keeps the upload id durably before the first part is sent, so that another process can resume the upload. When it
  /// throws, the upload is aborted and the exception goes on. Absent: nobody resumes.
  std::function<void(const UploadId&)> remember = {};
  /// An upload that is destroyed without complete() stays in the store, to be resumed. False: it is aborted.
  bool stays_when_destroyed = false;
  /// Once it is requested, complete() throws Error{cancelled}. Nobody requests the default.
  std::stop_token stop = {};
};

/// An upload under way. Thread-safe, but for its destruction. Borrows the store. An upload that does not stay when it
/// is destroyed counts as an os::CleanUp until it is completed or aborted.
class MultipartUpload {
 public:
  /// Begins an upload. Errors as those of ObjectStore::create_upload().
  MultipartUpload(store::ObjectStore& store, ObjectAddress object, MultipartOptions options);
  /// Resumes the upload `id`. Returns null where the store does not know it any more: it was completed or aborted.
  static std::unique_ptr<MultipartUpload> resume(store::ObjectStore& store, const ObjectAddress& object,
                                                 const UploadId& id, MultipartOptions options);
  /// Aborts the upload unless it was completed, aborted or stays. Swallows the failure of the abort: see failed_with().
  ~MultipartUpload();
  MultipartUpload(const MultipartUpload&) = delete;
  MultipartUpload& operator=(const MultipartUpload&) = delete;

  const UploadId& id() const noexcept { return id_; }

  /// Whether the stored parts of a resumed upload are known. False where the right to list them is missing
  /// (s3:ListMultipartUploadParts): every part is then sent again, to the same upload.
  bool knows_stored_parts() const noexcept { return knows_stored_parts_; }
  /// Whether adopt() has something to compare: the store has a part of this number and size.
  bool has_stored(std::uint32_t number, ByteCount size) const;
  /// Takes a part of a resumed upload as sent where the store has one of this number whose size is that given, and
  /// whose ETag is the MD5 or whose checksum is the checksum given. Returns whether it did.
  bool adopt(std::uint32_t number, const PartDigests& digests);

  /// Sends a part, and replaces one of the same number. `sent` is called when the body is sent, and returns the digests
  /// of its bytes. Where the ETag in the response is an MD5 and another than that of `sent`, the part is sent once
  /// more; Error{corrupt} where they differ again. An ETag of an object that is encrypted with a KMS key looks like an
  /// MD5: where the ETags of all parts differ, complete() asks the store whether they are such ETags.
  void send(std::uint32_t number, store::Body& body, const std::function<PartDigests()>& sent = {});
  /// Copies a part out of another object: the bytes `range`, without a suffix.
  void copy(std::uint32_t number, const store::CopySource& from, const store::ByteRange& range);

  /// Makes the object of the parts, on the condition that they have their size together. May be called again when it
  /// failed. `conditions.checksum` is that of the whole object where it is known: it becomes a condition of the request
  /// only where the upload was begun with its algorithm. Where the response is lost, is 404 NoSuchUpload, or is 200
  /// with an error, the object is read by HEAD: one of the same size, with the ETag or checksum of these parts and the
  /// user metadata of this upload, is its own, and the call succeeds. Throws Error:
  ///  - precondition with the code upload_conflict: the upload is gone, and another writer's object has the key. It has
  ///    the same size, or `conditions` do not allow it;
  ///  - not_found with the code no_such_upload: the upload is gone and made no object; begin again;
  ///  - corrupt: the object, or the ETag in the response, is not that of the parts whose ETags were compared;
  ///  - otherwise as ObjectStore::complete_upload().
  store::PutResult complete(store::WriteConditions conditions = {});

  /// Removes the upload and its parts: repeats the request until the store lists no part, three times at most. No error
  /// where the upload is gone, or where the right to list parts is missing. Throws Error otherwise: parts may be left.
  void abort();
  /// The same for the upload of another process.
  static void abort(store::ObjectStore& store, const ObjectAddress& object, const UploadId& id);
  /// Aborts the upload unless it stays, and returns `failure`, the reason, with a hint where the abort failed too.
  Error failed_with(const Error& failure);

 private:
  /// What ETags of parts are.
  enum class EtagMeaning {
    unknown,         ///< none was compared
    md5,             ///< one was the MD5 of its part
    assumed_opaque,  ///< one was not, two times, and none was
    opaque,          ///< no MD5: the upload was begun with a KMS key
  };
  using Parts = std::vector<store::UploadedPart>;

  MultipartUpload(store::ObjectStore& store, ObjectAddress object, MultipartOptions options, UploadId id);
  void abort_unless_ended();
  bool agrees(std::uint32_t number, const ETag& etag, const PartDigests& digests);
  ETag send_again(std::uint32_t number, store::Body& body, const ETag& first, const std::function<PartDigests()>& sent);
  void keep(store::UploadedPart part);
  Parts parts() const;
  template <typename Request>
  auto noticing_end(Request request);
  store::PutResult settle(const Error& failure, const Parts& parts, const store::WriteConditions& conditions,
                          const std::optional<store::Checksum>& whole);
  void check_completed(store::PutResult& result, const Parts& parts, const std::optional<store::Checksum>& whole);
  std::optional<store::ObjectInfo> look(const VersionId& version) const;
  store::Whose whose_content(const store::ObjectInfo& found, const Parts& parts,
                             const std::optional<store::Checksum>& whole) const;
  void end() noexcept;

  store::ObjectStore& store_;
  const ObjectAddress object_;
  const MultipartOptions options_;
  std::optional<os::CleanUp> to_abort_;  ///< while the upload is there, and is aborted when it is destroyed
  UploadId id_;
  std::map<std::uint32_t, store::UploadedPart> stored_;  ///< of a resumed upload; constant from resume() on
  bool knows_stored_parts_ = true;

  Mutex judging_;  // guards no member: one part at a time is sent again to learn what ETags are
  mutable Mutex mutex_;
  std::map<std::uint32_t, store::UploadedPart> parts_ BALE_GUARDED_BY(mutex_);
  EtagMeaning etags_ BALE_GUARDED_BY(mutex_) = EtagMeaning::unknown;
  bool has_ended_ BALE_GUARDED_BY(mutex_) = false;  ///< completed, aborted, or not known to the store any more
};

}  // namespace bale::transfer
