// AWS, or servers that speak its protocols, as the kinds of the ports.
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/names.hpp"
#include "cli/context.hpp"
#include "cloud/athena_client.hpp"
#include "cloud/dynamo_records.hpp"
#include "cloud/s3_bucket_settings.hpp"
#include "cloud/session.hpp"
#include "cloud/sqs_queue.hpp"
#include "flow/retrier.hpp"

namespace bale::cli {

/// Athena in one region, and the retries of requests to it. Both are borrowed from the backend.
struct AthenaAccess {
  cloud::AthenaClient& client;
  flow::Retrier& retrier;
};

/// One session with the services, and the ports over it, each of which tries again what failed in passing: one budget
/// of retries for each service, over all regions. Used by one thread at a time; the ports are thread-safe. Outlives
/// every port that it made.
class CloudBackend {
 public:
  /// Reads the shared configuration files; asks nobody anything yet. Borrows `world` and `log`, which get a line at
  /// level info for each request that is tried again. `watch` is told of each failure of a request to S3 that is tried
  /// again, by any thread; it may be empty. Throws Error{invalid} for configuration that cannot be.
  CloudBackend(os::World& world, const GlobalOptions& options, telemetry::Log& log, RetryWatch watch = {});

  /// --region, the environment, the profile; absent when none says one.
  std::optional<std::string> region() const { return session_.region(); }

  /// When what the credentials sign now ends at the latest: when they end, or where only their kind is known, the
  /// longest time from now that such credentials last. Absent for those that do not end. Throws what their sources
  /// throw.
  std::optional<TimePoint> credentials_end();

  /// As cloud::Session::break_off_on().
  void break_off_on(std::stop_token stop) { session_.break_off_on(std::move(stop)); }

  /// Where S3 is, as far as it tells one service from another: "aws" for AWS itself, whose buckets' names are distinct
  /// in all regions, else the address. Throws as store() does.
  std::string s3_service(const Region& region) const;

  /// The ports as seen from a region. Each throws Error{invalid} for an endpoint that is none, with the place where it
  /// is written.
  std::unique_ptr<store::ObjectStore> store(const Region& region);
  /// The same store without cloud::EnforcingStore: what the server does is what the caller sees.
  std::unique_ptr<store::ObjectStore> bare_store(const Region& region);
  /// The same store as store(), whose requests are not tried again once `stop` is requested. All of a region share
  /// their connections.
  std::unique_ptr<store::ObjectStore> stoppable_store(const Region& region, std::stop_token stop);
  std::unique_ptr<store::BucketSettings> bucket_settings(const Region& region);
  std::unique_ptr<queue::MessageQueue> queues(const Region& region);
  std::unique_ptr<records::RecordStore> records(const Region& region);
  /// Valid as long as the backend.
  AthenaAccess athena(const Region& region);

 private:
  store::ObjectStore& client(const Region& region);
  store::ObjectStore& enforcing_client(const Region& region);
  bool is_aws(const Region& region) const;
  cloud::Session session_;
  flow::Retrier s3_retrier_, sqs_retrier_, dynamodb_retrier_, athena_retrier_;
  // What the decorators borrow.
  std::vector<std::unique_ptr<store::ObjectStore>> stores_;
  std::map<std::string, store::ObjectStore*> stoppable_stores_;  ///< of stores_, by region
  std::vector<std::unique_ptr<cloud::S3BucketSettings>> bucket_settings_;
  std::vector<std::unique_ptr<cloud::SqsQueues>> queues_;
  std::vector<std::unique_ptr<cloud::DynamoRecords>> records_;
  std::vector<std::unique_ptr<cloud::AthenaClient>> athenas_;
};

}  // namespace bale::cli
