#include "cli/bucket_batch.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr ByteCount most_manifest_bytes = 16 << 20;  // of manifest.json of a report
constexpr std::size_t piece_bytes = 1 << 20;

/// S3 Batch Operations keeps keys as they are: returns what is to stand before them at the destination.
std::string key_prefix_of(const BucketOptions& where) {
  const std::string from = as_directory(where.source.key.str()), to = as_directory(where.destination.key.str());
  const std::string before = to.ends_with(from) ? to.substr(0, to.size() - from.size()) : to;
  if (to.ends_with(from) && (before.empty() || before.ends_with('/'))) return before;
  throw Error(ErrorKind::invalid, "S3 Batch Operations can copy below other prefixes only if the keys stay as they are",
              "--emit-batch-job",
              fmt::format("restore to s3://{}/{}", escape_name(where.destination.bucket.str()), escape_name(from)));
}

/// Reads a report from a file or an object, piece by piece.
void read_pieces(Context& context, const std::string& place, const std::function<void(std::string_view)>& take) {
  std::string piece(piece_bytes, '\0');
  const MutableBytes bytes{reinterpret_cast<std::byte*>(piece.data()), piece.size()};
  if (is_s3_uri(place)) {
    const auto stream = context.store(context.region()).get(parse_object_uri(place));
    while (const std::size_t count = stream->read(bytes)) take(std::string_view(piece).substr(0, count));
    return;
  }
  const auto file = context.world().files.open(place);
  ByteCount offset = 0;
  while (const std::size_t count = file->read_at(offset, bytes)) {
    take(std::string_view(piece).substr(0, count));
    offset += count;
  }
}

/// Reads reports, and counts what they say.
class Reports {
 public:
  explicit Reports(Context& context) : context_(context) {}

  void read(const std::string& place) {
    if (!place.ends_with(".json")) return read_csv(place, {});
    std::string json;
    read_pieces(context_, place, [&](std::string_view piece) {
      json += piece;
      if (json.size() > most_manifest_bytes)
        throw Error(ErrorKind::corrupt, "the manifest of the report is too large", escape_name(place));
    });
    for (const bucket::BatchReportFile& file : bucket::parse_report_manifest(json))
      read_csv(to_uri(file.place), file.md5);
  }

  int finish() {
    emit(context_, {{"type", "summary"}, {"succeeded", succeeded_}, {"failed", failed_}},
         fmt::format("{} succeeded, {} failed", format_count(succeeded_, "task"), format_count(failed_)));
    return failed_ > 0 ? exit_some_failed : exit_ok;
  }

 private:
  void read_csv(const std::string& place, const std::string& md5) {
    bucket::BatchReportReader reader([this](const bucket::BatchTask& task) { take(task); });
    Md5 digest;
    try {
      read_pieces(context_, place, [&](std::string_view piece) {
        digest.update(as_bytes(piece));
        reader.read(piece);
      });
      reader.finish();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      throw error.with_where(fmt::format("{}: {}", escape_name(place), error.where()));
    }
    if (!md5.empty() && to_hex(digest.finish()) != md5)
      throw Error(ErrorKind::corrupt, "the report is not the one that its manifest names", escape_name(place));
  }

  void take(const bucket::BatchTask& task) {
    ++(task.has_succeeded ? succeeded_ : failed_);
    if (task.has_succeeded) return;
    Json line{{"type", "failed"}};
    add_name(line, "object", to_uri(task.object));
    line.update({{"version_id", task.version.str()},
                 {"code", task.error_code},
                 {"http_status", task.http_status},
                 {"message", task.message}});
    emit(context_, line,
         fmt::format("failed: {}: {} {} {}", escape_name(to_uri(task.object)), task.http_status, task.error_code,
                     task.message));
  }

  Context& context_;
  std::uint64_t succeeded_ = 0, failed_ = 0;
};

const char* name_of(int kind) {
  constexpr std::array<const char*, 3> names{"restore-archives", "restore-tiering", "copy"};
  return names[static_cast<std::size_t>(kind)];
}

}  // namespace

