#include "jobs/pack/object_source.hpp"

#include <fmt/format.h>

namespace bale::pack {
namespace {

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

ObjectMembers::ObjectMembers(store::ObjectStore& store, const BucketName& bucket, std::vector<Item> items)
    : store_(store), bucket_(bucket), items_(std::move(items)), fetched_(items_.size()) {}

TimePoint ObjectMembers::fetch(std::size_t index, ByteCount offset, MutableBytes into) {
  const Item& item = items_[index];
  const ObjectAddress address{bucket_, item.key};
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
  return info.last_modified;
}

}  // namespace bale::pack
