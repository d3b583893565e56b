// S3 event notifications: foreign bytes in, object events out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/names.hpp"
#include "base/time.hpp"

namespace bale::store {

/// One record of a notification.
struct ObjectEvent {
  BucketName bucket;
  ObjectKey key;          ///< decoded
  bool deleted = false;   ///< the key has no object any more; else ObjectCreated:*
  ByteCount size = 0;     ///< as the sender says, 1 PiB at most: to be compared with the object
  ETag etag;              ///< empty where the notification has none
  VersionId version_id;   ///< empty where the bucket has no versioning, or had none at that time ("null")
  std::string sequencer;  ///< to be compared as S3 says, whoever wrote it; empty for events made by a backfill
  TimePoint time{};
  /// The event does not say what the key has now: one version of it, or a delete marker, was removed. The source has to
  /// be asked. `deleted` is false then, and size, etag and version_id are empty.
  bool ask_source = false;
};

/// What one queue message says.
struct Notification {
  bool is_test = false;  ///< s3:TestEvent: to be deleted unprocessed
  /// One per record. Records that are neither a creation nor a removal are left out, and so are versions that a
  /// lifecycle rule removed: such a rule never removes the version that a key has now.
  std::vector<ObjectEvent> events;
};

/// Reads a message in the form that S3 documents (event structure, major version 2), as S3, Ceph RGW and MinIO send it,
/// straight or wrapped by an SNS topic, or as EventBridge passes it on, with or without a topic behind it. Nothing of
/// an event is proven: sizes are hints, and names that no bucket, object or version can have are refused here, before
/// anything is asked with them. Throws Error{invalid} naming what is missing or wrong: such a message is left to the
/// dead-letter queue.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
Notification parse_notification(std::string_view body);

/// A message that announces existing objects, in the same form: what backfill sends. Its event name is
/// ObjectCreated:Backfill; records have no sequencer.
std::string make_backfill_message(const std::vector<ObjectEvent>& events, const Region& region);

/// Whether `a` is of a later operation on the same key than `b`. S3 documents sequencers as hex text to be compared
/// after padding the shorter on the right with zeros. An event without a sequencer is later only if its time is.
bool is_newer(const ObjectEvent& a, const ObjectEvent& b);

}  // namespace bale::store
