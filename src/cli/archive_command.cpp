// bale archive create|list|extract|verify|info
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "archive/compress.hpp"
#include "archive/deliver.hpp"
#include "archive/manifest.hpp"
#include "archive/reader.hpp"
#include "archive/writer.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"
#include "transfer/byte_io.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = os::fs;

/// The options of all archive commands; each uses its own.
struct ArchiveOptions {
  std::string archive;
  std::vector<std::string> paths;
  std::vector<std::string> members;
  std::string to;
  int level = archive::default_level;
  std::string frame_size;
  bool detailed = false;
};

// ---- create

/// A file to be archived, as it was when the directories were walked.
struct InputFile {
  fs::path path;
  std::string name;
  os::FileInfo info;
};

bool is_same_file(const os::FileInfo& a, const os::FileInfo& b) { return a.device == b.device && a.inode == b.inode; }

/// The name of a path inside an archive: relative, without "." and leading "..", as tar does it.
std::string member_name_of(const fs::path& path) {
  std::string name;
  for (const fs::path& part : path.lexically_normal()) {
    if (part == "/" || part == "." || part == ".." || part.empty()) continue;
    name.append(name.empty() ? "" : "/").append(part.native());
  }
  return name;
}

/// Finds the regular files below paths; says what it leaves out.
class Walker {
 public:
  Walker(Context& context, const std::optional<os::FileInfo>& archive) : context_(context), archive_(archive) {}

  std::vector<InputFile> walk(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      const auto info = context_.world().files.info(path);
      if (!info) throw Error(ErrorKind::not_found, "no such file or directory", escape_name(path));
      const bool takes_files = info->type == os::FileType::regular || info->type == os::FileType::directory;
      const std::size_t files_before = files_;
      if (takes_files) add(path, *info);
      if (files_ == files_before) tell_left_out(path, *info);
    }
    if (empty_directories_ > 0) {
      emit_warning(context_,
                   fmt::format("left out {}: an archive holds files only",
                               empty_directories_ == 1 ? std::string("1 empty directory")
                                                       : format_count(empty_directories_) + " empty directories"));
    }
    return std::move(found_);
  }
  /// Paths that were named and of which nothing is archived, though it is not the archive.
  std::size_t left_out() const noexcept { return left_out_; }

 private:
  void tell_left_out(const fs::path& path, const os::FileInfo& info) {
    // `create a.tar.zst *` finds a.tar.zst the second time.
    if (archive_ && is_same_file(*archive_, info)) return;
    ++left_out_;
    const bool directory = info.type == os::FileType::directory;
    emit_failure(context_, "left out " + escape_name(path.native()),
                 Error(ErrorKind::invalid, directory ? "no file is in it" : "it is no regular file", {},
                       info.type == os::FileType::symlink ? "name what the link leads to" : ""));
  }

  void add(const fs::path& path, const os::FileInfo& info) {
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "stopped while listing files");
    switch (info.type) {
      case os::FileType::directory: return add_directory(path);
      case os::FileType::symlink: return skip(path, "a symbolic link");
      case os::FileType::other: return skip(path, "neither a file nor a directory");
      case os::FileType::regular: break;
    }
    if (archive_ && is_same_file(*archive_, info)) return skip(path, "the archive itself");
    ++files_;
    std::string name = member_name_of(path);
    if (names_.insert(name).second) found_.push_back({path, std::move(name), info});
  }

  void add_directory(const fs::path& path) {
    const std::vector<os::DirectoryEntry> entries = context_.world().files.list(path);
    if (entries.empty()) ++empty_directories_;
    for (const os::DirectoryEntry& entry : entries) {
      // Gone since it was listed: as if it had never been there.
      if (const auto info = context_.world().files.info(path / entry.name)) add(path / entry.name, *info);
    }
  }

  void skip(const fs::path& path, std::string_view what) {
    emit_warning(context_, fmt::format("left out {}: {}", escape_name(path.native()), what));
  }

  Context& context_;
  const std::optional<os::FileInfo> archive_;
  std::set<std::string> names_;
  std::vector<InputFile> found_;
  std::size_t files_ = 0;  ///< also those that were found under the same name before
  std::size_t empty_directories_ = 0, left_out_ = 0;
};

