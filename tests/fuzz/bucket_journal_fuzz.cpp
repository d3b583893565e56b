// Journals of backups that others wrote. What was read is written, and read again as the same.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "jobs/bucket/journal.hpp"

using namespace bale;

namespace {

bucket::ReadBytes reading(std::string_view bytes) {
  return [bytes](MutableBytes to) mutable {
    const std::size_t count = std::min(to.size(), bytes.size());
    std::copy_n(as_bytes(bytes).begin(), count, to.begin());
    bytes.remove_prefix(count);
    return count;
  };
}

std::vector<bucket::JournalEntry> read_all(std::string_view bytes) {
  bucket::JournalReader reader(reading(bytes), "input");
  std::vector<bucket::JournalEntry> entries;
  while (const bucket::JournalEntry* entry = reader.next()) entries.push_back(*entry);
  return entries;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    bucket::read_journal_header(bytes, "input");
    const std::vector<bucket::JournalEntry> entries = read_all(bytes);
    std::string written;
    bucket::JournalWriter writer("identity", [&](std::string_view more) { written += more; });
    for (const bucket::JournalEntry& entry : entries) writer.add(entry);
    writer.finish();
    if (read_all(written) != entries) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) std::abort();
  }
  return 0;
}
