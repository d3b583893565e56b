#include "jobs/raw/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "flow/stop_after.hpp"
#include "jobs/raw/bucket.hpp"
#include "jobs/raw/bucket_name.hpp"
#include "jobs/raw/claims.hpp"
#include "jobs/raw/inventory.hpp"
#include "jobs/raw/layout.hpp"
#include "jobs/raw/part_size.hpp"
#include "jobs/raw/pool.hpp"
#include "jobs/raw/upload_slots.hpp"
#include "transfer/multipart.hpp"

namespace bale::raw {
namespace {

RawFileName name_of(const RawRecord& record, const std::string& main_name, std::string_view fallback_project) {
  return {.file_id = record.id,
          .main_name = main_name,
          .instrument = record.instrument,
          .month = record.month,
          .has_project = has_project(record.project, fallback_project)};
}

/// Whether a failure says nothing about the raw file: somebody else works on it.
bool is_of_lease(const Error& error) {
  return error.code() == records::lease_held_code || error.code() == records::lease_lost_code;
}

void check_same(const std::string& known, const std::string& given, const char* what, const std::string& id) {
  if (known.empty() || given.empty() || known == given) return;
  throw Error(ErrorKind::invalid, fmt::format("the record has the {} {}, not {}", what, known, given), id,
              fmt::format("leave out --{}, or choose another id", what));
}

Error other_acquisition(const std::string& what, const std::string& id) {
  return Error(ErrorKind::precondition, what, escape_name(id), "back up another acquisition under an id of its own")
      .with_code("OtherAcquisition");
}

/// Throws where a file that is backed up is not among the files that were found: the source lost it, or the path is of
/// another acquisition.
void check_nothing_lost(const std::map<std::string, FileRecord>& before, const std::vector<FileRecord>& found,
                        const std::string& id) {
  for (const auto& [name, file] : before) {
    const bool is_backed_up = file.state == FileState::copied || file.state == FileState::uploaded;
    const bool is_found = std::binary_search(found.begin(), found.end(), FileRecord{.name = name},
                                             [](const FileRecord& a, const FileRecord& b) { return a.name < b.name; });
    if (is_backed_up && !is_found)
      throw other_acquisition(
          fmt::format("{} is backed up under this id, and the source does not have it", escape_name(name)), id);
  }
}

void check_same_size(const FileRecord& old, const PlannedFile& found, const std::string& id) {
  if (old.state != FileState::uploaded || old.size == found.size) return;
  throw other_acquisition(
      fmt::format("{} has {} bytes, and {} are backed up under this id", escape_name(old.name), found.size, old.size),
      id);
}

}  // namespace

namespace {

os::World stopped_by(os::World world, std::stop_token stop) {
  world.stop = std::move(stop);
  return world;
}

/// Forgets uploads that were begun under another key, or in another bucket: they cannot be resumed.
void forget_moved_upload(FileRecord& file) {
  file.upload_id = {};
  if (file.state == FileState::uploading) file.state = FileState::copied;
}

}  // namespace

/// A record whose lease is held.
struct RawRun::Held {
  Held(RawRecords& store, std::unique_ptr<records::Lease> taken, const Tools& surroundings)
      : records(store),
        lease(std::move(taken)),
        tools(surroundings),
        stop(surroundings.world.stop, surroundings.world.clock, std::nullopt),
        world(stopped_by(surroundings.world, stop.token())),
        working{world, surroundings.pools, surroundings.budget, surroundings.log, surroundings.progress},
        keeper(*lease, surroundings.world.clock, [this](const Error&) { stop.request(); }) {}

  void save() {
    lease->check();
    records.save(record, *lease, tools.world.clock.now());
  }

  /// Makes sure that the lease is held. Many small objects share a heartbeat of the last second.
  void renew() {
    constexpr std::chrono::seconds shared{1};
    const auto now = tools.world.clock.steady();
    if (renewed && now - *renewed < shared) return lease->check();
    lease->renew();
    renewed = now;
  }

