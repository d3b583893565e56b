// What `bale check` shows of its findings.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "jobs/check/report.hpp"

namespace bale::cli {

/// Prints findings as they come in JSON, and in tables for a person: a new one for every thousand findings, so that
/// memory stays small. Its calls come one at a time.
class CheckPrinter {
 public:
  /// `context` is borrowed.
  explicit CheckPrinter(Context& context) : context_(context) {}
  void add(const check::Finding& finding);
  /// What was added since the last table, in the order of places and objects.
  void print_table();
  /// What to do about each type of finding that came.
  void print_hints();

 private:
  struct Row {
    std::string where, object;
    std::vector<std::string> cells;
  };
  Context& context_;
  std::vector<Row> rows_;
  std::map<std::string, std::string> hints_;  ///< by type; the first of each
};

/// The last line (or lines) of a check: what was looked at, and how it was.
void print_check_summary(Context& context, const check::Counts& counts, bool read_data, bool destinations);

}  // namespace bale::cli
