// Which buckets the steps of replicate may use. The configuration names them; events and manifests only choose among
// them. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/replication.hpp"

namespace bale::config {

/// A source as an archive's manifest names it: its bucket, and its monitored prefix without trailing '/'.
using NamedSource = std::pair<BucketName, std::string>;

/// Returns the error for an event about `object` in `queue`, whose events are to be of the bucket `expected`.
Error foreign_event(const QueueName& queue, const ObjectAddress& object, const BucketName& expected);

/// Throws Error{denied} unless `archive` is in `staging`, the only bucket that a step reads archives from and deletes
/// them in. `role` is what the bucket is called ("inbound").
void check_staging(const ObjectAddress& archive, const BucketName& staging, std::string_view role);

/// Returns the rules whose source an archive can be of. A rule matches with its bucket, and with a prefix that is the
/// archive's own or, since a filter may have been added or widened after packing, contains it or lies in it; rules with
/// exactly the archive's prefix exclude the others. `sources` are those that the manifest names.
/// Throws Error{denied} when they are not one bucket, when no rule matches, when the archive's key is not below the
/// name of the source bucket (it would be stored among the archives of another source), and when the key has an empty
/// component, "." or "..".
std::vector<const Rule*> rules_of_archive(const ReplicationConfig& config, const ObjectAddress& archive,
                                          const std::vector<NamedSource>& sources);

/// Returns the destination of `rules` with this region, bucket and kind, or null. KMS key and storage class are those
/// of the configuration. The result is borrowed from the rules.
const Destination* find_destination(const std::vector<const Rule*>& rules, const Region& region,
                                    const BucketName& bucket, bool backup);

/// Returns the error for a destination that a manifest names and the configuration does not have.
Error unconfigured_destination(const ObjectAddress& archive, const Region& region, const BucketName& bucket,
                               bool backup);

// For a target service of GivenPlaces, which knows its destinations from manifests alone.

/// Throws Error{denied} where `archive` may be something else than a staged copy: it is not in the inbound bucket or,
/// where that is not known, it is in the catalog bucket, in a bucket that the stack's naming gives to another purpose,
/// or in a bucket that its manifest names as a destination or source; or where a source's name cannot be that of a
/// bucket. `named` are all destinations of the manifest.
void check_given_archive(const Settings& settings, const Region& region, const ObjectAddress& archive,
                         const std::vector<NamedSource>& sources, const std::vector<BucketName>& named);

/// Returns whether `bucket` has the name that S3 Cross-Region Compressor gives to the bucket of this role ("inbound")
/// in `region`: "{stack}-{account}-{region}-{role}" with an account of twelve digits.
bool is_stack_bucket(const Settings& settings, const Region& region, std::string_view role, const BucketName& bucket);

/// Returns whether the configuration says that `bucket` is the inbound bucket of `region`, so that an archive in it is
/// a staged copy, which may be deleted once it has landed. Where no inbound bucket is known, names say it: that of the
/// bucket (is_stack_bucket()), or that of the queue, which is "{bucket}-queue".
bool is_inbound(const Settings& settings, const Region& region, const BucketName& bucket);

/// Returns the error for an archive that has landed, and is kept where it is because is_inbound() is false.
Error unknown_staging(const ObjectAddress& archive);

/// Whether a manifest may name `bucket` as a destination: it is neither the archive's own bucket, nor a staging or
/// catalog bucket of the stack, nor a source of the archive.
bool is_given_destination(const Settings& settings, const Region& region, const ObjectAddress& archive,
                          const std::vector<NamedSource>& sources, const BucketName& bucket);

}  // namespace bale::config
