// Files of JSON lines that say what is to be copied, and lines that say what is marked.
#pragma once

#include <optional>
#include <string>

#include "cli/bucket_context.hpp"
#include "jobs/bucket/inventory.hpp"
#include "os/files.hpp"

namespace bale::cli {

/// Reads a report of `compare` or `backup` line by line. Not thread-safe.
class ReportReader {
 public:
  /// `prefix`: that of the source, with which every key begins. Throws Error{not_found}.
  ReportReader(os::Files& files, const std::string& path, std::string prefix);
  /// Returns the name, below the prefix, of the next object to be copied; nullopt at the end. Throws Error{invalid}
  /// with the number of the line that does not belong to a report.
  std::optional<std::string> next();

 private:
  const std::string path_, prefix_;
  bucket::LineReader lines_;
};

/// Prints that a copy was, would be or was not marked. `type`: of the line of JSON.
void emit_mark(BucketContext& bucket, const char* type, const char* doing, const std::string& name);

}  // namespace bale::cli
