#include "jobs/pack/object_source.hpp"

#include <fmt/format.h>

#include "store/read_exactly.hpp"

namespace bale::pack {
namespace {

constexpr ByteCount manifest_scaffold_bytes = 700;  ///< names of members, times, digests and numbers of an object

/// Whether an answer to GET left open what the bytes can be checked by, and a HEAD may tell: the object was uploaded in
/// parts.
bool has_more_evidence(const store::ObjectInfo& info) {
  return !info.is_etag_opaque && info.etag.str().find('-') != std::string::npos &&
         !store::ContentCheck(info).is_possible();
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
      fetched_(items_.size()),
      evidence_(items_.size()) {}

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
  try {
    return fetch_once(index, offset, into);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
  }
  return fetch_once(index, offset, into);  // perhaps the bytes were damaged on the way
}

TimePoint ObjectMembers::fetch_once(std::size_t index, ByteCount offset, MutableBytes into) {
  const Item& item = items_[index];
  const bool is_whole = into.size() == item.size;
  if (is_whole && described_ >= description_bytes_) {
    // Thousands may fail so: the error does not name the object.
    throw Error(ErrorKind::unavailable, "the archive's list of objects is as long as it may be")
        .with_code(std::string(put_off_code));
  }
  store::ReadConditions conditions{.version_id = item.version_id, .if_match = {}};
  if (item.version_id.empty()) conditions.if_match = item.etag;
  std::optional<store::ByteRange> range;
  if (!is_whole) range = store::ByteRange::at(offset, into.size());
  const auto stream = store_.get(address(index), range, conditions);
  const store::ObjectInfo& info = stream->info();
  if (info.size != item.size || stream->length() != into.size()) {
    // Events do not always tell the size rightly; what is planned by it must not be packed.
    throw Error(ErrorKind::precondition, fmt::format("the object has {} bytes, not {}", info.size, item.size),
                to_uri(address(index)));
  }
  if (item.sequencer.empty() && item.announced && info.last_modified > item.time)
    throw Error(ErrorKind::precondition, "the object was written later than its listing says", to_uri(address(index)));
  if (!item.etag.empty() && info.etag != item.etag)
    throw Error(ErrorKind::precondition, "the object is another one: its ETag differs", to_uri(address(index)));
  if (offset == 0) {
    fetched_[index].info = info;
    fetched_[index].tags_failed = info.tag_count > 0;  // until they are there
    if (info.tag_count > 0) fetched_[index].tags = store_.get_tags(address(index), item.version_id);
    fetched_[index].tags_failed = false;
  }
  store::read_to_end(*stream, into, to_uri(address(index)));
  if (is_whole && has_more_evidence(info)) {
    store::ContentCheck check(evidence_of(index).info);
    check.update(into);
    check.finish(address(index));
  } else if (!is_whole) {
    store::ContentCheck& check = *evidence_of(index).check;
    if (check.takes_ranges()) check.add(offset, into);
  }
  const TimePoint modified = info.last_modified;
  if (is_whole) describe(index);
  return modified;
}

void ObjectMembers::passed(std::size_t index, ByteCount offset, ByteView bytes) {
  store::ContentCheck& check = *evidence_of(index).check;
  if (!check.takes_ranges()) check.update(bytes);
  if (offset + bytes.size() == items_[index].size) check.finish(address(index));
}

/// What the store says of an object's bytes, asked for once.
ObjectMembers::Evidence& ObjectMembers::evidence_of(std::size_t index) {
  Evidence* evidence = nullptr;
  {
    const Lock lock(mutex_);
    if (!evidence_[index]) evidence_[index] = std::make_unique<Evidence>();
    evidence = evidence_[index].get();
  }
  std::call_once(evidence->asked, [&] {
    const Item& item = items_[index];
    auto info = store_.head(address(index), {.version_id = item.version_id,
                                             .if_match = item.version_id.empty() ? item.etag : ETag(),
                                             .with_evidence = true});
    if (!info)
      throw Error(ErrorKind::not_found, "there is no such object", to_uri(address(index))).with_code("NoSuchKey");
    evidence->info = std::move(*info);
    evidence->check.emplace(evidence->info);
  });
  return *evidence;
}

}  // namespace bale::pack
