#include "cloud/optional_features.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace bale::cloud {

bool may_be_unsupported(const Error& error) {
  if (error.kind() == ErrorKind::unsupported) return true;
  constexpr std::array<std::string_view, 5> codes{"BadRequest", "InvalidArgument", "InvalidHeader", "InvalidRequest",
                                                  "NotImplemented"};
  return error.kind() == ErrorKind::invalid && std::find(codes.begin(), codes.end(), error.code()) != codes.end();
}

Error name_features(const Error& refusal, const OptionalFeatures& sent) {
  const bool is_failure = refusal.kind() == ErrorKind::unavailable && refusal.code() == "InternalError";
  if (!refusal.hint().empty() || (!is_failure && !may_be_unsupported(refusal))) return refusal;
  const store::ObjectAttributes& attributes = sent.attributes;
  std::vector<std::string> features;
  if (!attributes.tags.empty()) features.emplace_back("tags (s3 cp --tagging '', restore --no-tags)");
  if (!attributes.metadata.empty())
    features.emplace_back("user metadata (s3 cp --metadata '{}', restore --no-metadata)");
  if (!attributes.storage_class.empty() && attributes.storage_class != "STANDARD")
    features.push_back(fmt::format("the storage class {} (--storage-class STANDARD)", attributes.storage_class));
  if (!attributes.kms_key_arn.empty())
    features.emplace_back("the KMS key (--sse-kms-key-id)");
  else if (!attributes.encryption.empty())
    features.push_back(fmt::format("the encryption {} (sse)", attributes.encryption));
  if (sent.has_checksum) features.emplace_back("the checksum (AWS_REQUEST_CHECKSUM_CALCULATION=when_required)");
  if (features.empty()) return refusal;
  return refusal.with_hint(
      fmt::format("if the server does not know one of these, write without it: {}", fmt::join(features, "; ")));
}

}  // namespace bale::cloud
