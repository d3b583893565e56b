#include "cloud/s3_store.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "cloud/s3_bodies.hpp"
#include "store/object_rules.hpp"

namespace bale::cloud {
namespace {

constexpr int not_found_status = 404;
/// A request for each part of an object is worth a check of its bytes where there are few: 16 parts are two requests
/// for each one that reads, at the usual 8 MiB a part and 16 MiB a request.
constexpr std::uint32_t most_parts_asked = 16;
/// The same where parts are so large that a request for each is nothing beside reading it.
constexpr ByteCount part_worth_asking = 32 << 20;
/// While S3 puts a large upload together it sends a space now and then; other servers are silent for minutes.
constexpr Milliseconds patience_for_assembly{10 * 60'000};
constexpr const char* source_owner_header = "x-amz-source-expected-bucket-owner";

/// Returns the digest that the signature of a request covers, where it is known before the body is read.
std::optional<Sha256Digest> known_sha256(const store::BodyDigests& digests) {
  if (digests.sha256) return digests.sha256;
  const bool has_sha256 = digests.checksum && digests.checksum->algorithm == store::Checksum::Algorithm::sha256;
  Sha256Digest digest;
  if (!has_sha256 || digests.checksum->value.size() != digest.size()) return std::nullopt;
  std::ranges::copy(as_bytes(digests.checksum->value), digest.begin());
  return digest;
}

/// Whether an answer to HEAD leaves open what the service says, as it has no body that names the cause: a 404, a
/// refusal (of the region, the clock, the credentials, the permission), or one that nothing shows to be the service's.
bool asks_again(const aws::ServiceFailure& failure) {
  constexpr int moved = 301, bad_request = 400, forbidden = 403, server_failure = 500;
  if (failure.status >= server_failure) return false;
  return failure.status == not_found_status || failure.status == moved || failure.status == bad_request ||
         failure.status == forbidden || !failure.is_from_service;
}

}  // namespace

/// Writes. Where a server other than AWS refuses, the hint of the error names the optional features of the request.
template <typename Write>
auto S3Store::naming_features(const BucketName& bucket, const OptionalFeatures& sent, const Write& write) {
  try {
    return write();
  } catch (const Error& error) {
    throw routes_.is_aws(bucket) ? error : name_features(error, sent);
  }
}

/// Returns how a body with these digests is signed. Over TLS the payload need not be where another digest protects it,
/// or the caller compares what the response tells. Over plain HTTP others can change headers as well as bytes: there
/// only the comparison protects it. AWS itself takes unsigned payloads over TLS alone.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
SendOptions S3Store::options_for(const BucketName& bucket, const store::BodyDigests& digests) {
  const aws::Endpoint& endpoint = routes_.requests_for(routes_.region_of(bucket)).endpoint();
  const bool has_digest = digests.md5 || (digests.checksum && session_.sends_checksums());
  SendOptions options;
  options.sha256 = known_sha256(digests);
  options.may_be_unsigned = endpoint.origin.is_tls() ? has_digest || digests.response_is_compared
                                                     : digests.response_is_compared && !aws::is_aws(endpoint);
  return options;
}

// Buckets

void S3Store::create_bucket(const BucketName& bucket) {
  check_bucket_name(bucket);
  // Some servers, S3 in us-east-1 among them, say 200 to whoever owns the bucket already.
  bool exists = false;
  try {
    exists = head_bucket(bucket).has_value();
  } catch (const Error& error) {
    throw error.without_effect();
  }
  if (exists)
    throw Error(ErrorKind::precondition, "the bucket exists", where_of(bucket)).with_code("BucketAlreadyOwnedByYou");
  const aws::S3Requests& requests = routes_.requests_for(routes_.region().str());
  Outcome outcome = session_.send(requests.create_bucket(bucket), aws::Service::s3, routes_.region().str());
  // Other servers than S3 may know no regions: they take a bucket that asks for none, as those of us-east-1 do.
  if (outcome.failure && requests.endpoint().is_custom && outcome.failure->code == "InvalidLocationConstraint")
    outcome = session_.send(routes_.requests_for("us-east-1").create_bucket(bucket), aws::Service::s3,
                            routes_.region().str());
  if (outcome.failure) throw aws::to_error(*outcome.failure, where_of(bucket));
  const bool is_from_service = aws::has_service_header(outcome.answer->exchange.head());
  aws::check_no_page(read_text(*outcome.answer, most_answer_bytes), where_of(bucket));
  if (!is_from_service && !head_bucket(bucket))
    throw aws::not_from_service("the answer says that the bucket was made, and it is not there", where_of(bucket));
}

void S3Store::delete_bucket(const BucketName& bucket) {
  run(bucket, where_of(bucket), [&](const aws::S3Requests& s3) { return s3.delete_bucket(bucket); });
}

std::optional<store::BucketInfo> S3Store::head_bucket(const BucketName& bucket) {
  const Outcome outcome = send(bucket, [&](const aws::S3Requests& s3) { return s3.head_bucket(bucket); });
  // A success has no document that a portal could not send, too.
  const bool is_unconfirmed =
      outcome.failure ? asks_again(*outcome.failure) : !aws::has_service_header(outcome.answer->exchange.head());
  if (is_unconfirmed) {
    try {
      list(bucket, {.prefix = {}, .delimiter = {}, .start_after = {}, .continuation = {}, .max_keys = 1});
    } catch (const Error& error) {
      if (error.code() == "NoSuchBucket") return std::nullopt;
      throw;
    }
    return store::BucketInfo{bucket, Region(routes_.region_of(bucket)), {}};
  }
  if (outcome.failure) throw aws::to_error(*outcome.failure, where_of(bucket));
  const std::string_view region = outcome.answer->exchange.head().headers.get("x-amz-bucket-region");
  return store::BucketInfo{bucket, Region(region.empty() ? routes_.region_of(bucket) : std::string(region)), {}};
}

std::vector<store::BucketInfo> S3Store::list_buckets() {
  std::vector<store::BucketInfo> all;
  std::string continuation;
  do {
    const std::string body =
        fetch({}, "the buckets", [&](const aws::S3Requests& s3) { return s3.list_buckets(continuation); });
    auto page = aws::parse_buckets(body, "the buckets");
    for (store::BucketInfo& info : page.items) {
      if (info.region.empty()) info.region = routes_.region();
      all.push_back(std::move(info));
    }
    aws::check_next(page.next, continuation, "the buckets");
    continuation = page.next;
  } while (!continuation.empty());
  return all;
}

void S3Store::set_versioning(const BucketName& bucket, store::Versioning versioning) {
  run(bucket, where_of(bucket), [&](const aws::S3Requests& s3) { return s3.set_versioning(bucket, versioning); });
}

store::Versioning S3Store::get_versioning(const BucketName& bucket) {
  const std::string where = where_of(bucket);
  return aws::parse_versioning(
      fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.get_versioning(bucket); }), where);
}

