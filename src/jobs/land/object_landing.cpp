#include "jobs/land/object_landing.hpp"

#include <fmt/format.h>

#include "transfer/byte_io.hpp"
#include "transfer/multipart.hpp"

namespace bale::land {
namespace {

using Frame = std::shared_ptr<const archive::FrameData>;

std::string name_of(const archive::ManifestObject& object) {
  return to_uri(object.source_bucket, destination_key(object));
}

/// An object's bytes, borrowed, with the SHA-256 that was computed when they were checked: the signature of a request
/// takes it, and nobody reads the bytes to compute it again.
class CheckedBody final : public store::Body {
 public:
  CheckedBody(const std::vector<ByteView>& pieces, const Sha256Digest& digest) : body_(pieces), digest_(digest) {}
  ByteCount size() const override { return body_.size(); }
  ByteView next(std::size_t most) override { return body_.next(most); }
  void rewind() override { body_.rewind(); }
  store::BodyDigests digests() const override {
    store::BodyDigests digests;
    digests.sha256 = digest_;
    return digests;
  }

 private:
  store::MemoryBody body_;
  const Sha256Digest digest_;
};

}  // namespace

void check_sha256(const archive::ManifestObject& object, const Sha256Digest& digest) {
  if (object.sha256.empty() || object.sha256 == to_hex_digest(digest)) return;
  throw Error(
      ErrorKind::corrupt, "the object's bytes are not those that were packed (SHA-256 differs)", name_of(object),
      "the archive stays in the inbound bucket; the source still has the object, or its copy in another backup");
}

/// An object that spans several frames.
class ObjectLanding::LargeObject {
 public:
  LargeObject(ObjectLanding& landing, std::size_t index)
      : landing_(landing), index_(index), object_(landing.manifest_.objects[index]) {}

  void add(const Frame& frame, const archive::MemberPiece& piece) {
    if (broken_) return;
    if (piece.offset != received_)
      return give_up(Error(ErrorKind::corrupt, "a piece of the object is missing", name_of(object_)));
    try {
      if (piece.offset == 0 && object_.size > landing_.sizes_.single_put) start_uploads();
      hash_.update(piece.bytes);
      received_ += piece.bytes.size();
      pending_.push_back({frame, piece.bytes});
      pending_bytes_ += piece.bytes.size();
      if (received_ == object_.size)
        last_piece();
      else if (part_size_ > 0 && pending_bytes_ >= part_size_)
        send_part();
    } catch (const Error& error) {
      give_up(error);
    }
  }

  void give_up(Error error) {
    broken_ = true;
    pending_.clear();
    landing_.fail(index_, std::move(error));
  }

  /// Completes the uploads; those that are not completed are aborted. Waits for the parts.
  void finish() {
    try {
      parts_group_.wait();
      if (!broken_ && received_ < object_.size)
        throw Error(ErrorKind::corrupt, "the object is cut off in the archive", name_of(object_));
      if (!broken_) {
        check_sha256(object_, digest_);
        for (const Upload& upload : uploads_) complete(upload);
      }
    } catch (const Error& error) {
      give_up(error);
    }
    uploads_.clear();
  }

 private:
  struct Piece {
    Frame frame;
    ByteView bytes;
  };
  struct Upload {
    const archive::Target* target;
    std::unique_ptr<transfer::MultipartUpload> parts;
  };

  void start_uploads() {
    part_size_ = transfer::choose_part_size(object_.size, landing_.sizes_.part);
    if (part_size_ > landing_.sizes_.most_part) {
      throw Error(ErrorKind::unavailable,
                  fmt::format("an object of {} needs parts of {}, more than the memory limit allows",
                              format_bytes(object_.size), format_bytes(part_size_)),
                  name_of(object_), fmt::format("run with --memory-limit {} or more", format_bytes(part_size_ * 8)));
    }
    for (const archive::Target& target : landing_.targets_) {
      if (!landing_.destination_.is_wanted(target, object_)) {
        landing_.count(Outcome::kept, 0);
        continue;
      }
      uploads_.push_back(
          {&target, std::make_unique<transfer::MultipartUpload>(
                        landing_.destination_.store(), ObjectAddress{target.bucket, destination_key(object_)},
                        transfer::MultipartOptions{landing_attributes(object_, target).attributes})});
    }
    is_multipart_ = true;
  }

  void send_part() {
    const std::uint32_t number = ++part_number_;
    const auto pieces = std::make_shared<std::vector<Piece>>(std::move(pending_));
    pending_.clear();
    pending_bytes_ = 0;
    for (const Upload& upload : uploads_) {
      parts_group_.run(landing_.connections_, [&parts = *upload.parts, number, pieces] {
        std::vector<ByteView> views;
        for (const Piece& piece : *pieces) views.push_back(piece.bytes);
        store::MemoryBody body(std::move(views));
        parts.send(number, body);
      });
    }
  }

