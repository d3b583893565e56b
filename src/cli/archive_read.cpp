// bale archive list|extract|verify|info: archives by ranged reads, by their own index or one beside them.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "archive/deliver.hpp"
#include "archive/manifest.hpp"
#include "archive/reader.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/archive_commands.hpp"
#include "cli/name_changes.hpp"
#include "cli/output.hpp"
#include "os/target.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Where an object is read from; absent where only the whole archive can be read, and for what the tar does not hold.
std::optional<archive::MemberLocation> location_of(const archive::Reader& reader, std::size_t index) {
  if (!reader.random_access() || !reader.manifest().objects.data_offset_of(index)) return std::nullopt;
  return reader.locate(index);
}

Json object_json(const archive::Reader& reader, std::size_t index) {
  const archive::ManifestObject object = reader.manifest().objects[index];
  Json json{{"type", "object"}};
  add_name(json, "key", object.relative_key);
  json.update({{"bytes", object.size}, {"last_modified", to_iso8601(object.last_modified)}, {"sha256", object.sha256}});
  add_name(json, "member", object.member);
  if (const auto location = location_of(reader, index)) {
    json["frame_offset"] = location->frame_offset;
    json["frame_length"] = location->frame_length;
    json["frame_skip"] = location->frame_skip;
  }
  return json;
}

/// The objects that an argument names: by key, by name of the tar member, or all below a directory. `shown`: by the
/// key as it is displayed.
std::vector<std::size_t> find_member(const archive::Manifest& manifest, const std::string& member, bool shown) {
  const std::string directory = member.ends_with('/') ? member : member + "/";
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < manifest.objects.size(); ++i) {
    const archive::ManifestObject object = manifest.objects[i];
    const std::string key = shown ? escape_name(object.relative_key) : object.relative_key;
    if (key == member || object.member == member || key.starts_with(directory)) found.push_back(i);
  }
  return found;
}

/// The objects that all arguments together name. A name that no key has may be one as `list` displays it.
std::vector<std::size_t> select(const archive::Manifest& manifest, const std::vector<std::string>& members,
                                const std::string& archive) {
  std::set<std::size_t> selected;
  for (const std::string& member : members) {
    std::vector<std::size_t> found = find_member(manifest, member, false);
    if (found.empty()) found = find_member(manifest, member, true);
    selected.insert(found.begin(), found.end());
    if (found.empty()) {
      throw Error(ErrorKind::not_found, fmt::format("no object {} in the archive", escape_name(member)),
                  escape_name(archive), "bale archive list shows what is in it");
    }
  }
  return {selected.begin(), selected.end()};
}

/// Prints what went wrong, and returns the exit status.
int report_failures(Context& context, const archive::Manifest& manifest, const archive::Delivery& delivery,
                    std::string_view doing) {
  int status = exit_ok;
  for (const auto& [object, error] : delivery.failures) {
    emit_failure(context, fmt::format("{} {}", doing, escape_name(manifest.objects[object].relative_key)), error);
    status = error.kind() == ErrorKind::corrupt || status == exit_damaged ? exit_damaged : exit_some_failed;
  }
  return status;
}

void emit_delivery(Context& context, std::string_view type, const ArchiveOptions& options,
                   const archive::Delivery& delivery, Milliseconds elapsed) {
  const std::string failed =
      delivery.failures.empty() ? "" : fmt::format(", {} failed", format_count(delivery.failures.size()));
  const std::string unverifiable =
      delivery.unverifiable == 0 ? ""
                                 : fmt::format(", {} not verifiable (no SHA-256)", format_count(delivery.unverifiable));
  // What cannot be verified can be extracted, but it is not among the verified.
  const std::size_t done = delivery.delivered - (type == "verified" ? delivery.unverifiable : 0);
  emit(context,
       {{"type", type},
        {"archive", options.archive},
        {"objects", done},
        {"not_verifiable", delivery.unverifiable},
        {"failed", delivery.failures.size()},
        {"bytes", delivery.bytes},
        {"milliseconds", elapsed.count()}},
       fmt::format("{}: {} {}, {}{}{}, {} ({})", escape_name(options.archive), type, format_count(done, "object"),
                   format_bytes(delivery.bytes), unverifiable, failed, format_duration(elapsed),
                   format_rate(delivery.bytes, elapsed)));
}

