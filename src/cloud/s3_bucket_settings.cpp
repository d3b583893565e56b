#include "cloud/s3_bucket_settings.hpp"

#include "aws/s3.hpp"
#include "base/error.hpp"

namespace bale::cloud {

/// Returns the document of a setting; absent where none is set.
std::optional<S3BucketSettings::Document> S3BucketSettings::get(const BucketName& bucket,
                                                                const aws::BucketSetting& setting) {
  Outcome outcome = routes_.send(bucket, [&](const aws::S3Requests& s3) { return s3.get_setting(bucket, setting); });
  if (outcome.failure) {
    if (outcome.failure->is_from_service && outcome.failure->code == setting.none_code) return std::nullopt;
    throw aws::to_error(*outcome.failure, where_of(bucket));
  }
  std::string body = read_text(*outcome.answer, most_answer_bytes);
  aws::check_knows_setting(setting, body, where_of(bucket));
  return Document{outcome.answer->exchange.head(), std::move(body)};
}

void S3BucketSettings::set(const BucketName& bucket, const aws::BucketSetting& setting, const std::string& content) {
  routes_.run(bucket, where_of(bucket),
              [&](const aws::S3Requests& s3) { return s3.set_setting(bucket, setting, content); });
}

void S3BucketSettings::remove(const BucketName& bucket, const aws::BucketSetting& setting) {
  routes_.run(bucket, where_of(bucket), [&](const aws::S3Requests& s3) { return s3.remove_setting(bucket, setting); });
}

std::optional<store::BucketEncryption> S3BucketSettings::get_encryption(const BucketName& bucket) {
  const auto document = get(bucket, aws::encryption_setting);
  return document ? aws::parse_encryption(document->body, where_of(bucket)) : std::nullopt;
}

void S3BucketSettings::set_encryption(const BucketName& bucket, const store::BucketEncryption& encryption) {
  store::check_encryption(encryption);
  set(bucket, aws::encryption_setting, aws::encryption_xml(encryption));
}

store::PublicAccessBlock S3BucketSettings::get_public_access_block(const BucketName& bucket) {
  const auto document = get(bucket, aws::public_access_setting);
  return document ? aws::parse_public_access(document->body, where_of(bucket)) : store::PublicAccessBlock{};
}

void S3BucketSettings::set_public_access_block(const BucketName& bucket, const store::PublicAccessBlock& block) {
  set(bucket, aws::public_access_setting, aws::public_access_xml(block));
}

store::Lifecycle S3BucketSettings::get_lifecycle(const BucketName& bucket) {
  const auto document = get(bucket, aws::lifecycle_setting);
  return document ? aws::parse_lifecycle(document->head, document->body, where_of(bucket)) : store::Lifecycle{};
}

void S3BucketSettings::set_lifecycle(const BucketName& bucket, const store::Lifecycle& lifecycle) {
  store::check_lifecycle(lifecycle);
  if (lifecycle.rules.empty()) return remove(bucket, aws::lifecycle_setting);  // S3 refuses a document without rules
  routes_.run(bucket, where_of(bucket), [&](const aws::S3Requests& s3) {
    aws::Call call = s3.set_setting(bucket, aws::lifecycle_setting, aws::lifecycle_xml(lifecycle));
    if (!lifecycle.minimum_transition_size.empty())
      call.request.headers.add(aws::minimum_transition_size_header, lifecycle.minimum_transition_size);
    return call;
  });
}

store::Tags S3BucketSettings::get_tags(const BucketName& bucket) {
  const auto document = get(bucket, aws::tags_setting);
  return document ? aws::parse_tags(document->body, where_of(bucket)) : store::Tags{};
}

void S3BucketSettings::set_tags(const BucketName& bucket, const store::Tags& tags) {
  store::check_bucket_tags(tags);
  if (tags.empty()) return remove(bucket, aws::tags_setting);
  set(bucket, aws::tags_setting, aws::tags_xml(tags));
}

}  // namespace bale::cloud