void S3Store::set_notifications(const BucketName& bucket, const std::vector<store::NotificationRule>& rules) {
  // The request replaces what leads to functions, topics and EventBridge too.
  const std::string where = where_of(bucket);
  const std::string others = aws::parse_other_notifications(
      fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.get_notifications(bucket); }), where);
  run(bucket, where, [&](const aws::S3Requests& s3) { return s3.set_notifications(bucket, rules, others); });
}

std::vector<store::NotificationRule> S3Store::get_notifications(const BucketName& bucket) {
  const std::string where = where_of(bucket);
  return aws::parse_notifications(
      fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.get_notifications(bucket); }), where);
}

// Objects

store::PutResult S3Store::put(const ObjectAddress& object, store::Body& body, const store::ObjectAttributes& attributes,
                              const store::WriteConditions& conditions) {
  check_object_key(object.key);
  store::check_upload_size(body.size());
  store::check_attributes(attributes);
  const std::string where = to_uri(object);
  const store::BodyDigests digests = body.digests();
  SendOptions options = options_for(object.bucket, digests);
  options.with_checksum = true;
  StoreBody content(body);
  OpenCall answer = naming_features(object.bucket, {attributes, session_.sends_checksums()}, [&] {
    return open(
        object.bucket, where,
        [&](const aws::S3Requests& s3) { return s3.put(object, attributes, conditions, digests); }, &content, options);
  });
  read_text(answer, most_answer_bytes);
  return aws::parse_put(answer.exchange.head(), where);
}

