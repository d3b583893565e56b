// DynamoDB's JSON form of an item: what is accepted comes back the same.
#include <cstdlib>

#include "records/record_store.hpp"

using namespace bale;
using namespace bale::records;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Item item = from_dynamodb_json({reinterpret_cast<const char*>(data), size});
    if (from_dynamodb_json(to_dynamodb_json(item)) != item) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();
  }
  return 0;
}