/// Warns of the objects among `selected` (empty: all) whose names differ from their keys.
void tell_names(Context& context, const archive::ObjectList& objects, const std::vector<std::size_t>& selected,
                const archive::FileExtractor& extractor) {
  NameChanges changes(context);
  const auto tell = [&](std::size_t i) {
    const std::string key = objects[i].relative_key;
    changes.tell(key, extractor.path_of(i).native(), archive::change_of(key, extractor.name_of(i)));
  };
  for (const std::size_t i : selected) tell(i);
  for (std::size_t i = 0; selected.empty() && i < objects.size(); ++i) tell(i);
}

/// Wants nothing but to know that an object is whole.
class Nobody final : public archive::ObjectReceiver {
 public:
  void write(ByteView) override {}
  void finish() override {}
};

}  // namespace

int list_archive(Context& context, const ArchiveOptions& options) {
  context.break_off_on_stop();
  const OpenArchive opened = open_archive(context, options);
  const auto& reader = opened.reader;
  std::vector<Table::Column> columns{{"SIZE", Align::right}, {"MODIFIED"}};
  if (options.detailed) columns.insert(columns.end(), {{"FRAME", Align::right}, {"READ", Align::right}, {"SHA-256"}});
  columns.push_back({"KEY"});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < reader->manifest().objects.size(); ++i) {
    const archive::ManifestObject object = reader->manifest().objects[i];
    emit_json(context, object_json(*reader, i));
    std::vector<std::string> cells{format_count(object.size), to_timestamp(object.last_modified)};
    if (options.detailed) {
      const auto location = location_of(*reader, i);
      cells.push_back(location ? format_count(location->frame_offset) : "-");
      cells.push_back(location ? format_count(location->frame_length) : "-");
      cells.push_back(object.sha256.empty() ? "-" : object.sha256);
    }
    cells.push_back(escape_name(object.relative_key));
    table.add(std::move(cells));
  }
  if (!context.json() && !table.empty()) context.print(table.text());
  return opened.status(exit_ok);
}

int extract_archive(Context& context, const ArchiveOptions& options) {
  context.break_off_on_stop();
  const auto started = context.world().clock.steady();
  const os::TreeRoot root = os::open_tree_root(context.world().files, options.to);
  std::optional<TimePoint> began;
  if (!context.options().dryrun) {  // before the archive is read
    os::try_target(context.world().files, options.to);
    began = os::file_system_time(context.world().files, options.to);
  }
  const OpenArchive opened = open_archive(context, options);
  const auto& reader = opened.reader;
  const archive::ObjectList& objects = reader->manifest().objects;
  const std::vector<std::size_t> selected = select(reader->manifest(), options.members, options.archive);
  archive::FileExtractor extractor(context.world().files, root, objects);
  tell_names(context, objects, selected, extractor);
  if (context.options().dryrun) {
    for (std::size_t i = 0; i < objects.size(); ++i) {
      if (!selected.empty() && !std::binary_search(selected.begin(), selected.end(), i)) continue;
      const std::string path = extractor.path_of(i).native();
      Json line{{"type", "dryrun"}, {"action", "extract"}};
      add_name(line, "key", objects[i].relative_key);
      add_name(line, "path", path);
      emit(context, line,
           fmt::format("(dryrun) extract: {} to {}", escape_name(objects[i].relative_key), escape_name(path)));
    }
    return opened.status(exit_ok);
  }
  flow::Progress progress;
  archive::Delivery delivery;
  extractor.look(selected, began);
  try {
    const ProgressPrinter printer(context, progress, "extracting");
    delivery = archive::deliver_objects(
        *reader, selected,
        [&](std::size_t i) { return extractor.receive(i, objects[i].last_modified, extractor.found(i)); },
        context.pools(), context.budget(), context.stop(), &progress);
    extractor.sync();
  } catch (const Error& error) {
    if (!os::is_of_whole_target(error)) throw;
    const std::uint64_t done = progress.items_done;
    throw ended_run(error, {done, std::max(progress.items_total.load(), done) - done}, "extracted");
  }
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started);
  const int status = report_failures(context, reader->manifest(), delivery, "not extracted:");
  emit_delivery(context, "extracted", options, delivery, elapsed);
  return opened.status(status);
}

