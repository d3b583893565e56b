#include "os/process_use.hpp"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::os {
namespace {

constexpr ByteCount most_stat_bytes = 64 << 10;

std::string read_or_nothing(Files& files, const fs::path& path) {
  try {
    return read_text_file(files, path, most_stat_bytes);
  } catch (const Error&) {
    return {};
  }
}

/// The field of this number, from 0, in words separated by single spaces.
std::uint64_t number_at(std::string_view text, std::size_t index) {
  const auto words = split(text, ' ');
  if (index >= words.size()) return 0;
  std::uint64_t value = 0;
  std::from_chars(words[index].data(), words[index].data() + words[index].size(), value);
  return value;
}

std::chrono::duration<double> seconds_of(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

ProcessUse process_use(Files& files) {
  ProcessUse use;
  const auto page = static_cast<ByteCount>(::sysconf(_SC_PAGESIZE));
  use.resident_bytes = number_at(read_or_nothing(files, "/proc/self/statm"), 1) * page;
  try {
    use.open_files = files.list("/proc/self/fd").size();
    use.threads = files.list("/proc/self/task").size();
  } catch (const Error&) {
    // 0: the system does not tell.
  }
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0)
    use.processor_time = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  return use;
}

std::chrono::duration<double> thread_processor_time() noexcept {
  timespec time{};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace bale::os
