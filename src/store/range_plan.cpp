#include "store/range_plan.hpp"

#include <algorithm>
#include <utility>

namespace bale::store {
namespace {

/// A range shorter than this many pages is not split.
constexpr double fewest_pages_to_split = 2.5;
/// A guess that led nowhere leaves this share of the requests under way; each that led somewhere adds so many. At least
/// two are left: of a listing whose keys tell nothing, half of the requests are lost at worst.
constexpr double after_failure = 0.9, after_success = 1;
constexpr double fewest_asked = 2;
/// One key in so many is kept of a page, to learn digits from.
constexpr std::size_t sampled_of_keys = 4;

/// Memory of listed objects: key and ETag have a block of the heap each, which costs 16 bytes besides.
ByteCount bytes_of(const std::vector<ListedObject>& objects) {
  constexpr ByteCount of_blocks = 32;
  ByteCount bytes = 0;
  for (const ListedObject& object : objects)
    bytes += sizeof object + object.key.str().size() + object.etag.str().size() + of_blocks;
  return bytes;
}

}  // namespace

RangePlan::RangePlan(ListingSplit split, std::uint32_t page_keys, std::string prefix, std::string start_after,
                     std::optional<std::string> until)
    : split_(split),
      page_keys_(page_keys),
      prefix_(std::move(prefix)),
      most_asked_(static_cast<double>(std::max<std::size_t>(split.listers, 1))) {
  Range& whole = ranges_.emplace_back();
  whole.last = start_after;
  whole.after = std::move(start_after);
  whole.until = std::move(until);
}

RangePlan::Range* RangePlan::next_request() {
  if (static_cast<double>(asked_ + 1) > most_asked_) return nullptr;
  bool is_front = true;
  const bool is_full = bytes_ + asked_ * page_bytes_ >= split_.most_bytes;
  for (auto range = ranges_.begin(); range != ranges_.end(); ++range) {
    if (range->is_done) continue;
    if (!range->is_asked) {
      // Nothing can be taken before this range goes on.
      const bool is_awaited = range == ranges_.begin() && range->pages.empty();
      const bool has_room = !is_full && (is_front || range->pages.size() < most_pages_behind);
      if (is_awaited || has_room) return begin_request(*range);
    } else if (!is_full) {
      if (Range* const begun = split(range)) return begun;
    }
    is_front = false;
  }
  return nullptr;
}

RangePlan::Range* RangePlan::begin_request(Range& range) {
  range.is_asked = true;
  ++asked_;
  return &range;
}

void RangePlan::end_request(Range& range) {
  range.is_asked = false;
  --asked_;
}

/// Whether a range is so far behind the first one that only half of the memory is there for it.
bool RangePlan::is_far(const Range& range) const { return !range.until && &range != &ranges_.front(); }

/// Begins a range ahead of what the lister of `range` is at; null where that is not worth it.
RangePlan::Range* RangePlan::split(Ranges::iterator range) {
  if (is_far(*range) && 2 * (bytes_ + asked_ * page_bytes_) >= split_.most_bytes) return nullptr;
  std::optional<std::string> point = split_point(*range);
  if (!point || *point <= range->last || !point->starts_with(prefix_)) return nullptr;
  if (range->until && *point >= *range->until) return nullptr;
  Range& behind = *ranges_.emplace(std::next(range));
  behind.after = *point;
  behind.last = *point;
  behind.until = std::exchange(range->until, std::move(*point));
  behind.scale = range->scale;
  behind.sample = range->sample;
  behind.is_guess = true;
  return begin_request(behind);
}

std::optional<std::string> RangePlan::split_point(const Range& range) const {
  std::optional<double> count;
  if (range.scale && range.until) count = range.scale->count_between(range.last, *range.until);
  if (count && *count < fewest_pages_to_split * page_keys_) return std::nullopt;
  // A range whose end was guessed by the same scale is as long as it was meant to be.
  if (range.is_guess && range.until) return std::nullopt;
  const double ahead = static_cast<double>(pages_ahead) * page_keys_;
  const double wanted = count && *count < 2 * ahead ? *count / 2 : ahead;
  if (range.scale) {
    if (auto point = range.scale->ahead(range.last, wanted)) return point;
  }
  if (range.directory_end.empty()) return std::nullopt;
  return range.directory_end;
}

RangePlan::PageNotes RangePlan::note(const Range& range, const std::vector<ListedObject>& objects) {
  PageNotes notes;
  if (objects.size() < 2) return notes;
  const std::span<const std::string> before = range.sample ? *range.sample : std::span<const std::string>();
  if (auto scale = KeyScale::of(objects, before)) notes.scale = std::make_shared<const KeyScale>(std::move(*scale));
  auto sample = std::make_shared<std::vector<std::string>>();
  for (std::size_t i = 0; i < objects.size(); i += sampled_of_keys) sample->push_back(objects[i].key.str());
  notes.sample = std::move(sample);
  const std::string& middle = objects[objects.size() / 2].key.str();
  notes.directory_end = after_directory(middle, objects.back().key.str()).value_or(std::string());
  return notes;
}

void RangePlan::answered(Range& range, std::vector<ListedObject> objects, PageNotes notes, bool is_last) {
  end_request(range);
  range.is_done = is_last;
  if (!objects.empty()) range.last = objects.back().key.str();
  if (range.until && range.last >= *range.until) {
    range.is_done = true;
    const auto end =
        std::upper_bound(objects.begin(), objects.end(), *range.until,
                         [](const std::string& key, const ListedObject& each) { return key < each.key.str(); });
    objects.erase(end, objects.end());
  }
  if (range.is_guess) judge_guess(range, objects.empty());
  if (notes.scale) range.scale = std::move(notes.scale);
  if (notes.sample) range.sample = std::move(notes.sample);
  range.directory_end = std::move(notes.directory_end);
  if (!objects.empty()) {
    const ByteCount bytes = bytes_of(objects);
    page_bytes_ = std::max(page_bytes_, bytes);
    bytes_ += bytes;
    range.pages.push_back({std::move(objects), bytes});
  }
  if (is_last) end_ranges_behind(range);
  drop_done_ranges();
}

/// Ends the ranges that nobody has begun to list: the listing has no key there.
void RangePlan::end_ranges_behind(const Range& range) {
  auto each = std::find_if(ranges_.begin(), ranges_.end(), [&](const Range& other) { return &other == &range; });
  for (++each; each != ranges_.end(); ++each) {
    if (!each->is_asked && each->pages.empty()) each->is_done = true;
  }
}

void RangePlan::drop_done_ranges() {
  while (!ranges_.empty() && ranges_.front().is_done && ranges_.front().pages.empty()) ranges_.pop_front();
}

void RangePlan::judge_guess(Range& range, bool is_empty) {
  range.is_guess = false;
  const double most = static_cast<double>(std::max<std::size_t>(split_.listers, 1));
  most_asked_ = is_empty ? std::max(std::min(fewest_asked, most), most_asked_ * after_failure)
                         : std::min(most, most_asked_ + after_success);
}

std::optional<std::vector<ListedObject>> RangePlan::take() {
  if (ranges_.empty() || ranges_.front().pages.empty()) return std::nullopt;
  Range& front = ranges_.front();
  Page page = std::move(front.pages.front());
  front.pages.pop_front();
  bytes_ -= page.bytes;
  drop_done_ranges();
  return std::move(page.objects);
}

}  // namespace bale::store
