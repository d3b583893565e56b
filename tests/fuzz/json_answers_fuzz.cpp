// JSON of SQS, DynamoDB and credential services: whatever comes, it is an answer or a bale::Error. The first byte
// chooses the parser.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "aws/credential_sources.hpp"
#include "aws/dynamodb.hpp"
#include "aws/sqs.hpp"
#include "aws/sqs_policy.hpp"

using namespace bale;
using namespace bale::aws;

namespace {

void parse(unsigned choice, std::string_view body) {
  const std::string where = "fuzz";
  switch (choice % 14) {
    case 0: parse_queue_url(body, where); break;
    case 1: parse_queues(body, where); break;
    case 2: parse_queue_attributes(body, where); break;
    case 3: parse_messages(body, where); break;
    case 4:
      if (parse_batch(body, 10, where).size() != 10) std::abort();
      break;
    case 5: parse_table(body, where); break;
    case 6: parse_tables(body, where); break;
    case 7: parse_item(body, where); break;
    case 8: parse_updated(body, where); break;
    case 9: parse_items(body, where); break;
    case 10: parse_unprocessed(body, TableName("t"), where); break;
    case 11: parse_credentials_json(body, "Token", where); break;
    case 13: parse_policy(body, where); break;
    default:
      if (parse_json_failure({400, {}}, body).code.empty()) std::abort();  // a failure always has a name
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
