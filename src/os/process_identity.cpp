#include "os/process_identity.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::os {
namespace {

/// Of proc_pid_stat(5): the fields that follow the name of the program, which may have spaces and parentheses in it.
struct ProcessStat {
  std::string state;    ///< "Z": ended, to be reaped
  std::string threads;  ///< how many there are
  std::string started;  ///< clock ticks since the boot
};

std::string read_or_nothing(Files& files, const fs::path& path) {
  try {
    return read_text_file(files, path, 64 << 10);
  } catch (const Error&) {
    return {};  // not shown to us, or gone: the callers know nothing then
  }
}

std::optional<ProcessStat> stat_of(Files& files, const std::string& pid) {
  const std::string text = read_or_nothing(files, fs::path("/proc") / pid / "stat");
  const auto end_of_name = text.rfind(") ");
  if (end_of_name == std::string::npos) return std::nullopt;
  const auto fields = split(std::string_view(text).substr(end_of_name + 2), ' ');
  // Counted from 1 with pid and name: state is 3, num_threads 20, starttime 22.
  if (fields.size() < 20) return std::nullopt;
  return ProcessStat{std::string(fields[0]), std::string(fields[17]), std::string(fields[19])};
}

std::string machine_of(Files& files) {
  std::string boot = read_or_nothing(files, "/proc/sys/kernel/random/boot_id");
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  try {
    const auto pids = files.info_followed("/proc/self/ns/pid");
    if (!boot.empty() && pids) return fmt::format("{}/{}:{}", boot, pids->device, pids->inode);
  } catch (const Error&) {
    return {};  // not shown to us
  }
  return {};
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

}  // namespace

ProcessIdentity this_process(Files& files) {
  const auto stat = stat_of(files, "self");
  return {host_name(), ::getpid(), machine_of(files), stat ? stat->started : std::string()};
}

bool has_ended(Files& files, const ProcessIdentity& process) {
  if (process.machine.empty() || process.started.empty() || process.pid <= 0 || process.pid > INT32_MAX) return false;
  // The name of the host, too: virtual machines made from one snapshot of memory have one boot.
  if (process.machine != machine_of(files) || process.host != host_name()) return false;
  // /proc may hide processes of other users (hidepid); signals find them.
  if (::kill(static_cast<pid_t>(process.pid), 0) != 0 && errno == ESRCH) return true;
  const auto stat = stat_of(files, fmt::format("{}", process.pid));
  if (!stat) return false;
  return stat->started != process.started || (stat->state == "Z" && stat->threads <= "1");
}

}  // namespace bale::os
