// The settings of buckets in S3's XML: pure builders and parsers, in the words of the BucketSettings port.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "aws/answer.hpp"
#include "store/bucket_settings.hpp"

namespace bale::aws {

/// How a setting of a bucket is called in requests, and in the refusal that says that none is set.
struct BucketSetting {
  const char* query;           ///< of its requests
  const char* root;            ///< of its document
  std::string_view none_code;  ///< of the 404
};
inline constexpr BucketSetting encryption_setting{"encryption", "ServerSideEncryptionConfiguration",
                                                  "ServerSideEncryptionConfigurationNotFoundError"};
inline constexpr BucketSetting public_access_setting{"publicAccessBlock", "PublicAccessBlockConfiguration",
                                                     "NoSuchPublicAccessBlockConfiguration"};
inline constexpr BucketSetting lifecycle_setting{"lifecycle", "LifecycleConfiguration", "NoSuchLifecycleConfiguration"};
inline constexpr BucketSetting tags_setting{"tagging", "Tagging", "NoSuchTagSet"};

/// Header of lifecycle settings, of request and response.
inline constexpr const char* minimum_transition_size_header = "x-amz-transition-default-minimum-object-size";

// What goes into the root of a setting's document. Each throws Error{invalid} for text that XML cannot carry.
std::string encryption_xml(const store::BucketEncryption& encryption);
std::string public_access_xml(const store::PublicAccessBlock& block);
std::string lifecycle_xml(const store::Lifecycle& lifecycle);
std::string tags_xml(const store::Tags& tags);

/// Throws Error{unsupported} naming `where` for a document that lists the bucket's objects: a server that does not know
/// the setting (Ceph RGW 16: encryption) ignores it in the request, and answers what is left, a GET of the bucket.
void check_knows_setting(const BucketSetting& setting, std::string_view body, const std::string& where);

// Parsers of documents. Each throws Error{unavailable} naming `where` for what is not S3's answer to this request, and
// Error{corrupt} for an answer that makes no sense. parse_tags() of s3.hpp reads tags.
/// Absent where the document has no rule.
std::optional<store::BucketEncryption> parse_encryption(std::string_view body, const std::string& where);
store::PublicAccessBlock parse_public_access(std::string_view body, const std::string& where);
store::Lifecycle parse_lifecycle(const http::AnswerHead& head, std::string_view body, const std::string& where);

}  // namespace bale::aws
