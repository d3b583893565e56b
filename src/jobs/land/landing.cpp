#include "jobs/land/landing.hpp"

#include <tuple>

namespace bale::land {
namespace {

bool has_room(const store::UserMetadata& metadata, std::string_view name, std::string_view value) {
  return metadata_bytes(metadata) + name.size() + value.size() <= store::max_user_metadata_bytes;
}

/// Adds to the tags, or else to the metadata, or else nowhere.
void add_origin(store::ObjectAttributes& attributes, const std::string& tag, const std::string& name,
                const std::string& value) {
  if (value.empty()) return;
  if (attributes.tags.contains(tag) || attributes.tags.size() < store::max_tags)
    attributes.tags[tag] = value;
  else if (has_room(attributes.metadata, name, value))
    attributes.metadata[name] = value;
}

}  // namespace

std::size_t metadata_bytes(const store::UserMetadata& metadata) noexcept {
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) bytes += name.size() + value.size();
  return bytes;
}

LandedOrder order_of(const archive::ManifestObject& object) {
  return {{object.sequencer, object.current_since.value_or(object.last_modified)}, object.source_bucket};
}

ObjectKey destination_key(const archive::ManifestObject& object) {
  if (!object.key.empty()) return object.key;
  if (object.source_prefix.empty()) return ObjectKey(object.relative_key);
  return ObjectKey(object.source_prefix + "/" + object.relative_key);
}

LandingAttributes landing_attributes(const archive::ManifestObject& object, const archive::Target& target) {
  LandingAttributes landing;
  store::ObjectAttributes& attributes = landing.attributes;
  attributes.headers = object.headers;
  attributes.metadata = object.metadata;
  attributes.metadata.erase(std::string(order_metadata));  // of an earlier hop: this object is a source of its own
  attributes.tags = object.tags;
  attributes.storage_class = target.storage_class.empty() ? object.storage_class : target.storage_class;
  attributes.kms_key_arn = target.kms_key_arn;
  // The order comes first: without it an older version could win, without the others only history is lost.
  const std::string order = to_text(order_of(object));
  if (has_room(attributes.metadata, order_metadata, order))
    attributes.metadata[std::string(order_metadata)] = order;
  else
    landing.order_left_out = true;
  add_origin(attributes, "OriginalCreationTime", "original-creation-time", to_timestamp(object.last_modified));
  add_origin(attributes, "OriginalETag", "original-etag", object.etag.str());
  return landing;
}

Action decide(const std::optional<store::ObjectInfo>& existing, const std::optional<LandedOrder>& landed,
              const LandedOrder& incoming) {
  if (!existing) return Action::create;
  if (!landed) return Action::replace;
  if (landed->source_bucket == incoming.source_bucket) {
    return incoming.order.is_after(landed->order) ? Action::replace : Action::skip;
  }
  // Sequencers of different buckets cannot be compared; their clocks can, to the second. In one second the name
  // decides, so that the same bucket wins whichever comes first.
  const auto rank = [](const LandedOrder& order) { return std::tie(order.order.time, order.source_bucket); };
  return rank(*landed) < rank(incoming) ? Action::replace : Action::skip;
}

}  // namespace bale::land
