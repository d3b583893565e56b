// The DynamoDB kind against dynalite.
#include "cloud/dynamo_records.hpp"
#include "contract/lease_suite.hpp"
#include "contract/record_store_suite.hpp"
#include "contract_servers/server_kind.hpp"

namespace bale::testing {

class DynaliteRecordsKind : public AsDynamoDb {
 public:
  records::RecordStore& records() { return records_; }
  std::string name(const std::string& name) { return unique_ + name; }

 private:
  const std::string unique_ = unique_name("");
  ServerSession server_{"BALE_TEST_DYNALITE_ENDPOINT"};
  cloud::DynamoRecords records_{server_.session(), Region("eu-west-1")};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Dynalite, RecordStoreSuite, DynaliteRecordsKind);
INSTANTIATE_TYPED_TEST_SUITE_P(Dynalite, LeaseSuite, DynaliteRecordsKind);

}  // namespace bale::testing
