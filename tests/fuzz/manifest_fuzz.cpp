// manifest.json: what is accepted comes back the same.
#include <cstdlib>

#include "archive/frame_index.hpp"
#include "archive/manifest.hpp"
#include "archive/manifest_forms.hpp"
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
    // The keys are found in every form, and then stay.
    MemoryShare memory;
    Manifest settled = manifest;
    settle_source_prefixes(settled, "s3://inbound/source/docs/a.tar.zst", memory);
    for (std::size_t i = 0; i < settled.objects.size(); ++i) {
      const ManifestObject before = manifest.objects[i], after = settled.objects[i];
      const bool is_kept = after.key == before.key || after.key.str().ends_with(after.relative_key);
      if (!is_kept || after.relative_key != before.relative_key) std::abort();
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported) std::abort();
  }
  return 0;
}
