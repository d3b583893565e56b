#include "cloud/enforcing_store.hpp"

#include <algorithm>

#include "aws/s3.hpp"
#include "base/error.hpp"
#include "cloud/optional_features.hpp"
#include "store/object_rules.hpp"
#include "store/own_write.hpp"

namespace bale::cloud {
namespace {

/// Versioning is switched on once in the life of a bucket.
constexpr std::chrono::minutes versioning_known_for{1};

/// Returns whether the caller decides about another attempt. Otherwise the question has no answer here.
bool is_passing(const Error& error) { return is_transient(error.kind()) || error.kind() == ErrorKind::cancelled; }

/// Does what comes before a write and only reads: when it fails, nothing was written.
template <typename Check>
auto before_write(Check check) {
  try {
    return check();
  } catch (const Error& error) {
    throw error.without_effect();
  }
}

/// Returns the request for the first page of a key's versions, the newest first. Keys that only start with this one
/// come later.
store::ListRequest versions_of(const ObjectAddress& object) {
  store::ListRequest request;
  request.prefix = object.key.str();
  return request;
}

/// Returns whether a write depends on the object that it replaces.
bool has_target(const store::WriteConditions& conditions) {
  return conditions.if_none_match || !conditions.if_match.empty();
}

/// Returns the conditions without those on the object that the write replaces.
store::WriteConditions without_target(store::WriteConditions conditions) {
  conditions.if_none_match = false;
  conditions.if_match = {};
  return conditions;
}

/// Returns the ETag of a key's current object; absent where it has none, or a delete marker.
std::optional<ETag> current_of(const std::vector<store::ListedVersion>& versions, const ObjectKey& key) {
  std::optional<ETag> current;
  for (const store::ListedVersion& version : versions) {
    if (version.key == key && version.is_latest && !version.is_delete_marker) current = version.etag;
  }
  return current;
}

Error condition_failed(const char* what, const std::string& where) {
  return Error(ErrorKind::precondition, what, where).with_code("PreconditionFailed");
}

}  // namespace

void EnforcingStore::set_versioning(const BucketName& bucket, store::Versioning versioning) {
  inner_.set_versioning(bucket, versioning);
  const Lock lock(mutex_);
  versioning_.erase(bucket);
}

// Conditions on the target of a write

bool EnforcingStore::is_refused(const BucketName& bucket, Condition condition) const {
  const Lock lock(mutex_);
  return refused_.contains({bucket, condition});
}

void EnforcingStore::remember_refusal(const BucketName& bucket, Condition condition) {
  const Lock lock(mutex_);
  refused_.insert({bucket, condition});
}

/// Returns whether versioning is or was enabled. Cached for one minute. Returns true where access is denied, and false
/// where the server knows no versions (501).
bool EnforcingStore::keeps_versions(const BucketName& bucket) {
  const auto now = clock_.steady();
  {
    const Lock lock(mutex_);
    const auto known = versioning_.find(bucket);
    if (known != versioning_.end() && now < known->second.until) return known->second.keeps_versions;
  }
  bool keeps = true;
  try {
    keeps = inner_.get_versioning(bucket) != store::Versioning::never;
  } catch (const Error& error) {
    if (is_passing(error)) throw;
    keeps = error.kind() != ErrorKind::unsupported;
  }
  const Lock lock(mutex_);
  versioning_[bucket] = {keeps, now + versioning_known_for};
  return keeps;
}

/// Throws unless the conditions on the target hold. Asks nothing where the server itself evaluates them: those of a put
/// into a bucket without versions, unless it refused them. Returns the versions of the key; absent where the bucket
/// keeps none, or they may not be listed.
std::optional<EnforcingStore::Versions> EnforcingStore::check_target(const ObjectAddress& object,
                                                                     const store::WriteConditions& conditions,
                                                                     bool server_evaluates) {
  if (keeps_versions(object.bucket)) {
    std::optional<store::VersionPage> page;
    try {
      page = inner_.list_versions(object.bucket, versions_of(object));
    } catch (const Error& error) {
      if (is_passing(error)) throw;
    }
    if (page) {
      store::check_write_conditions(current_of(page->versions, object.key), object, conditions);
      Versions versions;
      for (const store::ListedVersion& version : page->versions) {
        if (version.key == object.key) versions.insert(version.version_id);
      }
      return versions;
    }
  } else if (server_evaluates) {
    return std::nullopt;
  }
  const auto current = inner_.head(object);
  store::check_write_conditions(current ? std::optional(current->etag) : std::nullopt, object, conditions);
  return std::nullopt;
}

/// Removes the version that was just written, and throws Error{precondition}, where the version right below it was not
/// among those `before` the write: another writer came first. Does nothing where the versions before are unknown.
void EnforcingStore::remove_if_later(const ObjectAddress& object, const std::optional<Versions>& before,
                                     const VersionId& written) {
  if (!before || written.empty()) return;
  const std::vector<store::ListedVersion> versions = inner_.list_versions(object.bucket, versions_of(object)).versions;
  const auto own = std::find_if(versions.begin(), versions.end(), [&](const store::ListedVersion& version) {
    return version.key == object.key && version.version_id == written;
  });
  if (own == versions.end() || own + 1 == versions.end()) return;
  const store::ListedVersion& below = own[1];
  if (below.key != object.key || before->contains(below.version_id)) return;
  inner_.remove(object, written);
  throw condition_failed("another writer came first", to_uri(object));
}

/// Writes on conditions: checks the target before the write, and after it. Where the server refuses the conditions,
/// this write and later ones of the same kind are sent without them.
template <typename Result>
Result EnforcingStore::write_on(Condition kind, const ObjectAddress& object, const store::WriteConditions& conditions,
                                const std::function<Result(const store::WriteConditions&)>& write) {
  if (!has_target(conditions)) return write(conditions);
  const bool goes_without = is_refused(object.bucket, kind);
  const bool server_evaluates = kind == Condition::of_put && !goes_without;
  auto versions = before_write([&] { return check_target(object, conditions, server_evaluates); });
  Result result;
  try {
    result = write(goes_without ? without_target(conditions) : conditions);
  } catch (const Error& error) {
    // Ceph RGW 16 refuses every If-Match of a PUT where the bucket keeps versions, the one that holds too.
    const bool may_be_wrong = kind == Condition::of_put && versions && !conditions.if_match.empty() &&
                              error.kind() == ErrorKind::precondition;
    const bool is_unknown = may_be_unsupported(error);
    if (goes_without || (!may_be_wrong && !is_unknown)) throw;
    versions = before_write([&] { return check_target(object, conditions, /*server_evaluates=*/false); });
    result = write(without_target(conditions));
    if (is_unknown) remember_refusal(object.bucket, kind);
  }
  remove_if_later(object, versions, result.version_id);
  return result;
}

store::PutResult EnforcingStore::put(const ObjectAddress& object, store::Body& body,
                                     const store::ObjectAttributes& attributes,
                                     const store::WriteConditions& conditions) {
  check_object_key(object.key);
  store::check_upload_size(body.size());
  store::check_attributes(attributes);
  bool is_first = true;
  return write_on<store::PutResult>(Condition::of_put, object, conditions, [&](const store::WriteConditions& sent) {
    if (!is_first) body.rewind();
    is_first = false;
    return inner_.put(object, body, attributes, sent);
  });
}

// Deletions

store::DeleteResult EnforcingStore::remove(const ObjectAddress& object, const VersionId& version,
                                           const store::DeleteConditions& conditions) {
  check_object_key(object.key);
  store::check_remove(object, version, conditions);
  return write_on<store::DeleteResult>(
      Condition::of_remove, object, {.if_match = conditions.if_match},
      [&](const store::WriteConditions& sent) { return inner_.remove(object, version, {.if_match = sent.if_match}); });
}

std::vector<store::RemoveOutcome> EnforcingStore::remove_all(const BucketName& bucket,
                                                             const std::vector<store::ObjectToRemove>& objects) {
  store::check_remove_all(objects);
  std::vector<store::ObjectToRemove> together;
  std::vector<std::size_t> places;  // of those in `objects`
  for (std::size_t i = 0; i < objects.size(); ++i) {
    check_object_key(objects[i].key);
    store::check_remove({bucket, objects[i].key}, objects[i].version_id, objects[i].conditions);
    if (!objects[i].conditions.if_match.empty()) continue;
    together.push_back(objects[i]);
    places.push_back(i);
  }
  if (together.size() == objects.size()) return inner_.remove_all(bucket, objects);
  std::vector<store::RemoveOutcome> outcomes(objects.size());
  if (!together.empty()) {
    std::vector<store::RemoveOutcome> removed = inner_.remove_all(bucket, together);
    for (std::size_t i = 0; i < places.size(); ++i) outcomes[places[i]] = std::move(removed.at(i));
  }
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (objects[i].conditions.if_match.empty()) continue;
    try {
      outcomes[i].result = remove({bucket, objects[i].key}, objects[i].version_id, objects[i].conditions);
    } catch (const Error& error) {
      outcomes[i].error = error;
    }
  }
  return outcomes;
}

