#include "cloud/upload_tags.hpp"

namespace bale::cloud {

void UploadTags::remember(const UploadId& upload, const store::Tags& tags) {
  const Lock lock(mutex_);
  const std::uint64_t number = next_++;
  const auto [known, is_new] = known_.try_emplace(upload);
  if (!is_new) order_.erase(known->second.number);
  known->second = {tags, number};
  order_.emplace(number, upload);
  if (order_.size() <= most) return;
  known_.erase(order_.begin()->second);
  order_.erase(order_.begin());
}

std::optional<store::Tags> UploadTags::find(const UploadId& upload) const {
  const Lock lock(mutex_);
  const auto known = known_.find(upload);
  return known == known_.end() ? std::nullopt : std::optional(known->second.tags);
}

void UploadTags::forget(const UploadId& upload) {
  const Lock lock(mutex_);
  const auto known = known_.find(upload);
  if (known == known_.end()) return;
  order_.erase(known->second.number);
  known_.erase(known);
}

}  // namespace bale::cloud
