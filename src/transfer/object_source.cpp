#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "store/read_exactly.hpp"
#include "transfer/byte_io.hpp"

namespace bale::transfer {
namespace {

class ObjectSource final : public RandomSource {
 public:
  ObjectSource(store::ObjectStore& store, const ObjectAddress& object, const VersionId& version)
      : store_(store), object_(object), asked_{.version_id = version} {}

  ByteCount size() override {
    if (const auto known = known_size()) return *known;
    const auto info = store_.head(object_, conditions());
    if (!info) throw Error(ErrorKind::not_found, "no such object", name());
    learn(*info);
    return info->size;
  }

  void read_at(ByteCount offset, MutableBytes bytes) override {
    if (bytes.empty()) return;
    const ByteCount total = size();
    if (offset > total || bytes.size() > total - offset)
      throw Error(ErrorKind::corrupt, fmt::format("the object ends before byte {}", offset + bytes.size()), name());
    const auto stream = store_.get(object_, store::ByteRange::at(offset, bytes.size()), conditions());
    if (stream->offset() != offset || stream->length() != bytes.size())
      throw Error(ErrorKind::corrupt, "the store answered with another range than was asked for", name());
    store::read_exactly(*stream, bytes, name());
  }

  Buffer read_tail(ByteCount most) override {
    // An empty object has no last byte to ask for: its suffix range is InvalidRange.
    if (most == 0 || known_size() == ByteCount{0}) return {};
    std::unique_ptr<store::GetStream> stream;
    try {
      stream = store_.get(object_, store::ByteRange::tail(most), conditions());
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::invalid && size() == 0) return {};
      throw;
    }
    learn(stream->info());
    if (stream->length() > most)
      throw Error(ErrorKind::corrupt, "the store answered with another range than was asked for", name());
    Buffer tail(stream->length());
    tail.resize(tail.capacity());
    store::read_exactly(*stream, {tail.data(), tail.size()}, name());
    return tail;
  }

  ETag etag() const override {
    const Lock lock(mutex_);
    return etag_;
  }
  std::string name() const override { return to_uri(object_); }

 private:
  std::optional<ByteCount> known_size() const {
    const Lock lock(mutex_);
    return size_;
  }
  store::ReadConditions conditions() const {
    const Lock lock(mutex_);
    return asked_;
  }
  /// From the first answer on, the same version is asked for: by its id, or where there is none by its ETag.
  void learn(const store::ObjectInfo& info) {
    const Lock lock(mutex_);
    if (size_) return;
    size_ = info.size;
    etag_ = info.etag;
    if (asked_.version_id.empty()) asked_.version_id = info.version_id;
    if (asked_.version_id.empty() || asked_.version_id.str() == "null") asked_.if_match = info.etag;
  }

  store::ObjectStore& store_;
  const ObjectAddress object_;
  mutable Mutex mutex_;
  store::ReadConditions asked_ BALE_GUARDED_BY(mutex_);
  ETag etag_ BALE_GUARDED_BY(mutex_);
  std::optional<ByteCount> size_ BALE_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<RandomSource> open_object_source(store::ObjectStore& store, const ObjectAddress& object,
                                                 const VersionId& version) {
  return std::make_unique<ObjectSource>(store, object, version);
}

}  // namespace bale::transfer
