// bale raw restore
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/raw_commands.hpp"
#include "jobs/raw/fetch.hpp"

namespace bale::cli {

int raw_restore(Context& context, const RawRestoreOptions& options) {
  RawContext raw(context, options.common);
  const auto stored = raw.records().get(options.id);
  if (!stored || stored->record.bucket.empty() || !stored->record.upload.ended) {
    throw Error(ErrorKind::not_found, "no upload of this raw file is recorded", escape_name(options.id),
                "list the uploaded raw files with `bale raw status --status DONE`");
  }
  if (raw.store() == nullptr) throw Error(ErrorKind::invalid, "the configuration has no section backup.s3");
  const raw::RawRecord& record = stored->record;
  if (context.options().dryrun) {
    for (const raw::FileRecord& file : record.files) {
      nlohmann::ordered_json line{
          {"type", "dryrun"}, {"object", to_uri(record.bucket, file.key)}, {"bytes", file.size}};
      add_name(line, "file", options.to + "/" + file.name);
      emit(
          context, line,
          fmt::format("(dryrun) {} to {}", to_uri(record.bucket, file.key), escape_name(options.to + "/" + file.name)));
    }
    return exit_ok;
  }
  raw.progress().items_total = record.files.size();
  raw.progress().bytes_total = record.bytes();
  const raw::Tools tools = raw.tools();
  raw::FetchResult result;
  {
    const ProgressPrinter printer(context, raw.progress(), "restoring");
    result = raw::fetch(record, *raw.store(), options.to, tools);
  }
  if (!result.is_proven)
    emit_warning(context, "some files were verified by size only: the record holds no digest for them");
  emit(context,
       {{"type", "restored"},
        {"id", record.id},
        {"restored", result.restored},
        {"same", result.same},
        {"received_bytes", result.received_bytes},
        {"kept_bytes", result.kept_bytes},
        {"to", options.to}},
       fmt::format("{}: {} restored to {}{}", escape_name(record.id), format_count(result.restored, "file"),
                   escape_name(options.to),
                   result.same > 0 ? fmt::format(", {} already there and identical", format_count(result.same))
                                   : std::string()));
  return exit_ok;
}

}  // namespace bale::cli
