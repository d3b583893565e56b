#include "jobs/check/report.hpp"

namespace bale::check {

Finding finding_of(const Error& error, FindingType damage, const std::string& where) {
  if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::internal) throw Error(error);
  Finding finding;
  finding.where = where;
  const bool is_archived = error.code() == "InvalidObjectState";
  if (error.kind() == ErrorKind::corrupt)
    finding.type = damage;
  else if (is_archived)
    finding.type = FindingType::not_readable;
  else
    finding.type = FindingType::unexamined;
  // The place is said once; what is below it ("..., frame 3") stays.
  const bool same_place = error.where().empty() || error.where() == where;
  finding.what =
      is_archived ? "not readable now: " + error.summary() : (same_place ? error.summary() : std::string(error.what()));
  finding.hint = finding.type == FindingType::unexamined ? error.hint() : std::string(hint_of(finding.type));
  return finding;
}

}  // namespace bale::check