class FileMembers final : public archive::MemberSource {
 public:
  FileMembers(os::Files& files, const std::vector<InputFile>& inputs) : files_(files), inputs_(inputs) {}
  TimePoint fetch(std::size_t index, ByteCount offset, MutableBytes into) override {
    const InputFile& input = inputs_[index];
    const std::size_t got = files_.open(input.path)->read_at(offset, into);
    const auto now = files_.info(input.path);
    const bool changed = got < into.size() || !now || now->size != input.info.size ||
                         now->modified != input.info.modified || !is_same_file(*now, input.info);
    if (changed)
      throw Error(ErrorKind::precondition, "the file changed while it was read", escape_name(input.path.native()),
                  "run the command again when nobody writes to it");
    return input.info.modified;
  }

 private:
  os::Files& files_;
  const std::vector<InputFile>& inputs_;
};

std::vector<InputFile> in_good_order(std::vector<InputFile> inputs) {
  std::vector<archive::PlannedMember> planned;
  for (const InputFile& input : inputs) planned.push_back({input.name, input.info.size});
  std::vector<InputFile> ordered;
  ordered.reserve(inputs.size());
  for (const std::size_t index : archive::like_beside_like(planned)) ordered.push_back(std::move(inputs[index]));
  return ordered;
}

archive::Manifest manifest_of(Context& context, const std::vector<InputFile>& inputs,
                              const std::vector<archive::WrittenMember>& written, int level) {
  archive::Manifest manifest;
  manifest.created = context.world().clock.now();
  manifest.level = level;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (written[i].failure) continue;
    archive::ManifestObject object;
    object.relative_key = inputs[i].name;
    object.object_name = std::string(basename(inputs[i].name));
    object.key = ObjectKey(inputs[i].name);
    object.member = written[i].member;
    object.last_modified = written[i].modified;
    object.size = inputs[i].info.size;
    object.sha256 = to_hex_digest(written[i].sha256);
    object.data_offset = written[i].data_offset;
    manifest.objects.push_back(std::move(object));
  }
  return manifest;
}

/// Standard output, to which nothing else is printed then.
class OutputSink final : public transfer::ByteSink {
 public:
  explicit OutputSink(os::Terminal& terminal) : terminal_(terminal) {}
  void append(transfer::OutputPiece piece) override {
    terminal_.out(as_text(piece.bytes.view()));
    written_ += piece.bytes.size();
  }
  void finish() override {}
  ByteCount written() const override { return written_; }
  std::string name() const override { return "standard output"; }

 private:
  os::Terminal& terminal_;
  ByteCount written_ = 0;
};

std::unique_ptr<transfer::ByteSink> open_sink(Context& context, const std::string& name, ByteCount content_bytes,
                                              std::size_t members) {
  if (is_standard_output(name)) return std::make_unique<OutputSink>(context.world().terminal);
  if (!is_s3_uri(name)) return transfer::open_file_sink(context.world().files, name);
  transfer::ObjectSinkOptions options;
  options.attributes.headers.content_type = "application/zstd";
  // Headers, padding and the manifest's line of a member, and what does not compress.
  options.expected_bytes = content_bytes + content_bytes / 128 + ByteCount{members} * 16'384 + (1 << 20);
  return transfer::open_object_sink(context.store(context.region()), context.pools().connections, parse_s3_uri(name),
                                    std::move(options));
}

ByteCount total_size(const std::vector<InputFile>& inputs) {
  ByteCount total = 0;
  for (const InputFile& input : inputs) total += input.info.size;
  return total;
}

