// Objects whose archive is gone: the catalog is asked again, and another backup of the same version is read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jobs/recover/restore.hpp"
#include "jobs/recover/search.hpp"

namespace bale::recover {

/// Objects of distinct keys that were not restored because their archive is gone.
struct GoneObjects {
  catalog::RecordList records;
  std::vector<std::shared_ptr<const Error>> errors;  ///< in the same order; objects of one archive share theirs

  void add(const catalog::Record& record, const Error& error);
};

/// What the catalog has of gone objects when it is asked again, in the order of GoneObjects.
struct Replacements {
  struct Choice {
    std::vector<std::size_t> candidates;  ///< indices into `records`: other archives that hold the version, best first
    std::optional<Error> error;           ///< why the object fails when no candidate can be read
  };
  catalog::RecordList records;
  std::vector<Choice> choices;
};

/// Whether both records are of the same version of an object: the same key, time, size, content and, where both know
/// it, version id. Records of deletions are no versions.
bool is_same_version(const catalog::Record& a, const catalog::Record& b);

/// How replacements are chosen.
struct AgainOptions {
  /// Only the version that is gone: for objects that a person chose by version. Else the newest version of the key is
  /// taken, when it is at least as new as the one that is gone.
  bool exact_version = false;
  /// The index spoke of another store when the objects were chosen: its versions cannot be compared with those of now,
  /// and the newest of now is taken.
  bool is_new_store = false;
};

/// Looks for gone objects in the catalogs, which the caller has brought up to date. `query` is the one that chose the
/// objects. A version that is older than the one that is gone is never a candidate: the error's hint says how to
/// restore it. Throws as search_each() does.
Replacements find_replacements(const std::vector<CatalogPlace>& catalogs, const Query& query, const GoneObjects& gone,
                               const AgainOptions& options, flow::ThreadPool& connections, OnDamage on_damage,
                               const std::stop_token& stop);

/// Restores as Restore::run() does. Objects whose archive is gone are collected, `ask` is called once with all of them,
/// and what it gives is restored instead, one candidate after the other. `done` is told of each object once. When `ask`
/// fails, the objects fail with both errors.
RestoreResult restore_with_replacements(Restore& job, const catalog::RecordList& records,
                                        const std::function<Replacements(const GoneObjects&)>& ask,
                                        const std::function<void(const RestoredObject&)>& done,
                                        const ArchiveEvents& events = {});

}  // namespace bale::recover
