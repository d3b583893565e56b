#include "jobs/doctor/ground.hpp"

#include <fmt/format.h>

#include <exception>
#include <functional>
#include <map>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::doctor {
namespace {

constexpr ByteCount most_read_bytes = 16ULL << 20;

/// Removes what is there one after the other, and keeps the last failure for the end.
class Removal {
 public:
  template <typename Work>
  void run(Work work) {
    try {
      work();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  void end_upload(store::ObjectStore& store, const ObjectAddress& object, const UploadId& upload) {
    run([&] { store.abort_upload(object, upload); });
  }
  void remove(store::ObjectStore& store, const ObjectAddress& object, const VersionId& version, bool is_first) {
    run([&] {
      store.remove(object, version);
      if (is_first) ++removed_;
    });
  }
  bool has_failed() const noexcept { return failure_ != nullptr; }
  std::size_t finish() {
    if (failure_) std::rethrow_exception(failure_);
    return removed_;
  }

 private:
  std::exception_ptr failure_;
  std::size_t removed_ = 0;
};

/// A server that does not know prefixes lists the user's own objects too: whatever it says, nothing else is touched.
bool is_ours(const ObjectKey& key, const std::string& root) { return key.str().starts_with(root); }

// Pages are taken as they come, not through store::Listing: it refuses what some of the servers list that are examined
// here, and the probe's own objects are to be removed from them all the same.

using Visit = std::function<void(const ObjectAddress&, const VersionId&)>;

void for_each_version(store::ObjectStore& store, const BucketName& bucket, const std::string& root,
                      const Visit& visit) {
  store::ListRequest request{.prefix = root};
  do {
    const store::VersionPage page = store.list_versions(bucket, request);
    for (const store::ListedVersion& version : page.versions)
      if (is_ours(version.key, root)) visit({bucket, version.key}, version.version_id);
    request.continuation = page.next;
  } while (!request.continuation.empty());
}

void for_each_object(store::ObjectStore& store, const BucketName& bucket, const std::string& root, const Visit& visit) {
  store::ListRequest request{.prefix = root};
  do {
    const store::ListPage page = store.list(bucket, request);
    for (const store::ListedObject& object : page.objects)
      if (is_ours(object.key, root)) visit({bucket, object.key}, {});
    request.continuation = page.next;
  } while (!request.continuation.empty());
}

using ForEach = void (*)(store::ObjectStore&, const BucketName&, const std::string&, const Visit&);

/// Removes what a listing gives, and lists again until it gives nothing: listings of some servers end early, and a
/// removal that the server confirmed may have left something. Throws Error{precondition} when a listing still has
/// what was removed twice, or has new versions of a key each time.
void remove_all(store::ObjectStore& store, const BucketName& bucket, const std::string& root, ForEach for_each,
                Removal& removal) {
  std::map<std::pair<std::string, std::string>, int> tries;  // by key and version
  std::map<std::string, int> removals;                       // by key
  constexpr int most_tries = 2, most_removals = 50;
  for (bool any = true; any;) {
    any = false;
    std::string left;
    for_each(store, bucket, root, [&](const ObjectAddress& object, const VersionId& version) {
      int& tried = tries[{object.key.str(), version.str()}];
      // Where each removal leaves a new delete marker, each listing gives a version that was not tried.
      int& removed = removals[object.key.str()];
      if (tried == most_tries || removed == most_removals) {
        left = object.key.str();
        return;
      }
      ++removed;
      removal.remove(store, object, version, ++tried == 1);
      any = true;
    });
    if (!any && !left.empty() && !removal.has_failed())
      throw Error(ErrorKind::precondition, "removed, and still listed: '" + escape_name(left) + "'");
  }
}

}  // namespace

Ground::Ground(Place place) : place_(std::move(place)) {
  const auto chance = static_cast<std::uint32_t>(place_.world.entropy.next_u64());
  root_ = fmt::format("{}{}{:08x}/", place_.directory, ground_name, chance);
}

ObjectAddress Ground::at(std::string_view name) const { return {place_.bucket, ObjectKey(root_ + std::string(name))}; }

store::PutResult Ground::put(std::string_view name, std::string_view content,
                             const store::ObjectAttributes& attributes) {
  store::MemoryBody body(as_bytes(content));
  return store().put(at(name), body, attributes);
}

std::string Ground::read(std::string_view name, const std::optional<store::ByteRange>& range,
                         const store::ReadConditions& conditions) const {
  return store::read_all(*store().get(at(name), range, conditions), most_read_bytes);
}

std::string Ground::noise(std::size_t size) const {
  std::string bytes(size, '\0');
  place_.world.entropy.fill({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
  return bytes;
}

UploadId Ground::begin_upload(std::string_view name, const store::ObjectAttributes& attributes) {
  UploadId upload = bare().create_upload(at(name), attributes);
  begun_.push_back({at(name), upload});
  return upload;
}

store::UploadedPart Ground::put_part(std::string_view name, const UploadId& upload, std::uint32_t number,
                                     std::string_view content) {
  store::MemoryBody body(as_bytes(content));
  return {number, bare().upload_part(at(name), upload, number, body), content.size()};
}

std::size_t Ground::clear() {
  Removal removal;
  // Those that the store lists are more than those that are known here: an answer may have been lost.
  removal.run([&] {
    for (const store::ListedUpload& each : store().list_uploads(place_.bucket, root_))
      if (is_ours(each.key, root_)) removal.end_upload(store(), {place_.bucket, each.key}, each.upload_id);
  });
  for (const Begun& each : begun_) removal.end_upload(store(), each.object, each.upload);
  begun_.clear();
  removal.run([&] { remove_all(store(), place_.bucket, root_, for_each_version, removal); });
  // Where versions cannot be listed, there may be objects all the same.
  removal.run([&] { remove_all(store(), place_.bucket, root_, for_each_object, removal); });
  return removal.finish();
}

}  // namespace bale::doctor
