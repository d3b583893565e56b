// Where a bucket's requests go: its region's endpoint, in the name of its owner.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "aws/s3.hpp"
#include "base/mutex.hpp"
#include "cloud/session.hpp"

namespace bale::cloud {

/// Sends requests for buckets, seen from one region. Buckets of other regions are found by following the service's
/// redirect once, and remembered. Tries nothing twice beyond that. Thread-safe. Borrows the session.
class S3Routes {
 public:
  /// Makes a request for the endpoint that it is given: a redirect asks for it again.
  using Build = std::function<aws::Call(const aws::S3Requests&)>;

  /// Throws Error{invalid} for an endpoint that is none.
  S3Routes(Session& session, Region region);

  const Region& region() const noexcept { return region_; }
  std::string region_of(const BucketName& bucket);
  /// Returns the requests to a region's endpoint, which stay valid as long as the routes.
  const aws::S3Requests& requests_for(const std::string& region);
  /// Whether AWS answers for the bucket.
  bool is_aws(const BucketName& bucket);

  /// As store::ObjectStore::expect_owner().
  void expect_owner(const BucketName& bucket, const std::string& account);
  /// Adds the account that is to own the bucket to a request, where it is known.
  void name_owner(aws::Call& call, const BucketName& bucket, const char* header);

  /// Sends a request for a bucket, or for none (an empty name), to its region, in the name of its expected owner. A
  /// refusal is no exception.
  Outcome send(const BucketName& bucket, const Build& build, http::Body* body = nullptr,
               const SendOptions& options = {});
  /// As send(), where a refusal is an Error.
  OpenCall open(const BucketName& bucket, const std::string& where, const Build& build, http::Body* body = nullptr,
                const SendOptions& options = {});
  /// Sends and reads the whole answer.
  std::string fetch(const BucketName& bucket, const std::string& where, const Build& build);
  /// Sends what is answered with nothing, or nothing of interest. Throws Error{unavailable} for a page.
  void run(const BucketName& bucket, const std::string& where, const Build& build);

 private:
  Session& session_;
  const Region region_;
  const aws::Addressing addressing_;
  Mutex mutex_;
  std::map<std::string, aws::S3Requests> requests_ BALE_GUARDED_BY(mutex_);  // by region; its nodes stay where they are
  std::map<BucketName, std::string> regions_ BALE_GUARDED_BY(mutex_);        // of buckets elsewhere
  std::map<BucketName, std::string> owners_ BALE_GUARDED_BY(mutex_);         // accounts that expect_owner() gave
};

/// The longest answer that is read whole: a page of 1,000 keys of 1,024 bytes, each byte percent-encoded, with its
/// markup, stays well below.
inline constexpr ByteCount most_answer_bytes = 16 << 20;

/// Returns the bucket's place in messages.
inline std::string where_of(const BucketName& bucket) { return "s3://" + bucket.str(); }

}  // namespace bale::cloud
