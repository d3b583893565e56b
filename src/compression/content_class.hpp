// Which objects are alike, as far as compressing them goes. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bale::compression {

/// What an extension says about content, and how well a sample of it compresses: what is learned of one piece of a
/// class holds for the others.
struct ContentClass {
  std::string_view group;  ///< "text", "log", "table", "program", "packed", "array" or "other"; static storage
  int band = 0;            ///< 0 (compresses best) to content_bands - 1 (does not compress)

  /// "log-2": part of the keys of stored statistics, so it never changes its meaning.
  std::string name() const;
  friend bool operator==(const ContentClass&, const ContentClass&) = default;
};

inline constexpr int content_bands = 5;

/// The class of content with the key `key`, whose probe (archive::probe_ratio) gave `probed_ratio`. Any bytes are a
/// key.
ContentClass classify(std::string_view key, double probed_ratio);

}  // namespace bale::compression
