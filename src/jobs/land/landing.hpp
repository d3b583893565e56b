// What an object looks like at its destination, and whether it may go there. Pure.
#pragma once

#include <optional>
#include <string>

#include "archive/manifest.hpp"
#include "catalog/landed_order.hpp"
#include "store/object_store.hpp"

namespace bale::land {

// The mark on a landed object, which others read too.
using catalog::LandedOrder;
using catalog::order_metadata;
using catalog::parse_order;
using catalog::to_text;

/// Returns which version of which source the object is. Its time is when the key began to have this content.
LandedOrder order_of(const archive::ManifestObject& object);

/// The key at a normal destination: the source's own, `{source_prefix}/{relative_key}`.
ObjectKey destination_key(const archive::ManifestObject& object);

struct LandingAttributes {
  store::ObjectAttributes attributes;
  /// Neither tags nor metadata have room for "bale-order": it has to be remembered elsewhere.
  bool order_left_out = false;
};

/// Everything the source object had, plus the tags OriginalCreationTime and OriginalETag (as metadata
/// original-creation-time and original-etag where ten tags are taken; left out where the 2 KB of metadata are full
/// too), plus "bale-order". The storage class and key of the target override the object's own.
LandingAttributes landing_attributes(const archive::ManifestObject& object, const archive::Target& target);

enum class Action { create, replace, skip };

/// Decides whether the incoming version may be written over what is there. `existing` is what HEAD said, `landed` what
/// is known of its order. What is there stays when it is as new or newer: by SourceOrder where both are of one bucket,
/// else by time, and in the same second by the greater bucket name. The decision does not depend on which of two
/// versions comes first. An object that Bale did not write is replaced.
Action decide(const std::optional<store::ObjectInfo>& existing, const std::optional<LandedOrder>& landed,
              const LandedOrder& incoming);

/// Sum of the names and values of user metadata, as S3 counts its limit of 2 KB.
std::size_t metadata_bytes(const store::UserMetadata& metadata) noexcept;

}  // namespace bale::land