std::unique_ptr<store::GetStream> S3Store::get(const ObjectAddress& object,
                                               const std::optional<store::ByteRange>& range,
                                               const store::ReadConditions& conditions) {
  store::check_range(range);  // S3 answers a range that is none with the whole object
  const std::string where = to_uri(object);
  store::ReadConditions asked = conditions;
  asked.with_evidence = true;
  const auto call = [&](const std::optional<store::ByteRange>& bytes) {
    return open(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.get(object, bytes, asked); });
  };
  OpenCall answer = call(range);
  const http::AnswerHead& head = answer.exchange.head();
  if (range || aws::tells_size(head))
    return std::make_unique<AnswerStream>(std::move(answer), range, conditions, where);
  // The answer to a range names the size, also where a proxy sends what goes by in chunks.
  const auto info = look_by_get(object, conditions, &head);
  if (!info) throw Error(ErrorKind::not_found, "no such object", where);
  if (info->size == 0) return std::make_unique<AnswerStream>(std::move(answer), conditions, where);
  return std::make_unique<AnswerStream>(call(store::ByteRange::at(0, info->size)), range, conditions, where);
}

std::optional<store::ObjectInfo> S3Store::head(const ObjectAddress& object, const store::ReadConditions& conditions) {
  const Outcome outcome = send(object.bucket, [&](const aws::S3Requests& s3) { return s3.head(object, conditions); });
  if (!outcome.failure) {
    const http::AnswerHead& answer = outcome.answer->exchange.head();
    if (!aws::tells_size(answer)) return look_by_get(object, conditions, &answer);
    return read_head(object, outcome, conditions);
  }
  const bool is_404 = outcome.failure->status == not_found_status;
  if (is_404 && outcome.failure->is_from_service && conditions.absence_unconfirmed) return std::nullopt;
  if (asks_again(*outcome.failure)) return look_by_get(object, conditions);
  throw aws::to_error(*outcome.failure, to_uri(object));
}

/// Reads a successful answer to HEAD.
store::ObjectInfo S3Store::read_head(const ObjectAddress& object, const Outcome& outcome,
                                     const store::ReadConditions& conditions) {
  const std::string where = to_uri(object);
  store::ObjectInfo info = aws::parse_object_info(outcome.answer->exchange.head(), where);
  check_is_asked(info, conditions, where);
  if (conditions.with_evidence) learn_parts(object, info);
  return info;
}

/// Learns the size of the parts where the object was uploaded in parts and no checksum tells its bytes: then its ETag
/// does. Each part but the last is asked for, since parts need not be alike. A server that does not know of parts
/// leaves their size unknown, and so does an object of many small ones.
void S3Store::learn_parts(const ObjectAddress& object, store::ObjectInfo& info) {
  const std::uint32_t parts = aws::parts_of_etag(info.etag);
  if (info.checksum || info.is_etag_opaque || parts == 0) return;
  if (parts > most_parts_asked && info.size / parts < part_worth_asking) return;
  ByteCount bytes = parts == 1 ? info.size : 0;
  for (std::uint32_t number = 1; number < parts; ++number) {
    const Outcome outcome =
        send(object.bucket, [&](const aws::S3Requests& s3) { return s3.head_part(object, info.version_id, number); });
    if (outcome.failure) {
      constexpr int server_failure = 500;
      if (outcome.failure->status >= server_failure) throw aws::to_error(*outcome.failure, to_uri(object));
      return;
    }
    const ByteCount told = aws::parse_part_bytes(outcome.answer->exchange.head());
    if (number == 1) bytes = told;
    if (told != bytes || bytes == 0 || (info.size + bytes - 1) / bytes != parts) return;
  }
  info.part_bytes = bytes;
}

