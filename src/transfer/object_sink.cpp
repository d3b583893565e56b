#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "base/mutex.hpp"
#include "store/own_write.hpp"
#include "transfer/byte_io.hpp"
#include "transfer/multipart.hpp"

namespace bale::transfer {
namespace {

// Parts that go up at once: enough to hide a round trip of 100 ms at 8 MiB a part, few enough to bound memory.
constexpr std::size_t most_parts_in_flight = 8;
// Of large parts fewer are under way, so that not more than this is held for them (one part excepted).
constexpr ByteCount most_bytes_in_flight = 64ULL << 20;
// A part that fills up may hoard this share of the memory budget: the frames that are to fill it need the rest.
constexpr ByteCount hoard_divisor = 16;

/// Pieces that make up one part, with the tickets that pay for them.
struct Part {
  std::vector<OutputPiece> pieces;
  ByteCount bytes = 0;
  ByteCount paid = 0;

  void add(OutputPiece piece) {
    const ByteCount limit = piece.ticket.budget_limit();
    // See Ticket::budget_limit(): beyond its share the part goes without, or the writer might wait for ever.
    if (limit != 0 && paid + piece.ticket.bytes() > limit / hoard_divisor) piece.ticket = {};
    paid += piece.ticket.bytes();
    bytes += piece.bytes.size();
    if (!piece.bytes.empty()) pieces.push_back(std::move(piece));
  }
  std::vector<ByteView> views() const {
    std::vector<ByteView> views;
    views.reserve(pieces.size());
    for (const OutputPiece& piece : pieces) views.push_back(piece.bytes.view());
    return views;
  }
};

void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
}

/// A part as the body of a request, which breaks off after a stop.
class PartBody final : public store::Body {
 public:
  PartBody(const Part& part, std::stop_token stop) : body_(part.views()), stop_(std::move(stop)) {}
  ByteCount size() const override { return body_.size(); }
  ByteView next(std::size_t most) override {
    check_stop(stop_);
    return body_.next(most);
  }
  void rewind() override { body_.rewind(); }

 private:
  store::MemoryBody body_;
  const std::stop_token stop_;
};

class MultipartObjectSink final : public ObjectSink {
 public:
  MultipartObjectSink(store::ObjectStore& store, flow::ThreadPool& connections, const ObjectAddress& object,
                      ObjectSinkOptions options)
      : store_(store),
        connections_(connections),
        object_(object),
        options_(std::move(options)),
        part_bytes_(choose_part_size(options_.expected_bytes, options_.part_bytes)),
        most_in_flight_(std::clamp<std::size_t>(most_bytes_in_flight / part_bytes_, 1, most_parts_in_flight)) {}

  ~MultipartObjectSink() override { abandon(); }

  void append(OutputPiece piece) override {
    check_sound();
    written_ += piece.bytes.size();
    filling_.add(std::move(piece));
    or_abandon([&] {
      check_stop(options_.stop);
      if (filling_.bytes >= part_bytes_) start_part();
    });
  }

  void finish() override {
    check_sound();
    or_abandon([&] {
      check_stop(options_.stop);
      if (parts_started_ == 0) {
        put_whole();
      } else {
        complete();
      }
    });
    upload_.reset();
  }

  ByteCount written() const override { return written_; }
  std::string name() const override { return to_uri(object_); }
  const store::PutResult& result() const override { return result_; }

 private:
  /// A part on its way; its place among the parts in flight is free when it is destroyed, uploaded or not.
  class PartInFlight {
   public:
    PartInFlight(MultipartObjectSink& sink, Part&& taken) : part(std::move(taken)), sink_(sink) {}
    ~PartInFlight() {
      const Lock lock(sink_.mutex_);
      --sink_.in_flight_;
      sink_.left_.notify_all();
    }
    PartInFlight(const PartInFlight&) = delete;
    PartInFlight& operator=(const PartInFlight&) = delete;
    const Part part;

   private:
    MultipartObjectSink& sink_;
  };

  void check_sound() const {
    if (abandoned_) throw Error(ErrorKind::internal, "an upload that failed was written to again", name());
  }

  template <typename Step>
  void or_abandon(Step step) {
    try {
      step();
    } catch (...) {
      abandon();
      throw;
    }
  }

  void put_whole() {
    PartBody body(filling_, options_.stop);
    try {
      result_ = store_.put(object_, body, options_.attributes, options_.conditions);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::precondition || !options_.name_is_own) throw;
      const auto found = store_.head(object_);
      const auto own_etag = [&] { return std::optional(store::content_etag(body)); };
      const store::Whose whose = store::whose_object(found, body.size(), options_.attributes.metadata, own_etag);
      if (whose == store::Whose::others) throw;
      result_ = {found->etag, found->version_id};
    }
    filling_ = {};
  }

  void complete() {
    if (filling_.bytes > 0) start_part();
    parts_.wait();
    check_stop(options_.stop);
    result_ = upload_->complete(options_.conditions);
  }

  void start_part() {
    if (parts_started_ == store::max_parts) {
      throw Error(ErrorKind::internal,
                  fmt::format("more bytes than were expected ({}): too many parts", options_.expected_bytes), name());
    }
    if (!upload_)
      upload_.emplace(store_, object_, MultipartOptions{.attributes = options_.attributes, .stop = options_.stop});
    wait_for_room();
    const std::uint32_t number = ++parts_started_;
    // std::function copies its task, so what it holds is shared.
    auto sent = std::make_shared<PartInFlight>(*this, std::exchange(filling_, {}));
    parts_.run(connections_, [this, number, sent = std::move(sent)] { upload(number, sent->part); });
  }

  void upload(std::uint32_t number, const Part& part) {
    PartBody body(part, options_.stop);
    upload_->send(number, body);
  }

  void wait_for_room() {
    {
      Lock lock(mutex_);
      left_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return in_flight_ < most_in_flight_; });
    }
    if (parts_.failed()) parts_.wait();  // throws what the part failed with
    const Lock lock(mutex_);
    ++in_flight_;
  }

  void abandon() noexcept {
    abandoned_ = true;
    filling_ = {};
    try {
      parts_.wait();  // a part that arrives after the abort would stay, and be paid for
    } catch (...) {
      // Why the upload is abandoned is known to the caller already.
    }
    upload_.reset();
  }

  store::ObjectStore& store_;
  flow::ThreadPool& connections_;
  const ObjectAddress object_;
  const ObjectSinkOptions options_;
  const ByteCount part_bytes_;
  const std::size_t most_in_flight_;
  Part filling_;
  ByteCount written_ = 0;
  std::optional<MultipartUpload> upload_;
  std::uint32_t parts_started_ = 0;
  bool abandoned_ = false;
  store::PutResult result_;
  Mutex mutex_;
  std::condition_variable left_;
  std::size_t in_flight_ BALE_GUARDED_BY(mutex_) = 0;
  flow::TaskGroup parts_;  // last: waits for the tasks before what they use is gone
};

}  // namespace

std::unique_ptr<ObjectSink> open_object_sink(store::ObjectStore& store, flow::ThreadPool& connections,
                                             const ObjectAddress& object, ObjectSinkOptions options) {
  return std::make_unique<MultipartObjectSink>(store, connections, object, std::move(options));
}

}  // namespace bale::transfer
