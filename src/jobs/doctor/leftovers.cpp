#include "jobs/doctor/leftovers.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

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

/// Throws Error{precondition} where the store still has the parts of an upload that was ended, or does not say.
void require_gone(store::ObjectStore& store, const ObjectAddress& object, const UploadId& upload) {
  try {
    store.list_parts(object, upload);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return;
  }
  throw Error(ErrorKind::precondition, "it is still listed after it was ended twice");
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

void abort_leftovers(store::ObjectStore& store, const BucketName& bucket, std::vector<Leftover> leftovers,
                     Milliseconds older_than, bool dryrun, const std::stop_token& stop,
                     const std::function<std::vector<Leftover>()>& list_again,
                     const std::function<void(const Aborted&)>& report) {
  constexpr int most_tries = 2;
  constexpr int most_listings = 1000;                        // of a server that lists other uploads each time
  std::map<std::pair<std::string, std::string>, int> tries;  // by key and upload
  bool any = true;
  for (int listing = 0; any && listing < most_listings; ++listing) {
    any = false;
    for (const Leftover& each : leftovers) {
      if (stop.stop_requested()) return;
      if (each.age < older_than) continue;
      int& tried = tries[{each.upload.key.str(), each.upload.upload_id.str()}];
      if (tried > most_tries) continue;  // told
      std::optional<Error> failure;
      try {
        if (tried == most_tries)
          require_gone(store, {bucket, each.upload.key}, each.upload.upload_id);
        else if (!dryrun)
          store.abort_upload({bucket, each.upload.key}, each.upload.upload_id);
      } catch (...) {
        failure = current_error();
      }
      if (tried == most_tries && !failure) {  // it is gone, whatever the listing says
        ++tried;
        continue;
      }
      any = any || !failure;
      if (tried == 0 || failure) report({each, failure});
      tried = failure ? most_tries + 1 : tried + 1;
    }
    if (dryrun) return;
    if (any) leftovers = list_again();
  }
}

}  // namespace bale::doctor
