// bale raw backup, upload, abort
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/raw_commands.hpp"
#include "cli/raw_list.hpp"
#include "cli/raw_metrics.hpp"
#include "flow/item_runner.hpp"
#include "jobs/raw/part_size.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

/// One word for what became of a raw file.
std::string_view word_of(const raw::RunResult& result) {
  if (!result.upload) return "copied";
  return result.upload->uploaded > 0 ? "uploaded" : "adopted";
}

std::string describe(const raw::RunResult& result) {
  const raw::RawRecord& record = result.record;
  std::string text = fmt::format("{}: {}, {}", escape_name(record.id), format_count(record.files.size(), "file"),
                                 format_bytes(record.bytes()));
  std::size_t written = 0;
  for (const raw::CopiedFile& file : result.copied) written += file.was_there ? 0 : 1;
  if (!result.copied.empty())
    text += written > 0 ? ", copied to " + escape_name(record.pool_path) : ", already in the pool";
  if (!result.upload) return text;
  const std::string place = to_uri(record.bucket, ObjectKey(record.s3_backup_key));
  if (result.upload->uploaded > 0)
    text += fmt::format(", {} sent to {}", format_bytes(result.upload->sent_bytes), place);
  if (result.upload->uploaded == 0) text += ", already in the bucket, adopted: " + place;
  return text;
}

Json json_of(const raw::RunResult& result, Milliseconds took) {
  const raw::RawRecord& record = result.record;
  Json line{{"type", "raw"}, {"id", record.id}, {"result", word_of(result)}};
  line["backup_status"] = record.backup_status ? Json(raw::to_string(*record.backup_status)) : Json(nullptr);
  line["step"] = raw::to_string(record.step);
  line["files"] = record.files.size();
  line["bytes"] = record.bytes();
  line["pool_path"] = record.pool_path;
  if (result.upload) {
    line["bucket"] = record.bucket.str();
    line["s3_backup_key"] = record.s3_backup_key;
    line["s3_etag"] = record.s3_etag.str();
    line["uploaded"] = result.upload->uploaded;
    line["adopted"] = result.upload->adopted;
    line["sent_bytes"] = result.upload->sent_bytes;
  }
  line["seconds"] = static_cast<double>(took.count()) / 1000;
  return line;
}

/// Runs one raw file and prints what became of it. Thread-safe.
class OneRun {
 public:
  OneRun(RawContext& raw, RawMetrics& metrics) : raw_(raw), metrics_(metrics) {}

  /// Returns the word of the result; "failed" or "missing" after a failure,
  /// which is printed.
  template <typename Run>
  std::string run(const std::string& id, Run run) {
    Context& context = raw_.context();
    const auto begun = context.world().clock.steady();
    const auto took = [&] { return std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - begun); };
    try {
      const raw::RunResult result = run();
      metrics_.add(result, took());
      emit(context, json_of(result, took()), describe(result));
      return std::string(word_of(result));
    } catch (const Error& error) {
      metrics_.add_failure(id, error);
      emit_failure(context, "raw backup failed: " + escape_name(id), error);
      const Lock lock(mutex_);
      exit_.add(error);
      return error.code() == raw::source_gone ? "missing" : "failed";
    }
  }
  int status() const {
    const Lock lock(mutex_);
    return exit_.status();
  }

 private:
  RawContext& raw_;
  RawMetrics& metrics_;
  mutable Mutex mutex_;
  RawExit exit_ BALE_GUARDED_BY(mutex_);
};

/// Sets what the options say of every raw file.
void add_options(const RawBackupOptions& options, raw::BackupRequest& request) {
  request.copy_only = options.copy_only;
  request.create_pool = options.create_pool;
  if (!options.settle.empty()) request.settle = parse_duration(options.settle);
  if (!options.key_layout.empty()) request.key_layout = config::parse_key_layout(options.key_layout);
}

/// Returns the exit status. With --exit-zero a failed backup gives 0; a wrong command line and an interruption keep
/// theirs.
int exit_with(int status, bool exit_zero) {
  const bool is_shown = status == exit_usage || status == exit_interrupted;
  return exit_zero && !is_shown ? static_cast<int>(exit_ok) : status;
}

raw::BackupRequest request_of(Context& context, const RawBackupOptions& options) {
  raw::BackupRequest request{.id = options.id, .main_path = os::fs::absolute(options.paths.front())};
  for (std::size_t i = 1; i < options.paths.size(); ++i)
    request.other_paths.push_back(os::fs::absolute(options.paths[i]));
  request.project = options.project;
  request.instrument = options.instrument;
  add_options(options, request);
  request.waits = [&context](Milliseconds rest) {
    context.set_status(fmt::format("waiting for the acquisition to settle: at least {} left", format_duration(rest)));
  };
  return request;
}

/// `configured`: part size of the configuration, 0 where nothing is uploaded.
void print_plan(Context& context, const raw::RawRecord& plan, ByteCount configured) {
  Table table({{"FILE"}, {"SIZE", Align::right}, {"PART", Align::right}, {"LOCAL COPY"}, {"OBJECT"}});
  for (const raw::FileRecord& file : plan.files) {
    const ByteCount part_bytes = configured > 0 ? raw::part_size_of(file.size, configured) : 0;
    const std::string object = plan.bucket.empty() ? "-" : to_uri(plan.bucket, file.key);
    table.add({file.source, format_bytes(file.size), part_bytes > 0 ? format_bytes(part_bytes) : "-",
               plan.pool_path + "/" + file.name, object});
    Json line{{"type", "dryrun"}, {"id", plan.id}, {"bytes", file.size}, {"part_bytes", part_bytes}};
    add_name(line, "file", file.source);
    line["pool_path"] = plan.pool_path + "/" + file.name;
    line["object"] = object;
    emit_json(context, line);
  }
  if (!context.json()) context.print(table.text());
}