/// Writes the archive once. A large file that is lost on the way is an Error of its own kind: MemberLost.
archive::WriteResult write_once(Context& context, const ArchiveOptions& options, const std::vector<InputFile>& inputs,
                                const archive::WriterOptions& writer_options) {
  std::vector<archive::PlannedMember> planned;
  planned.reserve(inputs.size());
  for (const InputFile& input : inputs) planned.push_back({input.name, input.info.size});
  FileMembers members(context.world().files, inputs);
  context.reserve_memory(archive::compressor_bytes(writer_options.level, writer_options.frame_size) *
                         context.pools().cores.size());
  const auto sink = open_sink(context, options.archive, total_size(inputs), inputs.size());
  return archive::write_archive(
      planned, members,
      [&](const archive::WriteResult& written) {
        return archive::to_json(manifest_of(context, inputs, written.members, writer_options.level));
      },
      *sink, context.pools(), context.budget(), writer_options);
}

int print_created(Context& context, const ArchiveOptions& options, const std::vector<InputFile>& inputs,
                  const archive::WriteResult& result, std::size_t failed, Milliseconds elapsed) {
  ByteCount bytes = 0;
  std::size_t written = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (result.members[i].failure) {
      emit_failure(context, "left out " + escape_name(inputs[i].name), *result.members[i].failure);
      ++failed;
    } else {
      bytes += inputs[i].info.size;
      ++written;
    }
  }
  const int status = failed == 0 ? exit_ok : exit_some_failed;
  if (is_standard_output(options.archive)) return status;
  emit(context,
       {{"type", "archive"},
        {"archive", options.archive},
        {"objects", written},
        {"failed", failed},
        {"bytes", bytes},
        {"archive_bytes", result.archive_bytes},
        {"frames", result.frames},
        {"milliseconds", elapsed.count()}},
       fmt::format("{}: {}, {} in {} (ratio {}), {}, {} ({})", escape_name(options.archive),
                   format_count(written, "object"), format_bytes(bytes), format_bytes(result.archive_bytes),
                   format_ratio(bytes, result.archive_bytes), format_count(result.frames, "frame"),
                   format_duration(elapsed), format_rate(bytes, elapsed)));
  return status;
}

/// Says what a run would do, and fails where it would fail at once.
int print_planned(Context& context, const ArchiveOptions& options, const std::vector<InputFile>& inputs,
                  std::size_t left_out) {
  os::Files& files = context.world().files;
  if (is_s3_uri(options.archive))
    require_bucket(context, parse_s3_uri(options.archive).bucket);
  else if (!is_standard_output(options.archive) && !files.is_stream(options.archive))
    os::place_of_new_file(files, options.archive, os::Links::follow);
  for (const InputFile& input : inputs) {
    Json line{{"type", "dryrun"}, {"action", "archive"}};
    add_name(line, "key", input.name);
    line["bytes"] = input.info.size;
    emit(context, line, fmt::format("(dryrun) archive: {}", escape_name(input.name)));
  }
  return left_out == 0 ? exit_ok : exit_some_failed;
}

