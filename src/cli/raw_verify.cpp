// bale raw verify
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/raw_commands.hpp"
#include "jobs/raw/verify.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Totals {
  std::uint64_t raw_files = 0, proven = 0, purged = 0, kept = 0;
  ByteCount purged_bytes = 0;
  bool is_damaged = false, is_missing = false, is_unproven = false;
  bool is_kept = false;  ///< a local copy stays for another reason than a failure
  RawExit failures;      ///< what could not be looked at
};

Json side_of(const raw::Evidence& evidence, ByteCount size) {
  Json side{{"size", size}, {"etag", evidence.etag.str()}};
  if (evidence.part_bytes > 0) side["part_bytes"] = evidence.part_bytes;
  if (evidence.digests) {
    side["md5"] = to_hex_digest(evidence.digests->md5);
    side["crc64nvme"] = fmt::format("{:016x}", evidence.digests->crc64nvme);
  }
  return side;
}

/// Prints one comparison of a record's file with a place.
void emit_evidence(Context& context, const raw::RawRecord& record, const raw::FileRecord& file,
                   const raw::Evidence& evidence, const std::string& place) {
  Json line{{"type", "evidence"}, {"id", record.id}};
  add_name(line, "key", file.key.str());
  line["verdict"] = raw::to_string(evidence.verdict);
  line["by"] = evidence.by;
  line["left"] = {{"place", "record"}, {"size", file.size}, {"etag", file.etag.str()}, {"md5", file.md5}};
  line["right"] = side_of(evidence, file.size);
  line["right"]["place"] = place;
  emit_json(context, line);
}

void count(const std::optional<raw::Evidence>& evidence, Totals& totals) {
  if (!evidence) return;
  totals.is_damaged = totals.is_damaged || evidence->verdict == raw::Verdict::differs;
  totals.is_missing = totals.is_missing || evidence->verdict == raw::Verdict::missing;
  totals.is_unproven = totals.is_unproven || evidence->verdict == raw::Verdict::unknown;
}

std::string cell(const std::optional<raw::Evidence>& evidence) {
  if (!evidence) return "-";
  return fmt::format("{} ({})", raw::to_string(evidence->verdict), evidence->by);
}

/// Prints what was found of one raw file.
void report(Context& context, const raw::RawRecord& record, const raw::Verification& verification, Table& table,
            Totals& totals) {
  for (std::size_t i = 0; i < verification.files.size(); ++i) {
    const raw::FileEvidence& file = verification.files[i];
    const std::string object = to_uri(record.bucket, file.key);
    if (file.failure) {
      emit_failure(context, fmt::format("verify failed: {} {}", escape_name(record.id), escape_name(file.name)),
                   *file.failure);
      totals.failures.add(*file.failure);
    }
    count(file.object, totals);
    count(file.local, totals);
    if (file.object) emit_evidence(context, record, record.files[i], *file.object, object);
    if (file.local) emit_evidence(context, record, record.files[i], *file.local, record.pool_path + "/" + file.name);
    table.add({record.id, file.name, cell(file.object), cell(file.local)});
  }
}

/// Deletes the local copy of one raw file, or says why it stays.
void purge(RawContext& raw, raw::RawRun& run, const std::string& id, Table& table, Totals& totals) {
  Context& context = raw.context();
  const bool dryrun = context.options().dryrun;
  const raw::Purged purged = run.purge(id, dryrun);
  report(context, purged.record, purged.result.verification, table, totals);
  const bool is_kept = !purged.result.reasons.empty();
  ++(is_kept ? totals.kept : totals.purged);
  const auto& looked_at = purged.result.verification.files;
  const bool has_failed =
      std::any_of(looked_at.begin(), looked_at.end(), [](const raw::FileEvidence& file) { return file.failure; });
  totals.is_kept = totals.is_kept || (is_kept && !has_failed);
  totals.purged_bytes += purged.result.bytes;
  Json line{{"type", dryrun ? "dryrun" : "purge"}, {"id", id}, {"purged", !is_kept}};
  line["files"] = purged.result.files;
  line["bytes"] = purged.result.bytes;
  line["reasons"] = purged.result.reasons;
  std::string text = fmt::format("{}{}: ", dryrun ? "(dryrun) " : "", escape_name(id));
  if (is_kept) {
    text += "kept: " + purged.result.reasons.front();
    if (purged.result.reasons.size() > 1) text += fmt::format(", and {} more", purged.result.reasons.size() - 1);
  } else {
    text += fmt::format("deleted from {}", escape_name(purged.record.pool_path));
  }
  emit(context, line, text);
}

