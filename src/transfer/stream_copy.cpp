#include "transfer/stream_copy.hpp"

#include <algorithm>
#include <memory>

#include "base/error.hpp"
#include "store/content_check.hpp"
#include "store/own_write.hpp"
#include "transfer/byte_io.hpp"
#include "transfer/multipart.hpp"

namespace bale::transfer {
namespace {

/// Parts of the source that are larger are not held in memory, several at a time.
constexpr ByteCount most_part_in_memory = 64ULL << 20;

class StreamCopier {
 public:
  StreamCopier(store::ObjectStore& source, const ObjectAddress& from, const store::ObjectInfo& info,
               store::ObjectStore& destination, const ObjectAddress& to, const CopyOptions& options,
               const StreamCopy& how, flow::ThreadPool& connections, flow::MemoryBudget& budget)
      : source_(source),
        from_(from),
        info_(info),
        destination_(destination),
        to_(to),
        options_(options),
        how_(how),
        connections_(connections),
        budget_(budget),
        attributes_(attributes_of_copy(source, from, info, options)) {}

  store::PutResult run() {
    const ByteCount part = part_bytes();
    // An object of one request keeps its ETag, the MD5, where its copy is made by one request, too.
    const bool is_one = info_.part_bytes == 0 && store::is_md5(info_.etag) && info_.size <= most_part_in_memory;
    return info_.size < part || info_.size == 0 || is_one ? in_one_request() : in_parts(part);
  }

 private:
  /// The source's own parts where they can be had again; their number and size make the ETag.
  ByteCount part_bytes() const {
    const bool is_usable = info_.part_bytes >= store::min_part_bytes && info_.part_bytes <= most_part_in_memory;
    if (is_usable) return std::min(info_.part_bytes, std::max<ByteCount>(info_.size, 1));
    return choose_part_size(info_.size, how_.part_bytes);
  }

  store::ReadConditions conditions() const {
    return {.version_id = info_.version_id, .if_match = info_.version_id.empty() ? info_.etag : ETag()};
  }

  void check_stop() const {
    if (how_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while copying", to_uri(to_));
  }

  void pass(ByteCount bytes) const {
    if (how_.pass) how_.pass(bytes);
  }

  void moved(ByteCount bytes) const {
    if (how_.moved) how_.moved(bytes);
  }

  /// Fills all of `bytes` from the stream, whose end is read too: a whole object is checked there.
  void fill(store::GetStream& stream, MutableBytes bytes) const {
    while (!bytes.empty()) {
      check_stop();
      const std::size_t got = stream.read(bytes);
      if (got == 0) throw Error(ErrorKind::unavailable, "the object ended early", to_uri(from_));
      bytes = bytes.subspan(got);
    }
    std::byte more{};
    if (stream.read({&more, 1}) != 0) throw Error(ErrorKind::precondition, "the object is longer now", to_uri(from_));
  }

  store::PutResult in_one_request() {
    pass(info_.size);
    const auto stream = source_.get(from_, std::nullopt, conditions());
    flow::PaidBuffer paid = budget_.acquire_buffer(std::max<ByteCount>(info_.size, 1), 0, how_.stop).first;
    paid.bytes.resize(info_.size);
    fill(*stream, {paid.bytes.data(), info_.size});
    store::MemoryBody body(paid.bytes.view());
    const store::PutResult result = destination_.put(to_, body, attributes_, options_.conditions);
    moved(info_.size);
    return result;
  }

  store::PutResult in_parts(ByteCount part) {
    store::ContentCheck check(info_);
    MultipartUpload upload(destination_, to_, {.attributes = attributes_, .stop = how_.stop});
    try {
      flow::TaskGroup group;
      for (ByteCount first = 0; first < info_.size && !group.failed(); first += part) {
        const ByteCount length = std::min(part, info_.size - first);
        group.wait_until_at_most(how_.most_parts_under_way - 1);
        const auto paid = std::make_shared<flow::PaidBuffer>(budget_.acquire_buffer(part, 0, how_.stop).first);
        group.run(connections_, [this, &check, &upload, paid, first, length, part] {
          move_part(check, upload, *paid, first, length, part);
        });
      }
      group.wait();
      check_stop();
      if (check.takes_ranges() || check.part_bytes() == part) check.finish(from_);
      return upload.complete(options_.conditions);
    } catch (const Error& error) {
      throw upload.failed_with(error);
    }
  }

  void move_part(store::ContentCheck& check, MultipartUpload& upload, flow::PaidBuffer& paid, ByteCount first,
                 ByteCount length, ByteCount part) {
    check_stop();
    pass(length);
    const auto stream = source_.get(from_, store::ByteRange::at(first, length), conditions());
    paid.bytes.resize(length);
    fill(*stream, {paid.bytes.data(), length});
    if (check.takes_ranges())
      check.add(first, paid.bytes.view());
    else if (check.part_bytes() == part)
      check.set_part(first / part, paid.bytes.view());
    store::MemoryBody body(paid.bytes.view());
    upload.send(static_cast<std::uint32_t>(first / part + 1), body);
    moved(length);
  }

  store::ObjectStore& source_;
  const ObjectAddress& from_;
  const store::ObjectInfo& info_;
  store::ObjectStore& destination_;
  const ObjectAddress& to_;
  const CopyOptions& options_;
  const StreamCopy& how_;
  flow::ThreadPool& connections_;
  flow::MemoryBudget& budget_;
  const store::ObjectAttributes attributes_;
};

}  // namespace

store::PutResult stream_copy(store::ObjectStore& source, const ObjectAddress& from, const store::ObjectInfo& info,
                             store::ObjectStore& destination, const ObjectAddress& to, const CopyOptions& options,
                             const StreamCopy& how, flow::ThreadPool& connections, flow::MemoryBudget& budget) {
  return StreamCopier(source, from, info, destination, to, options, how, connections, budget).run();
}

}  // namespace bale::transfer
