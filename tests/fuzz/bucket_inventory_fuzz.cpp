// Lists of objects that others wrote: the first byte chooses the parser.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "jobs/bucket/inventory.hpp"

using namespace bale;

namespace {

void parse(char which, std::string_view text) {
  switch (which) {
    case 'c': {
      const auto columns = bucket::parse_inventory_schema(bucket::default_inventory_schema);
      bucket::parse_inventory_line(text, columns, BucketName("b"));
      break;
    }
    case 'j': bucket::parse_json_object(text); break;
    case 'm': bucket::parse_inventory_manifest(text); break;
    case 's': bucket::parse_inventory_schema(text); break;
    default: break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    parse(text.front(), text.substr(1));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();
  }
  return 0;
}
