#include "os/machine.hpp"

#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::os {
namespace {

/// The content of a file of /proc or /sys, or nothing: which of them exist depends on the system.
std::optional<std::string> read_if_possible(Files& files, const fs::path& path) {
  try {
    return read_text_file(files, path, 1 << 20);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The number at the start of `text`, or nothing ("max").
std::optional<std::uint64_t> leading_number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

/// The directory of `group` below `mount`, and those above it, innermost first. A container usually sees its own group
/// as the root; the path that /proc tells may then not exist, and only the root counts.
std::vector<fs::path> with_parents(const fs::path& mount, std::string_view group) {
  std::vector<fs::path> directories;
  for (fs::path relative = fs::path(group).relative_path(); !relative.empty(); relative = relative.parent_path())
    directories.push_back(mount / relative);
  directories.push_back(mount);
  return directories;
}

/// Where the limits of `controller` ("memory", "cpu") may be, for both versions of control groups.
std::vector<fs::path> group_directories(Files& files, std::string_view controller) {
  const fs::path root = "/sys/fs/cgroup";
  std::vector<fs::path> directories;
  const auto add = [&](const std::vector<fs::path>& more) {
    directories.insert(directories.end(), more.begin(), more.end());
  };
  const std::string groups = read_if_possible(files, "/proc/self/cgroup").value_or("");
  for (const std::string_view line : split(groups, '\n')) {  // "0::/path" or "7:cpu,cpuacct:/path"
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (names.empty()) add(with_parents(root, path));
    for (const std::string_view name : split(names, ',')) {
      if (name == controller) add(with_parents(root / std::string(controller), path));
    }
  }
  if (directories.empty()) add({root, root / std::string(controller)});
  return directories;
}

std::optional<ByteCount> total_memory(Files& files) {
  const std::string text = read_if_possible(files, "/proc/meminfo").value_or("");
  constexpr std::string_view label = "MemTotal:";
  const auto at = text.find(label);
  if (at == std::string::npos) return std::nullopt;
  const auto kib = leading_number(std::string_view(text).substr(at + label.size()));
  if (!kib) return std::nullopt;
  return *kib * 1024;
}

/// Processors of one group, from "quota period" in microseconds; nothing when it is not limited.
std::optional<double> cpu_quota(Files& files, const fs::path& directory) {
  std::optional<std::uint64_t> quota, period;
  if (const auto v2 = read_if_possible(files, directory / "cpu.max")) {
    quota = leading_number(*v2);
    const auto space = v2->find(' ');
    if (space != std::string::npos) period = leading_number(std::string_view(*v2).substr(space));
  } else if (const auto v1 = read_if_possible(files, directory / "cpu.cfs_quota_us")) {  // -1: none
    quota = leading_number(*v1);
    period = leading_number(read_if_possible(files, directory / "cpu.cfs_period_us").value_or(""));
  }
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::size_t affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>(CPU_COUNT(&set));
  return std::thread::hardware_concurrency();  // more processors than cpu_set_t holds
}

}  // namespace

ByteCount usable_memory(Files& files) {
  ByteCount least = total_memory(files).value_or(0);
  for (const fs::path& directory : group_directories(files, "memory")) {
    for (const char* name : {"memory.max", "memory.limit_in_bytes"}) {
      const auto text = read_if_possible(files, directory / name);
      const auto limit = text ? leading_number(*text) : std::nullopt;
      if (limit && *limit > 0 && (least == 0 || *limit < least)) least = *limit;
    }
  }
  // v1 writes "no limit" as a number close to 2^63; without MemTotal that would be all that is known.
  return least >= (ByteCount{1} << 62) ? 0 : least;
}

std::size_t usable_cores(Files& files) {
  std::size_t cores = affinity();
  for (const fs::path& directory : group_directories(files, "cpu")) {
    const auto quota = cpu_quota(files, directory);
    if (quota) cores = std::min(cores, static_cast<std::size_t>(std::ceil(*quota)));
  }
  return std::max<std::size_t>(cores, 1);
}

void raise_descriptor_limit() noexcept {
  constexpr rlim_t most = 1 << 16;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= most) return;
  limit.rlim_cur = std::min(limit.rlim_max, most);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::size_t descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > SIZE_MAX) return SIZE_MAX;
  return limit.rlim_cur;
}

void bound_allocator() noexcept {
  // Each arena of glibc keeps what its threads freed, and by default there are eight for each core: dozens of
  // connection threads would keep more memory than the data takes.
  mallopt(M_ARENA_MAX, static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 2U, 8U)));
  // Frames and parts are larger than this, nearly everything else is smaller. Setting it also keeps it from being
  // raised.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
}

}  // namespace bale::os
