#include "cloud/s3_store.hpp"

#include "base/error.hpp"

namespace bale::cloud {
namespace {

/// A page of 1,000 keys of 1,024 bytes, each byte percent-encoded, with its markup, stays well below.
constexpr ByteCount most_answer_bytes = 16 << 20;
/// While S3 puts a large upload together it sends a space now and then; other servers are silent for minutes.
constexpr Milliseconds patience_for_assembly{10 * 60'000};

/// A body of the store's port as one of http's.
class StoreBody final : public http::Body {
 public:
  explicit StoreBody(store::Body& body) : body_(body) {}
  ByteCount size() const override { return body_.size(); }
  ByteView next(std::size_t most) override { return body_.next(most); }
  void rewind() override { body_.rewind(); }

 private:
  store::Body& body_;
};

class AnswerStream final : public store::GetStream {
 public:
  AnswerStream(OpenCall answer, const std::string& where)
      : answer_(std::move(answer)),
        info_(aws::parse_object_info(answer_.exchange.head(), where)),
        range_(aws::parse_got_range(answer_.exchange.head(), where)) {}
  const store::ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return range_.length; }
  ByteCount offset() const override { return range_.offset; }
  std::size_t read(MutableBytes bytes) override { return bytes.empty() ? 0 : answer_.exchange.read(bytes); }

 private:
  OpenCall answer_;
  const store::ObjectInfo info_;
  const aws::GotRange range_;
};

std::string where_of(const BucketName& bucket) { return "s3://" + bucket.str(); }

bool is_missing(const aws::ServiceFailure& failure) { return failure.status == 404 && failure.code != "NoSuchBucket"; }

/// Refusals that say that the request was signed for, or sent to, the wrong region.
bool is_redirect(const aws::ServiceFailure& failure) {
  return failure.status == 301 || failure.status == 307 || failure.status == 400 || failure.status == 403;
}

}  // namespace

S3Store::S3Store(Session& session, Region region)
    : session_(session), region_(std::move(region)), addressing_(session.addressing()) {
  requests_for(region_.str());
}

std::string S3Store::region_of(const BucketName& bucket) {
  const Lock lock(mutex_);
  const auto known = regions_.find(bucket);
  return known == regions_.end() ? region_.str() : known->second;
}

const aws::S3Requests& S3Store::requests_for(const std::string& region) {
  const Lock lock(mutex_);
  const auto found = requests_.find(region);
  if (found != requests_.end()) return found->second;
  return requests_.try_emplace(region, session_.endpoint(aws::Service::s3, region), addressing_).first->second;
}

Outcome S3Store::send(const BucketName& bucket, const Build& build, http::Body* body, const SendOptions& options) {
  const std::string region = region_of(bucket);
  Outcome outcome = session_.send(build(requests_for(region)), aws::Service::s3, region, body, options);
  if (!outcome.failure || outcome.failure->region.empty() || outcome.failure->region == region ||
      !is_redirect(*outcome.failure) || bucket.empty())
    return outcome;
  const std::string elsewhere = outcome.failure->region;
  Outcome second = session_.send(build(requests_for(elsewhere)), aws::Service::s3, elsewhere, body, options);
  if (second.failure && second.failure->region != elsewhere && !second.failure->region.empty()) return second;
  const Lock lock(mutex_);
  regions_[bucket] = elsewhere;
  return second;
}

OpenCall S3Store::open(const BucketName& bucket, const std::string& where, const Build& build, http::Body* body,
                       const SendOptions& options) {
  Outcome outcome = send(bucket, build, body, options);
  if (outcome.failure) throw aws::to_error(*outcome.failure, where);
  return std::move(*outcome.answer);
}

std::string S3Store::fetch(const BucketName& bucket, const std::string& where, const Build& build) {
  OpenCall answer = open(bucket, where, build);
  return read_text(answer, most_answer_bytes);
}

// Buckets

void S3Store::create_bucket(const BucketName& bucket) {
  // Some servers, S3 in us-east-1 among them, say 200 to whoever owns the bucket already.
  if (head_bucket(bucket))
    throw Error(ErrorKind::precondition, "the bucket exists", where_of(bucket)).with_code("BucketAlreadyOwnedByYou");
  const aws::S3Requests& requests = requests_for(region_.str());
  Outcome outcome = session_.send(requests.create_bucket(bucket), aws::Service::s3, region_.str());
  // Other servers than S3 may know no regions: they take a bucket that asks for none, as those of us-east-1 do.
  if (outcome.failure && requests.endpoint().is_custom && outcome.failure->code == "InvalidLocationConstraint")
    outcome = session_.send(requests_for("us-east-1").create_bucket(bucket), aws::Service::s3, region_.str());
  if (outcome.failure) throw aws::to_error(*outcome.failure, where_of(bucket));
  read_text(*outcome.answer, most_answer_bytes);
}

void S3Store::delete_bucket(const BucketName& bucket) {
  fetch(bucket, where_of(bucket), [&](const aws::S3Requests& s3) { return s3.delete_bucket(bucket); });
}

std::optional<store::BucketInfo> S3Store::head_bucket(const BucketName& bucket) {
  const Outcome outcome = send(bucket, [&](const aws::S3Requests& s3) { return s3.head_bucket(bucket); });
  if (outcome.failure && outcome.failure->status == 404) return std::nullopt;
  if (outcome.failure) throw aws::to_error(*outcome.failure, where_of(bucket));
  const std::string_view region = outcome.answer->exchange.head().headers.get("x-amz-bucket-region");
  return store::BucketInfo{bucket, Region(region.empty() ? region_of(bucket) : std::string(region)), {}};
}

std::vector<store::BucketInfo> S3Store::list_buckets() {
  std::vector<store::BucketInfo> all;
  std::string continuation;
  do {
    const std::string body =
        fetch({}, "the buckets", [&](const aws::S3Requests& s3) { return s3.list_buckets(continuation); });
    auto page = aws::parse_buckets(body, "the buckets");
    for (store::BucketInfo& info : page.items) {
      if (info.region.empty()) info.region = region_;
      all.push_back(std::move(info));
    }
    continuation = page.next;
  } while (!continuation.empty());
  return all;
}

void S3Store::set_versioning(const BucketName& bucket, store::Versioning versioning) {
  fetch(bucket, where_of(bucket), [&](const aws::S3Requests& s3) { return s3.set_versioning(bucket, versioning); });
}

store::Versioning S3Store::get_versioning(const BucketName& bucket) {
  const std::string where = where_of(bucket);
  return aws::parse_versioning(
      fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.get_versioning(bucket); }), where);
}

