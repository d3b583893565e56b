#include "store/retrying_store.hpp"

#include "base/error.hpp"
#include "flow/retry_batch.hpp"
#include "store/content_check.hpp"
#include "store/own_write.hpp"
#include "store/resuming_stream.hpp"

namespace bale::store {
namespace {

auto has_code(std::string_view code) {
  return [code](const Error& error) { return error.code() == code; };
}

/// A write met a write of the same key: S3 asks to send it again.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
bool is_conflict(const Error& error) { return error.code() == "ConditionalRequestConflict"; }

Error conflict_as_passing(const Error& error) {
  return Error(ErrorKind::unavailable, error.summary(), error.where(), error.hint())
      .with_code(error.code())
      .without_effect();
}

/// Whether a conditional deletion that finds no object was done by an attempt before it, whose answer was lost.
bool was_removed(const flow::Attempts& attempts, const DeleteConditions& conditions, const Error& error) {
  return !conditions.if_match.empty() && attempts.may_have_worked() && error.code() == "NoSuchKey";
}

/// What is there now; absent when it may not be looked at. Failures that pass, and a stop, are thrown: then nobody
/// knows what became of the write, and "refused" would be a guess.
std::optional<std::optional<ObjectInfo>> look_at(ObjectStore& store, const ObjectAddress& object) {
  try {
    return store.head(object);
  } catch (const Error& error) {
    if (is_transient(error.kind()) || error.kind() == ErrorKind::cancelled) throw;
    return std::nullopt;
  }
}

Error perhaps_ours(const Error& error) {
  return error.with_hint(
      "the object may be this request's own: the answer to an earlier attempt was lost, and the ETag does not tell; "
      "compare its content");
}

/// The outcome of a write that was refused, where the attempt before it may have worked.
PutResult settle(const Error& refusal, const std::optional<ObjectInfo>& found, Whose whose) {
  if (whose == Whose::ours) return {found->etag, found->version_id};
  if (whose == Whose::unknown) throw perhaps_ours(refusal);
  throw refusal;
}

/// Does `write` with retries. When it is refused for a condition after a lost answer, `whose` tells whose object is
/// there.
template <typename Write, typename WhoseObject>
PutResult retry_write(flow::Retrier& retrier, const std::stop_token& stop, ObjectStore& store,
                      const ObjectAddress& object, Write write, WhoseObject whose) {
  flow::Attempts attempts(retrier, stop);
  return attempts.run([&]() -> PutResult {
    try {
      return write(attempts);
    } catch (const Error& error) {
      if (is_conflict(error)) throw conflict_as_passing(error);
      if (error.kind() != ErrorKind::precondition || !attempts.may_have_worked()) throw;
      const auto found = look_at(store, object);
      if (!found) throw perhaps_ours(error);
      return settle(error, *found, whose(*found));
    }
  });
}

}  // namespace

// Buckets

void RetryingStore::create_bucket(const BucketName& bucket) {
  flow::retry_until_done(
      retrier_, stop_, [&] { inner_.create_bucket(bucket); }, has_code("BucketAlreadyOwnedByYou"));
}

void RetryingStore::delete_bucket(const BucketName& bucket) {
  flow::retry_until_done(
      retrier_, stop_, [&] { inner_.delete_bucket(bucket); }, has_code("NoSuchBucket"));
}

std::optional<BucketInfo> RetryingStore::head_bucket(const BucketName& bucket) {
  return flow::retry(retrier_, stop_, [&] { return inner_.head_bucket(bucket); });
}

std::vector<BucketInfo> RetryingStore::list_buckets() {
  return flow::retry(retrier_, stop_, [&] { return inner_.list_buckets(); });
}

void RetryingStore::set_versioning(const BucketName& bucket, Versioning versioning) {
  flow::retry(retrier_, stop_, [&] { inner_.set_versioning(bucket, versioning); });
}

Versioning RetryingStore::get_versioning(const BucketName& bucket) {
  return flow::retry(retrier_, stop_, [&] { return inner_.get_versioning(bucket); });
}

void RetryingStore::set_notifications(const BucketName& bucket, const std::vector<NotificationRule>& rules) {
  flow::retry(retrier_, stop_, [&] { inner_.set_notifications(bucket, rules); });
}

std::vector<NotificationRule> RetryingStore::get_notifications(const BucketName& bucket) {
  return flow::retry(retrier_, stop_, [&] { return inner_.get_notifications(bucket); });
}

// Objects

PutResult RetryingStore::put(const ObjectAddress& object, Body& body, const ObjectAttributes& attributes,
                             const WriteConditions& conditions) {
  return retry_write(
      retrier_, stop_, *this, object,
      [&](const flow::Attempts& attempts) {
        if (attempts.number() > 1) body.rewind();
        return inner_.put(object, body, attributes, conditions);
      },
      [&](const std::optional<ObjectInfo>& found) {
        return whose_object(found, body.size(), attributes.metadata,
                            [&] { return std::optional<ETag>(content_etag(body)); });
      });
}

std::unique_ptr<GetStream> RetryingStore::get(const ObjectAddress& object, const std::optional<ByteRange>& range,
                                              const ReadConditions& conditions) {
  auto first = flow::retry(retrier_, stop_, [&] { return inner_.get(object, range, conditions); });
  return checked(resume_when_broken(inner_, retrier_, object, conditions, std::move(first)), object);
}

std::optional<ObjectInfo> RetryingStore::head(const ObjectAddress& object, const ReadConditions& conditions) {
  return flow::retry(retrier_, stop_, [&] { return inner_.head(object, conditions); });
}

DeleteResult RetryingStore::remove(const ObjectAddress& object, const VersionId& version,
                                   const DeleteConditions& conditions) {
  flow::Attempts attempts(retrier_, stop_);
  return attempts.run([&]() -> DeleteResult {
    try {
      return inner_.remove(object, version, conditions);
    } catch (const Error& error) {
      if (is_conflict(error)) throw conflict_as_passing(error);
      if (was_removed(attempts, conditions, error)) return {};
      throw;
    }
  });
}

std::vector<RemoveOutcome> RetryingStore::remove_all(const BucketName& bucket,
                                                     const std::vector<ObjectToRemove>& objects) {
  return flow::retry_batch<RemoveOutcome>(
      retrier_, objects, [&](const std::vector<ObjectToRemove>& pending) { return inner_.remove_all(bucket, pending); },
      [](RemoveOutcome& outcome) -> std::optional<Error>& { return outcome.error; },
      [](const flow::Attempts& attempts, const ObjectToRemove& object, RemoveOutcome& outcome) {
        if (!outcome.error) return;
        if (is_conflict(*outcome.error)) outcome.error = conflict_as_passing(*outcome.error);
        if (was_removed(attempts, object.conditions, *outcome.error)) outcome = {};
      },
      stop_);
}

PutResult RetryingStore::copy(const CopySource& from, const ObjectAddress& to,
                              const std::optional<ObjectAttributes>& replace, const WriteConditions& conditions) {
  return retry_write(
      retrier_, stop_, *this, to, [&](const flow::Attempts&) { return inner_.copy(from, to, replace, conditions); },
      [&](const std::optional<ObjectInfo>& found) {
        const auto source = head(from.address, {.version_id = from.version_id, .if_match = from.if_match});
        if (!source) return Whose::unknown;
        // The copy of an object of several parts has one, and with it an ETag that the source does not tell.
        const auto own_etag = [&] { return is_md5(source->etag) ? std::optional(source->etag) : std::nullopt; };
        return whose_object(found, source->size, replace ? replace->metadata : source->metadata, own_etag);
      });
}

ListPage RetryingStore::list(const BucketName& bucket, const ListRequest& request) {
  return flow::retry(retrier_, stop_, [&] { return inner_.list(bucket, request); });
}

VersionPage RetryingStore::list_versions(const BucketName& bucket, const ListRequest& request) {
  return flow::retry(retrier_, stop_, [&] { return inner_.list_versions(bucket, request); });
}

// Tags

Tags RetryingStore::get_tags(const ObjectAddress& object, const VersionId& version) {
  return flow::retry(retrier_, stop_, [&] { return inner_.get_tags(object, version); });
}

void RetryingStore::set_tags(const ObjectAddress& object, const Tags& tags, const VersionId& version) {
  flow::retry(retrier_, stop_, [&] { inner_.set_tags(object, tags, version); });
}

// Multipart

UploadId RetryingStore::create_upload(const ObjectAddress& object, const ObjectAttributes& attributes) {
  return flow::retry(retrier_, stop_, [&] { return inner_.create_upload(object, attributes); });
}

ETag RetryingStore::upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number, Body& body) {
  flow::Attempts attempts(retrier_, stop_);
  return attempts.run([&] {
    if (attempts.number() > 1) body.rewind();
    return inner_.upload_part(object, upload, number, body);
  });
}

