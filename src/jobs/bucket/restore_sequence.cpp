#include "jobs/bucket/restore_sequence.hpp"

#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::bucket {
namespace {

store::ListRequest request_of(const BackupListing& where) {
  store::ListRequest request;
  request.prefix = where.prefix;
  request.start_after = where.start_after;
  request.with_restore_status = true;
  return request;
}

}  // namespace

CurrentObjects::CurrentObjects(const BackupListing& where) : listing_(where.store, where.bucket, request_of(where)) {}

const store::ListedObject* CurrentObjects::next() {
  while (at_ == page_.objects.size()) {
    auto page = listing_.next();
    if (!page) return nullptr;
    page_ = std::move(*page);
    at_ = 0;
  }
  return &page_.objects[at_++];
}

ObjectsAsOf::ObjectsAsOf(const BackupListing& where, TimePoint as_of)
    : store_(where.store), bucket_(where.bucket), request_(request_of(where)), as_of_(as_of) {}

/// Returns the next version of any key; null after the last.
const store::ListedVersion* ObjectsAsOf::next_version() {
  constexpr std::size_t most_empty_pages = 100;  // in a row
  for (std::size_t empty = 0; at_ == page_.versions.size(); ++empty) {
    if (is_at_end_) return nullptr;
    if (empty > most_empty_pages)
      throw Error(ErrorKind::corrupt, "the server lists versions without end", "s3://" + bucket_.str());
    page_ = store_.list_versions(bucket_, request_);
    at_ = 0;
    is_at_end_ = page_.next.empty();
    if (!is_at_end_ && page_.next == request_.continuation)
      throw Error(ErrorKind::corrupt, "a page of the listing of versions continues with itself",
                  "s3://" + bucket_.str());
    request_.continuation = page_.next;
  }
  return &page_.versions[at_++];
}

/// Counts the key before this one, if none of its versions was old enough.
void ObjectsAsOf::finish_key(const std::string& key) {
  if (key_ && !is_decided_) ++newer_;
  if (key_ && key < *key_) {
    throw Error(ErrorKind::corrupt, "the server lists versions out of the order of their keys",
                to_uri({bucket_, ObjectKey(key)}));
  }
  key_ = key;
  is_decided_ = false;
}

const store::ListedObject* ObjectsAsOf::next() {
  while (const store::ListedVersion* version = next_version()) {
    if (!key_ || version->key.str() != *key_) finish_key(version->key.str());
    if (is_decided_ || version->last_modified > as_of_) continue;
    is_decided_ = true;
    if (version->is_delete_marker) continue;
    version_ = version->version_id;
    return version;
  }
  if (key_ && !is_decided_) ++newer_;
  is_decided_ = true;
  return nullptr;
}

}  // namespace bale::bucket
