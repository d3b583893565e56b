// The manifests of an archive that is read from beginning to end.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "archive/manifest.hpp"
#include "archive/memory_share.hpp"
#include "archive/remark.hpp"
#include "archive/tar_stream.hpp"

namespace bale::archive {

/// Collects what the manifests of an archive list while its members go by. A tar has one manifest, the last of its
/// members that is one; where several tars follow one another, each with its manifest, their objects are taken
/// together. Not thread-safe.
class ManifestSurvey {
 public:
  /// Takes a member of the tar, a manifest too, in front of which `tars_before` tars lie. Counts what it notes of it in
  /// `memory`; throws Error{unsupported} where that exceeds the share.
  void note(const TarStream::Member& member, std::size_t tars_before, MemoryShare& memory);
  /// Takes the manifest that was noted last, in the place of another one of this tar; none: it cannot be read.
  void take(std::optional<Manifest> manifest);
  bool has_manifest() const noexcept { return merged_ > 0 || manifest_.has_value(); }
  /// Returns the objects of all manifests. Of each, `members_before` counts the members of the name from the beginning
  /// of the archive on; where its member is a hard link, `content_member` is set, and counted instead. Of objects with
  /// one relative key the newest is there. The result has version 0 where it is of several manifests. Call once.
  Manifest finish(MemoryShare& memory);
  /// Returns the number of files that are left out because no manifest lists them. To be called after finish().
  std::uint64_t left_out() const noexcept { return left_out_ + unlisted_; }
  /// What is left out, for a person. To be called after finish().
  std::vector<Remark> remarks() const;

 private:
  struct Seen {
    std::uint32_t members = 0, before_group = 0;
    std::size_t group = 0;
    bool is_unlisted_file = false;  ///< has data, in this group, and no manifest that was merged lists it
  };
  using Occurrence = std::pair<std::uint64_t, std::uint32_t>;  ///< XXH64 of a name, members of it in front
  struct Content {
    std::string member;
    std::uint32_t members_before = 0;
  };
  void merge();
  void keep_newest();
  std::uint32_t before_group(std::uint64_t name) const;

  std::unordered_map<std::uint64_t, Seen> seen_;  ///< by XXH64 of the name
  std::map<Occurrence, Content> links_;           ///< hard links, and where their content is
  std::optional<Manifest> manifest_;              ///< of the present group: the tars up to one with a manifest
  Manifest all_;
  std::size_t merged_ = 0;  ///< manifests in all_
  std::size_t group_ = 0, tar_ = 0;
  std::size_t unlisted_ = 0;  ///< names of files of the present group that no manifest lists
  std::size_t left_out_ = 0;  ///< of groups with a manifest
  std::size_t replaced_ = 0;  ///< objects whose relative key another object of another key has
};

}  // namespace bale::archive
