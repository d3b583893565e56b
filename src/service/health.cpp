#include "service/health.hpp"

#include <algorithm>
#include <utility>

namespace bale::service {
namespace {

/// Longer than a long poll, its deadline, and the longest pause between attempts.
constexpr std::chrono::minutes patience{2};

}  // namespace

Health::Loop::Loop(Health& health, std::string name)
    : health_(health), name_(std::move(name)), last_answer_(health.clock_.steady()) {}

void Health::Loop::answered() {
  const auto now = health_.clock_.steady();
  const Lock lock(mutex_);
  last_answer_ = now;
  error_.clear();
}

void Health::Loop::failed(const Error& error) {
  const Lock lock(mutex_);
  error_ = error.what();
}

void Health::Loop::count_work(int change) {
  const auto now = health_.clock_.steady();
  const Lock lock(mutex_);
  work_ += change;
  // It could not ask its queue meanwhile.
  last_answer_ = now;
}

LoopReport Health::Loop::report(std::chrono::steady_clock::time_point now) const {
  const Lock lock(mutex_);
  LoopReport report;
  report.name = name_;
  report.working = work_ > 0;
  report.silent = std::chrono::duration_cast<std::chrono::seconds>(now - last_answer_);
  report.healthy = report.working || report.silent < patience;
  report.error = error_;
  return report;
}

Health::Loop& Health::add(std::string name) {
  const Lock lock(mutex_);
  return loops_.emplace_back(*this, std::move(name));
}

std::vector<LoopReport> Health::report() const {
  const auto now = clock_.steady();
  const Lock lock(mutex_);
  std::vector<LoopReport> reports;
  for (const Loop& loop : loops_) reports.push_back(loop.report(now));
  return reports;
}

bool all_healthy(const std::vector<LoopReport>& loops) noexcept {
  return std::all_of(loops.begin(), loops.end(), [](const LoopReport& loop) { return loop.healthy; });
}

}  // namespace bale::service
