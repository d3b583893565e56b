#include "store/resuming_stream.hpp"

#include <algorithm>
#include <optional>

#include "base/error.hpp"

namespace bale::store {
namespace {

class ResumingStream final : public GetStream {
 public:
  ResumingStream(ObjectStore& inner, flow::Retrier& retrier, const ObjectAddress& object,
                 const ReadConditions& conditions, std::unique_ptr<GetStream> first)
      : inner_(inner),
        object_(object),
        asked_(conditions),
        info_(first->info()),
        length_(first->length()),
        offset_(first->offset()),
        stream_(std::move(first)),
        attempts_(retrier) {}

  const ObjectInfo& info() const override { return info_; }
  ByteCount length() const override { return length_; }
  ByteCount offset() const override { return offset_; }

  std::size_t read(MutableBytes bytes) override {
    if (done_ == length_) return read_end(bytes);
    bytes = bytes.first(static_cast<std::size_t>(std::min<ByteCount>(bytes.size(), length_ - done_)));
    if (bytes.empty()) return 0;
    for (;;) {
      std::optional<Error> failure;
      try {
        if (!stream_) stream_ = open_rest();
        if (const std::size_t got = stream_->read(bytes); got > 0) return count(got);
        failure = Error(ErrorKind::unavailable, "the body of the answer ended early", to_uri(object_));
      } catch (const Error& error) {
        failure = error;
      }
      stream_.reset();
      if (!attempts_.again(*failure)) throw attempts_.report();
    }
  }

 private:
  std::size_t count(std::size_t got) {
    done_ += got;
    attempts_.progressed();
    if (done_ == length_) attempts_.succeeded();
    return got;
  }

  /// The store learns that the body was read to its end, and may check it as a whole.
  std::size_t read_end(MutableBytes bytes) {
    if (!stream_ || bytes.empty()) return 0;
    try {
      if (stream_->read(bytes) == 0) return 0;
    } catch (const Error& error) {
      // All bytes have come: what breaks now breaks nothing.
      if (flow::retry_class(error) != flow::RetryClass::never) return 0;
      throw;
    }
    throw Error(ErrorKind::corrupt, "the body of the answer is longer than was announced", to_uri(object_));
  }

  std::unique_ptr<GetStream> open_rest() {
    const ByteRange rest = ByteRange::at(offset_ + done_, length_ - done_);
    std::unique_ptr<GetStream> stream;
    try {
      stream = inner_.get(object_, rest, {.version_id = asked_.version_id, .if_match = info_.etag});
    } catch (const Error& error) {
      stream = open_replaced(rest, error);
    }
    if (stream->info().etag != info_.etag) throw changed();
    if (stream->offset() != rest.first || stream->length() != length_ - done_) {
      throw Error(ErrorKind::corrupt, "the store answered with another range than was asked for", to_uri(object_));
    }
    return stream;
  }

  /// What was being read is no longer the current version: it may still be there as an older one. Not asked for at
  /// once, since reading a version by its id takes a permission of its own (s3:GetObjectVersion).
  std::unique_ptr<GetStream> open_replaced(const ByteRange& rest, const Error& error) {
    const bool replaced = error.kind() == ErrorKind::precondition || error.code() == "InvalidRange";
    const bool removed = error.kind() == ErrorKind::not_found;
    if (!replaced && !removed) throw error;
    if (asked_.version_id.empty() && !info_.version_id.empty())
      return inner_.get(object_, rest, {.version_id = info_.version_id, .if_match = info_.etag});
    if (replaced) throw changed();
    throw error.with_summary("the object was removed while it was read").with_where(to_uri(object_));
  }

  Error changed() const {
    return Error(ErrorKind::precondition, "the object was replaced while it was read", to_uri(object_),
                 "read it again from the start")
        .with_code("PreconditionFailed");
  }

  ObjectStore& inner_;
  const ObjectAddress object_;
  const ReadConditions asked_;
  const ObjectInfo info_;
  const ByteCount length_, offset_;
  ByteCount done_ = 0;
  std::unique_ptr<GetStream> stream_;  ///< empty between a break and the next attempt
  flow::Attempts attempts_;
};

}  // namespace

std::unique_ptr<GetStream> resume_when_broken(ObjectStore& inner, flow::Retrier& retrier, const ObjectAddress& object,
                                              const ReadConditions& conditions, std::unique_ptr<GetStream> first) {
  return std::make_unique<ResumingStream>(inner, retrier, object, conditions, std::move(first));
}

}  // namespace bale::store