/// Throws Error{not_found} where the id has no record.
raw::RawRecord known_record(RawContext& raw, const std::string& id) {
  const auto stored = raw.records().get(id);
  if (stored) return stored->record;
  throw Error(ErrorKind::not_found, "there is no record of this raw file", escape_name(id),
              "list the ids with `bale raw status`");
}

/// A run that succeeded is no failure because its metrics cannot be written.
void write_metrics(Context& context, const RawMetrics& metrics, const std::string& file) {
  try {
    metrics.write(context.world().files, file);
  } catch (const Error& error) {
    emit_warning(context, fmt::format("the metrics cannot be written: {}", message_of(error)));
  }
}

/// Backs up the raw files of a list, several at once.
int backup_list(RawContext& raw, const RawBackupOptions& options, RawMetrics& metrics) {
  Context& context = raw.context();
  const std::vector<raw::BackupRequest> requests = read_raw_list(context.world().files, options.from);
  const raw::Tools tools = raw.tools();
  const auto run = raw.run(tools);
  OneRun one(raw, metrics);
  Mutex mutex;  // guards results, while the items run
  std::map<std::string, std::uint64_t> results;
  const std::size_t at_once = raw.config().s3 ? static_cast<std::size_t>(raw.config().s3->max_uploads) : 2;
  {
    flow::ItemRunner items(at_once);
    for (const raw::BackupRequest& each : requests) {
      if (context.stop().stop_requested()) break;
      raw::BackupRequest request = each;
      request.main_path = os::fs::absolute(request.main_path);
      add_options(options, request);
      items.run([&, request = std::move(request)] {
        if (context.stop().stop_requested()) return;
        const std::string word = one.run(request.id, [&] { return run->backup(request); });
        const Lock lock(mutex);
        ++results[word];
      });
    }
  }
  Json summary{{"type", "summary"}, {"raw_files", requests.size()}};
  std::string text = format_count(requests.size(), "raw file") + ":";
  for (const char* word : {"copied", "uploaded", "adopted", "missing", "failed"}) {
    summary[word] = results[word];
    if (results[word] > 0) text += fmt::format(" {} {},", format_count(results[word]), word);
  }
  if (text.ends_with(',')) text.pop_back();
  emit(context, summary, text);
  if (context.stop().stop_requested()) return exit_interrupted;
  return one.status();
}

void check_options(const RawBackupOptions& options) {
  if (options.from.empty() && (options.id.empty() || options.paths.empty()))
    throw Error(ErrorKind::invalid, "missing ID and --path", {}, "give ID and --path PATH, or --from LIST");
  if (!options.from.empty() && !(options.id.empty() && options.paths.empty()))
    throw Error(ErrorKind::invalid, "--from cannot be combined with ID or --path", {},
                "use either --from LIST, or ID with --path");
}

}  // namespace

int raw_backup(Context& context, const RawBackupOptions& options) {
  check_options(options);
  RawContext raw(context, options.common);
  RawMetrics metrics;
  int status = exit_ok;
  if (!options.from.empty()) {
    const ProgressPrinter printer(context, raw.progress(), "backing up");
    status = backup_list(raw, options, metrics);
  } else {
    const raw::Tools tools = raw.tools();
    const auto run = raw.run(tools);
    const raw::BackupRequest request = request_of(context, options);
    if (context.options().dryrun) {
      print_plan(context, run->plan(request), raw.config().s3 ? raw.config().s3->part_bytes : 0);
      return exit_ok;
    }
    OneRun one(raw, metrics);
    const ProgressPrinter printer(context, raw.progress(), "backing up");
    one.run(options.id, [&] { return run->backup(request); });
    status = one.status();
  }
  write_metrics(context, metrics, options.metrics_file);
  return exit_with(status, options.exit_zero);
}

int raw_upload(Context& context, const RawUploadOptions& options) {
  RawContext raw(context, options.common);
  if (context.options().dryrun) {
    print_plan(context, known_record(raw, options.id), raw.config().s3 ? raw.config().s3->part_bytes : 0);
    return exit_ok;
  }
  const raw::Tools tools = raw.tools();
  const auto run = raw.run(tools);
  RawMetrics metrics;
  OneRun one(raw, metrics);
  {
    const ProgressPrinter printer(context, raw.progress(), "uploading");
    one.run(options.id, [&] { return run->upload(options.id); });
  }
  write_metrics(context, metrics, options.metrics_file);
  return exit_with(one.status(), options.exit_zero);
}

int raw_abort(Context& context, const RawAbortOptions& options) {
  RawContext raw(context, options.common);
  if (context.options().dryrun) {
    for (const raw::FileRecord& file : known_record(raw, options.id).files) {
      if (file.upload_id.empty()) continue;
      emit(context,
           {{"type", "dryrun"}, {"operation", "abort"}, {"key", file.key.str()}, {"upload", file.upload_id.str()}},
           "(dryrun) abort the upload of " + escape_name(file.key.str()));
    }
    return exit_ok;
  }
  const raw::Tools tools = raw.tools();
  try {
    const std::size_t aborted = raw.run(tools)->abort(options.id);
    emit(context, {{"type", "abort"}, {"id", options.id}, {"aborted", aborted}},
         fmt::format("{}: {}", escape_name(options.id),
                     aborted == 0 ? "no incomplete upload" : format_count(aborted, "upload") + " aborted"));
    return exit_ok;
  } catch (const Error& error) {
    emit_failure(context, "abort failed: " + escape_name(options.id), error);
    return raw::exit_status_of(error);
  }
}

}  // namespace bale::cli
