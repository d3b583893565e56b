// XML of S3 and STS: whatever comes, it is an answer or a bale::Error. The first byte chooses the parser.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "aws/credential_sources.hpp"
#include "aws/s3.hpp"

using namespace bale;
using namespace bale::aws;

namespace {

/// Rules that were read are sent as they were written: the same comes back.
void parse_rules(std::string_view body, const std::string& where) {
  const store::Lifecycle lifecycle = parse_lifecycle({200, {}}, body, where);
  const std::string sent = "<LifecycleConfiguration>" + lifecycle_xml(lifecycle) + "</LifecycleConfiguration>";
  if (lifecycle_xml(parse_lifecycle({200, {}}, sent, where)) != lifecycle_xml(lifecycle)) std::abort();
}

/// One outcome an object, whatever the answer names.
void parse_removals(const http::AnswerHead& head, std::string_view body) {
  const std::vector<store::ObjectToRemove> objects{{ObjectKey("a")}, {ObjectKey("b"), VersionId("v")}};
  if (parse_remove_all(head, body, BucketName("fuzz"), objects).size() != objects.size()) std::abort();
}

void parse(unsigned choice, std::string_view body) {
  const http::AnswerHead head{200, {}};
  const std::string where = "fuzz";
  switch (choice % 18) {
    case 0: parse_list(body, where); break;
    case 1: parse_versions(body, where); break;
    case 2: parse_tags(body, where); break;
    case 3: parse_versioning(body, where); break;
    case 4: parse_notifications(body, where); break;
    case 5: parse_buckets(body, where); break;
    case 6: parse_uploads(body, where); break;
    case 7: parse_parts(body, where); break;
    case 8: parse_create_upload(body, where); break;
    case 9: parse_copy(head, body, where); break;
    case 10: parse_complete(head, body, where); break;
    case 11: parse_part_copy(head, body, where); break;
    case 12: parse_sts_answer(body, where); break;
    case 14: parse_encryption(body, where); break;
    case 15: parse_public_access(body, where); break;
    case 16: parse_rules(body, where); break;
    case 17: parse_removals(head, body); break;
    default:
      if (parse_xml_failure({400, {}}, body).code.empty()) std::abort();  // a failure always has a name
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    parse(data[0] - 'a', {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const Error&) {
    // Refused, as it should be.
  }
  return 0;
}