int verify_archive(Context& context, const ArchiveOptions& options) {
  context.break_off_on_stop();
  const auto started = context.world().clock.steady();
  const OpenArchive opened = open_archive(context, options);
  const auto& reader = opened.reader;
  flow::Progress progress;
  archive::Delivery delivery;
  {
    const ProgressPrinter printer(context, progress, "verifying");
    delivery = archive::deliver_objects(
        *reader, {}, [](std::size_t) { return std::make_unique<Nobody>(); }, context.pools(), context.budget(),
        context.stop(), &progress);
  }
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started);
  int status = report_failures(context, reader->manifest(), delivery, "damaged:");
  if (reader->flaw()) {
    emit_failure(context, "damaged", *reader->flaw());
    status = exit_damaged;
  }
  emit_delivery(context, "verified", options, delivery, elapsed);
  return opened.status(status);
}

int show_archive(Context& context, const ArchiveOptions& options) {
  context.break_off_on_stop();
  const OpenArchive opened = open_archive(context, options);
  const auto& reader = opened.reader;
  const archive::Manifest& manifest = reader->manifest();
  ByteCount bytes = 0;
  for (std::size_t i = 0; i < manifest.objects.size(); ++i) bytes += manifest.objects.bytes_of(i);
  if (context.json()) {
    emit_json(context, {{"type", "info"},
                        {"archive", options.archive},
                        {"manifest_version", manifest.version},
                        {"random_access", reader->random_access()},
                        {"index", opened.index.empty() ? Json() : Json(opened.index)},
                        {"damage", reader->flaw() ? Json(reader->flaw()->summary()) : Json()},
                        {"objects", manifest.objects.size()},
                        {"bytes", bytes},
                        {"tar_bytes", reader->tar_bytes()},
                        {"archive_bytes", reader->archive_bytes()},
                        {"frames", reader->frames()},
                        {"level", manifest.level},
                        {"created", to_iso8601(manifest.created)},
                        {"source_region", manifest.source_region.str()},
                        {"targets", manifest.targets.size()}});
    return opened.status(exit_ok);
  }
  const auto line = [&](std::string_view name, std::string_view value) {
    context.print(fmt::format("{:<14}{}", name, escape_name(value)));
  };
  const bool seekable = reader->random_access() && opened.index.empty();
  line("format", seekable ? "Bale, seekable" : "zstd and tar, without seek table");
  if (!seekable) line("index", opened.index.empty() ? "none: objects are read from the beginning" : opened.index);
  if (reader->flaw()) line("damage", reader->flaw()->summary());
  line("objects", fmt::format("{}, {}", format_count(manifest.objects.size()), format_bytes(bytes)));
  line("archive", fmt::format("{}, ratio {}", format_bytes(reader->archive_bytes()),
                              format_ratio(bytes, reader->archive_bytes())));
  line("frames", fmt::format("{}, {} of tar", format_count(reader->frames()), format_bytes(reader->tar_bytes())));
  if (manifest.version > 0) line("level", fmt::format("{}", manifest.level));
  if (manifest.version > 0) line("created", to_iso8601(manifest.created));
  if (!manifest.source_region.empty()) line("region", manifest.source_region.str());
  for (const archive::Target& target : manifest.targets) {
    line("target",
         fmt::format("{} in {}{}", target.bucket.str(), target.region.str(), target.backup ? " (backup)" : ""));
  }
  return opened.status(exit_ok);
}

}  // namespace bale::cli
