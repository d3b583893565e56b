// Other programs, run for what they print.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace bale::os {

struct ProcessResult {
  int status = 0;      ///< exit status; 128 + signal where one ended it
  std::string output;  ///< what it wrote to its standard output
};

/// Where other programs are run. Thread-safe.
class Processes {
 public:
  virtual ~Processes() = default;
  /// Runs `arguments[0]`, looked up in PATH, without a shell; its standard error is this process's. Throws
  /// Error{not_found} when there is no such program, {timeout} when it takes longer than `timeout`, {cancelled} when
  /// `stop` is requested, {invalid} when it prints more than `most_bytes`; in the last three cases it is killed.
  virtual ProcessResult run(const std::vector<std::string>& arguments, Milliseconds timeout, ByteCount most_bytes,
                            std::stop_token stop) = 0;
};

/// The machine's; never destroyed.
Processes& system_processes();

}  // namespace bale::os
