// The DynamoDB kind against moto.
#include "cloud/dynamo_records.hpp"
#include "contract/lease_suite.hpp"
#include "contract/record_store_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

class MotoRecordsKind : public AsDynamoDb {
 public:
  static constexpr bool takes_largest_item = false;     // 405,000 bytes, not 409,600, are its limit
  static constexpr bool compares_across_types = false;  // Python cannot: status 500
  static constexpr bool adds_all_digits = false;        // 28, as Python's decimals do when nobody asks for more
  static constexpr bool has_atomic_updates = false;     // its threads read and write items without a lock

  records::RecordStore& records() { return records_; }
  std::string name(const std::string& name) { return unique_ + name; }

 private:
  const std::string unique_ = unique_name("");
  ServerSession server_{"BALE_TEST_MOTO_ENDPOINT"};
  cloud::DynamoRecords records_{server_.session(), Region("eu-west-1")};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Moto, RecordStoreSuite, MotoRecordsKind);
INSTANTIATE_TYPED_TEST_SUITE_P(Moto, LeaseSuite, MotoRecordsKind);

}  // namespace bale::testing