void S3Store::set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules) {
  fetch(bucket, where_of(bucket), [&](const aws::S3Requests& s3) { return s3.set_notifications(bucket, rules); });
}

std::vector<store::NotificationRule> S3Store::get_notifications(const BucketName& bucket) {
  const std::string where = where_of(bucket);
  return aws::parse_notifications(
      fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.get_notifications(bucket); }), where);
}

// Objects

store::PutResult S3Store::put(const ObjectAddress& object, store::Body& body, const store::ObjectAttributes& attributes,
                              const store::WriteConditions& conditions) {
  const std::string where = to_uri(object);
  StoreBody content(body);
  OpenCall answer =
      open(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.put(object, attributes, conditions); },
           &content, {.with_checksum = true});
  read_text(answer, most_answer_bytes);
  return aws::parse_put(answer.exchange.head(), where);
}

std::unique_ptr<store::GetStream> S3Store::get(const ObjectAddress& object,
                                               const std::optional<store::ByteRange>& range,
                                               const store::ReadConditions& conditions) {
  const std::string where = to_uri(object);
  OpenCall answer =
      open(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.get(object, range, conditions); });
  return std::make_unique<AnswerStream>(std::move(answer), where);
}

std::optional<store::ObjectInfo> S3Store::head(const ObjectAddress& object, const store::ReadConditions& conditions) {
  const std::string where = to_uri(object);
  const Outcome outcome = send(object.bucket, [&](const aws::S3Requests& s3) { return s3.head(object, conditions); });
  if (outcome.failure && is_missing(*outcome.failure)) return std::nullopt;
  if (outcome.failure) throw aws::to_error(*outcome.failure, where);
  return aws::parse_object_info(outcome.answer->exchange.head(), where);
}

store::DeleteResult S3Store::remove(const ObjectAddress& object, const VersionId& version) {
  OpenCall answer =
      open(object.bucket, to_uri(object), [&](const aws::S3Requests& s3) { return s3.remove(object, version); });
  return aws::parse_remove(answer.exchange.head());
}

store::PutResult S3Store::copy(const store::CopySource& from, const ObjectAddress& to,
                               const std::optional<store::ObjectAttributes>& replace,
                               const store::WriteConditions& conditions) {
  const std::string where = to_uri(to);
  OpenCall answer =
      open(to.bucket, where, [&](const aws::S3Requests& s3) { return s3.copy(from, to, replace, conditions); }, nullptr,
           {.deadlines = {.idle = patience_for_assembly}});
  const std::string body = read_text(answer, most_answer_bytes);
  return aws::parse_copy(answer.exchange.head(), body, where);
}

