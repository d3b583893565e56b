#include "cloud/s3_routes.hpp"

namespace bale::cloud {
namespace {

/// Refusals that say that the request was signed for, or sent to, the wrong region.
bool is_redirect(const aws::ServiceFailure& failure) {
  return failure.status == 301 || failure.status == 307 || failure.status == 400 || failure.status == 403;
}

}  // namespace

S3Routes::S3Routes(Session& session, Region region)
    : session_(session), region_(std::move(region)), addressing_(session.addressing()) {
  requests_for(region_.str());
}

std::string S3Routes::region_of(const BucketName& bucket) {
  const Lock lock(mutex_);
  const auto known = regions_.find(bucket);
  return known == regions_.end() ? region_.str() : known->second;
}

const aws::S3Requests& S3Routes::requests_for(const std::string& region) {
  const Lock lock(mutex_);
  const auto found = requests_.find(region);
  if (found != requests_.end()) return found->second;
  return requests_
      .try_emplace(region, session_.endpoint(aws::Service::s3, region), addressing_, session_.sends_checksums())
      .first->second;
}

void S3Routes::expect_owner(const BucketName& bucket, const std::string& account) {
  const Lock lock(mutex_);
  if (account.empty())
    owners_.erase(bucket);
  else
    owners_[bucket] = account;
}

void S3Routes::name_owner(aws::Call& call, const BucketName& bucket, const char* header) {
  const Lock lock(mutex_);
  const auto owner = owners_.find(bucket);
  if (owner != owners_.end()) call.request.headers.set(header, owner->second);
}

Outcome S3Routes::send(const BucketName& bucket, const Build& build, http::Body* body, const SendOptions& options) {
  const auto build_for = [&](const std::string& region) {
    aws::Call call = build(requests_for(region));
    name_owner(call, bucket, "x-amz-expected-bucket-owner");
    return call;
  };
  const std::string region = region_of(bucket);
  Outcome outcome = session_.send(build_for(region), aws::Service::s3, region, body, options);
  if (!outcome.failure || outcome.failure->region.empty() || outcome.failure->region == region ||
      !is_redirect(*outcome.failure) || bucket.empty())
    return outcome;
  const std::string elsewhere = outcome.failure->region;
  Outcome second = session_.send(build_for(elsewhere), aws::Service::s3, elsewhere, body, options);
  if (second.failure && second.failure->region != elsewhere && !second.failure->region.empty()) return second;
  const Lock lock(mutex_);
  regions_[bucket] = elsewhere;
  return second;
}

OpenCall S3Routes::open(const BucketName& bucket, const std::string& where, const Build& build, http::Body* body,
                        const SendOptions& options) {
  Outcome outcome = send(bucket, build, body, options);
  if (outcome.failure) throw aws::to_error(*outcome.failure, where);
  return std::move(*outcome.answer);
}

std::string S3Routes::fetch(const BucketName& bucket, const std::string& where, const Build& build) {
  OpenCall answer = open(bucket, where, build);
  return read_text(answer, most_answer_bytes);
}

void S3Routes::run(const BucketName& bucket, const std::string& where, const Build& build) {
  aws::check_no_page(fetch(bucket, where, build), where);
}

bool S3Routes::is_aws(const BucketName& bucket) { return aws::is_aws(requests_for(region_of(bucket)).endpoint()); }

}  // namespace bale::cloud
