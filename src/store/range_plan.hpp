// Which key ranges of a bucket are listed at the same time, so that their keys come in order and memory stays bounded.
// Pure: it neither lists nor waits.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/key_scale.hpp"
#include "store/listing.hpp"

namespace bale::store {

/// How a listing is split over listers.
struct ListingSplit {
  std::size_t listers = 16;  ///< requests under way at the same time, at most; at least 1
  /// Listed objects that wait for their turn, in bytes of memory, about. One page more of each lister may come on top.
  ByteCount most_bytes = 24ULL << 20;
};

/// Divides the keys of one listing into ranges, and chooses which range is listed next.
///
/// Nobody knows beforehand where keys lie. The first page begins at the start. From then on, the keys of each page tell
/// how dense keys are behind it (KeyScale), and a free lister begins some pages ahead of the range that another one
/// lists, which then ends there. Where the keys of a page show no numbers, it begins behind their directory. A guess
/// may be wrong: a range that turns out long is split again, and of one that turns out empty nothing is lost but its
/// request; where many are empty, fewer listers guess. Every key belongs to exactly one range whatever is guessed.
///
/// Ranges near the front come first. Those behind it wait once half of the bytes are used (new ones), all are used
/// (begun ones), or they hold `most_pages_behind` pages. A page more is asked for only where nothing can be taken.
class RangePlan {
 public:
  /// Objects that wait for their turn.
  struct Page {
    std::vector<ListedObject> objects;
    ByteCount bytes = 0;  ///< of memory, about
  };

  /// One range of keys: greater than `after`, up to `until`.
  struct Range {
    std::string after;
    std::optional<std::string> until;  ///< the last key that may belong to it; absent: up to the end of the listing
    std::string last;                  ///< its last key that was listed; at first `after`
    std::unique_ptr<Listing> listing;  ///< the caller's; the plan does not look at it

   private:
    friend class RangePlan;
    std::deque<Page> pages;                 ///< that nobody has taken yet
    std::shared_ptr<const KeyScale> scale;  ///< of its newest page, or of the range that it was split from
    std::shared_ptr<const std::vector<std::string>> sample;  ///< some keys of that page
    std::string directory_end;                               ///< after_directory() of its newest page; empty: none
    bool is_guess = false;                                   ///< no page of it has come yet, and its start was guessed
    bool is_asked = false;                                   ///< a request is under way
    bool is_done = false;
  };

  /// A range is begun that many pages ahead.
  static constexpr std::size_t pages_ahead = 4;
  /// Pages that a range behind the first one may hold.
  static constexpr std::size_t most_pages_behind = 8;

  /// `page_keys` is the number of keys in a page, at least 1. `prefix`, `start_after` and `until` (the last key) bound
  /// the listing.
  RangePlan(ListingSplit split, std::uint32_t page_keys, std::string prefix, std::string start_after,
            std::optional<std::string> until);

  /// Returns the range whose next page the caller requests now; nullptr if no range may be requested. The range stays
  /// valid until answered() has been called for it.
  Range* next_request();
  /// What answered() needs to know of a page besides its objects. Takes time: to be made without a lock.
  struct PageNotes {
    std::shared_ptr<const KeyScale> scale;
    std::shared_ptr<const std::vector<std::string>> sample;
    std::string directory_end;
  };
  static PageNotes note(const Range& range, const std::vector<ListedObject>& objects);
  /// Takes the page that was asked for. `is_last`: the listing has no key behind it.
  void answered(Range& range, std::vector<ListedObject> objects, PageNotes notes, bool is_last);
  /// The request has failed: the range is no longer under way.
  void failed(Range& range) { end_request(range); }

  /// Returns the next objects in order of their keys, never none; nullopt where they have not come yet, or at the end.
  std::optional<std::vector<ListedObject>> take();
  /// Whether everything was listed and taken.
  bool is_at_end() const noexcept { return ranges_.empty(); }
  /// Requests under way.
  std::size_t asked() const noexcept { return asked_; }

 private:
  using Ranges = std::list<Range>;
  Range* begin_request(Range& range);
  void end_request(Range& range);
  Range* split(Ranges::iterator range);
  std::optional<std::string> split_point(const Range& range) const;
  bool is_far(const Range& range) const;
  void end_ranges_behind(const Range& range);
  void drop_done_ranges();
  void judge_guess(Range& range, bool is_empty);

  const ListingSplit split_;
  const double page_keys_;
  const std::string prefix_;
  Ranges ranges_;  ///< in order; the first is not done, or has pages
  std::size_t asked_ = 0;
  double most_asked_;         ///< fewer than listers where guesses fail
  ByteCount bytes_ = 0;       ///< of all pages that wait
  ByteCount page_bytes_ = 0;  ///< of the largest page so far
};

}  // namespace bale::store