// Copies

/// Throws unless the source is the object that is to be copied.
void EnforcingStore::check_source(const store::CopySource& from) {
  if (from.if_match.empty()) return;
  const std::string where = to_uri(from.address);
  const auto source = inner_.head(from.address, {.version_id = from.version_id, .if_match = {}});
  if (!source) throw Error(ErrorKind::not_found, "there is no such object", where).with_code("NoSuchKey");
  if (source->etag != from.if_match)
    throw condition_failed("the source is not the object that was to be copied", where);
}

/// Copies on the condition that the source is what it was, which the caller checks before and after. Where the server
/// refuses to evaluate the condition, or refuses it although it holds (it compares the ETag of an upload in parts with
/// another one), the copy goes without it.
void EnforcingStore::copy_from(const store::CopySource& from,
                               const std::function<void(const store::CopySource&)>& copy) {
  if (from.if_match.empty()) return copy(from);
  const BucketName& bucket = from.address.bucket;
  store::CopySource plain = from;
  plain.if_match = {};
  const bool in_parts = aws::parts_of_etag(from.if_match) > 0;
  if (is_refused(bucket, Condition::of_source) || (in_parts && is_refused(bucket, Condition::of_multipart_source)))
    return copy(plain);
  try {
    copy(from);
  } catch (const Error& error) {
    const bool is_unknown = may_be_unsupported(error);
    const bool may_be_wrong = in_parts && error.kind() == ErrorKind::precondition;
    if (!is_unknown && !may_be_wrong) throw;
    before_write([&] { check_source(from); });
    copy(plain);
    remember_refusal(bucket, is_unknown ? Condition::of_source : Condition::of_multipart_source);
  }
}

