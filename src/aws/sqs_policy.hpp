// Who may send to a queue: SQS's policy documents. Pure.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/names.hpp"

namespace bale::aws {

/// The policy `present` (empty: none yet) with which S3 may send the events of `buckets`, and of no others by us, to
/// the queue; the buckets are of the queue's account. Statements of others are kept. Equal to `present` where that says
/// so already. Throws Error{invalid} naming `where` for a policy that is no JSON object, Error{corrupt} for an ARN that
/// is none.
std::string allow_bucket_events(const std::string& present, const std::string& queue_arn,
                                const std::vector<BucketName>& buckets, const std::string& where);

/// The Policy in the answer of GetQueueAttributes; empty when there is none. Throws Error{corrupt} naming `where` for
/// what is no answer.
std::string parse_policy(std::string_view body, const std::string& where);

}  // namespace bale::aws