std::vector<std::string> ids_of(RawContext& raw, const RawVerifyOptions& options) {
  if (!options.ids.empty()) return options.ids;
  std::vector<std::string> ids;
  raw.records().for_each(
      [&](const raw::StoredRecord& stored) {
        // What was never uploaded or copied has nothing to compare, and what was purged has nothing to purge.
        const bool is_done = options.purge_local && stored.record.purged;
        if (!stored.record.files.empty() && !is_done) ids.push_back(stored.record.id);
      },
      [&](const std::string& id, const Error& error) {
        emit_failure(raw.context(), "record cannot be read: " + escape_name(id), error);
      });
  return ids;
}

/// A raw file whose backup is the upload is looked for in its bucket, uploaded
/// or not.
raw::VerifyScope scope_of(RawContext& raw, const RawVerifyOptions& options, const raw::RawRecord& record) {
  const bool is_in_bucket = raw.config().backup_type == config::BackupType::s3 && !record.bucket.empty();
  return {.object = is_in_bucket || options.bucket_only, .local = !options.bucket_only && !record.purged};
}

int exit_of(const Totals& totals) {
  if (totals.is_damaged) return exit_damaged;
  if (totals.is_missing || totals.is_unproven || totals.is_kept) return exit_some_failed;
  return totals.failures.status();
}

}  // namespace

int raw_verify(Context& context, const RawVerifyOptions& options) {
  if (options.purge_local && options.bucket_only)
    throw Error(ErrorKind::invalid, "--purge-local cannot be combined with --bucket-only", {}, "give one of them");
  RawContext raw(context, options.common);
  const raw::Tools tools = raw.tools();
  const auto run = raw.run(tools);
  Table table({{"ID"}, {"FILE"}, {"BUCKET"}, {"LOCAL"}});
  Totals totals;
  {
    const ProgressPrinter printer(context, raw.progress(), "verifying");
    for (const std::string& id : ids_of(raw, options)) {
      ++totals.raw_files;
      const auto stored = raw.records().get(id);
      if (!stored) {
        emit_failure(context, "no record: " + escape_name(id),
                     Error(ErrorKind::not_found, "there is no record of this raw file"));
        totals.is_missing = true;
      } else if (options.purge_local) {
        try {
          purge(raw, *run, id, table, totals);
        } catch (const Error& error) {
          if (error.kind() == ErrorKind::cancelled) throw;
          emit_failure(context, "purge failed: " + escape_name(id), error);
          totals.failures.add(error);
          ++totals.kept;
        }
      } else {
        const raw::Verification found =
            raw::verify(stored->record, raw.store(), scope_of(raw, options, stored->record), tools);
        totals.proven += found.is_proven() ? 1 : 0;
        report(context, stored->record, found, table, totals);
      }
    }
  }
  if (!context.json() && !table.empty() && !options.purge_local) context.print(table.text());
  Json summary{{"type", "summary"}, {"raw_files", totals.raw_files}};
  if (options.purge_local) {
    summary["purged"] = totals.purged;
    summary["kept"] = totals.kept;
    summary["bytes"] = totals.purged_bytes;
    emit(context, summary,
         fmt::format("{} purged ({}), {} kept", totals.purged, format_bytes(totals.purged_bytes), totals.kept));
  } else {
    summary["proven"] = totals.proven;
    emit(context, summary, fmt::format("{} of {} verified", totals.proven, format_count(totals.raw_files, "raw file")));
  }
  return exit_of(totals);
}

}  // namespace bale::cli