store::ListPage S3Store::list(const BucketName& bucket, const store::ListRequest& request) {
  const std::string where = where_of(bucket);
  return aws::parse_list(fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.list(bucket, request); }),
                         where);
}

store::VersionPage S3Store::list_versions(const BucketName& bucket, const store::ListRequest& request) {
  const std::string where = where_of(bucket);
  return aws::parse_versions(
      fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.list_versions(bucket, request); }), where);
}

store::Tags S3Store::get_tags(const ObjectAddress& object, const VersionId& version) {
  const std::string where = to_uri(object);
  return aws::parse_tags(
      fetch(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.get_tags(object, version); }), where);
}

void S3Store::set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) {
  fetch(object.bucket, to_uri(object), [&](const aws::S3Requests& s3) { return s3.set_tags(object, tags, version); });
}

// Multipart

UploadId S3Store::create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) {
  const std::string where = to_uri(object);
  return aws::parse_create_upload(
      fetch(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.create_upload(object, attributes); }),
      where);
}

ETag S3Store::upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                          store::Body& body) {
  const std::string where = to_uri(object);
  StoreBody content(body);
  // No checksum header: parts may only have one when the upload was begun with its algorithm, and the signature covers
  // the bytes.
  OpenCall answer = open(
      object.bucket, where, [&](const aws::S3Requests& s3) { return s3.upload_part(object, upload, number); },
      &content);
  read_text(answer, most_answer_bytes);
  return aws::parse_part(answer.exchange.head(), where);
}

ETag S3Store::upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                               const store::CopySource& from, const std::optional<store::ByteRange>& range) {
  const std::string where = to_uri(object);
  OpenCall answer =
      open(object.bucket, where,
           [&](const aws::S3Requests& s3) { return s3.upload_part_copy(object, upload, number, from, range); }, nullptr,
           {.deadlines = {.idle = patience_for_assembly}});
  const std::string body = read_text(answer, most_answer_bytes);
  return aws::parse_part_copy(answer.exchange.head(), body, where);
}

store::PutResult S3Store::complete_upload(const ObjectAddress& object, const UploadId& upload,
                                          const std::vector<store::UploadedPart>& parts,
                                          const store::WriteConditions& conditions) {
  const std::string where = to_uri(object);
  OpenCall answer =
      open(object.bucket, where,
           [&](const aws::S3Requests& s3) { return s3.complete_upload(object, upload, parts, conditions); }, nullptr,
           {.deadlines = {.idle = patience_for_assembly}});
  const std::string body = read_text(answer, most_answer_bytes);
  store::PutResult result = aws::parse_complete(answer.exchange.head(), body, where);
  if (!result.etag.empty()) return result;
  const auto info = head(object, {result.version_id, {}});
  if (info) result.etag = info->etag;
  return result;
}

void S3Store::abort_upload(const ObjectAddress& object, const UploadId& upload) {
  const Outcome outcome =
      send(object.bucket, [&](const aws::S3Requests& s3) { return s3.abort_upload(object, upload); });
  if (outcome.failure && !is_missing(*outcome.failure)) throw aws::to_error(*outcome.failure, to_uri(object));
}

std::vector<store::UploadedPart> S3Store::list_parts(const ObjectAddress& object, const UploadId& upload) {
  const std::string where = to_uri(object);
  std::vector<store::UploadedPart> all;
  std::uint32_t after = 0;
  for (;;) {
    const std::string body =
        fetch(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.list_parts(object, upload, after); });
    auto page = aws::parse_parts(body, where);
    all.insert(all.end(), page.items.begin(), page.items.end());
    if (page.next.empty() || page.items.empty()) return all;
    after = all.back().number;
  }
}

std::vector<store::ListedUpload> S3Store::list_uploads(const BucketName& bucket, const std::string& prefix) {
  const std::string where = where_of(bucket);
  std::vector<store::ListedUpload> all;
  std::string continuation;
  do {
    const std::string body =
        fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.list_uploads(bucket, prefix, continuation); });
    auto page = aws::parse_uploads(body, where);
    all.insert(all.end(), page.items.begin(), page.items.end());
    continuation = page.next;
  } while (!continuation.empty());
  return all;
}

// Archive classes, links

void S3Store::restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) {
  fetch(object.bucket, to_uri(object),
        [&](const aws::S3Requests& s3) { return s3.restore(object, days, tier, version); });
}

std::string S3Store::presign_get(const ObjectAddress& object, std::chrono::seconds expires) {
  const std::string region = region_of(object.bucket);
  return session_.presign(requests_for(region).get(object, std::nullopt, {}), region, expires);
}

}  // namespace bale::cloud
