#include "cli/cloud_backend.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "cloud/enforcing_store.hpp"
#include "cloud/s3_store.hpp"
#include "queue/retrying_queue.hpp"
#include "records/retrying_records.hpp"
#include "store/retrying_bucket_settings.hpp"
#include "store/retrying_store.hpp"

namespace bale::cli {
namespace {

cloud::SessionOptions session_options(const GlobalOptions& options) {
  return {.endpoint_url = options.endpoint_url,
          .region = options.region,
          .profile = options.profile,
          .s3_endpoint_url = options.s3_endpoint_url,
          .ca_bundle = options.ca_bundle,
          .idle_connections = options.idle_connections};
}

flow::RetrySettings retry_settings(const cloud::Session& session) {
  flow::RetrySettings settings;
  settings.max_attempts = session.max_attempts().value_or(settings.max_attempts);
  return settings;
}

/// Tells the log, and `watch` where there is one, what is tried again. `log` is borrowed.
flow::Retrier::Notice told_to(telemetry::Log& log, const char* service, RetryWatch watch = {}) {
  return [&log, service, watch = std::move(watch)](const Error& failure, std::uint32_t attempt, Milliseconds delay) {
    if (watch) watch(failure);
    log.info("request.retry", "a request failed in passing and is tried again",
             {{"service", service},
              {"attempt", attempt},
              {"wait_ms", delay.count()},
              {"code", failure.code()},
              {"error", failure.summary()},
              {"where", failure.where()}});
  };
}

flow::Retrier::Failed noted_by(cloud::Session& session) {
  return [&session](const Error& failure) { session.note_failure(failure); };
}

}  // namespace

CloudBackend::CloudBackend(os::World& world, const GlobalOptions& options, telemetry::Log& log, RetryWatch watch)
    : session_(world, os::system_processes(), session_options(options)),
      s3_retrier_(world, retry_settings(session_), told_to(log, "s3", std::move(watch)), noted_by(session_)),
      sqs_retrier_(world, retry_settings(session_), told_to(log, "sqs"), noted_by(session_)),
      dynamodb_retrier_(world, retry_settings(session_), told_to(log, "dynamodb"), noted_by(session_)),
      athena_retrier_(world, retry_settings(session_), told_to(log, "athena"), noted_by(session_)) {}

std::optional<TimePoint> CloudBackend::credentials_end() {
  // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html, DurationSeconds
  constexpr std::chrono::hours longest_session{36};
  const aws::Credentials credentials = session_.credentials();
  if (credentials.expires || credentials.session_token.empty()) return credentials.expires;
  const TimePoint latest = session_.world().clock.now() + longest_session;
  // What `aws configure export-credentials --format env` writes beside the keys.
  const os::Environment& environment = session_.world().environment;
  const auto written = environment.get("AWS_CREDENTIAL_EXPIRATION");
  if (!written || environment.get("AWS_ACCESS_KEY_ID") != credentials.access_key_id) return latest;
  try {
    return std::min(latest, parse_time(*written));
  } catch (const Error&) {
    return latest;  // the keys count, and they are there
  }
}

store::ObjectStore& CloudBackend::client(const Region& region) {
  return *stores_.emplace_back(std::make_unique<cloud::S3Store>(session_, region));
}

bool CloudBackend::is_aws(const Region& region) const {
  return aws::is_aws(session_.endpoint(aws::Service::s3, region.str()));
}

std::string CloudBackend::s3_service(const Region& region) const {
  if (is_aws(region)) return "aws";
  const aws::Endpoint endpoint = session_.endpoint(aws::Service::s3, region.str());
  return endpoint.origin.scheme + "://" + endpoint.origin.authority() + endpoint.base_path;
}

/// A client; where the server is not that of AWS, within an EnforcingStore. Retries are outside of it: each attempt has
/// to check the conditions that the server does not evaluate. Inside, an attempt after a lost response would overwrite
/// what another writer wrote in between (docs/adr/0012).
store::ObjectStore& CloudBackend::enforcing_client(const Region& region) {
  store::ObjectStore& bare = client(region);
  if (is_aws(region)) return bare;
  return *stores_.emplace_back(std::make_unique<cloud::EnforcingStore>(bare, session_.world().clock));
}

std::unique_ptr<store::ObjectStore> CloudBackend::store(const Region& region) {
  return std::make_unique<store::RetryingStore>(enforcing_client(region), s3_retrier_);
}

std::unique_ptr<store::ObjectStore> CloudBackend::bare_store(const Region& region) {
  return std::make_unique<store::RetryingStore>(client(region), s3_retrier_);
}

std::unique_ptr<store::ObjectStore> CloudBackend::stoppable_store(const Region& region, std::stop_token stop) {
  store::ObjectStore*& shared = stoppable_stores_[region.str()];
  if (shared == nullptr) shared = &enforcing_client(region);
  return std::make_unique<store::RetryingStore>(*shared, s3_retrier_, std::move(stop));
}

std::unique_ptr<store::BucketSettings> CloudBackend::bucket_settings(const Region& region) {
  bucket_settings_.push_back(std::make_unique<cloud::S3BucketSettings>(session_, region));
  return std::make_unique<store::RetryingBucketSettings>(*bucket_settings_.back(), s3_retrier_);
}

std::unique_ptr<queue::MessageQueue> CloudBackend::queues(const Region& region) {
  queues_.push_back(std::make_unique<cloud::SqsQueues>(session_, region));
  return std::make_unique<queue::RetryingQueue>(*queues_.back(), sqs_retrier_);
}

std::unique_ptr<records::RecordStore> CloudBackend::records(const Region& region) {
  records_.push_back(std::make_unique<cloud::DynamoRecords>(session_, region));
  return std::make_unique<records::RetryingRecords>(*records_.back(), dynamodb_retrier_);
}

AthenaAccess CloudBackend::athena(const Region& region) {
  athenas_.push_back(std::make_unique<cloud::AthenaClient>(session_, region));
  return {*athenas_.back(), athena_retrier_};
}

}  // namespace bale::cli