store::PutResult EnforcingStore::copy(const store::CopySource& from, const ObjectAddress& to,
                                      const std::optional<store::ObjectAttributes>& replace,
                                      const store::WriteConditions& conditions) {
  check_object_key(to.key);
  if (replace) store::check_attributes(*replace);
  store::check_copy(from, to, replace);
  before_write([&] { check_source(from); });
  const store::PutResult result =
      write_on<store::PutResult>(Condition::of_copy, to, conditions, [&](const store::WriteConditions& sent) {
        store::PutResult written;
        copy_from(from, [&](const store::CopySource& source) { written = inner_.copy(source, to, replace, sent); });
        // An equal ETag means equal content; a different one means nothing after a multipart upload. A copy onto itself
        // may have a new ETag.
        if (written.etag != from.if_match && from.address != to) check_source(from);
        return written;
      });
  if (replace && !replace->tags.empty()) set_missing_tags(to, replace->tags, result.version_id);
  return result;
}

ETag EnforcingStore::upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                                      const store::CopySource& from, const std::optional<store::ByteRange>& range) {
  store::check_part_number(number);
  store::check_range(range);
  before_write([&] { check_source(from); });
  ETag etag;
  copy_from(from, [&](const store::CopySource& source) {
    etag = inner_.upload_part_copy(object, upload, number, source, range);
  });
  check_source(from);  // the ETag of a part does not tell from what object it was copied
  return etag;
}

