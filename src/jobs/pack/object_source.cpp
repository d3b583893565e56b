#include "jobs/pack/object_source.hpp"

#include <fmt/format.h>

namespace bale::pack {
namespace {

constexpr ByteCount manifest_scaffold_bytes = 700;  ///< names of members, times, digests and numbers of an object

void read_exactly(store::GetStream& stream, MutableBytes into, const ObjectAddress& address) {
  std::size_t done = 0;
  while (done < into.size()) {
    const std::size_t got = stream.read(into.subspan(done));
    if (got == 0) {
      throw Error(ErrorKind::unavailable, fmt::format("the body ended after {} of {} bytes", done, into.size()),
                  to_uri(address));
    }
    done += got;
  }
}

}  // namespace

void take_attributes(const FetchedObject& fetched, archive::ManifestObject& entry) {
  if (!fetched.packed.empty()) return archive::unpack_attributes(fetched.packed, entry);
  entry.last_modified = fetched.info->last_modified;
  entry.etag = fetched.info->etag;
  entry.size = fetched.info->size;
  entry.storage_class = fetched.info->storage_class;
  entry.tags = fetched.tags;
  entry.version_id = fetched.info->version_id;
  entry.headers = fetched.info->headers;
  entry.metadata = fetched.info->metadata;
}

ObjectMembers::ObjectMembers(store::ObjectStore& store, const BucketName& bucket, std::vector<Item> items,
                             ByteCount description_bytes)
    : store_(store),
      bucket_(bucket),
      items_(std::move(items)),
      description_bytes_(description_bytes),
      fetched_(items_.size()) {}

void ObjectMembers::forget_attributes(std::size_t index) {
  fetched_[index].info.reset();
  fetched_[index].tags.clear();
  fetched_[index].packed = {};
}

/// Packs what was learned of an object, since there may be many, and counts it.
void ObjectMembers::describe(std::size_t index) {
  FetchedObject& fetched = fetched_[index];
  archive::ManifestObject object;
  take_attributes(fetched, object);
  std::string packed = archive::pack_attributes(object);
  forget_attributes(index);
  fetched.packed = std::move(packed);
  // In the manifest's text the attributes come once more, and the key four times.
  described_ += manifest_scaffold_bytes + 3 * fetched.packed.size() + 4 * items_[index].key.str().size();
}

TimePoint ObjectMembers::fetch(std::size_t index, ByteCount offset, MutableBytes into) {
  const Item& item = items_[index];
  const ObjectAddress address{bucket_, item.key};
  const bool is_whole = into.size() == item.size;
  if (is_whole && described_ >= description_bytes_) {
    // Thousands may fail so: the error does not name the object.
    throw Error(ErrorKind::unavailable, "the archive's list of objects is as long as it may be")
        .with_code(std::string(put_off_code));
  }
  store::ReadConditions conditions{.version_id = item.version_id, .if_match = {}};
  if (item.version_id.empty()) conditions.if_match = item.etag;
  std::optional<store::ByteRange> range;
  if (into.size() < item.size) range = store::ByteRange::at(offset, into.size());
  const auto stream = store_.get(address, range, conditions);
  const store::ObjectInfo& info = stream->info();
  if (info.size != item.size || stream->length() != into.size()) {
    // Events do not always tell the size rightly; what is planned by it must not be packed.
    throw Error(ErrorKind::precondition, fmt::format("the object has {} bytes, not {}", info.size, item.size),
                to_uri(address));
  }
  if (item.sequencer.empty() && item.announced && info.last_modified > item.time)
    throw Error(ErrorKind::precondition, "the object was written later than its listing says", to_uri(address));
  if (offset == 0) {
    fetched_[index].info = info;
    fetched_[index].tags_failed = info.tag_count > 0;  // until they are there
    if (info.tag_count > 0) fetched_[index].tags = store_.get_tags(address, item.version_id);
    fetched_[index].tags_failed = false;
  }
  read_exactly(*stream, into, address);
  const TimePoint modified = info.last_modified;
  if (is_whole) describe(index);
  return modified;
}

}  // namespace bale::pack
