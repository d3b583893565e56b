#include "jobs/land/destination.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace bale::land {
namespace {

/// Each lost attempt means that another writer of the same key got through in between.
constexpr int most_attempts = 16;

records::Item order_record_key(const ObjectAddress& address) {
  return {{"id", records::Value("order#" + address.bucket.str() + "/" + address.key.str())}};
}

}  // namespace

Destination::Destination(store::ObjectStore& store, records::RecordStore& records, TableName table)
    : store_(store), records_(records), table_(std::move(table)) {}

std::mutex& Destination::lock_of(const ObjectAddress& address) noexcept {
  return locks_[(std::hash<std::string>{}(address.key.str()) ^ std::hash<std::string>{}(address.bucket.str())) %
                locks_.size()];
}

std::optional<LandedOrder> Destination::landed_order(const ObjectAddress& address, const store::ObjectInfo& info) {
  const auto own = info.metadata.find(std::string(order_metadata));
  if (own != info.metadata.end()) return parse_order(own->second);
  // 256 bytes hold every "bale-order": an object with that much room would carry its own.
  if (metadata_bytes(info.metadata) + 256 <= store::max_user_metadata_bytes) return std::nullopt;
  const auto record = records_.get(table_, order_record_key(address));
  if (!record) return std::nullopt;
  const auto text_of = [&](const char* name) {
    const auto found = record->find(name);
    const std::string* text = found == record->end() ? nullptr : std::get_if<std::string>(&found->second.data);
    return text == nullptr ? std::string() : *text;
  };
  // A record of content that is not there any more says nothing.
  if (text_of("etag") != info.etag.str()) return std::nullopt;
  return parse_order(text_of("order"));
}

void Destination::remember_order(const ObjectAddress& address, const LandedOrder& order, const ETag& etag) {
  records::Item item = order_record_key(address);
  item["order"] = records::Value(to_text(order));
  item["etag"] = records::Value(etag.str());
  records_.put(table_, item);
}

Destination::Plan Destination::look(const ObjectAddress& address, const LandedOrder& incoming) {
  // What is not there is written on If-None-Match: the store itself holds against the answer then.
  const auto existing = store_.head(address, {.version_id = {}, .if_match = {}, .absence_unconfirmed = true});
  Plan plan;
  plan.action = decide(existing, existing ? landed_order(address, *existing) : std::nullopt, incoming);
  if (plan.action == Action::create) plan.conditions.if_none_match = true;
  if (plan.action == Action::replace) plan.conditions.if_match = existing->etag;
  return plan;
}

template <typename Write>
Outcome Destination::write_in_order(const ObjectAddress& address, const LandedOrder& incoming, bool remember,
                                    bool look_first, Write write) {
  const std::scoped_lock lock(lock_of(address));
  Plan plan;
  plan.conditions.if_none_match = true;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    if (attempt > 0 || look_first) plan = look(address, incoming);
    if (plan.action == Action::skip) return Outcome::kept;
    try {
      const store::PutResult result = write(plan.conditions);
      // After the object: a record of something that was never written would keep it from being written at all.
      if (remember) remember_order(address, incoming, result.etag);
      return Outcome::written;
    } catch (const Error& error) {
      // Changed (precondition), or removed under an If-Match: look again.
      const bool removed = error.code() == "NoSuchKey" && !plan.conditions.if_match.empty();
      if (error.kind() != ErrorKind::precondition && !removed) throw;
    }
  }
  throw Error(ErrorKind::unavailable, "other writers keep changing the object", to_uri(address));
}

Outcome Destination::put(const archive::Target& target, const archive::ManifestObject& object, store::Body& body) {
  const ObjectAddress address{target.bucket, destination_key(object)};
  const LandingAttributes landing = landing_attributes(object, target);
  // Most objects are new: trying If-None-Match first saves them the HEAD.
  return write_in_order(address, order_of(object), landing.order_left_out, /*look_first=*/false,
                        [&](const store::WriteConditions& conditions) {
                          body.rewind();
                          return store_.put(address, body, landing.attributes, conditions);
                        });
}

bool Destination::is_wanted(const archive::Target& target, const archive::ManifestObject& object) {
  return look({target.bucket, destination_key(object)}, order_of(object)).action != Action::skip;
}

Outcome Destination::complete(const archive::Target& target, const archive::ManifestObject& object,
                              transfer::MultipartUpload& upload) {
  const ObjectAddress address{target.bucket, destination_key(object)};
  const LandingAttributes landing = landing_attributes(object, target);
  return write_in_order(address, order_of(object), landing.order_left_out, /*look_first=*/true,
                        [&](const store::WriteConditions& conditions) { return upload.complete(conditions); });
}

}  // namespace bale::land
