// The objects of an archive on their way into normal destinations.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "archive/reader.hpp"
#include "base/hash.hpp"
#include "base/mutex.hpp"
#include "flow/thread_pool.hpp"
#include "jobs/land/destination.hpp"

namespace bale::land {

/// One object that did not land.
struct ObjectFailure {
  std::size_t object;  ///< index into the manifest
  Error error;
};

/// How the puts of large objects are cut.
struct LandingSizes {
  ByteCount single_put =
      32ULL << 20;              ///< up to this an object that spans frames is held until whole and put in one request
  ByteCount part = 8ULL << 20;  ///< least part size above that
  ByteCount most_part = 64ULL << 20;  ///< what the memory budget can spare for one part
};

/// Visits the frames of an archive and writes every object to every target, verified: an object is put only after its
/// SHA-256 is right (a large one is completed only then, else aborted). Puts run on `connections`; a frame's memory is
/// held until its objects are written. One failing object does not keep the others back. All references are borrowed.
class ObjectLanding final : public archive::FrameVisitor {
 public:
  ObjectLanding(const archive::Manifest& manifest, std::vector<archive::Target> targets, Destination& destination,
                flow::ThreadPool& connections, LandingSizes sizes);
  ~ObjectLanding() override;

  void frame(std::shared_ptr<const archive::FrameData> frame, const std::vector<archive::MemberPiece>& pieces) override;
  void damaged(const archive::Damage& damage) override;

  /// Waits for all writes and completes large objects; call once, after the last frame, on a thread that is not of the
  /// pool. Returns the objects that did not land, each with its reason.
  std::vector<ObjectFailure> finish();
  std::size_t written() const;
  std::size_t kept() const;
  ByteCount bytes() const;

 private:
  class LargeObject;
  /// `digest` is the SHA-256 of the pieces.
  void put_whole(std::size_t index, const archive::ManifestObject& object, const std::vector<ByteView>& pieces,
                 const Sha256Digest& digest);
  void fail(std::size_t object, Error error);
  void count(Outcome outcome, ByteCount bytes);
  LargeObject& large(std::size_t object);

  const archive::Manifest& manifest_;
  const std::vector<archive::Target> targets_;
  Destination& destination_;
  flow::ThreadPool& connections_;
  const LandingSizes sizes_;
  std::vector<bool> seen_;  ///< by the visiting thread: some piece of the object came
  std::map<std::size_t, std::unique_ptr<LargeObject>> large_;

  mutable Mutex mutex_;
  std::map<std::size_t, Error> failures_ BALE_GUARDED_BY(mutex_);
  std::size_t written_ BALE_GUARDED_BY(mutex_) = 0, kept_ BALE_GUARDED_BY(mutex_) = 0;
  ByteCount bytes_ BALE_GUARDED_BY(mutex_) = 0;
  flow::TaskGroup group_;  // last: its tasks use the members above
};

/// Throws Error{corrupt} unless `digest` is the hash that the manifest has (archives of the reference have none).
void check_sha256(const archive::ManifestObject& object, const Sha256Digest& digest);

}  // namespace bale::land
