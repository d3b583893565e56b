// Records of raw files that others wrote: items of a record store, and records of alphakraken's pipeline. What was read
// is written, and read again as the same.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "jobs/raw/record.hpp"

using namespace bale;

namespace {

void write_and_read(const raw::RawRecord& record) {
  raw::RecordItems items;
  try {
    items = raw::to_items(record, "files#1-");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) std::abort();
    return;
  }
  if (raw::from_items(items.record, items.pages) != record) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    write_and_read(raw::from_pipeline_json(text));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid && error.kind() != ErrorKind::corrupt) std::abort();
  }
  try {
    const records::Item item = records::from_dynamodb_json(text);
    records::lease_of(item);
    write_and_read(raw::from_items(item, {item}));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid && error.kind() != ErrorKind::corrupt) std::abort();
  }
  return 0;
}
