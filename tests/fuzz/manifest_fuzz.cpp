// manifest.json: what is accepted comes back the same.
#include <cstdlib>

#include "archive/frame_index.hpp"
#include "archive/manifest.hpp"
#include "base/error.hpp"

using namespace bale;
using namespace bale::archive;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Manifest manifest = parse_manifest({reinterpret_cast<const char*>(data), size});
    const std::string json = to_json(manifest);
    // What the reference wrote lacks members that Bale adds: equal from the second time on.
    if (to_json(parse_manifest(json)) != json) std::abort();
    check_places(manifest.objects, 1 << 30);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) std::abort();
  }
  return 0;
}
