#include "aws/s3_settings.hpp"

#include <fmt/format.h>

#include <limits>

#include "aws/xml.hpp"
#include "base/error.hpp"

namespace bale::aws {
namespace {

std::string element(std::string_view name, std::string_view text) {
  return fmt::format("<{0}>{1}</{0}>", name, escape_xml(text));
}

/// The same around elements.
std::string around(std::string_view name, const std::string& content) {
  return fmt::format("<{0}>{1}</{0}>", name, content);
}

std::string flag(std::string_view name, bool value) { return element(name, value ? "true" : "false"); }

bool is_true(const pugi::xml_node& node, const char* name) { return child_text(node, name) == "true"; }

std::string rule_xml(const store::LifecycleRule& rule) {
  if (!rule.as_written.empty()) return rule.as_written;
  std::string xml = rule.id.empty() ? "" : element("ID", rule.id);
  xml += around("Filter", element("Prefix", rule.prefix));
  xml += element("Status", rule.is_enabled ? "Enabled" : "Disabled");
  if (rule.expire_days) xml += around("Expiration", element("Days", std::to_string(*rule.expire_days)));
  if (rule.transition_days) {
    xml += around("Transition", element("Days", std::to_string(*rule.transition_days)) +
                                    element("StorageClass", rule.transition_class));
  }
  if (rule.abort_uploads_days) {
    xml += around("AbortIncompleteMultipartUpload",
                  element("DaysAfterInitiation", std::to_string(*rule.abort_uploads_days)));
  }
  return around("Rule", xml);
}

/// Days that a child tells; absent where there is no such child.
std::optional<std::uint32_t> days_of(const pugi::xml_node& node, const char* name, const std::string& where) {
  if (!node.child(name)) return std::nullopt;
  const std::uint64_t days = child_number(node, name, where);
  if (days > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::corrupt, fmt::format("{} of the answer is too large", name), where);
  return static_cast<std::uint32_t>(days);
}

/// Reads the filter of a rule: <Filter>, or <Prefix> in the rule itself, as S3 wrote it until 2016.
void read_filter(const pugi::xml_node& node, store::LifecycleRule& rule) {
  const pugi::xml_node filter = node.child("Filter");
  const pugi::xml_node all = filter.child("And");
  rule.prefix = child_text(filter ? (all ? all : filter) : node, "Prefix");
  for (const pugi::xml_node& condition : filter.children()) {
    if (condition.type() == pugi::node_element && std::string_view(condition.name()) != "Prefix")
      rule.has_other_filter = true;
  }
}

/// Writes an element as it was read, but for white space between elements. pugixml's own writer changes the ends of
/// lines in values.
std::string written(const pugi::xml_node& node, std::size_t depth, const std::string& where) {
  constexpr std::size_t deepest = 16;  // a rule of S3 has five levels
  if (depth > deepest) throw Error(ErrorKind::corrupt, "the answer has elements in too many elements", where);
  std::string xml = fmt::format("<{}", node.name());
  for (const pugi::xml_attribute& each : node.attributes())
    xml += fmt::format(" {}=\"{}\"", each.name(), escape_xml(each.value()));
  xml += ">";
  for (const pugi::xml_node& child : node.children()) {
    const std::string_view text = child.value();
    const bool is_between = child.next_sibling() || child.previous_sibling();
    if (child.type() == pugi::node_element)
      xml += written(child, depth + 1, where);
    else if (!is_between || text.find_first_not_of(" \t\r\n") != std::string_view::npos)
      xml += escape_xml(text);
  }
  return xml + fmt::format("</{}>", node.name());
}

store::LifecycleRule read_rule(const pugi::xml_node& node, const std::string& where) {
  store::LifecycleRule rule;
  rule.id = child_text(node, "ID");
  rule.is_enabled = child_text(node, "Status") == "Enabled";
  read_filter(node, rule);
  rule.abort_uploads_days = days_of(node.child("AbortIncompleteMultipartUpload"), "DaysAfterInitiation", where);
  rule.expire_days = days_of(node.child("Expiration"), "Days", where);
  rule.transition_days = days_of(node.child("Transition"), "Days", where);
  if (rule.transition_days) rule.transition_class = child_text(node.child("Transition"), "StorageClass");
  rule.as_written = written(node, 0, where);
  return rule;
}

}  // namespace

std::string encryption_xml(const store::BucketEncryption& encryption) {
  std::string by_default = element("SSEAlgorithm", encryption.algorithm);
  if (!encryption.kms_key.empty()) by_default += element("KMSMasterKeyID", encryption.kms_key);
  return around("Rule", around("ApplyServerSideEncryptionByDefault", by_default) +
                            (encryption.has_bucket_key ? flag("BucketKeyEnabled", true) : ""));
}

std::string public_access_xml(const store::PublicAccessBlock& block) {
  return flag("BlockPublicAcls", block.blocks_acls) + flag("IgnorePublicAcls", block.ignores_acls) +
         flag("BlockPublicPolicy", block.blocks_policy) + flag("RestrictPublicBuckets", block.restricts_buckets);
}

std::string lifecycle_xml(const store::Lifecycle& lifecycle) {
  std::string xml;
  for (const store::LifecycleRule& rule : lifecycle.rules) xml += rule_xml(rule);
  return xml;
}

std::string tags_xml(const store::Tags& tags) {
  std::string xml;
  for (const auto& [name, value] : tags) xml += around("Tag", element("Key", name) + element("Value", value));
  return around("TagSet", xml);
}

void check_knows_setting(const BucketSetting& setting, std::string_view body, const std::string& where) {
  constexpr std::string_view root_of_listing = "ListBucketResult";
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return;  // the parser of the setting says what is wrong
  if (document.document_element().name() != root_of_listing) return;
  throw Error(ErrorKind::unsupported,
              fmt::format("the server does not know the setting {}: it lists the bucket", setting.query), where);
}

std::optional<store::BucketEncryption> parse_encryption(std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml(document, body, encryption_setting.root, where);
  const pugi::xml_node rule = document.document_element().child("Rule");
  const pugi::xml_node by_default = rule.child("ApplyServerSideEncryptionByDefault");
  if (!by_default) return std::nullopt;
  return store::BucketEncryption{child_text(by_default, "SSEAlgorithm"), child_text(by_default, "KMSMasterKeyID"),
                                 is_true(rule, "BucketKeyEnabled")};
}

store::PublicAccessBlock parse_public_access(std::string_view body, const std::string& where) {
  // Ceph RGW 16 gives the root a name of its own.
  constexpr std::string_view root_of_rgw = "BlockPublicAccessBlockConfiguration";
  const bool is_rgw = body.find(root_of_rgw) != std::string_view::npos;
  pugi::xml_document document;
  parse_xml(document, body, is_rgw ? root_of_rgw : std::string_view(public_access_setting.root), where);
  const pugi::xml_node root = document.document_element();
  return {is_true(root, "BlockPublicAcls"), is_true(root, "IgnorePublicAcls"), is_true(root, "BlockPublicPolicy"),
          is_true(root, "RestrictPublicBuckets")};
}

store::Lifecycle parse_lifecycle(const http::AnswerHead& head, std::string_view body, const std::string& where) {
  pugi::xml_document document;
  parse_xml(document, body, lifecycle_setting.root, where);
  store::Lifecycle lifecycle;
  for (const pugi::xml_node& node : document.document_element().children("Rule"))
    lifecycle.rules.push_back(read_rule(node, where));
  lifecycle.minimum_transition_size = head.headers.get(minimum_transition_size_header);
  return lifecycle;
}

}  // namespace bale::aws
