// The bucket of a project: whether it is there, whose it is, and how it is made and configured.
#pragma once

#include <functional>
#include <string>

#include "config/raw.hpp"
#include "jobs/raw/record.hpp"
#include "jobs/raw/tools.hpp"
#include "records/record_store.hpp"
#include "store/bucket_settings.hpp"
#include "store/object_store.hpp"

namespace bale::raw {

/// Where buckets and their claims are. Borrowed.
struct BucketPorts {
  store::ObjectStore& store;
  store::BucketSettings* settings;  ///< null: settings are neither read nor made
  records::RecordStore& record_store;
  RawRecords& records;
  bool is_aws = true;  ///< the object store is that of AWS, and not of another server
};

/// Codes of the errors of prepare_bucket(), beside those of S3.
inline constexpr const char* bucket_elsewhere = "BucketElsewhere";              ///< it is in another region
inline constexpr const char* bucket_of_other_project = "BucketOfOtherProject";  ///< two projects give one name

/// The days after which S3 aborts uploads that were not completed, in buckets that are made or repaired here.
inline constexpr std::uint32_t abort_uploads_after_days = 7;

/// Makes sure that the record's bucket can be used, before a byte is sent.
///
/// The bucket is claimed for the record's project in the record store, and, where its tags can be read, the tag
/// "bale-project" is compared: two projects whose names give one bucket name never share a bucket. The configuration's
/// expected owner is sent with every request to the bucket from here on. With auto_create_buckets a missing bucket is
/// made, and of one that is there every missing setting is added: versioning, default encryption, a block of public
/// access, a rule that aborts incomplete uploads after 7 days, and the tags ManagedBy and bale-project. A setting that
/// the server or the credentials refuse is remarked and left out. Where a bucket of another server than AWS gets the
/// block of public access, a part of one byte is uploaded and the upload aborted. If the server refuses the part (Ceph
/// RGW 16 does), the bucket gets the block without BlockPublicAcls.
///
/// Throws Error: not_found NoSuchBucket, precondition with bucket_elsewhere or bucket_of_other_project or
/// BucketAlreadyExists. Where the service refuses to say whether the bucket is there (403), this is remarked, and the
/// upload finds out.
void prepare_bucket(const BucketPorts& ports, const RawRecord& record, const config::RawS3& settings,
                    const Tools& tools, const std::function<void(const std::string&)>& remark);

/// Returns the error of an upload with the bucket's part in it: somebody else's bucket, a missing right, a bucket that
/// is missing though the service did not say so before. Other errors are returned as they are. Pure.
Error explain_refusal(const Error& error, const BucketName& bucket, const Region& region);

/// Takes the block of ACLs out of a bucket's block of public access, for servers that refuse every upload because of it
/// (Ceph RGW 16). Returns whether it was there. Not for AWS, which refuses public ACLs alone.
bool allow_acls(store::BucketSettings& settings, const BucketName& bucket);

/// Returns the remark about a bucket of which allow_acls() has taken the block out. Pure.
std::string without_acl_block(const BucketName& bucket);

/// Aborts the uploads that the record names, and removes them from it; then all other uploads to the keys of the record
/// that the bucket lists: a run that is killed may have begun one that is not in the record yet. Without the right to
/// list uploads (s3:ListBucketMultipartUploads) those are left, and `remark` is told. `save` makes the record durable.
/// Returns how many there were. Throws Error naming an upload that is still there after several attempts.
std::size_t abort_uploads(RawRecord& record, store::ObjectStore& store, const std::function<void()>& save,
                          const std::function<void(const std::string&)>& remark);

}  // namespace bale::raw
