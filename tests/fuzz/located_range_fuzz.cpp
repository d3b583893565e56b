// A range of an archive and the records of what should be in it, both from others: whatever they say, every object is
// told of at most once, with bytes inside the memory that was given.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "archive/located_range.hpp"
#include "base/error.hpp"

using namespace bale;
using namespace bale::archive;

namespace {

class BytesStream final : public store::GetStream {
 public:
  explicit BytesStream(ByteView bytes) : bytes_(bytes) {}
  const store::ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return bytes_.size(); }
  ByteCount offset() const override { return 0; }
  std::size_t read(MutableBytes into) override {
    const std::size_t got = std::min<std::size_t>({into.size(), bytes_.size() - done_, 1000});
    std::copy_n(bytes_.data() + done_, got, into.data());
    done_ += got;
    return got;
  }

 private:
  const ByteView bytes_;
  const store::ObjectInfo info_;
  std::size_t done_ = 0;
};

class CheckingReceiver final : public RangeReceiver {
 public:
  CheckingReceiver(const std::vector<LocatedObject>& objects, MutableBytes memory)
      : objects_(objects), memory_(memory) {}
  void object(std::size_t index, ByteView bytes) override {
    tell(index);
    const bool inside = bytes.empty() || (bytes.data() >= memory_.data() &&
                                          bytes.data() + bytes.size() <= memory_.data() + memory_.size());
    if (!inside || bytes.size() != objects_[index].size) std::abort();
  }
  bool were_told(const LocatedRange& range) const {
    return std::all_of(range.objects.begin(), range.objects.end(), [&](std::size_t i) { return told_.contains(i); });
  }
  void failed(std::size_t index, const Error& error) override {
    tell(index);
    if (error.kind() != ErrorKind::corrupt) std::abort();
  }

 private:
  void tell(std::size_t index) {
    if (++told_[index] > 1) std::abort();
  }
  const std::vector<LocatedObject>& objects_;
  const MutableBytes memory_;
  std::map<std::size_t, int> told_;
};

/// Eight bytes a record: offset, length, skip and size, two bytes each.
std::vector<LocatedObject> read_objects(ByteView table) {
  std::vector<LocatedObject> objects;
  const auto number = [&](std::size_t at) {
    return std::to_integer<ByteCount>(table[at]) | std::to_integer<ByteCount>(table[at + 1]) << 8;
  };
  for (std::size_t at = 0; at + 8 <= table.size(); at += 8) {
    LocatedObject object;
    object.location = {number(at), number(at + 2), number(at + 4)};
    object.size = number(at + 6);
    if (objects.size() % 2 == 1) object.member_names = {"objects/a"};
    objects.push_back(object);
  }
  return objects;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  const std::size_t table_bytes = std::min<std::size_t>(8 * (data[0] % 16), bytes.size());
  const std::vector<LocatedObject> objects = read_objects(bytes.first(table_bytes));
  const ByteView file = bytes.subspan(table_bytes);
  std::size_t planned = 0;
  for (const LocatedRange& range : plan_ranges(objects, {.gap = 100, .range = 10'000, .content = 50'000})) {
    planned += range.objects.size();
    if (range.offset >= file.size()) continue;
    BytesStream stream(file.subspan(range.offset, std::min<ByteCount>(range.length, file.size() - range.offset)));
    Buffer memory(std::max<ByteCount>(range.content, 1));
    memory.resize(range.content);
    CheckingReceiver receiver(objects, {memory.data(), memory.size()});
    try {
      read_range(stream, {BucketName("b"), ObjectKey("k")}, objects, range, {memory.data(), memory.size()}, receiver);
      if (!receiver.were_told(range)) std::abort();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) std::abort();
    }
  }
  if (planned != objects.size()) std::abort();
  return 0;
}