int create(Context& context, const ArchiveOptions& options) {
  archive::WriterOptions writer_options{.level = options.level, .stop = context.stop()};
  if (!options.frame_size.empty()) writer_options.frame_size = parse_bytes(options.frame_size);
  const bool local = !is_s3_uri(options.archive);
  Walker walker(context, local ? context.world().files.info_followed(options.archive) : std::optional<os::FileInfo>());
  std::vector<InputFile> inputs = in_good_order(walker.walk(options.paths));
  if (inputs.empty()) {
    emit_failure(context, "no archive was written",
                 Error(ErrorKind::invalid, "there is nothing to archive", escape_name(options.archive),
                       "name regular files, or directories with some in them"));
    return exit_some_failed;
  }
  if (context.options().dryrun) return print_planned(context, options, inputs, walker.left_out());
  // What went into a pipe cannot be taken back.
  const bool once = local && (is_standard_output(options.archive) || context.world().files.is_stream(options.archive));
  const auto started = context.world().clock.steady();
  for (std::size_t failed = walker.left_out();;) {
    flow::Progress progress;
    writer_options.progress = &progress;
    try {
      const ProgressPrinter printer(context, progress, "archiving");
      const archive::WriteResult result = write_once(context, options, inputs, writer_options);
      const auto elapsed = std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started);
      return print_created(context, options, inputs, result, failed, elapsed);
    } catch (const archive::MemberLost& error) {
      if (once) throw;
      // Too large to be taken back out of what was written: the archive is written again without it.
      emit_failure(context, "left out " + escape_name(inputs[error.index()].name), error);
      inputs.erase(inputs.begin() + static_cast<std::ptrdiff_t>(error.index()));
      ++failed;
    }
  }
}

// ---- list, extract, verify, info

std::unique_ptr<transfer::RandomSource> open_source(Context& context, const std::string& name) {
  if (!is_s3_uri(name)) return transfer::open_file_source(context.world().files, name);
  return transfer::open_object_source(context.store(context.region()), parse_s3_uri(name));
}

Json object_json(const archive::Reader& reader, std::size_t index) {
  const archive::ManifestObject& object = reader.manifest().objects[index];
  Json json{{"type", "object"}};
  add_name(json, "key", object.relative_key);
  json.update({{"bytes", object.size}, {"last_modified", to_iso8601(object.last_modified)}, {"sha256", object.sha256}});
  add_name(json, "member", object.member);
  if (reader.random_access()) {
    const archive::MemberLocation location = reader.locate(index);
    json["frame_offset"] = location.frame_offset;
    json["frame_length"] = location.frame_length;
    json["frame_skip"] = location.frame_skip;
  }
  return json;
}

int list(Context& context, const ArchiveOptions& options) {
  const auto source = open_source(context, options.archive);
  const auto reader = archive::open_archive(*source);
  std::vector<Table::Column> columns{{"SIZE", Align::right}, {"MODIFIED"}};
  if (options.detailed) columns.insert(columns.end(), {{"FRAME", Align::right}, {"READ", Align::right}, {"SHA-256"}});
  columns.push_back({"KEY"});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < reader->manifest().objects.size(); ++i) {
    const archive::ManifestObject& object = reader->manifest().objects[i];
    emit_json(context, object_json(*reader, i));
    std::vector<std::string> cells{format_count(object.size), to_timestamp(object.last_modified)};
    if (options.detailed) {
      const bool placed = reader->random_access();
      cells.push_back(placed ? format_count(reader->locate(i).frame_offset) : "-");
      cells.push_back(placed ? format_count(reader->locate(i).frame_length) : "-");
      cells.push_back(object.sha256.empty() ? "-" : object.sha256);
    }
    cells.push_back(escape_name(object.relative_key));
    table.add(std::move(cells));
  }
  if (!context.json() && !table.empty()) context.print(table.text());
  return exit_ok;
}

/// The objects that an argument names: by key, by name of the tar member, or all below a directory. `shown`: by the
/// key as it is displayed.
std::vector<std::size_t> find_member(const archive::Manifest& manifest, const std::string& member, bool shown) {
  const std::string directory = member.ends_with('/') ? member : member + "/";
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < manifest.objects.size(); ++i) {
    const archive::ManifestObject& object = manifest.objects[i];
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

int extract(Context& context, const ArchiveOptions& options) {
  const auto started = context.world().clock.steady();
  const auto source = open_source(context, options.archive);
  const auto reader = archive::open_archive(*source);
  const std::vector<archive::ManifestObject>& objects = reader->manifest().objects;
  const std::vector<std::size_t> selected = select(reader->manifest(), options.members, options.archive);
  archive::FileExtractor extractor(context.world().files, options.to, objects);
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
    return exit_ok;
  }
  flow::Progress progress;
  archive::Delivery delivery;
  {
    const ProgressPrinter printer(context, progress, "extracting");
    delivery = archive::deliver_objects(
        *reader, selected, [&](std::size_t i) { return extractor.receive(i, objects[i].last_modified); },
        context.pools(), context.budget(), context.stop(), &progress);
    extractor.sync();
  }
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(context.world().clock.steady() - started);
  const int status = report_failures(context, reader->manifest(), delivery, "not extracted:");
  emit_delivery(context, "extracted", options, delivery, elapsed);
  return status;
}

