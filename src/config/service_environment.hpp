// Services that are configured by environment variables alone: those of the containers of S3 Cross-Region Compressor,
// so that a task definition goes on working when its image is replaced.
#pragma once

#include "config/replication.hpp"
#include "os/environment.hpp"

namespace bale::config {

/// The source service: SQS_QUEUE_URL, BUCKET (outbound), STACK_NAME, REPLICATION_PARAMETERS_TABLE, and AWS_REGION or
/// AWS_DEFAULT_REGION are required; MONITORED_PREFIX is optional. One rule without destinations comes back: they are in
/// the table. Throws Error{invalid} that names every variable that is missing.
ReplicationConfig source_from_environment(const os::Environment& environment);

/// The target service: SQS_QUEUE_URL, STACK_NAME, and AWS_REGION or AWS_DEFAULT_REGION are required. Without
/// CATALOG_BUCKET_NAME backups are stored, but not catalogued. BUCKET is the inbound bucket; without it the name
/// follows from a catalog bucket that is named as S3 Cross-Region Compressor names it, and is not known otherwise.
ReplicationConfig target_from_environment(const os::Environment& environment);

}  // namespace bale::config
