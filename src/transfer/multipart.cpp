#include "transfer/multipart.hpp"

#include <fmt/format.h>

#include <utility>

namespace bale::transfer {
namespace {

/// How often AbortMultipartUpload is sent. A part that was under way when the upload was aborted may have to be removed
/// by another abort: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
constexpr int most_aborts = 3;

bool is_gone(const Error& error) { return error.code() == no_such_upload; }

Error gone(const ObjectAddress& object) {
  return Error(ErrorKind::not_found, "the upload was aborted or completed by somebody else", to_uri(object),
               "start the upload again")
      .with_code(no_such_upload);
}

Error damaged(std::uint32_t number, const ObjectAddress& object) {
  return Error(
      ErrorKind::corrupt,
      fmt::format("the store received other bytes than were sent of part {}: its ETag is not their MD5", number),
      to_uri(object), "try again; the bytes were damaged on the way, or the file was changed meanwhile");
}

Error wrong_object(const ObjectAddress& object, const std::string& what) {
  return Error(ErrorKind::corrupt, "the store completed the upload, but " + what, to_uri(object),
               "upload it again, and compare the object with its source");
}

Error conflict(const ObjectAddress& object, const Error& failure, bool may_be_own) {
  return Error(ErrorKind::precondition, "conflict: the upload is gone, and another writer's object has the key",
               to_uri(object),
               may_be_own
                   ? "compare the object with its source: it may be that of this upload, but its ETag does not tell"
                   : "keep the object that is there, or upload again to replace it")
      .with_code(upload_conflict)
      .with_cause(failure);
}

/// Whether the store still lists parts. False where it cannot be asked: the response to the abort counts then.
bool has_parts(store::ObjectStore& store, const ObjectAddress& object, const UploadId& id) {
  try {
    return !store.list_parts(object, id).empty();
  } catch (const Error& error) {
    if (is_transient(error.kind())) throw;
    return false;
  }
}

ByteCount size_of(const std::vector<store::UploadedPart>& parts) {
  ByteCount size = 0;
  for (const store::UploadedPart& part : parts) size += part.size;
  return size;
}

}  // namespace

// Beginning and end

MultipartUpload::MultipartUpload(store::ObjectStore& store, ObjectAddress object, MultipartOptions options, UploadId id)
    : store_(store), object_(std::move(object)), options_(std::move(options)), id_(std::move(id)) {
  if (!options_.stays_when_destroyed) to_abort_.emplace();
  const std::string& encryption = options_.attributes.encryption;
  if (!options_.attributes.kms_key_arn.empty() || encryption.starts_with("aws:kms")) etags_ = EtagMeaning::opaque;
}

MultipartUpload::MultipartUpload(store::ObjectStore& store, ObjectAddress object, MultipartOptions options)
    : MultipartUpload(store, std::move(object), std::move(options), UploadId()) {
  id_ = store_.create_upload(object_, options_.attributes);
  if (!options_.remember) return;
  try {
    options_.remember(id_);
  } catch (...) {
    try {
      abort();
    } catch (const Error&) {
      // Why nobody can resume the upload is the failure to report.
    }
    end();  // the destructor runs, since the other constructor is done
    throw;
  }
}

std::unique_ptr<MultipartUpload> MultipartUpload::resume(store::ObjectStore& store, const ObjectAddress& object,
                                                         const UploadId& id, MultipartOptions options) {
  std::unique_ptr<MultipartUpload> upload(new MultipartUpload(store, object, std::move(options), id));
  try {
    for (store::UploadedPart& part : store.list_parts(object, id)) upload->stored_[part.number] = std::move(part);
  } catch (const Error& error) {
    if (is_gone(error)) {
      upload->end();
      return nullptr;
    }
    if (error.kind() != ErrorKind::denied) {
      upload->end();  // what could not be looked at is not removed
      throw;
    }
    upload->knows_stored_parts_ = false;
  }
  return upload;
}

MultipartUpload::~MultipartUpload() {
  try {
    abort_unless_ended();
  } catch (...) {
    // Why the upload ends is known to the caller already; a sweep of old uploads removes what is left.
  }
}

void MultipartUpload::end() noexcept {
  const Lock lock(mutex_);
  has_ended_ = true;
  to_abort_.reset();
}

void MultipartUpload::abort_unless_ended() {
  if (options_.stays_when_destroyed || id_.empty()) return;  // without an id: create_upload() failed
  {
    const Lock lock(mutex_);
    if (has_ended_) return;
  }
  abort();
}

void MultipartUpload::abort() {
  abort(store_, object_, id_);
  end();
}

void MultipartUpload::abort(store::ObjectStore& store, const ObjectAddress& object, const UploadId& id) {
  for (int round = 0; round < most_aborts; ++round) {
    try {
      store.abort_upload(object, id);
    } catch (const Error& error) {
      if (!is_gone(error)) throw;
    }
    if (!has_parts(store, object, id)) return;
  }
  throw Error(ErrorKind::unavailable,
              fmt::format("parts of an upload are left after {} requests to abort it", most_aborts), to_uri(object),
              "abort it again when no other process sends parts to it");
}

Error MultipartUpload::failed_with(const Error& failure) {
  try {
    abort_unless_ended();
    return failure;
  } catch (const Error& left) {
    end();  // the destructor does not try again
    const std::string hint = fmt::format(
        "remove what is left of the upload {} with `bale doctor --abort-older-than`: {}", id_.str(), left.what());
    return failure.with_hint(failure.hint().empty() ? hint : failure.hint() + "; " + hint);
  }
}

// Parts

bool MultipartUpload::has_stored(std::uint32_t number, ByteCount size) const {
  const auto found = stored_.find(number);
  return found != stored_.end() && found->second.size == size;
}

bool MultipartUpload::adopt(std::uint32_t number, const PartDigests& digests) {
  if (!has_stored(number, digests.size)) return false;
  const store::UploadedPart& stored = stored_.at(number);
  const bool has_md5 = digests.md5 && stored.etag.str() == to_hex_digest(*digests.md5);
  const bool has_checksum = digests.checksum && stored.checksum == digests.checksum;
  if (!has_md5 && !has_checksum) return false;
  if (has_md5) agrees(number, stored.etag, digests);
  keep(stored);
  return true;
}

template <typename Request>
auto MultipartUpload::noticing_end(Request request) {
  try {
    return request();
  } catch (const Error& error) {
    if (is_gone(error)) end();
    throw;
  }
}

void MultipartUpload::send(std::uint32_t number, store::Body& body, const std::function<PartDigests()>& sent) {
  ETag etag = noticing_end([&] { return store_.upload_part(object_, id_, number, body); });
  store::UploadedPart part{number, {}, body.size()};
  if (sent) {
    const PartDigests digests = sent();
    if (!agrees(number, etag, digests)) etag = send_again(number, body, etag, sent);
  }
  // A checksum that the store was not told is not named in the completion either: it computes its own.
  const std::optional<store::Checksum> told = body.digests().checksum;
  if (told && told->algorithm == options_.attributes.checksum_algorithm) part.checksum = told;
  part.etag = std::move(etag);
  keep(std::move(part));
}

/// Whether the ETag of a part says that the store has the bytes that were sent, or cannot tell.
bool MultipartUpload::agrees(std::uint32_t number, const ETag& etag, const PartDigests& digests) {
  if (!digests.md5 || !store::is_md5(etag)) return true;
  const bool equal = etag.str() == to_hex_digest(*digests.md5);
  const Lock lock(mutex_);
  if (etags_ == EtagMeaning::opaque) return true;
  if (!equal) return etags_ == EtagMeaning::assumed_opaque;
  // The ETags are MD5s after all, so that those that were assumed to be none are of other bytes.
  const bool is_contradiction = std::exchange(etags_, EtagMeaning::md5) == EtagMeaning::assumed_opaque;
  if (is_contradiction) throw damaged(parts_.empty() ? number : parts_.begin()->first, object_);
  return true;
}

ETag MultipartUpload::send_again(std::uint32_t number, store::Body& body, const ETag& first,
                                 const std::function<PartDigests()>& sent) {
  // Where a KMS key makes all ETags differ, one part is sent twice, and not each of those that are under way.
  const Lock turn(judging_);
  if (agrees(number, first, sent())) return first;
  body.rewind();
  ETag etag = noticing_end([&] { return store_.upload_part(object_, id_, number, body); });
  if (agrees(number, etag, sent())) return etag;
  const Lock lock(mutex_);
  if (etags_ == EtagMeaning::md5) throw damaged(number, object_);
  etags_ = EtagMeaning::assumed_opaque;
  return etag;
}

void MultipartUpload::copy(std::uint32_t number, const store::CopySource& from, const store::ByteRange& range) {
  ETag etag = noticing_end([&] { return store_.upload_part_copy(object_, id_, number, from, range); });
  keep({number, std::move(etag), range.last - range.first + 1});
}

void MultipartUpload::keep(store::UploadedPart part) {
  const Lock lock(mutex_);
  parts_[part.number] = std::move(part);
}

MultipartUpload::Parts MultipartUpload::parts() const {
  const Lock lock(mutex_);
  Parts parts;
  parts.reserve(parts_.size());
  for (const auto& [number, part] : parts_) parts.push_back(part);
  return parts;
}

// Completion

store::PutResult MultipartUpload::complete(store::WriteConditions conditions) {
  if (options_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted", to_uri(object_));
  {
    const Lock lock(mutex_);
    if (has_ended_) throw gone(object_);
  }
  const Parts sent = parts();
  const std::optional<store::Checksum> whole = conditions.checksum;
  if (whole && whole->algorithm != options_.attributes.checksum_algorithm) conditions.checksum.reset();
  conditions.size = size_of(sent);
  store::PutResult result;
  try {
    result = store_.complete_upload(object_, id_, sent, conditions);
  } catch (const Error& error) {
    result = settle(error, sent, conditions, whole);
    end();
    return result;
  }
  end();
  check_completed(result, sent, whole);
  return result;
}

/// The result of a request whose response says that it failed, where it worked. Throws what it failed with otherwise.
store::PutResult MultipartUpload::settle(const Error& failure, const Parts& parts,
                                         const store::WriteConditions& conditions,
                                         const std::optional<store::Checksum>& whole) {
  const bool upload_is_gone = is_gone(failure);
  if (upload_is_gone) end();
  if (!upload_is_gone && !is_transient(failure.kind())) throw failure;
  std::optional<store::ObjectInfo> found;
  try {
    found = look({});
  } catch (const Error& error) {
    // Without the right to list the bucket, a missing object is "denied".
    if (error.kind() == ErrorKind::denied) throw failure;
    throw error.with_cause(failure);  // what became of the request is not known
  }
  const bool is_alike = found && found->size == size_of(parts) && found->metadata == options_.attributes.metadata;
  const store::Whose owner = is_alike ? whose_content(*found, parts, whole) : store::Whose::others;
  if (owner == store::Whose::ours) {
    // An equal object may have been there before: then the upload is still open.
    if (!upload_is_gone) static_cast<void>(failed_with(failure));
    return {found->etag, found->version_id};
  }
  if (!upload_is_gone || !found) throw failure;
  const bool is_condition_broken =
      conditions.if_none_match || (!conditions.if_match.empty() && found->etag != conditions.if_match);
  if (owner == store::Whose::unknown || is_condition_broken || found->size == size_of(parts))
    throw conflict(object_, failure, owner == store::Whose::unknown);
  throw failure;
}

/// Holds the response of a request that worked against the parts whose ETags were compared with what was sent.
void MultipartUpload::check_completed(store::PutResult& result, const Parts& parts,
                                      const std::optional<store::Checksum>& whole) {
  EtagMeaning etags;
  {
    const Lock lock(mutex_);
    etags = etags_;
  }
  if (etags == EtagMeaning::unknown || etags == EtagMeaning::opaque) return;
  const std::optional<ETag> own = store::multipart_etag(parts);
  if (etags == EtagMeaning::md5 && (!own || result.etag == *own)) return;
  const auto found = look(result.version_id);
  if (!found) throw wrong_object(object_, "no object is there");
  const bool is_whole = found->size == size_of(parts);
  const store::Whose owner = is_whole ? whose_content(*found, parts, whole) : store::Whose::others;
  if (owner == store::Whose::ours) {
    result = {found->etag, found->version_id};
    return;
  }
  if (owner == store::Whose::unknown && found->is_etag_opaque) return;
  throw wrong_object(
      object_, fmt::format("the object is another: {} with the ETag {}", format_bytes(found->size), found->etag.str()));
}

/// The object that has the key, with what its bytes can be checked by where the rights suffice for that.
std::optional<store::ObjectInfo> MultipartUpload::look(const VersionId& version) const {
  try {
    return store_.head(object_, {.version_id = version, .if_match = {}, .with_evidence = true});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::denied) throw;
    if (version.empty()) return store_.head(object_, {.version_id = {}, .if_match = {}});
    // Versions need a right of their own (s3:GetObjectVersion). The current object is the version, or a later one.
    auto current = look({});
    if (current && current->version_id == version) return current;
    throw;
  }
}

/// Whether the content of an object of the upload's size is that of the parts, by its ETag or its checksum.
store::Whose MultipartUpload::whose_content(const store::ObjectInfo& found, const Parts& parts,
                                            const std::optional<store::Checksum>& whole) const {
  using store::Whose;
  const std::optional<ETag> own = store::multipart_etag(parts);
  {
    const Lock lock(mutex_);
    // ETags of parts that are assumed not to be MD5s may be MD5s of damaged bytes: they prove nothing.
    if (etags_ != EtagMeaning::assumed_opaque && own && found.etag == *own) return Whose::ours;
  }
  if (whole && found.checksum && found.checksum->algorithm == whole->algorithm)
    return *found.checksum == *whole ? Whose::ours : Whose::others;
  return !own || found.is_etag_opaque ? Whose::unknown : Whose::others;
}

}  // namespace bale::transfer
