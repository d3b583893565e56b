#include "catalog/version_order.hpp"

#include <algorithm>

namespace bale::catalog {
namespace {

/// Versions with and without sequencer, each newest first.
struct Apart {
  std::vector<std::size_t> with, without;
};

Apart set_apart(const std::vector<VersionRank>& versions) {
  Apart apart;
  for (std::size_t i = 0; i < versions.size(); ++i)
    (versions[i].order.sequencer.empty() ? apart.without : apart.with).push_back(i);
  const auto is_newer = [&](std::size_t left, std::size_t right) {
    const VersionRank &a = versions[left], &b = versions[right];
    const int order = compare_sequencers(a.order.sequencer, b.order.sequencer);
    if (order != 0) return order > 0;
    if (a.order.time != b.order.time) return a.order.time > b.order.time;
    return a.backup_time > b.backup_time;
  };
  std::stable_sort(apart.with.begin(), apart.with.end(), is_newer);
  std::stable_sort(apart.without.begin(), apart.without.end(), is_newer);
  return apart;
}

}  // namespace

std::vector<std::size_t> newest_first(const std::vector<VersionRank>& versions) {
  const Apart apart = set_apart(versions);
  std::vector<std::size_t> order;
  order.reserve(versions.size());
  auto without = apart.without.begin();
  for (const std::size_t event : apart.with) {
    while (without != apart.without.end() && versions[*without].order.time > versions[event].order.time)
      order.push_back(*without++);
    order.push_back(event);
  }
  order.insert(order.end(), without, apart.without.end());
  return order;
}

std::vector<std::size_t> contenders(const std::vector<VersionRank>& versions) {
  const Apart apart = set_apart(versions);
  if (apart.without.empty()) return {apart.with.front()};
  if (apart.with.empty()) return {apart.without.front()};
  const std::size_t event = apart.with.front(), backfill = apart.without.front();
  if (versions[backfill].order.time > versions[event].order.time) return {backfill, event};
  return {event, backfill};
}

}  // namespace bale::catalog