/// What a HEAD cannot tell, since its answer has no body: whether the store itself says that the object is absent, or
/// may not be read, or why the request was refused. Asks for one byte, which needs the same permission; on the way the
/// region, the clock and the credentials are put right. Of objects that are empty or archived there is no first byte:
/// for them another HEAD is sent.
std::optional<store::ObjectInfo> S3Store::look_by_get(const ObjectAddress& object,
                                                      const store::ReadConditions& conditions,
                                                      const http::AnswerHead* without_size) {
  const std::string where = to_uri(object);
  const auto first_byte = store::ByteRange::at(0, 1);
  const Outcome outcome =
      send(object.bucket, [&](const aws::S3Requests& s3) { return s3.get(object, first_byte, conditions); });
  if (outcome.failure && aws::says_absent(*outcome.failure)) return std::nullopt;
  if (outcome.failure) {
    const bool is_empty = outcome.failure->code == "InvalidRange";
    if (is_empty && without_size != nullptr) return aws::parse_object_info(with_length(*without_size, "0"), where);
    if (!is_empty && outcome.failure->code != "InvalidObjectState") throw aws::to_error(*outcome.failure, where);
    const Outcome again = send(object.bucket, [&](const aws::S3Requests& s3) { return s3.head(object, conditions); });
    if (!again.failure) return read_head(object, again, conditions);
    if (!is_empty) throw aws::to_error(*outcome.failure, where);
    throw aws::not_from_service("HEAD says that the object is absent, and GET that it is not", where);
  }
  store::ObjectInfo info = aws::parse_object_info(outcome.answer->exchange.head(), where);
  check_is_asked(info, conditions, where);
  return info;
}

store::DeleteResult S3Store::remove(const ObjectAddress& object, const VersionId& version,
                                    const store::DeleteConditions& conditions) {
  check_object_key(object.key);
  store::check_remove(object, version, conditions);
  const std::string where = to_uri(object);
  OpenCall answer =
      open(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.remove(object, version, conditions); });
  aws::check_no_page(read_text(answer, most_answer_bytes), where);
  const http::AnswerHead& head = answer.exchange.head();
  // Success without a word and without a header of S3 is what a portal answers too.
  if (!aws::has_service_header(head) && look_by_get(object, {.version_id = version, .if_match = {}}))
    throw Error(ErrorKind::corrupt, "the object is still there after it was deleted", where,
                "another server answered the request, or somebody wrote the object again");
  return aws::parse_remove(head);
}

/// Deletes objects that one request can name.
std::vector<store::RemoveOutcome> S3Store::remove_in_one(const BucketName& bucket,
                                                         const std::vector<store::ObjectToRemove>& objects) {
  const std::string where = where_of(bucket);
  Outcome outcome = routes_.send(bucket, [&](const aws::S3Requests& s3) { return s3.remove_all(bucket, objects); },
                                 nullptr, {.deadlines = {.idle = patience_for_assembly}});
  if (outcome.failure) {
    constexpr int not_allowed = 405, not_implemented = 501;
    // Whoever answers so, the server or a proxy that lets no POST through: one by one they may be deleted.
    if (outcome.failure->status != not_allowed && outcome.failure->status != not_implemented)
      throw aws::to_error(*outcome.failure, where);
    throw Error(ErrorKind::unsupported, "the server does not delete many objects in one request", where,
                "delete them one by one")
        .with_code("NotImplemented");
  }
  const std::string body = read_text(*outcome.answer, most_answer_bytes);
  return aws::parse_remove_all(outcome.answer->exchange.head(), body, bucket, objects);
}