  RawRecords& records;
  std::optional<std::chrono::steady_clock::time_point> renewed;
  bool was_done = false;   ///< before this run
  bool has_begun = false;  ///< a step was written into the record
  std::unique_ptr<records::Lease> lease;
  const Tools& tools;
  flow::StopAfter stop;  ///< requested when the lease is lost
  os::World world;
  const Tools working;  ///< `tools` with that stop
  records::LeaseKeeper keeper;
  RawRecord record;
};

const config::RawS3& RawRun::s3() const {
  if (!config_.s3 || ports_.store == nullptr) {
    throw Error(ErrorKind::invalid, "the configuration has no section backup.s3", {},
                "add backup.s3 with region and bucket_prefix");
  }
  return *config_.s3;
}

/// Takes the lease of a record. One whose holder stands still is taken over when it is over.
std::unique_ptr<records::Lease> RawRun::acquire(const std::string& id) {
  records::LeaseSettings settings{.duration = std::chrono::duration_cast<Milliseconds>(config_.lease)};
  settings.watches = [&](const records::LeaseState& lease) {
    remark_(fmt::format("{}: the run on {} (process {}) gives no sign of life since {}; waiting for {} whether it does",
                        escape_name(id), escape_for_terminal(lease.holder.host), lease.holder.pid,
                        to_iso8601(lease.renewed), format_duration(lease.duration)));
  };
  return records::acquire_lease(ports_.record_store, ports_.records.lease_place(id), ports_.self, settings,
                                tools_.world.clock, tools_.world.entropy, ports_.has_ended, tools_.world.stop);
}

/// The layout of a raw file's keys: what is uploaded keeps its keys.
config::KeyLayout RawRun::layout_for(const RawRecord& record, const BackupRequest& request) const {
  const config::KeyLayout wanted = request.key_layout.value_or(config_.layout);
  const bool is_uploaded = std::any_of(record.files.begin(), record.files.end(),
                                       [](const FileRecord& file) { return file.state == FileState::uploaded; });
  if (!is_uploaded || record.key_layout.empty()) return wanted;
  const config::KeyLayout present = config::parse_key_layout(record.key_layout);
  if (request.key_layout && wanted != present) {
    throw Error(ErrorKind::invalid,
                fmt::format("the raw file is uploaded with the key layout {}, and keeps its keys", record.key_layout),
                escape_name(record.id),
                fmt::format("leave out --key-layout; to copy the object to another key, use `bale s3 cp {} ...`",
                            to_uri(record.bucket, ObjectKey(record.s3_backup_key))));
  }
  return present;
}

/// Claims names of a raw file: in the pool, in the bucket, or both.
void RawRun::claim(const RawRecord& record, bool pool, bool key) {
  claim_names(ports_.record_store, ports_.records, record, {.pool = pool, .key = key});
}

/// Holds the lease of a record while `steps` work on it, and writes what they failed with into the record.
template <typename Steps>
RunResult RawRun::hold(const std::string& id, OnFailure on_failure, Steps steps) {
  check_file_id(id);
  ports_.records.create_table();
  Held held(ports_.records, acquire(id), tools_);
  RunResult result;
  const auto stored = ports_.records.get(id);
  if (stored) held.record = stored->record;
  held.record.id = id;
  held.was_done = stored && stored->record.backup_status == BackupStatus::done;
  try {
    steps(held, stored.has_value(), result);
    held.lease->check();
  } catch (const std::exception&) {
    Error error = current_error();
    if (held.lease->is_lost()) held.lease->check();  // throws what counts
    if (on_failure == OnFailure::leave || is_of_lease(error) || held.record.source_path.empty()) throw;
    if (held.was_done && !held.has_begun) throw;  // what was proven stays so, whatever this run was asked for
    held.record.backup_status = BackupStatus::failed;
    held.record.last_error = last_error(error, held.record.step, tools_.world.clock.now());
    give_up_uploads(held, error);
    tools_.log.error(
        "raw.failed", error.what(),
        {{"id", id}, {"step", to_string(held.record.step)}, {"kind", to_string(error.kind())}, {"code", error.code()}});
    held.save();
    throw;
  }
  result.record = held.record;
  return result;
}

/// Aborts the uploads that the record named before, and does not name any more.
void RawRun::abort_replaced(const RawRecord& before, const RawRecord& now) {
  for (const FileRecord& old : before.files) {
    const bool is_kept = std::any_of(now.files.begin(), now.files.end(),
                                     [&](const FileRecord& file) { return file.upload_id == old.upload_id; });
    if (old.upload_id.empty() || is_kept || ports_.store == nullptr) continue;
    transfer::MultipartUpload::abort(*ports_.store, {before.bucket, old.key}, old.upload_id);
  }
}

/// Aborts the uploads of a run whose bytes are not to be uploaded any more. Other failures leave them to be resumed.
void RawRun::give_up_uploads(Held& held, const Error& reason) {
  const bool is_final = reason.code() == source_changed || reason.code() == copy_changed;
  if (!is_final || ports_.store == nullptr) return;
  try {
    abort_uploads(
        held.record, *ports_.store, [&] { held.save(); }, remark_);
  } catch (const Error& error) {
    remark_(fmt::format("could not abort an upload, whose parts stay in the bucket: {}; run `bale raw abort {}`",
                        error.what(), held.record.id));
  }
}

RawRecord RawRun::planned(const BackupRequest& request, std::optional<RawRecord> known) {
  RawRecord record = known.value_or(RawRecord{});
  record.id = request.id;
  check_same(record.project, request.project, "project", request.id);
  check_same(record.instrument, request.instrument, "instrument", request.id);
  if (!request.project.empty()) record.project = request.project;
  if (!request.instrument.empty()) record.instrument = request.instrument;
  const SourceSet set = request.settle
                            ? wait_until_settled(tools_.world.files, tools_.world.clock, request.main_path,
                                                 request.other_paths, *request.settle, tools_.world.stop, request.waits)
                            : look_at_source(tools_.world.files, request.main_path, request.other_paths);
  if (record.month.empty()) record.month = month_of(set.newest);
  record.source_path = (set.directory / set.main_name).native();
  const std::string fallback = config_.s3 ? config_.s3->fallback_project : std::string();
  const RawFileName name = name_of(record, set.main_name, fallback);
  const config::KeyLayout layout = layout_for(record, request);
  const Plan plan = plan_raw_file(name, set.found, layout);
  BucketName bucket;
  if (config_.s3) bucket = project_bucket(config_.s3->bucket_prefix, record.project, config_.s3->fallback_project);
  std::map<std::string, FileRecord> before;
  for (FileRecord& file : record.files) before[file.name] = std::move(file);
  record.files.clear();
  for (const PlannedFile& file : plan.files) {
    FileRecord entry{
        .name = file.name, .source = file.source, .key = file.key, .size = file.size, .modified = file.modified};
    // What is known of these very bytes stays known: digests, an upload to resume.
    const auto old = before.find(file.name);
    if (old != before.end()) check_same_size(old->second, file, request.id);
    if (old != before.end() && old->second.size == file.size &&
        (old->second.modified == file.modified || old->second.modified == TimePoint{})) {
      entry = old->second;  // a copy: check_nothing_lost() looks at all
      entry.source = file.source;
      if (entry.key != file.key || record.bucket != bucket) forget_moved_upload(entry);
      entry.key = file.key;
      entry.modified = file.modified;
    }
    record.files.push_back(std::move(entry));
  }
  check_nothing_lost(before, record.files, request.id);
  record.layout = plan.layout;
  record.key_layout = to_string(layout);
  record.main = plan.main;
  record.empty_folders = plan.empty_folders;
  record.s3_backup_key = plan.prefix;
  record.pool_path = (is_copy(set.directory) ? set.directory : config_.pool_path / pool_directory(name)).native();
  if (config_.s3) {
    record.region = config_.s3->region;
    record.bucket = bucket;
    for (const FileRecord& file : record.files) part_size_of(file.size, config_.s3->part_bytes);  // throws if too large
  }
  return record;
}

/// Whether files of a directory are local copies themselves: they lie in the pool, or there is no pool.
bool RawRun::is_copy(const os::fs::path& directory) const {
  return config_.pool_path.empty() || is_in_pool(tools_.world.files, config_.pool_path, directory);
}

RawRecord RawRun::plan(const BackupRequest& request) {
  check_file_id(request.id);
  const auto stored = ports_.records.get(request.id);
  return planned(request, stored ? std::optional(stored->record) : request.known);
}

RunResult RawRun::backup(const BackupRequest& request) {
  const bool uploads = config_.backup_type == config::BackupType::s3 && !request.copy_only;
  if (uploads) s3();
  if (config_.pool_path.empty() && !uploads) {
    throw Error(ErrorKind::invalid, "the configuration has no backup.pool_path, where local copies go", {},
                "add pool_path to the section backup");
  }
  return hold(request.id, OnFailure::record, [&](Held& held, bool is_known, RunResult& result) {
    RawRecord& record = held.record;
    if (record.source_path.empty()) record.source_path = request.main_path.native();  // named where the plan fails
    record.step = Step::copy;
    ++record.attempts;
    const std::uint32_t attempts = record.attempts;
    const RawRecord before = record;
    record = planned(request, is_known ? std::optional(record) : request.known);
    record.step = Step::copy;
    record.attempts = attempts;
    record.last_error.reset();
    record.purged.reset();
    const bool copies = !is_copy(os::fs::path(record.source_path).parent_path());
    if (copies) require_pool(tools_.world.files, config_.pool_path, ports_.records, request.create_pool);
    claim(record, /*pool=*/!config_.pool_path.empty(), /*key=*/config_.backup_type == config::BackupType::s3);
    if (config_.backup_type == config::BackupType::local) record.backup_status = BackupStatus::in_progress;
    record.copy = {tools_.world.clock.now(), std::nullopt};
    held.has_begun = true;
    held.save();
    abort_replaced(before, record);
    tools_.progress.items_total = record.files.size();
    tools_.progress.bytes_total = record.bytes() * ((copies ? 1 : 0) + (uploads ? 1 : 0));
    if (copies) copy(held, result);
    record.copy.ended = tools_.world.clock.now();
    if (!uploads) {
      if (config_.backup_type == config::BackupType::local) {
        record.backup_status = BackupStatus::done;
        record.step = Step::done;
      }
      return held.save();
    }
    if (!copies) return upload(held, result, [](const FileRecord&) {});
    try {
      upload(held, result, [&](const FileRecord& file) { check_source_of(record, file, result.copied); });
    } catch (const Error& error) {
      // The acquisition was not over when it was copied: the copy is no backup of anything.
      if (error.code() != source_changed) throw;
      held.lease->renew();
      remove_copies(record, result.copied);
      throw;
    }
  });
}

/// Throws Error{precondition} SourceChanged where a source was written since it was copied. A source that is gone was
/// whole when it was copied.
void RawRun::check_source_of(const RawRecord& record, const FileRecord& file, const std::vector<CopiedFile>& copied) {
  const auto found = std::lower_bound(copied.begin(), copied.end(), file.name,
                                      [](const CopiedFile& each, const std::string& name) { return each.name < name; });
  if (found == copied.end() || found->name != file.name) return;
  const os::fs::path path = os::fs::path(record.source_path).parent_path() / file.source;
  try {
    check_unchanged({{file.name, path}}, {*found}, tools_);
  } catch (const Error& error) {
    if (error.code() != source_gone) throw;
  }
}

/// Removes the copies that this run made.
void RawRun::remove_copies(const RawRecord& record, const std::vector<CopiedFile>& copied) {
  for (const CopiedFile& file : copied)
    if (!file.was_there) tools_.world.files.remove(os::fs::path(record.pool_path) / file.name);
}

void RawRun::copy(Held& held, RunResult& result) {
  RawRecord& record = held.record;
  CopyRequest copying{.id = record.id, .empty_folders = record.empty_folders, .directory = record.pool_path};
  copying.pool = config_.pool_path;
  copying.before_names = [&] { held.lease->renew(); };
  const os::fs::path source = os::fs::path(record.source_path).parent_path();
  for (const FileRecord& file : record.files) {
    const auto info = tools_.world.files.info_followed(source / file.source);
    copying.files.push_back(
        {file.name, source / file.source, info.value_or(os::FileInfo{.size = file.size, .modified = file.modified})});
    copying.files.back().info.size = file.size;
  }
  std::stable_partition(copying.files.begin(), copying.files.end(),
                        [&](const SourceFile& file) { return file.name == record.main; });
  const ByteCount configured = config_.s3 ? config_.s3->part_bytes : config::RawS3{}.part_bytes;
  copying.part_bytes = [configured](ByteCount size) { return part_size_of(size, configured); };
  const auto begun = tools_.world.clock.steady();
  result.copied = copy_files(copying, held.working);
  std::map<std::string, const CopiedFile*> copied;
  for (const CopiedFile& file : result.copied) copied[file.name] = &file;
  for (FileRecord& file : record.files) {
    const CopiedFile& found = *copied.at(file.name);
    file.md5 = to_hex_digest(found.digests.md5);
    file.crc64nvme = found.digests.crc64nvme;
    if (file.state != FileState::uploaded && file.state != FileState::uploading) {
      file.state = FileState::copied;
      file.etag = found.digests.etag;
      file.part_bytes = copying.part_bytes(file.size);
    }
  }
  // check_unchanged() takes both in one order.
  std::sort(result.copied.begin(), result.copied.end(),
            [](const CopiedFile& a, const CopiedFile& b) { return a.name < b.name; });
  const auto took = std::chrono::duration_cast<Milliseconds>(tools_.world.clock.steady() - begun);
  tools_.log.info("raw.copied", "copied to the pool and read back",
                  {{"id", record.id}, {"files", record.files.size()}, {"bytes", record.bytes()}, {"ms", took.count()}});
}

RunResult RawRun::upload(const std::string& id) {
  s3();
  if (config_.backup_type != config::BackupType::s3) {
    throw Error(ErrorKind::invalid, "nothing to upload: backup_type is local", {}, "set backup.backup_type to s3");
  }
  return hold(id, OnFailure::record, [&](Held& held, bool is_known, RunResult& result) {
    if (!is_known || held.record.files.empty()) {
      throw Error(ErrorKind::not_found, "there is no record of this raw file", id, "run `bale raw backup` first");
    }
    ++held.record.attempts;
    held.record.last_error.reset();
    claim(held.record, /*pool=*/false, /*key=*/!held.record.bucket.empty());
    tools_.progress.items_total = held.record.files.size();
    tools_.progress.bytes_total = held.record.bytes();
    upload(held, result, [](const FileRecord&) {});
  });
}

void RawRun::upload(Held& held, RunResult& result, const std::function<void(const FileRecord&)>& check_source) {
  RawRecord& record = held.record;
  record.step = Step::upload;
  record.backup_status = BackupStatus::in_progress;
  record.upload = {tools_.world.clock.now(), std::nullopt};
  held.has_begun = true;
  record.region = s3().region;
  if (record.bucket.empty()) record.bucket = project_bucket(s3().bucket_prefix, record.project, s3().fallback_project);
  held.save();
  result.upload = upload_with_retries(held, check_source);
  for (const FileRecord& file : record.files)
    if (file.name == record.main || record.files.size() == 1) record.s3_etag = file.etag;
  record.upload.ended = tools_.world.clock.now();
  record.step = Step::done;
  record.backup_status = BackupStatus::done;
  held.save();
}

/// Whether a server of another make refused an upload because the bucket blocks public ACLs. The block is taken out
/// then.
bool RawRun::is_refused_for_acls(const Error& error, const BucketName& bucket) {
  const bool may_be =
      error.kind() == ErrorKind::denied && !ports_.is_aws && s3().auto_create_buckets && ports_.settings;
  if (!may_be) return false;
  try {
    if (!allow_acls(*ports_.settings, bucket)) return false;
  } catch (const Error&) {
    return false;  // the refusal of the upload is what counts
  }
  remark_(without_acl_block(bucket));
  return true;
}

UploadReport RawRun::upload_with_retries(Held& held, const std::function<void(const FileRecord&)>& check_source) {
  const auto slot = wait_for_slot(tools_.world.files, tools_.world.clock, ports_.upload_slots,
                                  static_cast<std::size_t>(s3().max_uploads), held.stop.token());
  flow::StopAfter in_time(held.stop.token(), tools_.world.clock,
                          std::chrono::duration_cast<Milliseconds>(s3().timeout));
  os::World world = tools_.world;
  world.stop = in_time.token();
  const Tools tools{world, tools_.pools, tools_.budget, tools_.log, tools_.progress};
  const std::unique_ptr<store::ObjectStore> stoppable =
      ports_.stoppable_store ? ports_.stoppable_store(world.stop) : nullptr;
  store::ObjectStore& store = stoppable ? *stoppable : *ports_.store;
  const UploadHooks hooks{.save = [&] { held.save(); },
                          .before_object =
                              [&](const FileRecord& file) {
                                check_source(file);
                                held.renew();
                              },
                          .remark = remark_};
  for (int tried = 0;; ++tried) {
    try {
      prepare_bucket({store, ports_.settings, ports_.record_store, ports_.records, ports_.is_aws}, held.record, s3(),
                     tools, remark_);
      return upload_files(held.record, s3(), store, hooks, ports_.limit, tools);
    } catch (const Error& error) {
      if (in_time.is_time_over()) {
        throw Error(ErrorKind::timeout,
                    fmt::format("the upload did not finish within {}", format_duration(s3().timeout)),
                    to_uri(held.record.bucket, ObjectKey(held.record.s3_backup_key)),
                    "run `bale raw upload` again to resume it")
            .with_code("UploadTimeout");
      }
      if (is_refused_for_acls(error, held.record.bucket)) continue;
      if (!is_transient(error.kind()) || tried >= s3().retries)
        throw explain_refusal(error, held.record.bucket, held.record.region);
      tools_.log.warning("raw.retry", error.what(), {{"id", held.record.id}, {"attempt", tried + 1}});
      if (!world.clock.sleep_for(s3().retry_delay, world.stop)) throw;
    }
  }
}

std::size_t RawRun::abort(const std::string& id) {
  s3();
  std::size_t aborted = 0;
  hold(id, OnFailure::leave, [&](Held& held, bool is_known, RunResult&) {
    if (!is_known) throw Error(ErrorKind::not_found, "there is no record of this raw file", id);
    held.lease->renew();
    aborted = abort_uploads(
        held.record, *ports_.store, [&] { held.save(); }, remark_);
    if (held.record.backup_status != BackupStatus::in_progress) return;
    held.record.backup_status = BackupStatus::failed;
    const Error given_up =
        Error(ErrorKind::cancelled, "the upload was aborted with `bale raw abort`").with_code("Aborted");
    held.record.last_error = last_error(given_up, held.record.step, tools_.world.clock.now());
    held.save();
  });
  return aborted;
}

Purged RawRun::purge(const std::string& id, bool dryrun) {
  Purged purged;
  purged.record = hold(id, OnFailure::leave, [&](Held& held, bool is_known, RunResult&) {
                    if (!is_known) throw Error(ErrorKind::not_found, "there is no record of this raw file", id);
                    purged.result = purge_local(held.record, config_, ports_.store, dryrun, held.working,
                                                [&] { held.lease->renew(); });
                    if (!purged.result.reasons.empty() || dryrun) return;
                    held.record.purged = tools_.world.clock.now();
                    held.save();
                  }).record;
  return purged;
}

int exit_status_of(const Error& error) noexcept {
  constexpr int failed = 1, not_found = 3, refused = 4, try_again = 75, interrupted = 130;
  if (error.kind() == ErrorKind::cancelled) return interrupted;
  if (is_of_lease(error) || error.kind() == ErrorKind::denied) return refused;
  if (error.code() == source_gone) return not_found;
  if (is_transient(error.kind()) || error.code() == source_changed) return try_again;
  if (error.kind() == ErrorKind::invalid) return 2;
  return failed;
}

}  // namespace bale::raw