/// Wants nothing but to know that an object is whole.
class Nobody final : public archive::ObjectReceiver {
 public:
  void write(ByteView) override {}
  void finish() override {}
};

int verify(Context& context, const ArchiveOptions& options) {
  const auto started = context.world().clock.steady();
  const auto source = open_source(context, options.archive);
  const auto reader = archive::open_archive(*source);
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
  return status;
}

int info(Context& context, const ArchiveOptions& options) {
  const auto source = open_source(context, options.archive);
  const auto reader = archive::open_archive(*source);
  const archive::Manifest& manifest = reader->manifest();
  ByteCount bytes = 0;
  for (const archive::ManifestObject& object : manifest.objects) bytes += object.size;
  if (context.json()) {
    emit_json(context, {{"type", "info"},
                        {"archive", options.archive},
                        {"manifest_version", manifest.version},
                        {"random_access", reader->random_access()},
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
    return exit_ok;
  }
  const auto line = [&](std::string_view name, std::string_view value) {
    context.print(fmt::format("{:<14}{}", name, escape_name(value)));
  };
  line("format", reader->random_access() ? "Bale, seekable" : "one stream, without seek table");
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
  return exit_ok;
}

CLI::App* add_subcommand(CLI::App& archive, const std::shared_ptr<ArchiveOptions>& options, Action& action,
                         const std::string& name, const std::string& description,
                         int (*run)(Context&, const ArchiveOptions&)) {
  CLI::App* const command = archive.add_subcommand(name, description);
  command->add_option("archive", options->archive, "a file, or s3://bucket/key")->required()->type_name("ARCHIVE");
  command->callback(
      [options, &action, run] { action = [options, run](Context& context) { return run(context, *options); }; });
  return command;
}

}  // namespace

void add_archive_command(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ArchiveOptions>();
  CLI::App* const archive = app.add_subcommand("archive", "Write and read archives: files, or objects by ranged reads");
  archive->require_subcommand(1);
  CLI::App* const creating = add_subcommand(*archive, options, action, "create", "Pack files into an archive", create);
  creating->add_option("path", options->paths, "files and directories")->required()->type_name("PATH");
  creating->add_option("--level", options->level, "compression level of zstd; 0 stores")
      ->check(CLI::Range(archive::min_level, archive::max_level).description("0-22"))
      ->capture_default_str();
  creating
      ->add_option("--frame-size", options->frame_size,
                   "bytes of tar that are compressed together, and read together to get one object [16MiB]")
      ->type_name("SIZE");
  CLI::App* const listing = add_subcommand(*archive, options, action, "list", "Show what is in an archive", list);
  listing->add_flag("--long", options->detailed, "also where each object is, and its SHA-256");
  CLI::App* const extracting =
      add_subcommand(*archive, options, action, "extract", "Get objects out, each verified by its SHA-256", extract);
  extracting->add_option("member", options->members, "keys, or directories of keys [all]")->type_name("MEMBER");
  extracting->add_option("--to", options->to, "directory to write to")->required()->type_name("DIR");
  add_subcommand(*archive, options, action, "verify", "Read everything and compare it with its SHA-256", verify);
  add_subcommand(*archive, options, action, "info", "Show size, ratio, frames and origin of an archive", info);
}

}  // namespace bale::cli
