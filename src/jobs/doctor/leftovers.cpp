#include "jobs/doctor/leftovers.hpp"

#include <algorithm>
#include <tuple>

namespace bale::doctor {
namespace {

std::optional<ByteCount> size_of(store::ObjectStore& store, const ObjectAddress& object, const UploadId& upload) {
  try {
    ByteCount bytes = 0;
    for (const store::UploadedPart& part : store.list_parts(object, upload)) bytes += part.size;
    return bytes;
  } catch (const Error&) {
    return std::nullopt;  // it ended in the meantime, or its parts are not for us to see
  }
}

}  // namespace

std::vector<Leftover> find_leftovers(store::ObjectStore& store, const BucketName& bucket, const std::string& prefix,
                                     TimePoint now, std::size_t most_sized, const std::stop_token& stop) {
  std::vector<Leftover> found;
  for (store::ListedUpload& upload : store.list_uploads(bucket, prefix)) {
    // A server that does not know prefixes lists all: what is not below it is not touched.
    if (!upload.key.str().starts_with(prefix)) continue;
    const Milliseconds age = std::max(now - upload.initiated, Milliseconds(0));
    found.push_back({std::move(upload), age, std::nullopt});
  }
  std::sort(found.begin(), found.end(), [](const Leftover& a, const Leftover& b) {
    return std::tie(a.upload.initiated, a.upload.key, a.upload.upload_id) <
           std::tie(b.upload.initiated, b.upload.key, b.upload.upload_id);
  });
  for (std::size_t i = 0; i < std::min(found.size(), most_sized) && !stop.stop_requested(); ++i)
    found[i].bytes = size_of(store, {bucket, found[i].upload.key}, found[i].upload.upload_id);
  return found;
}

void abort_leftovers(store::ObjectStore& store, const BucketName& bucket, const std::vector<Leftover>& leftovers,
                     Milliseconds older_than, bool dryrun, const std::stop_token& stop,
                     const std::function<void(const Aborted&)>& report) {
  for (const Leftover& each : leftovers) {
    if (stop.stop_requested()) return;
    if (each.age < older_than) continue;
    std::optional<Error> failure;
    try {
      if (!dryrun) store.abort_upload({bucket, each.upload.key}, each.upload.upload_id);
    } catch (...) {
      failure = current_error();
    }
    report({each, failure});
  }
}

}  // namespace bale::doctor
