// The order of operations on one key at its source.
#pragma once

#include <string>
#include <string_view>

#include "base/time.hpp"

namespace bale {

/// Compares two sequencers of one key: negative, 0 or positive as `a` is of an earlier, the same or a later operation.
/// The shorter is padded on the right with '0', then they compare as text.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
int compare_sequencers(std::string_view a, std::string_view b) noexcept;

/// When something happened to a key: the event's sequencer where there is one, and the source's own time.
struct SourceOrder {
  std::string sequencer;
  TimePoint time{};

  /// Returns whether this is of a later operation than `other`. Sequencers decide where both have one and they differ;
  /// else the times. At equal times (S3 knows them to the second) what has a sequencer is later than what has none: a
  /// backfill is told of by no event, so an event of the same second either is of a later write or of the same one.
  /// (A repeated event has the same sequencer although it may have found newer content: then the times decide.)
  bool is_after(const SourceOrder& other) const noexcept;
  friend bool operator==(const SourceOrder&, const SourceOrder&) = default;
};

}  // namespace bale
