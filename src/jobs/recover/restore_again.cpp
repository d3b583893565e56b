#include "jobs/recover/restore_again.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace bale::recover {
namespace {

/// Whether the object failed because its archive, or the object in it, is not there.
bool is_archive_gone(const RestoredObject& object) {
  if (object.fate != RestoreFate::failed || !object.error || object.record->deleted) return false;
  if (object.error->kind() != ErrorKind::not_found) return false;
  const std::vector<ObjectAddress> places = catalog::archive_places(*object.record);
  return std::any_of(places.begin(), places.end(),
                     [&](const ObjectAddress& place) { return to_uri(place) == object.error->where(); });
}

std::pair<std::string, std::string> object_of(const catalog::Record& record) {
  return {record.source_bucket.str(), record.object_path.str()};
}

/// Equal, or not known of one.
template <typename Value>
bool agree(const Value& a, const Value& b) {
  return a.empty() || b.empty() || a == b;
}

/// The records of one gone object, newest first, as the catalog has them now.
class ChoiceOfOne {
 public:
  ChoiceOfOne(const catalog::Record& gone, const Error& error, const AgainOptions& options)
      : gone_(gone), error_(error), options_(options), tried_(catalog::archive_places(gone)) {}

  void take(const catalog::Record& record, Replacements& found, Replacements::Choice& choice) {
    if (!newest_) newest_ = record;
    const auto wanted = wanted_version();
    if (wanted && is_same_version(record, *wanted)) {
      if (adds_place(record)) {
        choice.candidates.push_back(found.records.size());
        found.records.add(record);
      }
    } else if (!older_ && !record.deleted && is_newer(gone_, record)) {
      older_ = record;
    }
  }

  Error error() const {
    if (newest_ && newest_->deleted && is_newer(*newest_, gone_)) {
      return error_.with_hint(fmt::format("its deletion was recorded at {}; no other backup has the version before",
                                          to_iso8601(newest_->last_modified)));
    }
    if (!older_ || older_->last_modified >= gone_.last_modified) return error_;
    const std::string time = to_iso8601(older_->last_modified);
    return error_.with_hint(
        fmt::format("no other backup has this version ({}); `--as-of {}` restores an older one, of that time",
                    to_iso8601(gone_.last_modified), time));
  }

 private:
  /// The version to restore; absent where the catalog has none that may take the place of the one that is gone.
  std::optional<catalog::Record> wanted_version() const {
    if (options_.exact_version) return gone_;
    if (newest_->deleted) return std::nullopt;
    const bool may_replace = options_.is_new_store || is_same_version(*newest_, gone_) || is_newer(*newest_, gone_);
    return may_replace ? newest_ : gone_;
  }

  /// Whether the archive of the record is, or may be, somewhere that was not tried.
  bool adds_place(const catalog::Record& record) {
    bool is_new = false;
    for (const ObjectAddress& place : catalog::archive_places(record)) {
      if (std::find(tried_.begin(), tried_.end(), place) != tried_.end()) continue;
      tried_.push_back(place);
      is_new = true;
    }
    return is_new;
  }

  const catalog::Record gone_;
  const Error& error_;
  const AgainOptions& options_;
  std::vector<ObjectAddress> tried_;
  std::optional<catalog::Record> newest_, older_;
};

/// One call of restore_with_replacements().
class RestoreAgain {
 public:
  RestoreAgain(Restore& job, const std::function<void(const RestoredObject&)>& done, const ArchiveEvents& events)
      : job_(job), done_(done), events_(events) {}

  RestoreResult run(const catalog::RecordList& records, const std::function<Replacements(const GoneObjects&)>& ask) {
    GoneObjects gone;
    add(job_.run(
        records,
        [&](const RestoredObject& object) {
          is_archive_gone(object) ? gone.add(*object.record, *object.error) : done_(object);
        },
        events_));
    if (gone.errors.empty()) return result_;
    const Replacements found = asked(gone, ask);
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < gone.errors.size(); ++i) left.push_back(i);
    for (std::size_t round = 0; !left.empty(); ++round) left = restore_round(gone, found, left, round);
    return result_;
  }

