// bale raw status
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/raw_commands.hpp"
#include "cli/time_text.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

/// A record as it is listed.
struct Listed {
  raw::StoredRecord stored;
  bool is_stale = false;  ///< IN_PROGRESS, and nobody works on it
  std::size_t open_uploads = 0;
};

/// "24h" is a time before now.
std::optional<TimePoint> since_of(Context& context, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const bool is_duration = text.back() == 'd' || text.back() == 'h' || text.back() == 'm' || text.back() == 's';
  try {
    if (is_duration) return context.world().clock.now() - parse_duration(text);
    return parse_time_text(text);
  } catch (const Error& error) {
    throw error.with_where("--failed-since");
  }
}

/// Whether somebody holds the lease, by this machine's clock.
bool is_worked_on(const raw::StoredRecord& stored, TimePoint now) {
  return stored.lease && stored.lease->renewed + 2 * stored.lease->duration > now;
}

Listed listed(const raw::StoredRecord& stored, TimePoint now) {
  Listed entry{.stored = stored};
  const bool is_in_progress = stored.record.backup_status == raw::BackupStatus::in_progress;
  entry.is_stale = is_in_progress && !is_worked_on(stored, now);
  for (const raw::FileRecord& file : stored.record.files) entry.open_uploads += file.upload_id.empty() ? 0 : 1;
  return entry;
}

bool is_wanted(const RawStatusOptions& options, const raw::RawRecord& record, const std::optional<TimePoint>& since) {
  if (!options.project.empty() && record.project != options.project) return false;
  if (!options.instrument.empty() && record.instrument != options.instrument) return false;
  const std::string status(record.backup_status ? raw::to_string(*record.backup_status) : "");
  if (!options.status.empty() && status != options.status) return false;
  if (!since) return true;
  return record.backup_status == raw::BackupStatus::failed && record.last_error && record.last_error->at >= *since;
}

std::string note_of(const Listed& entry) {
  const raw::RawRecord& record = entry.stored.record;
  std::string note;
  if (entry.is_stale) note = "the run ended without a result; run it again";
  const bool is_failed = record.backup_status == raw::BackupStatus::failed;
  if (is_failed && record.last_error) note = record.last_error->message;
  if (!entry.is_stale && entry.stored.lease && record.backup_status == raw::BackupStatus::in_progress)
    note = fmt::format("running on {}, process {}", entry.stored.lease->holder.host, entry.stored.lease->holder.pid);
  if (entry.open_uploads > 0)
    note += fmt::format("{}{}", note.empty() ? "" : "; ", format_count(entry.open_uploads, "incomplete upload"));
  if (record.purged) note += fmt::format("{}local copy deleted {}", note.empty() ? "" : "; ", to_date(*record.purged));
  return note;
}

std::string status_of(const Listed& entry) {
  const auto& status = entry.stored.record.backup_status;
  if (!status) return "-";
  return std::string(raw::to_string(*status)) + (entry.is_stale ? " (stale)" : "");
}

Json json_of(const Listed& entry) {
  const raw::RawRecord& record = entry.stored.record;
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  const auto time_or_null = [](const std::optional<TimePoint>& time) {
    return time ? Json(to_iso8601(*time)) : Json(nullptr);
  };
  Json line{{"type", "raw"}, {"id", record.id}};
  line["backup_status"] = record.backup_status ? Json(raw::to_string(*record.backup_status)) : Json(nullptr);
  line["stale"] = entry.is_stale;
  line["step"] = raw::to_string(record.step);
  line["project"] = text_or_null(record.project);
  line["instrument"] = text_or_null(record.instrument);
  line["bucket"] = text_or_null(record.bucket.str());
  line["s3_backup_key"] = text_or_null(record.s3_backup_key);
  line["s3_etag"] = text_or_null(record.s3_etag.str());
  line["pool_path"] = text_or_null(record.pool_path);
  line["files"] = record.files.size();
  line["empty_folders"] = record.empty_folders.size();
  line["bytes"] = record.bytes();
  line["attempts"] = record.attempts;
  line["open_uploads"] = entry.open_uploads;
  line["updated"] = to_iso8601(record.updated);
  line["purged"] = time_or_null(record.purged);
  line["last_error"] = nullptr;
  if (record.last_error) {
    line["last_error"] = {{"kind", to_string(record.last_error->kind)},
                          {"code", record.last_error->code},
                          {"message", record.last_error->message},
                          {"step", raw::to_string(record.last_error->step)},
                          {"at", to_iso8601(record.last_error->at)}};
  }
  line["lease"] = nullptr;
  if (entry.stored.lease)
    line["lease"] = {{"host", entry.stored.lease->holder.host},
                     {"pid", entry.stored.lease->holder.pid},
                     {"since", to_iso8601(entry.stored.lease->since)},
                     {"renewed", to_iso8601(entry.stored.lease->renewed)}};
  return line;
}

Json files_of(const raw::RawRecord& record) {
  Json files = Json::array();
  for (const raw::FileRecord& file : record.files) {
    Json entry{{"size", file.size},       {"state", raw::to_string(file.state)},
               {"key", file.key.str()},   {"md5", file.md5},
               {"etag", file.etag.str()}, {"part_bytes", file.part_bytes}};
    if (file.crc64nvme) entry["crc64nvme"] = fmt::format("{:016x}", *file.crc64nvme);
    add_name(entry, "name", file.name);
    files.push_back(std::move(entry));
  }
  return files;
}

void print_table(Context& context, std::vector<Listed>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Listed& a, const Listed& b) { return a.stored.record.id < b.stored.record.id; });
  Table table({{"ID"},
               {"STATUS"},
               {"STEP"},
               {"PROJECT"},
               {"FILES", Align::right},
               {"SIZE", Align::right},
               {"UPDATED"},
               {"NOTE"}});
  for (const Listed& entry : entries) {
    const raw::RawRecord& record = entry.stored.record;
    table.add({record.id, status_of(entry), std::string(raw::to_string(record.step)),
               record.project.empty() ? "-" : record.project, std::to_string(record.files.size()),
               format_bytes(record.bytes()), to_timestamp(record.updated), note_of(entry)});
  }
  if (table.empty()) return context.print("no raw files");
  context.print(table.text());
}

}  // namespace

int raw_status(Context& context, const RawStatusOptions& options) {
  const std::optional<TimePoint> since = since_of(context, options.failed_since);
  RawContext raw(context, options.common);
  const TimePoint now = context.world().clock.now();
  std::vector<Listed> entries;
  int status = exit_ok;
  const auto take = [&](const raw::StoredRecord& stored) {
    if (!is_wanted(options, stored.record, since)) return;
    Listed entry = listed(stored, now);
    if (!context.json()) return entries.push_back(std::move(entry));
    Json line = json_of(entry);
    if (!options.ids.empty()) line["file_list"] = files_of(stored.record);
    emit_json(context, line);
  };
  const auto unreadable = [&](const std::string& id, const Error& error) {
    emit_failure(context, "record cannot be read: " + escape_name(id), error);
    status = exit_some_failed;
  };
  if (options.ids.empty()) raw.records().for_each(take, unreadable);
  for (const std::string& id : options.ids) {
    const auto stored = raw.records().get(id);
    if (stored) {
      take(*stored);
    } else {
      emit_failure(context, "no record: " + escape_name(id),
                   Error(ErrorKind::not_found, "there is no record of this raw file"));
      status = exit_not_found;
    }
  }
  if (!context.json()) print_table(context, entries);
  return status;
}

}  // namespace bale::cli
