#include "store/retrying_bucket_settings.hpp"

namespace bale::store {

std::optional<BucketEncryption> RetryingBucketSettings::get_encryption(const BucketName& bucket) {
  return flow::retry(retrier_, [&] { return inner_.get_encryption(bucket); });
}

void RetryingBucketSettings::set_encryption(const BucketName& bucket, const BucketEncryption& encryption) {
  flow::retry(retrier_, [&] { inner_.set_encryption(bucket, encryption); });
}

PublicAccessBlock RetryingBucketSettings::get_public_access_block(const BucketName& bucket) {
  return flow::retry(retrier_, [&] { return inner_.get_public_access_block(bucket); });
}

void RetryingBucketSettings::set_public_access_block(const BucketName& bucket, const PublicAccessBlock& block) {
  flow::retry(retrier_, [&] { inner_.set_public_access_block(bucket, block); });
}

Lifecycle RetryingBucketSettings::get_lifecycle(const BucketName& bucket) {
  return flow::retry(retrier_, [&] { return inner_.get_lifecycle(bucket); });
}

void RetryingBucketSettings::set_lifecycle(const BucketName& bucket, const Lifecycle& lifecycle) {
  flow::retry(retrier_, [&] { inner_.set_lifecycle(bucket, lifecycle); });
}

Tags RetryingBucketSettings::get_tags(const BucketName& bucket) {
  return flow::retry(retrier_, [&] { return inner_.get_tags(bucket); });
}

void RetryingBucketSettings::set_tags(const BucketName& bucket, const Tags& tags) {
  flow::retry(retrier_, [&] { inner_.set_tags(bucket, tags); });
}

}  // namespace bale::store
