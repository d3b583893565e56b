// The order of all known versions of one key. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "base/sequencer_order.hpp"
#include "base/time.hpp"

namespace bale::catalog {

/// What decides the place of a version among the versions of its key.
struct VersionRank {
  SourceOrder order;
  TimePoint backup_time{};  ///< by a packer's clock: decides between records that are equal in everything else
};

/// Returns the indices of `versions`, newest first, whatever their order was; equal ones stay in their order.
///
/// Versions with a sequencer are in the order of their sequencers, then of their times. Versions without one (of a
/// backfill) have only a time. Such a version is newer than a version with a sequencer if its time is later than that
/// of this one, or of one that has a higher sequencer. SourceOrder::is_after() compares two versions: where sequencers
/// contradict times, it can say of three that each is after another one.
std::vector<std::size_t> newest_first(const std::vector<VersionRank>& versions);

/// Returns the indices of one or two of `versions`, which must not be empty, the newest first: the newest version with
/// a sequencer, and the newest without. They suffice to find the newest when more versions come.
std::vector<std::size_t> contenders(const std::vector<VersionRank>& versions);

}  // namespace bale::catalog
