#include "jobs/bucket/compare.hpp"

#include <atomic>

#include "flow/item_runner.hpp"

namespace bale::bucket {
namespace {

class Comparison {
 public:
  Comparison(const CompareRequest& request, const Tools& tools, const std::function<void(const Finding&)>& found)
      : request_(request), tools_(tools), found_(found), runner_(tools.at_once) {}

  CompareCounts run(Difference& difference) {
    try {
      ask_where_listings_do_not_tell(difference);
    } catch (...) {
      is_over_ = true;  // what waits for its turn is not begun
      runner_.wait();
      throw;
    }
    runner_.wait();
    check_go_on();
    const Lock lock(mutex_);
    return counts_;
  }

 private:
  void ask_where_listings_do_not_tell(Difference& difference) {
    while (const Pair* pair = difference.next()) {
      check_go_on();
      if (request_.is_wanted && !request_.is_wanted(pair->name)) continue;
      add_sizes(*pair);
      if (const auto evidence = judge_listed(*pair, request_.listed)) {
        tell({pair->name, *evidence, pair->left, pair->right, std::nullopt});
        continue;
      }
      const bool is_known = pair->known != nullptr && is_of(*pair->known, *pair->left, *pair->right);
      const bool is_by_time = is_known && pair->known->origin == Origin::time;
      runner_.run([this, name = std::string(pair->name), left = *pair->left, right = *pair->right, is_known,
                   is_by_time] { ask(name, left, right, is_known && !is_by_time); });
    }
  }

  void check_go_on() const {
    if (tools_.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    if (!is_over_) return;
    const Lock lock(mutex_);
    if (fatal_) throw *fatal_;
  }

  void add_sizes(const Pair& pair) {
    const Lock lock(mutex_);
    if (pair.left != nullptr) ++counts_.left, counts_.left_bytes += pair.left->size;
    if (pair.right != nullptr) ++counts_.right, counts_.right_bytes += pair.right->size;
  }

  void ask(const std::string& name, const store::ListedObject& left, const store::ListedObject& right,
           bool is_known) noexcept {
    if (tools_.world.stop.stop_requested() || is_over_) return;
    Finding finding{name, {}, &left, &right, std::nullopt};
    try {
      const auto known = is_known ? std::optional(Evidence{Verdict::same, "journal"}) : std::nullopt;
      finding.evidence = compare_by_head(request_, name, known);
    } catch (...) {
      finding.failure = current_error();
      if (finding.failure->kind() == ErrorKind::cancelled) return;
      finding.evidence = {Verdict::unknown, finding.failure->summary()};
    }
    try {
      tell(finding);
    } catch (...) {  // nobody takes the findings
      const Lock lock(mutex_);
      fatal_ = current_error();
      is_over_ = true;
    }
  }

  void tell(const Finding& finding) {
    const Lock lock(mutex_);
    switch (finding.evidence.verdict) {
      case Verdict::same: ++counts_.same; break;
      case Verdict::differs: ++counts_.differs; break;
      case Verdict::missing: ++counts_.missing; break;
      case Verdict::extra: ++counts_.extra; break;
      case Verdict::unknown: ++counts_.unknown; break;
    }
    if (finding.failure) ++counts_.failed;
    ++tools_.progress.items_done;
    found_(finding);
  }

  const CompareRequest& request_;
  const Tools& tools_;
  const std::function<void(const Finding&)>& found_;
  std::atomic<bool> is_over_{false};
  mutable Mutex mutex_;
  CompareCounts counts_ BALE_GUARDED_BY(mutex_);
  std::optional<Error> fatal_ BALE_GUARDED_BY(mutex_);
  flow::ItemRunner runner_;  ///< last: its tasks use the others
};

bool have_equal_tags(const CompareRequest& request, std::string_view name) {
  return request.left.store->get_tags(request.left.at(name)) == request.right.store->get_tags(request.right.at(name));
}

}  // namespace

Evidence compare_by_head(const CompareRequest& request, std::string_view name, const std::optional<Evidence>& known) {
  const bool is_full = request.listed.level == Level::full;
  const store::ReadConditions evidence{
      .version_id = {}, .if_match = {}, .with_evidence = is_full || request.listed.level == Level::checksum};
  const auto left = request.left.store->head(request.left.at(name), evidence);
  const auto right = request.right.store->head(request.right.at(name), evidence);
  if (!left || !right) return {Verdict::unknown, "an object was deleted while it was compared"};
  Evidence found = judge_content(*left, *right);
  if (found.verdict == Verdict::unknown && known) found = *known;
  if (!is_full || found.verdict == Verdict::differs) return found;
  const std::string difference = request.metadata ? metadata_difference(*left, *right) : "";
  if (!difference.empty()) return {Verdict::differs, difference};
  // The number of tags is told only to those who may read them: none on both sides may be a lack of rights.
  if (request.tags && !have_equal_tags(request, name)) return {Verdict::differs, "tags"};
  return found;
}

CompareCounts compare(const CompareRequest& request, store::ObjectSequence& left, store::ObjectSequence& right,
                      EntrySequence* journal, const Tools& tools, const std::function<void(const Finding&)>& found) {
  Difference difference({left, request.left.prefix}, {right, request.right.prefix}, journal);
  return Comparison(request, tools, found).run(difference);
}

}  // namespace bale::bucket
