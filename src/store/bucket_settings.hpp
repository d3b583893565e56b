// Port: the settings of a bucket, besides versioning and notifications (object_store.hpp), with the semantics of Amazon
// S3.
//
// One contract suite (tests/contract/bucket_settings_suite.hpp) defines what every kind must do. Errors are bale::Error
// with S3's own code in code().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/names.hpp"
#include "store/object_store.hpp"

namespace bale::store {

/// Limits of S3. https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html,
/// https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/allocation-tag-restrictions.html
inline constexpr std::size_t max_lifecycle_rules = 1000;
inline constexpr std::size_t max_rule_id_characters = 255;
inline constexpr std::size_t max_bucket_tags = 50;

/// How new objects are encrypted whose writer names no encryption.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html
struct BucketEncryption {
  std::string algorithm = "AES256";  ///< "AES256" (SSE-S3), "aws:kms" or "aws:kms:dsse" (SSE-KMS)
  std::string kms_key;               ///< of SSE-KMS: ID or ARN of the key; empty: the key of AWS for S3
  bool has_bucket_key = false;       ///< of SSE-KMS: one key of the bucket spares requests to KMS
  friend bool operator==(const BucketEncryption&, const BucketEncryption&) = default;
};

/// What of public access S3 ignores and refuses.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PublicAccessBlockConfiguration.html
struct PublicAccessBlock {
  bool blocks_acls = false;        ///< BlockPublicAcls
  bool ignores_acls = false;       ///< IgnorePublicAcls
  bool blocks_policy = false;      ///< BlockPublicPolicy
  bool restricts_buckets = false;  ///< RestrictPublicBuckets
  static constexpr PublicAccessBlock all() { return {true, true, true, true}; }
  friend bool operator==(const PublicAccessBlock&, const PublicAccessBlock&) = default;
};

/// What happens to objects of a bucket, and to uploads that are not completed, after some days.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
struct LifecycleRule {
  std::string id;  ///< unique in the bucket; empty: S3 makes one
  bool is_enabled = true;
  std::string prefix;  ///< only keys that start with this
  /// Days after its begin at which an upload that was not completed is aborted.
  std::optional<std::uint32_t> abort_uploads_days = {};
  /// Days after its last change at which an object expires.
  std::optional<std::uint32_t> expire_days = {};
  /// Days after its last change at which an object moves to `transition_class`; 0: within a day. Of a rule that was
  /// read: the first of its transitions.
  std::optional<std::uint32_t> transition_days = {};
  std::string transition_class = {};  ///< with transition_days: GLACIER, DEEP_ARCHIVE, ...
  /// The whole rule as the service wrote it, for rules that were read: they are sent back as this, whatever the other
  /// members say, so that nothing of a rule is lost that has no member here (transitions, filters by tag or size, ...).
  /// Empty for a new rule.
  std::string as_written = {};
  /// Of a rule that was read: it has a filter besides `prefix`.
  bool has_other_filter = false;
  friend bool operator==(const LifecycleRule&, const LifecycleRule&) = default;
};

/// All rules of a bucket.
struct Lifecycle {
  std::vector<LifecycleRule> rules;
  /// x-amz-transition-default-minimum-object-size as the service tells it, to be sent back unchanged.
  std::string minimum_transition_size = {};
  friend bool operator==(const Lifecycle&, const Lifecycle&) = default;
};

/// Returns the rules with `rule` in the place of the one with its ID, or at the end where there is none.
Lifecycle with_rule(Lifecycle lifecycle, const LifecycleRule& rule);

/// Returns after how many days every upload of the bucket is aborted that was not completed, whatever its key; absent
/// where no rule does so.
std::optional<std::uint32_t> days_of_uploads(const Lifecycle& lifecycle);

/// The settings of buckets as seen from one region. Thread-safe. Buckets of other regions are reached as well. Every
/// function throws Error{not_found} NoSuchBucket. What a set function replaces is lost: a change of another in between
/// reading and setting is overwritten, since S3 knows no condition here.
class BucketSettings {
 public:
  virtual ~BucketSettings() = default;

  /// As ObjectStore::expect_owner().
  virtual void expect_owner(const BucketName& bucket, const std::string& account) = 0;

  /// Absent where none is set, and the service encrypts nothing by itself.
  virtual std::optional<BucketEncryption> get_encryption(const BucketName& bucket) = 0;
  /// Error{invalid} InvalidEncryptionAlgorithmError, InvalidArgument (a key without SSE-KMS).
  virtual void set_encryption(const BucketName& bucket, const BucketEncryption& encryption) = 0;

  /// All false where none is set.
  virtual PublicAccessBlock get_public_access_block(const BucketName& bucket) = 0;
  virtual void set_public_access_block(const BucketName& bucket, const PublicAccessBlock& block) = 0;

  /// Without rules where none is set.
  virtual Lifecycle get_lifecycle(const BucketName& bucket) = 0;
  /// Replaces all rules; no rules remove the setting. Error{invalid} InvalidArgument (two rules of one ID, an ID that
  /// is too long, 0 days), InvalidRequest (a rule without an action, too many rules).
  virtual void set_lifecycle(const BucketName& bucket, const Lifecycle& lifecycle) = 0;

  virtual Tags get_tags(const BucketName& bucket) = 0;
  /// Replaces all tags; no tags remove the setting. AWS refuses to lose tags of its own, whose keys start with "aws:":
  /// they have to be among `tags` as get_tags() gave them. Error{invalid} as check_bucket_tags().
  virtual void set_tags(const BucketName& bucket, const Tags& tags) = 0;
};

/// Checks what a set function is given, as S3 does; every kind does it before anything else. They throw Error{invalid}
/// with S3's code. Tags: at most 50, otherwise as those of objects (check_tags()).
void check_encryption(const BucketEncryption& encryption);
void check_lifecycle(const Lifecycle& lifecycle);
void check_bucket_tags(const Tags& tags);

}  // namespace bale::store