ETag RetryingStore::upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                                     const CopySource& from, const std::optional<ByteRange>& range) {
  return flow::retry(retrier_, stop_, [&] { return inner_.upload_part_copy(object, upload, number, from, range); });
}

PutResult RetryingStore::complete_upload(const ObjectAddress& object, const UploadId& upload,
                                         const std::vector<UploadedPart>& parts, const WriteConditions& conditions) {
  flow::Attempts attempts(retrier_, stop_);
  return attempts.run([&]() -> PutResult {
    try {
      return inner_.complete_upload(object, upload, parts, conditions);
    } catch (const Error& error) {
      // The upload is this writer's: that it is gone at the first attempt means that the request was sent twice on its
      // way, or that somebody aborted it. A condition may fail for another's object, so only an attempt before counts;
      // any, a throttled one too: S3 begins its answer before the work is done, and a SlowDown may come in its body.
      const bool refused = error.kind() == ErrorKind::precondition && attempts.number() > 1;
      if ((error.code() != "NoSuchUpload" && !refused) || is_conflict(error)) throw;
      const auto found = look_at(*this, object);
      const std::optional<ETag> own = multipart_etag(parts);
      if (!found || !own) throw perhaps_ours(error);
      return settle(error, *found, *found && (*found)->etag == *own ? Whose::ours : Whose::others);
    }
  });
}

void RetryingStore::abort_upload(const ObjectAddress& object, const UploadId& upload) {
  flow::retry(retrier_, stop_, [&] { inner_.abort_upload(object, upload); });
}

std::vector<UploadedPart> RetryingStore::list_parts(const ObjectAddress& object, const UploadId& upload) {
  return flow::retry(retrier_, stop_, [&] { return inner_.list_parts(object, upload); });
}

std::vector<ListedUpload> RetryingStore::list_uploads(const BucketName& bucket, const std::string& prefix) {
  return flow::retry(retrier_, stop_, [&] { return inner_.list_uploads(bucket, prefix); });
}

// Archive storage classes

void RetryingStore::restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) {
  flow::retry_until_done(
      retrier_, stop_, [&] { inner_.restore(object, days, tier, version); }, has_code("RestoreAlreadyInProgress"));
}

std::string RetryingStore::presign_get(const ObjectAddress& object, std::chrono::seconds expires) {
  return inner_.presign_get(object, expires);  // asks nobody
}

}  // namespace bale::store
