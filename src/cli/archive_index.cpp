// bale archive index: an index beside an archive that has none of its own.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "archive/sidecar_builder.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/archive_commands.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t piece_bytes = 1 << 20;

std::unique_ptr<transfer::ByteSink> open_object(Context& context, const std::string& name, ByteCount bytes) {
  transfer::ObjectSinkOptions options;
  options.attributes.headers.content_type = "application/octet-stream";
  options.expected_bytes = bytes;
  return transfer::open_object_sink(context.store(context.region()), context.pools().connections,
                                    parse_object_uri(name), std::move(options));
}

/// The index is durable when this returns.
void write_index(transfer::ByteSink& sink, ByteView bytes) {
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(bytes.size(), piece_bytes));
    Buffer copy(piece.size());
    copy.append(piece);
    sink.append({std::move(copy), {}});
    bytes = bytes.subspan(piece.size());
  }
  sink.finish();
}

/// Fails where a run would fail at once, and where it would destroy the archive.
void check_target(Context& context, const std::string& archive, const std::string& name) {
  os::Files& files = context.world().files;
  bool is_archive = name == archive;
  if (!is_s3_uri(name) && !is_s3_uri(archive)) {
    const auto read = files.info_followed(archive), written = files.info_followed(name);
    is_archive = read && written && read->device == written->device && read->inode == written->inode;
  }
  if (is_archive)
    throw Error(ErrorKind::invalid, "the index would take the place of the archive", escape_name(name),
                "name another file with --to");
  if (is_s3_uri(name))
    require_bucket(context, parse_object_uri(name).bucket);
  else if (!files.is_stream(name))
    os::place_of_new_file(files, name);
}

int print_planned(Context& context, const ArchiveOptions& options, const std::string& index, ByteCount bytes) {
  Json line{{"type", "dryrun"}, {"action", "index"}};
  add_name(line, "archive", options.archive);
  add_name(line, "index", index);
  line["bytes"] = bytes;
  emit(context, line,
       fmt::format("(dryrun) index: {} to {}, {} to be read", escape_name(options.archive), escape_name(index),
                   format_bytes(bytes)));
  return exit_ok;
}

int print_needless(Context& context, const ArchiveOptions& options) {
  Json line{{"type", "index"}};
  add_name(line, "archive", options.archive);
  line["index"] = nullptr;
  emit(context, line, fmt::format("{}: has a seek table of its own, and needs no index", escape_name(options.archive)));
  return exit_ok;
}

/// Says what is not in the index, and returns the exit status.
int report_left_out(Context& context, const archive::BuiltSidecar& built) {
  if (built.not_regular > 0) {
    emit_warning(context, fmt::format("left out {} (links, directories, devices): an index has files only",
                                      format_count(built.not_regular, "member")));
  }
  for (const archive::LeftOut& each : built.left_out) {
    const bool is_sparse = each.why == archive::WhyLeftOut::not_in_one_piece;
    emit_failure(context, "left out " + escape_name(each.member),
                 Error(ErrorKind::unsupported, std::string(to_string(each.why)), {},
                       is_sparse ? "tar gets it out of the archive" : ""));
  }
  bool has_unread = !built.left_out.empty();
  for (const archive::Remark& remark : built.remarks) {
    emit_warning(context, remark.text);
    has_unread |= remark.is_unread;
  }
  for (const archive::ManifestObject& object : built.sidecar.manifest.objects) {
    if (object.data_offset) continue;
    emit_failure(context, "damaged: " + escape_name(object.relative_key),
                 Error(ErrorKind::corrupt, "the tar does not hold what the manifest lists"));
  }
  if (built.missing > 0) return exit_damaged;
  return has_unread ? exit_some_failed : exit_ok;
}

archive::BuiltSidecar build(Context& context, transfer::RandomSource& source) {
  flow::Progress progress;
  progress.bytes_total = source.size();
  const ProgressPrinter printer(context, progress, "indexing");
  return archive::build_sidecar(source, {.means = {&context.pools().connections, &context.budget()},
                                         .limits = {.budget = &context.budget()},
                                         .stop = context.stop(),
                                         .progress = &progress});
}

}  // namespace

int index_archive(Context& context, const ArchiveOptions& options) {
  context.break_off_on_stop();
  const auto started = context.world().clock.steady();
  const std::string index = options.to.empty() ? index_beside(options.archive) : options.to;
  const auto source = open_archive_source(context, options.archive);
  if (archive::has_own_index(*source, {.budget = &context.budget()})) {
    const OpenArchive opened = open_archive(context, options);  // warns of bytes behind its end
    return opened.status(print_needless(context, options));
  }
  check_target(context, options.archive, index);
  if (context.options().dryrun) return print_planned(context, options, index, source->size());
  std::unique_ptr<transfer::ByteSink> sink;
  // Before the archive is read: a file that appears meanwhile is not replaced.
  if (!is_s3_uri(index)) sink = transfer::open_file_sink(context.world().files, index, context.stop());
  const archive::BuiltSidecar built = build(context, *source);
  const Buffer bytes = archive::encode_sidecar(built.sidecar);
  if (!sink) sink = open_object(context, index, bytes.size());
  write_index(*sink, bytes.view());
  const int status = report_left_out(context, built);
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started);
  const std::size_t objects = built.sidecar.manifest.objects.size();
  Json line{{"type", "index"}};
  add_name(line, "archive", options.archive);
  add_name(line, "index", index);
  line.update({{"objects", objects},
               {"missing", built.missing},
               {"left_out", built.left_out.size() + built.not_regular},
               {"manifest", built.has_manifest},
               {"frames", built.sidecar.frames.size()},
               {"tar_bytes", built.sidecar.tar_bytes()},
               {"archive_bytes", source->size()},
               {"index_bytes", bytes.size()},
               {"milliseconds", elapsed.count()}});
  emit(context, line,
       fmt::format("{}: index of {} in {} ({}), {} read in {} ({}), {} written to {}", escape_name(options.archive),
                   format_count(objects, "object"), format_count(built.sidecar.frames.size(), "frame"),
                   built.has_manifest ? "by its manifest" : "by the names in the tar", format_bytes(source->size()),
                   format_duration(elapsed), format_rate(source->size(), elapsed), format_bytes(bytes.size()),
                   escape_name(index)));
  return status;
}

}  // namespace bale::cli
