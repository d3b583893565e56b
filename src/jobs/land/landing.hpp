// What an object looks like at its destination, and whether it may go there. Pure.
#pragma once

#include <optional>
#include <string>

#include "archive/manifest.hpp"
#include "base/sequencer_order.hpp"
#include "store/object_store.hpp"

namespace bale::land {

/// User metadata "bale-order": "{sequencer};{last_modified ms};{source bucket}". By it a late, older version is
/// recognised.
inline constexpr std::string_view order_metadata = "bale-order";

/// Which version of which source an object at a destination is.
struct LandedOrder {
  SourceOrder order;
  BucketName source_bucket;
  friend bool operator==(const LandedOrder&, const LandedOrder&) = default;
};

LandedOrder order_of(const archive::ManifestObject& object);
std::string to_text(const LandedOrder& order);
/// Nothing when the text is not of this form: then someone else wrote the object.
std::optional<LandedOrder> parse_order(std::string_view text);

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

/// Whether the incoming version may be written over what is there. `existing` is what HEAD said, `landed` what is known
/// of its order. What is there stays when it is of the same source and as new or newer; an object that Bale did not
/// write is replaced.
Action decide(const std::optional<store::ObjectInfo>& existing, const std::optional<LandedOrder>& landed,
              const LandedOrder& incoming);

/// Sum of the names and values of user metadata, as S3 counts its limit of 2 KB.
std::size_t metadata_bytes(const store::UserMetadata& metadata) noexcept;

}  // namespace bale::land
