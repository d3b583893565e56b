// What S3Store does for servers other than AWS, which may leave it out: conditions of writes, and tags.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "cloud/s3_store.hpp"
#include "store/object_rules.hpp"
#include "store/own_write.hpp"

namespace bale::cloud {
namespace {

/// Versioning is switched on once in the life of a bucket.
constexpr std::chrono::minutes versioning_known_for{1};
/// Thousands of uploads are never under way at once: of the oldest nobody will hear any more.
constexpr std::size_t most_remembered_uploads = 4096;

/// Whether to ask again is somebody else's decision; otherwise the question has no answer here.
bool is_passing(const Error& error) { return is_transient(error.kind()) || error.kind() == ErrorKind::cancelled; }

/// The first page of a key's versions, the newest of them first: keys that only start with it come later.
store::ListRequest versions_of(const ObjectAddress& object) {
  store::ListRequest request;
  request.prefix = object.key.str();
  return request;
}

/// Returns the conditions without those on the object that the write replaces.
store::WriteConditions without_target(store::WriteConditions conditions) {
  conditions.if_none_match = false;
  conditions.if_match = {};
  return conditions;
}

/// Whether the server may not support a condition: it says so (501), or finds the request wrong (400) without
/// naming another reason.
bool refuses_to_know(const Error& error) {
  if (error.kind() == ErrorKind::unsupported) return true;
  constexpr std::array<std::string_view, 5> codes{"BadRequest", "InvalidArgument", "InvalidHeader", "InvalidRequest",
                                                  "NotImplemented"};
  return error.kind() == ErrorKind::invalid && std::find(codes.begin(), codes.end(), error.code()) != codes.end();
}

}  // namespace

bool S3Store::is_refused(const BucketName& bucket, Refusable condition) {
  const Lock lock(mutex_);
  return refused_.contains({bucket, condition});
}

void S3Store::remember_refusal(const BucketName& bucket, Refusable condition) {
  const Lock lock(mutex_);
  refused_.insert({bucket, condition});
}

/// Writes on conditions. The object is checked before and after the write if the server may ignore the conditions. If
/// the server does not support them, this write and later ones of the same kind are sent without them.
store::PutResult S3Store::write_on(Refusable kind, const ObjectAddress& object,
                                   const store::WriteConditions& conditions,
                                   const std::function<store::PutResult(const store::WriteConditions&)>& write) {
  const bool has_conditions = conditions.if_none_match || !conditions.if_match.empty();
  const bool goes_without = has_conditions && is_refused(object.bucket, kind);
  const bool is_server_asked = kind == Refusable::put && !goes_without;
  Seen seen = before_write([&] { return look_at_target(object, conditions, is_server_asked); });
  store::PutResult result;
  try {
    result = write(goes_without ? without_target(conditions) : conditions);
  } catch (const Error& error) {
    // Ceph RGW 16 refuses every If-Match of a PUT where the bucket keeps versions, the one that holds too.
    const bool is_wrong = kind == Refusable::put && seen.is_watched && !conditions.if_match.empty() &&
                          error.kind() == ErrorKind::precondition;
    const bool is_unknown = has_conditions && is_helped(object.bucket) && refuses_to_know(error);
    if (goes_without || (!is_wrong && !is_unknown)) throw;
    seen = before_write([&] { return look_at_target(object, conditions, /*by_put=*/false); });
    result = write(without_target(conditions));
    if (is_unknown) remember_refusal(object.bucket, kind);
  }
  look_below(object, seen, result.version_id);
  return result;
}

/// Copies on the condition that the source is what it was, which the caller looks at before and after. Where the server
/// refuses to know the condition, or refuses it although it holds (it compares the ETag of an upload in parts with
/// another one), the copy goes without it.
void S3Store::copy_from(const store::CopySource& from, const std::function<void(const store::CopySource&)>& copy) {
  const BucketName& bucket = from.address.bucket;
  store::CopySource plain = from;
  plain.if_match = {};
  const bool in_parts = aws::parts_of_etag(from.if_match) > 0;
  if (is_refused(bucket, Refusable::source) || (in_parts && is_refused(bucket, Refusable::source_in_parts)))
    return copy(plain);
  try {
    copy(from);
  } catch (const Error& error) {
    const bool is_unknown = refuses_to_know(error);
    const bool may_be_wrong = in_parts && error.kind() == ErrorKind::precondition;
    if (from.if_match.empty() || !is_helped(bucket) || (!is_unknown && !may_be_wrong)) throw;
    before_write([&] { look_at_source(from); });
    copy(plain);
    remember_refusal(bucket, is_unknown ? Refusable::source : Refusable::source_in_parts);
  }
}

/// Adds a hint that lists what a refused write can leave out: a server rarely says which of these it does not support.
Error S3Store::name_optionals(const Error& refusal, const BucketName& bucket, const Optionals& sent) {
  const bool is_failure = refusal.kind() == ErrorKind::unavailable && refusal.code() == "InternalError";
  if (!refusal.hint().empty() || routes_.is_aws(bucket) || (!is_failure && !refuses_to_know(refusal))) return refusal;
  const store::ObjectAttributes& attributes = sent.attributes;
  std::vector<std::string> optionals;
  if (!attributes.tags.empty()) optionals.emplace_back("tags (s3 cp --tagging '', restore --no-tags)");
  if (!attributes.metadata.empty())
    optionals.emplace_back("user metadata (s3 cp --metadata '{}', restore --no-metadata)");
  if (!attributes.storage_class.empty() && attributes.storage_class != "STANDARD")
    optionals.push_back(fmt::format("the storage class {} (--storage-class STANDARD)", attributes.storage_class));
  if (!attributes.kms_key_arn.empty())
    optionals.emplace_back("the KMS key (--sse-kms-key-id)");
  else if (!attributes.encryption.empty())
    optionals.push_back(fmt::format("the encryption {} (sse)", attributes.encryption));
  if (sent.has_checksum) optionals.emplace_back("the checksum (AWS_REQUEST_CHECKSUM_CALCULATION=when_required)");
  if (optionals.empty()) return refusal;
  return refusal.with_hint(
      fmt::format("if the server does not know one of these, write without it: {}", fmt::join(optionals, "; ")));
}

/// Returns true if versioning is or was enabled. Cached for one minute. Returns true when access is denied, and false
/// where the server knows no versions (501).
bool S3Store::keeps_versions(const BucketName& bucket) {
  const auto now = session_.world().clock.steady();
  {
    const Lock lock(mutex_);
    const auto known = versioning_.find(bucket);
    if (known != versioning_.end() && now < known->second.until) return known->second.keeps_versions;
  }
  bool keeps = true;
  try {
    keeps = get_versioning(bucket) != store::Versioning::never;
  } catch (const Error& error) {
    if (is_passing(error)) throw;
    keeps = error.kind() != ErrorKind::unsupported;
  }
  const Lock lock(mutex_);
  versioning_[bucket] = {keeps, now + versioning_known_for};
  return keeps;
}

/// Checks the conditions of a write whose request may not do it: that of a copy or a completed upload, and any into a
/// bucket that keeps versions. What another writer does before the write, look_below() sees.
S3Store::Seen S3Store::look_at_target(const ObjectAddress& object, const store::WriteConditions& conditions,
                                      bool by_put) {
  const bool has_conditions = conditions.if_none_match || !conditions.if_match.empty();
  if (!has_conditions || !is_helped(object.bucket)) return {};
  if (keeps_versions(object.bucket)) {
    if (auto seen = look_at_versions(object, conditions)) return *seen;
  } else if (by_put) {
    return {};
  }
  const auto current = head(object, {});
  store::check_write_conditions(current ? std::optional(current->etag) : std::nullopt, object, conditions);
  return {};
}

/// The same where versions may be listed; absent where not.
std::optional<S3Store::Seen> S3Store::look_at_versions(const ObjectAddress& object,
                                                       const store::WriteConditions& conditions) {
  store::VersionPage page;
  try {
    page = list_versions(object.bucket, versions_of(object));
  } catch (const Error& error) {
    if (is_passing(error)) throw;
    return std::nullopt;
  }
  Seen seen{true, {}};
  std::optional<ETag> current;
  for (const store::ListedVersion& version : page.versions) {
    if (version.key != object.key) continue;
    seen.versions.insert(version.version_id);
    if (version.is_latest && !version.is_delete_marker) current = version.etag;
  }
  store::check_write_conditions(current, object, conditions);
  return seen;
}

/// Looks what is right below the version that was just written. If it was not there when look_at_target() looked,
/// another writer came first: then the new version is taken back, and the condition counts as failed.
void S3Store::look_below(const ObjectAddress& object, const Seen& seen, const VersionId& written) {
  if (!seen.is_watched || written.empty()) return;
  const std::vector<store::ListedVersion> versions = list_versions(object.bucket, versions_of(object)).versions;
  const auto own = std::find_if(versions.begin(), versions.end(), [&](const store::ListedVersion& version) {
    return version.key == object.key && version.version_id == written;
  });
  if (own == versions.end() || own + 1 == versions.end()) return;
  const store::ListedVersion& below = own[1];
  if (below.key != object.key || seen.versions.contains(below.version_id)) return;
  remove(object, written, {});
  throw Error(ErrorKind::precondition, "another writer came first", to_uri(object)).with_code("PreconditionFailed");
}

/// Checks the condition of a copy whose request may not do it.
void S3Store::look_at_source(const store::CopySource& from) {
  if (from.if_match.empty() || !is_helped(from.address.bucket)) return;
  const std::string where = to_uri(from.address);
  const auto source = head(from.address, {from.version_id, {}});
  if (!source) throw Error(ErrorKind::not_found, "there is no such object", where).with_code("NoSuchKey");
  if (source->etag == from.if_match) return;
  throw Error(ErrorKind::precondition, "the source is not the object that was to be copied", where)
      .with_code("PreconditionFailed");
}

void S3Store::remember_tags(const UploadId& upload, const store::Tags& tags) {
  const Lock lock(mutex_);
  upload_tags_[upload] = tags;
  uploads_begun_.push_back(upload);
  if (uploads_begun_.size() <= most_remembered_uploads) return;
  upload_tags_.erase(uploads_begun_.front());
  uploads_begun_.pop_front();
}

void S3Store::forget_tags(const UploadId& upload) {
  const Lock lock(mutex_);
  upload_tags_.erase(upload);
}

/// Sets the tags of what was just written where the server has left them out. Costs a request: not for AWS.
void S3Store::ensure_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) {
  try {
    if (get_tags(object, version) != tags) set_tags(object, tags, version);
  } catch (const Error& error) {
    store::ObjectAttributes attributes;
    attributes.tags = tags;
    throw name_optionals(error, object.bucket, {attributes});
  }
}

/// The same for a completed upload, whose tags were remembered.
void S3Store::mend_tags(const ObjectAddress& object, const UploadId& upload, const VersionId& version) {
  store::Tags tags;
  {
    const Lock lock(mutex_);
    const auto found = upload_tags_.find(upload);
    if (found == upload_tags_.end()) return;
    tags = found->second;
  }
  ensure_tags(object, tags, version);
  forget_tags(upload);  // not before: who meets a failure comes again
}

/// The same where completing was refused: an earlier attempt, whose answer was lost, may have made the object.
void S3Store::mend_tags_of_own(const ObjectAddress& object, const UploadId& upload,
                               const std::vector<store::UploadedPart>& parts, const Error& refusal) {
  {
    const Lock lock(mutex_);
    if (!upload_tags_.contains(upload)) return;
  }
  const auto found = head(object, {});
  const std::optional<ETag> own = store::multipart_etag(parts);
  if (found && own && found->etag == *own)
    mend_tags(object, upload, found->version_id);
  else if (refusal.code() == "NoSuchUpload")
    forget_tags(upload);  // it has ended some other way
}

}  // namespace bale::cloud
