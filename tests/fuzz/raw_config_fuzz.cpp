// The YAML of raw file backup.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "config/raw.hpp"

using namespace bale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const config::RawConfig config = config::parse_raw_config(text, "fuzz.yaml");
    if (config.backup_type == config::BackupType::s3 && (!config.s3 || config.s3->region.empty())) std::abort();
  } catch (const config::InvalidConfig& error) {
    if (error.findings().empty()) std::abort();
    for (const config::Finding& finding : error.findings()) to_string(finding);
  }
  return 0;
}
