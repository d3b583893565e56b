#include "store/bucket_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "store/object_rules.hpp"

namespace bale::store {
namespace {

Error refuse(const char* code, std::string what) { return Error(ErrorKind::invalid, std::move(what)).with_code(code); }

void check_rule(const LifecycleRule& rule) {
  const std::string shown = escape_for_terminal(rule.id);
  if (!is_utf8(rule.id) || rule.id.size() > max_rule_id_characters)
    throw refuse("InvalidArgument", fmt::format("the ID of a lifecycle rule has more than {} characters: {}",
                                                max_rule_id_characters, shown));
  if (!rule.as_written.empty()) return;
  if (!rule.abort_uploads_days && !rule.expire_days && !rule.transition_days)
    throw refuse("InvalidRequest", fmt::format("the lifecycle rule '{}' does nothing", shown));
  if (rule.abort_uploads_days == 0U || rule.expire_days == 0U)
    throw refuse("InvalidArgument", fmt::format("the lifecycle rule '{}' has 0 days", shown));
  if (rule.transition_days.has_value() == rule.transition_class.empty())
    throw refuse("MalformedXML", fmt::format("the transition of the lifecycle rule '{}' has days or a storage class, "
                                             "not both",
                                             shown));
}

}  // namespace

Lifecycle with_rule(Lifecycle lifecycle, const LifecycleRule& rule) {
  const auto same = std::find_if(lifecycle.rules.begin(), lifecycle.rules.end(),
                                 [&](const LifecycleRule& each) { return !rule.id.empty() && each.id == rule.id; });
  if (same != lifecycle.rules.end())
    *same = rule;
  else
    lifecycle.rules.push_back(rule);
  return lifecycle;
}

std::optional<std::uint32_t> days_of_uploads(const Lifecycle& lifecycle) {
  std::optional<std::uint32_t> least;
  for (const LifecycleRule& rule : lifecycle.rules) {
    if (!rule.is_enabled || !rule.prefix.empty() || rule.has_other_filter || !rule.abort_uploads_days) continue;
    least = least ? std::min(*least, *rule.abort_uploads_days) : *rule.abort_uploads_days;
  }
  return least;
}

void check_encryption(const BucketEncryption& encryption) {
  const bool is_kms = encryption.algorithm == "aws:kms" || encryption.algorithm == "aws:kms:dsse";
  if (!is_kms && encryption.algorithm != "AES256") {
    throw refuse("InvalidEncryptionAlgorithmError",
                 fmt::format("'{}' is not an encryption", escape_for_terminal(encryption.algorithm)))
        .with_hint("use AES256 or aws:kms");
  }
  if (!is_utf8(encryption.kms_key)) throw refuse("InvalidArgument", "the encryption key is not text");
  if (!is_kms && !encryption.kms_key.empty())
    throw refuse("InvalidArgument", "an encryption key without aws:kms").with_hint("use aws:kms, or name no key");
}

void check_lifecycle(const Lifecycle& lifecycle) {
  if (lifecycle.rules.size() > max_lifecycle_rules)
    throw refuse("InvalidRequest", fmt::format("{} lifecycle rules; S3 allows {} for a bucket", lifecycle.rules.size(),
                                               max_lifecycle_rules));
  std::set<std::string> ids;
  for (const LifecycleRule& rule : lifecycle.rules) {
    check_rule(rule);
    if (!rule.id.empty() && !ids.insert(rule.id).second)
      throw refuse("InvalidArgument",
                   fmt::format("two lifecycle rules have the ID '{}'", escape_for_terminal(rule.id)));
  }
}

void check_bucket_tags(const Tags& tags) {
  if (tags.size() > max_bucket_tags)
    throw refuse("BadRequest", fmt::format("{} tags; S3 allows {} for a bucket", tags.size(), max_bucket_tags));
  for (const auto& tag : tags) check_tags({tag});
}

}  // namespace bale::store