std::vector<store::RemoveOutcome> S3Store::remove_all(const BucketName& bucket,
                                                      const std::vector<store::ObjectToRemove>& objects) {
  store::check_remove_all(objects);
  for (const store::ObjectToRemove& object : objects) {
    check_object_key(object.key);
    store::check_remove({bucket, object.key}, object.version_id, object.conditions);
  }
  std::vector<store::RemoveOutcome> outcomes(objects.size());
  std::vector<store::ObjectToRemove> together;
  std::vector<std::size_t> places, alone;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (aws::fits_in_xml(objects[i].key)) {
      together.push_back(objects[i]);
      places.push_back(i);
    } else {
      alone.push_back(i);
    }
  }
  if (!together.empty()) {
    std::vector<store::RemoveOutcome> done = remove_in_one(bucket, together);
    for (std::size_t i = 0; i < places.size(); ++i) outcomes[places[i]] = std::move(done[i]);
  }
  for (const std::size_t i : alone) {
    try {
      outcomes[i].result = remove({bucket, objects[i].key}, objects[i].version_id, objects[i].conditions);
    } catch (const Error& error) {
      outcomes[i].error = error;
    }
  }
  return outcomes;
}

store::PutResult S3Store::copy(const store::CopySource& from, const ObjectAddress& to,
                               const std::optional<store::ObjectAttributes>& replace,
                               const store::WriteConditions& conditions) {
  check_object_key(to.key);
  if (replace) store::check_attributes(*replace);
  store::check_copy(from, to, replace);
  const store::ObjectAttributes attributes = replace.value_or(store::ObjectAttributes{});
  OpenCall answer = naming_features(to.bucket, {attributes}, [&] {
    return open(to.bucket, to_uri(to),
                [&](const aws::S3Requests& s3) {
                  aws::Call call = s3.copy(from, to, replace, conditions);
                  routes_.name_owner(call, from.address.bucket, source_owner_header);
                  return call;
                },
                nullptr, {.deadlines = {.idle = patience_for_assembly}});
  });
  const std::string body = read_text(answer, most_answer_bytes);
  return aws::parse_copy(answer.exchange.head(), body, to_uri(to));
}

store::ListPage S3Store::list(const BucketName& bucket, const store::ListRequest& request) {
  const std::string where = where_of(bucket);
  auto page =
      aws::parse_list(fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.list(bucket, request); }), where);
  aws::check_next(page.next, request.continuation, where);
  return page;
}

store::VersionPage S3Store::list_versions(const BucketName& bucket, const store::ListRequest& request) {
  const std::string where = where_of(bucket);
  auto page = aws::parse_versions(
      fetch(bucket, where, [&](const aws::S3Requests& s3) { return s3.list_versions(bucket, request); }), where);
  aws::check_next(page.next, request.continuation, where);
  return page;
}

store::Tags S3Store::get_tags(const ObjectAddress& object, const VersionId& version) {
  const std::string where = to_uri(object);
  OpenCall answer = open(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.get_tags(object, version); });
  const std::string body = read_text(answer, most_answer_bytes);
  // Ceph RGW 16 says nothing about an object whose upload had tags: it has forgotten them.
  if (body.empty() && !routes_.is_aws(object.bucket) && aws::has_service_header(answer.exchange.head())) return {};
  return aws::parse_tags(body, where);
}

void S3Store::set_tags(const ObjectAddress& object, const store::Tags& tags, const VersionId& version) {
  store::check_tags(tags);
  store::ObjectAttributes attributes;
  attributes.tags = tags;
  naming_features(object.bucket, {attributes}, [&] {
    run(object.bucket, to_uri(object), [&](const aws::S3Requests& s3) { return s3.set_tags(object, tags, version); });
  });
}

// Multipart