BatchJobFiles::BatchJobFiles(Context& context, const BucketRestoreOptions& options, const BucketOptions& where)
    : context_(context),
      options_(options),
      has_versions_(!options.as_of.empty()),
      to_(where.destination.bucket),
      key_prefix_(key_prefix_of(where)),
      directory_(options.batch_directory) {
  if (options.batch_role.empty() || options.batch_location.empty()) {
    throw Error(ErrorKind::invalid, "a job needs a role, and a place for manifests and reports", "--emit-batch-job",
                "give --batch-role ARN and --batch-location s3://bucket/prefix");
  }
  if (bucket::parse_tier(options.tier) == bucket::Tier::expedited) {
    throw Error(ErrorKind::invalid, "S3 Batch Operations has no tier Expedited", "--tier",
                "use --tier Standard or --tier Bulk");
  }
  location_ = parse_s3_uri(options.batch_location);
  const std::string prefix = as_directory(location_.key.str());
  location_.key = ObjectKey(prefix);
  owner_ = {bucket::account_of_role(options.batch_role),
            options.batch_role,
            {location_.bucket, ObjectKey(prefix + "reports")}};
  context.world().files.make_directories(directory_);
}

void BatchJobFiles::write_pending(Manifest& manifest) {
  manifest.md5.update(as_bytes(manifest.pending));
  manifest.file->file().write(as_bytes(manifest.pending));
  manifest.pending.clear();
}

void BatchJobFiles::add(Kind kind, const bucket::RestoredObject& object) {
  Manifest& manifest = manifests_[kind];
  if (!manifest.file) {
    manifest.file =
        std::make_unique<os::AtomicFile>(context_.world().files, directory_ / (std::string(name_of(kind)) + ".csv"));
  }
  ++manifest.objects;
  manifest.pending += bucket::manifest_line(object.from, has_versions_ ? std::optional(object.version) : std::nullopt);
  if (manifest.pending.size() >= piece_bytes) write_pending(manifest);
}

void BatchJobFiles::take(const bucket::RestoredObject& object) {
  using Fate = bucket::RestoreFate;
  if (object.fate == Fate::requested && object.archive)
    add(bucket::days_for(*object.archive, 1) == 0 ? restore_tiering : restore_archives, object);
  if (object.fate != Fate::requested && object.fate != Fate::waiting && object.fate != Fate::restored) return;
  if (object.size > bucket::most_batch_copy_bytes)
    ++too_large_;
  else
    add(copies, object);
}

std::string BatchJobFiles::job_of(Kind kind, const bucket::BatchManifest& manifest) const {
  if (kind == copies) return bucket::copy_job(owner_, manifest, to_, key_prefix_, options_.storage_class);
  return bucket::restore_job(owner_, manifest, bucket::parse_tier(options_.tier), options_.days,
                             kind == restore_tiering);
}

void BatchJobFiles::finish(Kind kind, Manifest& manifest) {
  const std::string name = name_of(kind);
  write_pending(manifest);
  manifest.file->commit();
  const bucket::BatchManifest of_job{
      {location_.bucket, ObjectKey(location_.key.str() + name + ".csv")}, manifest.md5.finish(), has_versions_};
  const os::fs::path job = directory_ / (name + ".json");
  os::write_file_atomically(context_.world().files, job, as_bytes(job_of(kind, of_job)));
  emit(context_, {{"type", "batch_job"}, {"operation", name}, {"objects", manifest.objects}, {"job", job.native()}},
       fmt::format("batch job: {} of {}: aws s3control create-job --cli-input-json file://{}", name,
                   format_count(manifest.objects, "object"), escape_name(os::fs::absolute(job).native())));
}

void BatchJobFiles::finish() {
  const bool any = manifests_[restore_archives].file || manifests_[restore_tiering].file || manifests_[copies].file;
  if (any) {
    emit(context_, {{"type", "upload"}, {"directory", directory_.native()}, {"to", to_uri(location_)}},
         fmt::format("before the jobs: bale s3 cp --recursive {} {}", escape_name(directory_.native()),
                     escape_name(to_uri(location_))));
  }
  for (const Kind kind : {restore_archives, restore_tiering, copies}) {
    if (manifests_[kind].file) finish(kind, manifests_[kind]);
  }
  if (too_large_ > 0) {
    emit_warning(context_,
                 fmt::format("{} larger than 5 GiB, which S3 Batch Operations does not copy: run `bale bucket restore` "
                             "afterwards, which copies what is missing",
                             format_count(too_large_, "object")));
  }
}

int bucket_batch_reports(Context& context, const std::vector<std::string>& reports) {
  context.break_off_on_stop();
  Reports all(context);
  for (const std::string& place : reports) all.read(place);
  return all.finish();
}

}  // namespace bale::cli
