// ~/.aws/config and credential_process lines: whatever comes, it is understood or Error{invalid}.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "aws/credential_sources.hpp"
#include "base/error.hpp"

using namespace bale;
using namespace bale::aws;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool command : {false, true}) {
    try {
      if (command)
        split_command(text);
      else
        SharedConfig(parse_config_file(text, "config"), parse_config_file(text, "credentials"))
            .get("default", "region");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::invalid) std::abort();
    }
  }
  return 0;
}