UploadId S3Store::create_upload(const ObjectAddress& object, const store::ObjectAttributes& attributes) {
  check_object_key(object.key);
  store::check_attributes(attributes);
  const std::string where = to_uri(object);
  const bool has_checksum = attributes.checksum_algorithm && session_.sends_checksums();
  const std::string body = naming_features(object.bucket, {attributes, has_checksum}, [&] {
    return fetch(object.bucket, where, [&](const aws::S3Requests& s3) { return s3.create_upload(object, attributes); });
  });
  return aws::parse_create_upload(body, where);
}

ETag S3Store::upload_part(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                          store::Body& body) {
  store::check_part_number(number);
  store::check_upload_size(body.size());
  const std::string where = to_uri(object);
  const store::BodyDigests digests = body.digests();
  const bool has_checksum = digests.checksum && session_.sends_checksums();
  StoreBody content(body);
  // Only the checksum that the caller gives: parts may only have one when the upload was begun with its algorithm.
  OpenCall answer = naming_features(object.bucket, {{}, has_checksum}, [&] {
    return open(
        object.bucket, where,
        [&](const aws::S3Requests& s3) { return s3.upload_part(object, upload, number, digests); }, &content,
        options_for(object.bucket, digests));
  });
  read_text(answer, most_answer_bytes);
  return aws::parse_part(answer.exchange.head(), where);
}

ETag S3Store::upload_part_copy(const ObjectAddress& object, const UploadId& upload, std::uint32_t number,
                               const store::CopySource& from, const std::optional<store::ByteRange>& range) {
  store::check_part_number(number);
  store::check_range(range);
  const std::string where = to_uri(object);
  OpenCall answer = open(object.bucket, where,
                         [&](const aws::S3Requests& s3) {
                           aws::Call call = s3.upload_part_copy(object, upload, number, from, range);
                           routes_.name_owner(call, from.address.bucket, source_owner_header);
                           return call;
                         },
                         nullptr, {.deadlines = {.idle = patience_for_assembly}});
  const std::string body = read_text(answer, most_answer_bytes);
  return aws::parse_part_copy(answer.exchange.head(), body, where);
}

store::PutResult S3Store::complete_upload(const ObjectAddress& object, const UploadId& upload,
                                          const std::vector<store::UploadedPart>& parts,
                                          const store::WriteConditions& conditions) {
  store::check_part_order(parts);
  store::check_whole_checksum(conditions.checksum);
  const std::string where = to_uri(object);
  const bool has_parts_checksum =
      std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.checksum.has_value(); });
  const bool has_checksum = has_parts_checksum || conditions.checksum;
  OpenCall answer = naming_features(object.bucket, {{}, has_checksum && session_.sends_checksums()}, [&] {
    return open(object.bucket, where,
                [&](const aws::S3Requests& s3) { return s3.complete_upload(object, upload, parts, conditions); },
                nullptr, {.deadlines = {.idle = patience_for_assembly}});
  });
  const std::string body = read_text(answer, most_answer_bytes);
  return aws::parse_complete(answer.exchange.head(), body, where);
}

void S3Store::abort_upload(const ObjectAddress& object, const UploadId& upload) {
  try {
    run(object.bucket, to_uri(object), [&](const aws::S3Requests& s3) { return s3.abort_upload(object, upload); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found || error.code() == "NoSuchBucket") throw;
  }
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
    if (page.next.empty()) return all;
    aws::check_next(page.next, std::to_string(after), where);
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
    aws::check_next(page.next, continuation, where);
    continuation = page.next;
  } while (!continuation.empty());
  return all;
}

// Archive classes, links

void S3Store::restore(const ObjectAddress& object, int days, const std::string& tier, const VersionId& version) {
  run(object.bucket, to_uri(object),
      [&](const aws::S3Requests& s3) { return s3.restore(object, days, tier, version); });
}

std::string S3Store::presign_get(const ObjectAddress& object, std::chrono::seconds expires) {
  const std::string region = routes_.region_of(object.bucket);
  return session_.presign(routes_.requests_for(region).get(object, std::nullopt, {}), region, expires);
}

}  // namespace bale::cloud
