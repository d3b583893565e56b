#include "embedded/bucket_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "embedded/object_rows.hpp"

namespace bale::embedded {
namespace {

using nlohmann::json;

/// The time at which a bucket was made tells it from a later one with the same row: an earlier Bale, which does not
/// know of settings, leaves them behind when it deletes a bucket.
json read_settings(Database& database, const BucketRow& bucket) {
  Query row = database.query("SELECT settings FROM bucket_settings WHERE bucket = ? AND created = ?", bucket.id,
                             to_epoch_ms(bucket.created));
  return row.step() ? json::parse(row.text(0)) : json::object();
}

json to_json(const store::LifecycleRule& rule) {
  json kept{{"id", rule.id}, {"enabled", rule.is_enabled}, {"prefix", rule.prefix}};
  if (rule.abort_uploads_days) kept["abort_uploads_days"] = *rule.abort_uploads_days;
  if (rule.expire_days) kept["expire_days"] = *rule.expire_days;
  if (rule.transition_days) {
    kept["transition_days"] = *rule.transition_days;
    kept["transition_class"] = rule.transition_class;
  }
  if (!rule.as_written.empty()) kept["as_written"] = rule.as_written;
  if (rule.has_other_filter) kept["other_filter"] = true;
  return kept;
}

store::LifecycleRule rule_from_json(const json& kept) {
  const auto days = [&](const char* name) {
    const auto found = kept.find(name);
    return found == kept.end() ? std::nullopt : std::optional(found->get<std::uint32_t>());
  };
  return {.id = kept.at("id"),
          .is_enabled = kept.at("enabled"),
          .prefix = kept.at("prefix"),
          .abort_uploads_days = days("abort_uploads_days"),
          .expire_days = days("expire_days"),
          .transition_days = days("transition_days"),
          .transition_class = kept.value("transition_class", std::string()),
          .as_written = kept.value("as_written", std::string()),
          .has_other_filter = kept.value("other_filter", false)};
}

/// Gives a rule without an ID one, as S3 does, that no other rule has.
void name_rules(store::Lifecycle& lifecycle) {
  std::size_t next = 1;
  const auto is_taken = [&](const std::string& id) {
    return std::any_of(lifecycle.rules.begin(), lifecycle.rules.end(),
                       [&](const store::LifecycleRule& rule) { return rule.id == id; });
  };
  for (store::LifecycleRule& rule : lifecycle.rules) {
    while (rule.id.empty()) {
      const std::string id = fmt::format("rule-{}", next++);
      if (!is_taken(id)) rule.id = id;
    }
  }
}

}  // namespace

/// Returns the setting of this name; null where none is set.
json EmbeddedBucketSettings::get(const BucketName& bucket, const char* name) {
  auto reader = core_.readers.borrow();
  const Snapshot snapshot(*reader);
  return read_settings(*reader, require_bucket(*reader, bucket)).value(name, json());
}

void EmbeddedBucketSettings::set(const BucketName& bucket, const char* name, const json& value) {
  core_.commits.run(Database::Durability::power_safe, [&](WriteContext& context) {
    const BucketRow row = require_bucket(context.database, bucket);
    json settings = read_settings(context.database, row);
    settings[name] = value;
    context.database.execute("INSERT OR REPLACE INTO bucket_settings(bucket, created, settings) VALUES(?, ?, ?)",
                             row.id, to_epoch_ms(row.created), settings.dump());
  });
}

std::optional<store::BucketEncryption> EmbeddedBucketSettings::get_encryption(const BucketName& bucket) {
  const json kept = get(bucket, "encryption");
  if (kept.is_null()) return std::nullopt;
  return store::BucketEncryption{kept.at("algorithm"), kept.at("kms_key"), kept.at("bucket_key")};
}

void EmbeddedBucketSettings::set_encryption(const BucketName& bucket, const store::BucketEncryption& encryption) {
  store::check_encryption(encryption);
  set(bucket, "encryption",
      {{"algorithm", encryption.algorithm},
       {"kms_key", encryption.kms_key},
       {"bucket_key", encryption.has_bucket_key}});
}

store::PublicAccessBlock EmbeddedBucketSettings::get_public_access_block(const BucketName& bucket) {
  const json kept = get(bucket, "public_access");
  if (kept.is_null()) return {};
  return {kept.at("blocks_acls"), kept.at("ignores_acls"), kept.at("blocks_policy"), kept.at("restricts_buckets")};
}

void EmbeddedBucketSettings::set_public_access_block(const BucketName& bucket, const store::PublicAccessBlock& block) {
  set(bucket, "public_access",
      {{"blocks_acls", block.blocks_acls},
       {"ignores_acls", block.ignores_acls},
       {"blocks_policy", block.blocks_policy},
       {"restricts_buckets", block.restricts_buckets}});
}

store::Lifecycle EmbeddedBucketSettings::get_lifecycle(const BucketName& bucket) {
  const json kept = get(bucket, "lifecycle");
  store::Lifecycle lifecycle;
  if (kept.is_null()) return lifecycle;
  for (const json& rule : kept.at("rules")) lifecycle.rules.push_back(rule_from_json(rule));
  lifecycle.minimum_transition_size = kept.at("minimum_transition_size");
  return lifecycle;
}

void EmbeddedBucketSettings::set_lifecycle(const BucketName& bucket, const store::Lifecycle& lifecycle) {
  store::check_lifecycle(lifecycle);
  store::Lifecycle named = lifecycle;
  name_rules(named);
  json rules = json::array();
  for (const store::LifecycleRule& rule : named.rules) rules.push_back(to_json(rule));
  set(bucket, "lifecycle",
      rules.empty() ? json() : json{{"rules", rules}, {"minimum_transition_size", named.minimum_transition_size}});
}

store::Tags EmbeddedBucketSettings::get_tags(const BucketName& bucket) {
  const json kept = get(bucket, "tags");
  return kept.is_null() ? store::Tags() : kept.get<store::Tags>();
}

void EmbeddedBucketSettings::set_tags(const BucketName& bucket, const store::Tags& tags) {
  store::check_bucket_tags(tags);
  set(bucket, "tags", tags);
}

void delete_settings(Database& database, std::int64_t bucket) {
  database.execute("DELETE FROM bucket_settings WHERE bucket = ?", bucket);
}

}  // namespace bale::embedded
