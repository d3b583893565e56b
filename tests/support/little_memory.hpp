// Runs code in a process of its own that may take only so much memory.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace bale::test {

/// Address sanitizers reserve terabytes: what they check cannot be limited.
constexpr bool memory_can_be_limited() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  return true;
#endif
}

/// What a step did that ran with at most `bytes` of memory beside what this process has: "" where it returned, what()
/// of its Error with its kind in front ("corrupt: ..."), or "out of memory". The step starts no threads that outlive
/// it.
inline std::string with_little_memory(ByteCount bytes, const std::function<void()>& step) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string told;
    try {
      long pages = 0;
      if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
        std::fclose(file);
      }
      const rlimit limit{static_cast<rlim_t>(pages) * 4096 + bytes, RLIM_INFINITY};
      if (memory_can_be_limited()) ::setrlimit(RLIMIT_AS, &limit);
      step();
    } catch (const Error& error) {
      told = std::string(to_string(error.kind())) + ": " + error.what();
    } catch (const std::bad_alloc&) {
      told = "out of memory";
    } catch (const std::exception& error) {
      told = error.what();
    }
    [[maybe_unused]] const auto written = ::write(ends[1], told.data(), told.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string told;
  char piece[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], piece, sizeof piece)) > 0;) told.append(piece, static_cast<size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return told;
}

}  // namespace bale::test