  void last_piece() {
    digest_ = hash_.finish();
    if (is_multipart_) {
      if (pending_bytes_ > 0) send_part();
      return;
    }
    check_sha256(object_, digest_);
    landing_.group_.run(landing_.connections_, [this, pieces = std::move(pending_)] {
      std::vector<ByteView> views;
      for (const Piece& piece : pieces) views.push_back(piece.bytes);
      landing_.put_whole(index_, object_, views, digest_);
    });
    pending_.clear();
  }

  void complete(const Upload& upload) {
    const Outcome outcome = landing_.destination_.complete(*upload.target, object_, *upload.parts);
    landing_.count(outcome, outcome == Outcome::written ? object_.size : 0);
  }

  ObjectLanding& landing_;
  const std::size_t index_;
  const archive::ManifestObject object_;
  Sha256 hash_;
  Sha256Digest digest_{};
  ByteCount received_ = 0;
  std::vector<Piece> pending_;
  ByteCount pending_bytes_ = 0;
  ByteCount part_size_ = 0;
  std::uint32_t part_number_ = 0;
  bool is_multipart_ = false;
  bool broken_ = false;
  std::vector<Upload> uploads_;
  flow::TaskGroup parts_group_;  // last: its tasks use the uploads
};

ObjectLanding::ObjectLanding(const archive::Manifest& manifest, std::vector<archive::Target> targets,
                             Destination& destination, flow::ThreadPool& connections, LandingSizes sizes)
    : manifest_(manifest),
      targets_(std::move(targets)),
      destination_(destination),
      connections_(connections),
      sizes_(sizes),
      seen_(manifest.objects.size(), false) {}

ObjectLanding::~ObjectLanding() = default;

ObjectLanding::LargeObject& ObjectLanding::large(std::size_t object) {
  auto& place = large_[object];
  if (!place) place = std::make_unique<LargeObject>(*this, object);
  return *place;
}

void ObjectLanding::frame(Frame frame, const std::vector<archive::MemberPiece>& pieces) {
  for (const archive::MemberPiece& piece : pieces) {
    seen_[piece.object] = true;
    if (piece.offset == 0 && piece.bytes.size() == manifest_.objects.bytes_of(piece.object)) {
      group_.run(connections_, [this, frame, piece] {
        try {
          const archive::ManifestObject object = manifest_.objects[piece.object];
          const Sha256Digest digest = Sha256::of(piece.bytes);
          check_sha256(object, digest);
          put_whole(piece.object, object, {piece.bytes}, digest);
        } catch (const Error& error) {
          fail(piece.object, error);
        }
      });
    } else {
      large(piece.object).add(frame, piece);
    }
  }
}

void ObjectLanding::put_whole(std::size_t index, const archive::ManifestObject& object,
                              const std::vector<ByteView>& pieces, const Sha256Digest& digest) {
  CheckedBody body(pieces, digest);
  for (const archive::Target& target : targets_) {
    try {
      const Outcome outcome = destination_.put(target, object, body);
      count(outcome, outcome == Outcome::written ? body.size() : 0);
    } catch (const Error& error) {
      fail(index, error);
    }
  }
}

void ObjectLanding::damaged(const archive::Damage& damage) {
  for (const std::size_t object : damage.objects) {
    seen_[object] = true;
    const auto found = large_.find(object);
    if (found != large_.end())
      found->second->give_up(damage.error);
    else
      fail(object, damage.error);
  }
}

std::vector<ObjectFailure> ObjectLanding::finish() {
  for (auto& [object, large] : large_) large->finish();
  group_.wait();
  large_.clear();
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i]) continue;
    fail(i, Error(ErrorKind::corrupt, "the manifest names an object that the archive does not hold",
                  name_of(manifest_.objects[i])));
  }
  std::vector<ObjectFailure> failures;
  const Lock lock(mutex_);
  for (const auto& [object, error] : failures_) failures.push_back({object, error});
  return failures;
}

void ObjectLanding::fail(std::size_t object, Error error) {
  const Lock lock(mutex_);
  failures_.emplace(object, std::move(error));  // the first reason is the one that counts
}

void ObjectLanding::count(Outcome outcome, ByteCount bytes) {
  const Lock lock(mutex_);
  ++(outcome == Outcome::written ? written_ : kept_);
  bytes_ += bytes;
}

std::size_t ObjectLanding::written() const {
  const Lock lock(mutex_);
  return written_;
}
std::size_t ObjectLanding::kept() const {
  const Lock lock(mutex_);
  return kept_;
}
ByteCount ObjectLanding::bytes() const {
  const Lock lock(mutex_);
  return bytes_;
}

}  // namespace bale::land