// Tags

/// Sets the tags of what was just written where the server has left them out.
void EnforcingStore::set_missing_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) {
  try {
    if (inner_.get_tags(object, version) != tags) inner_.set_tags(object, tags, version);
  } catch (const Error& error) {
    store::ObjectAttributes attributes;
    attributes.tags = tags;
    throw name_features(error, {attributes});
  }
}

/// The same for a completed upload, whose tags were remembered when it was created.
void EnforcingStore::set_missing_tags(const ObjectAddress& object, const UploadId& upload, const VersionId& version) {
  const std::optional<store::Tags> tags = upload_tags_.find(upload);
  if (!tags) return;
  set_missing_tags(object, *tags, version);
  upload_tags_.forget(upload);  // not before: after a failure the caller comes again
}

/// The same where completing was refused: an earlier attempt, whose response was lost, may have made the object.
void EnforcingStore::set_missing_tags_if_own(const ObjectAddress& object, const UploadId& upload,
                                             const std::vector<store::UploadedPart>& parts, const Error& refusal) {
  if (!upload_tags_.find(upload)) return;
  const auto found = inner_.head(object);
  const std::optional<ETag> own = store::multipart_etag(parts);
  if (found && own && found->etag == *own)
    set_missing_tags(object, upload, found->version_id);
  else if (refusal.code() == "NoSuchUpload")
    upload_tags_.forget(upload);  // it has ended some other way
}

// Uploads in parts

UploadId EnforcingStore::create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) {
  UploadId upload = inner_.create_upload(object, attributes);
  if (!attributes.tags.empty()) upload_tags_.remember(upload, attributes.tags);
  return upload;
}

store::PutResult EnforcingStore::complete_upload(const ObjectAddress& object, const UploadId& upload,
                                                 const std::vector<store::UploadedPart>& parts,
                                                 const store::WriteConditions& conditions) {
  store::check_part_order(parts);
  store::check_whole_checksum(conditions.checksum);
  try {
    store::PutResult result = complete(object, upload, parts, conditions);
    set_missing_tags(object, upload, result.version_id);
    return result;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::precondition)
      set_missing_tags_if_own(object, upload, parts, error);
    throw;
  }
}

/// Completes an upload, without the checksums of its parts where the server refuses a list that has them.
store::PutResult EnforcingStore::complete(const ObjectAddress& object, const UploadId& upload,
                                          const std::vector<store::UploadedPart>& parts,
                                          const store::WriteConditions& conditions) {
  const bool has_checksums =
      std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.checksum.has_value(); });
  try {
    return complete_with(object, upload, parts, conditions);
  } catch (const Error& error) {
    // OpenStack Swift refuses the element of a part's checksum, and keeps none.
    if (error.code() != "MalformedXML" || !has_checksums) throw;
  }
  std::vector<store::UploadedPart> plain = parts;
  for (store::UploadedPart& part : plain) part.checksum.reset();
  return complete_with(object, upload, plain, conditions);
}

store::PutResult EnforcingStore::complete_with(const ObjectAddress& object, const UploadId& upload,
                                               const std::vector<store::UploadedPart>& parts,
                                               const store::WriteConditions& conditions) {
  store::PutResult result = write_on<store::PutResult>(
      Condition::of_complete, object, conditions,
      [&](const store::WriteConditions& sent) { return inner_.complete_upload(object, upload, parts, sent); });
  if (!result.etag.empty()) return result;
  const auto info = inner_.head(object, {.version_id = result.version_id, .if_match = {}});
  if (info) result.etag = info->etag;
  return result;
}

void EnforcingStore::abort_upload(const ObjectAddress& object, const UploadId& upload) {
  inner_.abort_upload(object, upload);
  upload_tags_.forget(upload);
}

}  // namespace bale::cloud