 private:
  /// What `ask` gives; when it fails, no candidates and its error as the cause of each object's.
  static Replacements asked(const GoneObjects& gone, const std::function<Replacements(const GoneObjects&)>& ask) {
    try {
      return ask(gone);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      Replacements none;
      for (const auto& each : gone.errors) {
        const std::string what =
            fmt::format("{}; nor can the catalog be asked again: {}", each->summary(), error.what());
        none.choices.push_back({{}, each->with_summary(what)});
      }
      return none;
    }
  }

  /// Restores the candidate number `round` of each object. Returns those that are still without.
  std::vector<std::size_t> restore_round(const GoneObjects& gone, const Replacements& found,
                                         const std::vector<std::size_t>& left, std::size_t round) {
    catalog::RecordList next;
    std::map<std::pair<std::string, std::string>, std::size_t> objects;
    for (const std::size_t index : left) {
      const Replacements::Choice& choice = found.choices.at(index);
      if (round >= choice.candidates.size()) {
        fail(gone.records[index], choice.error.value_or(*gone.errors[index]));
        continue;
      }
      const catalog::Record record = found.records[choice.candidates[round]];
      objects.emplace(object_of(record), index);
      next.add(record);
    }
    std::vector<std::size_t> still_left;
    if (next.empty()) return still_left;
    add(job_.run(
        next,
        [&](const RestoredObject& object) {
          is_archive_gone(object) ? still_left.push_back(objects.at(object_of(*object.record))) : done_(object);
        },
        events_));
    return still_left;
  }

  void fail(const catalog::Record& record, const Error& error) {
    RestoredObject object;
    object.record = &record;
    object.fate = RestoreFate::failed;
    object.error = error;
    done_(object);
  }

  void add(const RestoreResult& result) {
    result_.requests += result.requests;
    result_.bytes_read += result.bytes_read;
    result_.archives += result.archives;
    result_.archives_asked += result.archives_asked;
    result_.archives_waiting += result.archives_waiting;
  }

  Restore& job_;
  const std::function<void(const RestoredObject&)>& done_;
  const ArchiveEvents& events_;
  RestoreResult result_;
};

}  // namespace

void GoneObjects::add(const catalog::Record& record, const Error& error) {
  const bool is_known = !errors.empty() && errors.back()->where() == error.where();
  errors.push_back(is_known ? errors.back() : std::make_shared<const Error>(error));
  records.add(record);
}

bool is_same_version(const catalog::Record& a, const catalog::Record& b) {
  return !a.deleted && !b.deleted && object_of(a) == object_of(b) && a.last_modified == b.last_modified &&
         (!a.object_size || !b.object_size || a.object_size == b.object_size) && agree(a.version_id, b.version_id) &&
         agree(a.etag, b.etag) && agree(a.sha256, b.sha256);
}

Replacements find_replacements(const std::vector<CatalogPlace>& catalogs, const Query& query, const GoneObjects& gone,
                               const AgainOptions& options, flow::ThreadPool& connections, OnDamage on_damage,
                               const std::stop_token& stop) {
  auto objects = std::make_shared<ObjectSet>();
  std::map<std::pair<std::string, std::string>, std::size_t> index_of;
  Replacements found;
  for (std::size_t i = 0; i < gone.errors.size(); ++i) {
    const auto object = object_of(gone.records[i]);
    objects->insert(object);
    index_of.emplace(object, i);
    found.choices.push_back({{}, *gone.errors[i]});
  }
  Query all_versions = query;
  all_versions.objects = objects;
  all_versions.all_versions = true;
  all_versions.with_deleted = true;
  std::optional<ChoiceOfOne> choice;  // of the object of which records come
  std::size_t index = 0;
  const auto finish = [&] {
    if (choice) found.choices[index].error = choice->error();
  };
  search_each(catalogs, all_versions, connections, on_damage, stop, [&](const catalog::Record& record) {
    const std::size_t next = index_of.at(object_of(record));
    if (!choice || next != index) {
      finish();
      index = next;
      choice.emplace(gone.records[index], *gone.errors[index], options);
    }
    choice->take(record, found, found.choices[index]);
    return true;
  });
  finish();
  return found;
}

RestoreResult restore_with_replacements(Restore& job, const catalog::RecordList& records,
                                        const std::function<Replacements(const GoneObjects&)>& ask,
                                        const std::function<void(const RestoredObject&)>& done,
                                        const ArchiveEvents& events) {
  return RestoreAgain(job, done, events).run(records, ask);
}

}  // namespace bale::recover
