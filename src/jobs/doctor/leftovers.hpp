// Multipart uploads that nobody ended: what a crash leaves. Their parts cost, and no listing of objects shows them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/time.hpp"
#include "store/object_store.hpp"

namespace bale::doctor {

struct Leftover {
  store::ListedUpload upload;
  Milliseconds age{};              ///< 0 for one that was begun in the future
  std::optional<ByteCount> bytes;  ///< of its parts; absent where they could not be listed, or were not asked for
};

/// The uploads under way whose keys start with `prefix`, oldest first; with the sizes of the `most_sized` oldest, a
/// request each. `now` is the store's time. Throws as ObjectStore::list_uploads; stops asking for sizes when `stop` is
/// requested.
std::vector<Leftover> find_leftovers(store::ObjectStore& store, const BucketName& bucket, const std::string& prefix,
                                     TimePoint now, std::size_t most_sized, const std::stop_token& stop);

/// What became of one that was old enough.
struct Aborted {
  const Leftover& leftover;    ///< valid during the call
  std::optional<Error> error;  ///< absent: it is gone, or would be with dryrun
};

/// Ends those that are `older_than` or older, one after the other, and calls `list_again` until no others are there, or
/// `stop` is requested: listings of some servers end early. With dryrun nothing is ended or listed. `report` is told of
/// each, and of each that is still listed after it was ended twice. Goes on after failures. Throws what `list_again`
/// throws.
void abort_leftovers(store::ObjectStore& store, const BucketName& bucket, std::vector<Leftover> leftovers,
                     Milliseconds older_than, bool dryrun, const std::stop_token& stop,
                     const std::function<std::vector<Leftover>()>& list_again,
                     const std::function<void(const Aborted&)>& report);

}  // namespace bale::doctor
