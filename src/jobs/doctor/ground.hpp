// The ground that probes work on: a prefix of their own in the user's bucket, from which everything goes again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.hpp"
#include "base/time.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"

namespace bale::doctor {

/// Where the probes work. Everything is borrowed, and outlives the ground.
struct Place {
  store::ObjectStore& store;  ///< as every command uses it
  /// The same store without what Bale does in its place where a server leaves something out. May be `store` itself.
  store::ObjectStore& bare;
  os::World& world;
  BucketName bucket;
  std::string directory;  ///< the ground is below it: empty, or ends with '/'
};

/// An object that a probe made in parts, for the probes after it.
struct MadeInParts {
  std::string content;
  std::vector<store::UploadedPart> parts;
  store::ObjectAttributes attributes;
};

/// The start of every ground's name, by which one that a crash left is known.
inline constexpr std::string_view ground_name = ".bale-doctor-";

/// Objects below a prefix that nobody else uses. Used by one thread at a time, apart from the stores. Whoever makes one
/// calls clear() on every path.
class Ground {
 public:
  /// Chooses the prefix; writes nothing.
  explicit Ground(Place place);
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  store::ObjectStore& store() const noexcept { return place_.store; }
  store::ObjectStore& bare() const noexcept { return place_.bare; }
  os::World& world() const noexcept { return place_.world; }
  const Place& place() const noexcept { return place_; }
  /// The prefix of all keys; ends with '/'.
  const std::string& root() const noexcept { return root_; }
  ObjectAddress at(std::string_view name) const;

  /// Writes an object through store(). Throws as ObjectStore::put.
  store::PutResult put(std::string_view name, std::string_view content, const store::ObjectAttributes& attributes = {});
  /// Reads an object of at most 16 MiB, or a range of it. Throws as ObjectStore::get and read_all.
  std::string read(std::string_view name, const std::optional<store::ByteRange>& range = std::nullopt,
                   const store::ReadConditions& conditions = {}) const;
  /// `size` bytes that do not compress.
  std::string noise(std::size_t size) const;

  /// Begins an upload through bare(), which clear() ends if nobody does.
  UploadId begin_upload(std::string_view name, const store::ObjectAttributes& attributes = {});
  store::UploadedPart put_part(std::string_view name, const UploadId& upload, std::uint32_t number,
                               std::string_view content);

  /// Ends uploads and removes objects, with all versions and delete markers, until listings give nothing more. Returns
  /// how many were removed. Goes on after failures, and throws the last one in the end. Also after a stop was
  /// requested.
  std::size_t clear();

  /// The object of the probe `multipart`, at "multipart", when it succeeded.
  std::optional<MadeInParts> made_in_parts;
  /// Whether the probe `tags` saw that the store takes tags with a PUT, or that they can be set afterwards.
  bool takes_tags = false;
  /// How far the store's clock is ahead of this machine's, when the probe `clock` could tell.
  std::optional<Milliseconds> clock_ahead;

 private:
  struct Begun {
    ObjectAddress object;
    UploadId upload;
  };
  Place place_;
  std::string root_;
  std::vector<Begun> begun_;
};

}  // namespace bale::doctor
