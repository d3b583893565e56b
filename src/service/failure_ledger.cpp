#include "service/failure_ledger.hpp"

#include <algorithm>

namespace bale::service {

void FailureLedger::record(const std::string& stage, const std::string& work,
                           std::vector<ReplicationFailure> failures) {
  const Lock lock(mutex_);
  if (failures.empty() && of_work_.empty()) return;
  const auto earlier = of_work_.find({stage, work});
  if (earlier != of_work_.end()) {
    for (ReplicationFailure& failure : failures) {
      const auto same = std::find_if(earlier->second.begin(), earlier->second.end(),
                                     [&](const ReplicationFailure& e) { return e.what == failure.what; });
      if (same != earlier->second.end()) failure.attempts = same->attempts + 1;
    }
    kept_ -= earlier->second.size();
    of_work_.erase(earlier);
  }
  if (failures.empty()) return;
  if (kept_ + failures.size() > most_kept) {
    beyond_ += failures.size();
    return;
  }
  kept_ += failures.size();
  of_work_[{stage, work}] = std::move(failures);
}

std::uint64_t FailureLedger::size() const {
  const Lock lock(mutex_);
  return kept_ + beyond_;
}

std::vector<ReplicationFailure> FailureLedger::failures() const {
  const Lock lock(mutex_);
  std::vector<ReplicationFailure> all;
  for (const auto& [work, failures] : of_work_) all.insert(all.end(), failures.begin(), failures.end());
  return all;
}

}  // namespace bale::service
