// The probes: what the doctor tries, and what it means for Bale when that does not work.
#pragma once

#include <vector>

#include "jobs/doctor/finding.hpp"
#include "jobs/doctor/ground.hpp"

namespace bale::doctor {

/// One thing that is tried. A value; its texts live as long as the program.
struct Probe {
  const char* name;     ///< as in docs/doctor.md
  const char* tries;    ///< what it does, for --dryrun: "puts ..."
  bool writes;          ///< whether it changes anything in the store
  Verdict unless;       ///< the verdict when one of its calls fails: failed or limited
  const char* without;  ///< the consequence then
  /// Uses the ground alone. Throws what the store throws: `unless` and `without` say what that means.
  Outcome (*run)(Ground& ground);
};

/// The probes in the order in which they run: those of objects write first, and the last ones only read.
std::vector<Probe> object_probes();     // object_probes.cpp
std::vector<Probe> upload_probes();     // upload_probes.cpp
std::vector<Probe> condition_probes();  // condition_probes.cpp
std::vector<Probe> bucket_probes();     // bucket_probes.cpp

}  // namespace bale::doctor
