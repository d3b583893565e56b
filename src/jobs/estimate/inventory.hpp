// What is in a bucket, and which of it to look into: bounded memory, whatever the number of objects.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "os/entropy.hpp"
#include "store/object_store.hpp"

namespace bale::estimate {

struct Amount {
  std::uint64_t objects = 0;
  ByteCount bytes = 0;
  void add(ByteCount object) noexcept { ++objects, bytes += object; }
};

/// An object that was drawn.
struct Drawn {
  ObjectKey key;
  ByteCount size = 0;
  ETag etag;
};

/// Counts objects and draws some of them, each byte of the bucket being as likely as any other to be in a drawn object
/// (weighted reservoir sampling; Efraimidis and Spirakis, 2006). Objects that cannot be read at once (GLACIER,
/// DEEP_ARCHIVE) are counted, never drawn. Not thread-safe.
class Inventory {
 public:
  /// `draws`: objects to draw. Entropy is borrowed.
  Inventory(std::size_t draws, os::Entropy& entropy) : draws_(draws), entropy_(entropy) {}
  void add(const store::ListedObject& object);

  const Amount& all() const noexcept { return all_; }
  /// Objects that were written at `since` or later: what came in.
  Amount since(TimePoint since) const;
  const std::map<std::string, Amount>& by_storage_class() const noexcept { return by_storage_class_; }
  /// What drawn objects stand for.
  const Amount& readable() const noexcept { return readable_; }
  /// In the order of their keys.
  std::vector<Drawn> drawn() const;

 private:
  struct Ranked {
    double rank = 0;
    Drawn object;
    bool operator<(const Ranked& other) const { return rank < other.rank; }
  };
  const std::size_t draws_;
  os::Entropy& entropy_;
  Amount all_, readable_;
  std::map<std::string, Amount> by_storage_class_;
  std::map<std::int64_t, Amount> by_day_;  ///< days since 1970, by last modification
  std::multiset<Ranked> ranked_;           ///< the highest ranks
};

/// A piece of a drawn object.
struct Piece {
  Drawn object;
  ByteCount offset = 0;
  ByteCount bytes = 0;
};

/// One piece of each drawn object, at most `piece_bytes` from a place that chance chooses, at most `most_bytes` in all.
std::vector<Piece> plan_pieces(std::vector<Drawn> drawn, ByteCount piece_bytes, ByteCount most_bytes,
                               os::Entropy& entropy);

}  // namespace bale::estimate
