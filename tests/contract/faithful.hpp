// What a server that stands for AWS may do otherwise. A kind inherits from these and hides, with `false` and the
// reason, what its server lacks; the suites leave out the assertions that rest on it, for that kind only.
#pragma once

namespace bale::testing {

/// All that MessageQueueSuite asserts.
struct FaithfulQueues {
  /// Only the newest receipt of a message deletes it or changes its visibility.
  static constexpr bool knows_newest_receipt = true;
};

/// All that RecordStoreSuite asserts.
struct FaithfulRecords {
  /// Items are measured as DynamoDB measures them: the largest that it takes is taken.
  static constexpr bool takes_largest_item = true;
  /// A condition on an attribute of another type fails; it breaks nothing.
  static constexpr bool compares_across_types = true;
  /// Sums have 38 digits.
  static constexpr bool adds_all_digits = true;
  /// Updates at the same time do not lose each other.
  static constexpr bool has_atomic_updates = true;
};

}  // namespace bale::testing
