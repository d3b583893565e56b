// The mark that landing leaves on an object at a normal destination. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/names.hpp"
#include "base/sequencer_order.hpp"

namespace bale::catalog {

/// User metadata "bale-order": "{sequencer};{last_modified ms};{source bucket}". By it a late, older version is
/// recognised.
inline constexpr std::string_view order_metadata = "bale-order";

/// Which version of which source an object at a destination is.
struct LandedOrder {
  SourceOrder order;
  BucketName source_bucket;
  friend bool operator==(const LandedOrder&, const LandedOrder&) = default;
};

std::string to_text(const LandedOrder& order);
/// Nothing when the text is not of this form: then someone else wrote the object.
std::optional<LandedOrder> parse_order(std::string_view text);

}  // namespace bale::catalog
