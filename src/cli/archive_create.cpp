// bale archive create: regular files into an archive.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "archive/compress.hpp"
#include "archive/manifest.hpp"
#include "archive/writer.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/archive_commands.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"
#include "cli/s3_transfer.hpp"
#include "os/tree_walk.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = os::fs;

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
    for (const std::string& path : paths) walk_one(path, paths.size() == 1);
    if (empty_directories_ > 0) {
      emit_warning(context_,
                   fmt::format("left out {}: an archive holds files only",
                               empty_directories_ == 1 ? std::string("1 empty directory")
                                                       : format_count(empty_directories_) + " empty directories"));
    }
    return std::move(found_);
  }
  /// Paths that were named and of which nothing is archived, though it is not the archive, and what cannot be read
  /// below others.
  std::size_t left_out() const noexcept { return left_out_; }

 private:
  void walk_one(const std::string& path, bool is_only_one) {
    std::optional<os::FileInfo> info;
    try {
      info = context_.world().files.info(path);
    } catch (const Error& error) {
      return fail(path, error);
    }
    if (!info) {
      const Error missing(ErrorKind::not_found, "no such file or directory", escape_name(path));
      if (is_only_one) throw missing;
      return fail(path, missing);
    }
    const std::size_t files_before = files_, left_out_before = left_out_;
    if (info->type == os::FileType::directory) add_directory(path);
    if (info->type == os::FileType::regular) add(path, *info);
    if (files_ == files_before && left_out_ == left_out_before) tell_left_out(path, *info);
  }

  void tell_left_out(const fs::path& path, const os::FileInfo& info) {
    // `create a.tar.zst *` finds a.tar.zst the second time.
    if (archive_ && is_same_file(*archive_, info)) return;
    const bool directory = info.type == os::FileType::directory;
    fail(path, Error(ErrorKind::invalid, directory ? "no file is in it" : "it is no regular file", {},
                     info.type == os::FileType::symlink ? "name what the link leads to" : ""));
  }

  void fail(const fs::path& path, const Error& error) {
    ++left_out_;
    emit_failure(context_, "left out " + escape_name(path.native()), error);
  }

  void add_directory(const fs::path& path) {
    check_stop();
    os::walk_tree(context_.world().files, path, {.links = os::Links::leave_out},
                  {.file = [&](const os::WalkedFile& file) { add(path / file.name, limited(path, file)); },
                   .skipped = [&](const fs::path& skipped, const std::string& reason) { skip(skipped, reason); },
                   .failed =
                       [&](const fs::path& failed, const Error& error) {
                         check_stop();
                         fail(failed, error);
                       },
                   .empty_directory = [&](const std::string&) { ++empty_directories_; }});
  }

  /// Takes from a file's mode what its directories do not give: an archive records none of them, and what is below a
  /// private directory must not be readable by others when it is extracted.
  os::FileInfo limited(const fs::path& named, const os::WalkedFile& file) {
    os::FileInfo info = file.info;
    info.mode &= access_through(named);
    for (std::size_t end = file.name.find('/'); end != std::string::npos; end = file.name.find('/', end + 1))
      info.mode &= access_through(named / file.name.substr(0, end));
    return info;
  }

  /// Returns the permission bits of those who may search the directory.
  std::uint32_t access_through(const fs::path& directory) {
    constexpr std::uint32_t owner = 0700, group = 0070, others = 0007, group_search = 0010, others_search = 0001;
    const auto [known, is_new] = access_.emplace(directory.native(), owner | group | others);
    if (!is_new) return known->second;
    const auto info = context_.world().files.info_followed(directory);
    if (info && (info->mode & group_search) == 0) known->second &= ~group;
    if (info && (info->mode & others_search) == 0) known->second &= ~others;
    return known->second;
  }

  void add(const fs::path& path, const os::FileInfo& info) {
    check_stop();
    if (archive_ && is_same_file(*archive_, info)) return skip(path, "the archive itself");
    ++files_;
    std::string name = member_name_of(path);
    const auto [other, is_new] = names_.emplace(name, found_.size());
    if (is_new) {
      found_.push_back({path, std::move(name), info});
    } else if (!is_same_file(found_[other->second].info, info)) {
      throw Error(ErrorKind::invalid,
                  fmt::format("two files would have the name {} in the archive: {} and {}", escape_name(name),
                              escape_name(found_[other->second].path.native()), escape_name(path.native())),
                  {}, "archive them apart, or from a directory above both");
    }
  }

  void check_stop() const {
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "stopped while listing files");
  }

  void skip(const fs::path& path, std::string_view what) {
    emit_warning(context_, fmt::format("left out {}: {}", escape_name(path.native()), what));
  }

  Context& context_;
  const std::optional<os::FileInfo> archive_;
  std::map<std::string, std::size_t> names_;     ///< and which of found_ has it
  std::map<std::string, std::uint32_t> access_;  ///< of directories, by path
  std::vector<InputFile> found_;
  std::size_t files_ = 0;  ///< also those that were found under the same name before
  std::size_t empty_directories_ = 0, left_out_ = 0;
};

class FileMembers final : public archive::MemberSource {
 public:
  FileMembers(os::Files& files, const std::vector<InputFile>& inputs) : files_(files), inputs_(inputs) {}
  TimePoint fetch(std::size_t index, ByteCount offset, MutableBytes into) override {
    const InputFile& input = inputs_[index];
    const auto file = files_.open(input.path);
    const std::size_t got = file->read_at(offset, into);
    if (got == into.size() && offset + got == input.info.size) require_end(*file, input);
    const auto now = files_.info(input.path);
    const bool changed = got < into.size() || !now || now->size != input.info.size ||
                         now->modified != input.info.modified || !is_same_file(*now, input.info);
    if (changed)
      throw Error(ErrorKind::precondition, "the file changed while it was read", escape_name(input.path.native()),
                  "run the command again when nobody writes to it");
    return input.info.modified;
  }

 private:
  /// Throws if the file is longer than its reported size: files in /proc report 0, and other files may grow.
  static void require_end(os::ReadableFile& file, const InputFile& input) {
    std::byte next[1];
    if (file.read_at(input.info.size, next) == 0) return;
    throw Error(ErrorKind::precondition,
                fmt::format("the file has more than the {} that its size says", format_bytes(input.info.size)),
                escape_name(input.path.native()), "copy the file, and archive the copy");
  }

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

std::string manifest_text(Context& context, const std::vector<InputFile>& inputs,
                          const std::vector<archive::WrittenMember>& written, int level) {
  archive::Manifest manifest;
  manifest.created = context.world().clock.now();
  manifest.level = level;
  archive::ManifestWriter text(manifest);
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
    object.mode = inputs[i].info.mode & 0777U;
    object.data_offset = written[i].data_offset;
    text.add(object);
  }
  return text.take();
}

/// Standard output, to which nothing else is printed then.
class OutputSink final : public transfer::ByteSink {
 public:
  explicit OutputSink(Context& context) : context_(context) {}
  void append(transfer::OutputPiece piece) override {
    context_.print_bytes(piece.bytes.view());
    written_ += piece.bytes.size();
  }
  void finish() override {
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted", name());
  }
  ByteCount written() const override { return written_; }
  std::string name() const override { return "standard output"; }

 private:
  Context& context_;
  ByteCount written_ = 0;
};

std::unique_ptr<transfer::ByteSink> open_sink(Context& context, const std::string& name, ByteCount content_bytes,
                                              std::size_t members) {
  if (is_standard_output(name)) return std::make_unique<OutputSink>(context);
  if (!is_s3_uri(name)) return transfer::open_file_sink(context.world().files, name, context.stop());
  transfer::ObjectSinkOptions options;
  options.stop = context.stop();
  options.attributes.headers.content_type = "application/zstd";
  // Headers, padding and the manifest's line of a member, and what does not compress.
  options.expected_bytes = content_bytes + content_bytes / 128 + ByteCount{members} * 16'384 + (1 << 20);
  options.part_bytes = chosen_part_size(context, {});
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
  for (const InputFile& input : inputs) planned.push_back({input.name, input.info.size, input.info.mode & 0777U});
  FileMembers members(context.world().files, inputs);
  context.reserve_memory(archive::compressor_bytes(writer_options.level, writer_options.frame_size) *
                         context.pools().cores.size());
  const auto sink = open_sink(context, options.archive, total_size(inputs), inputs.size());
  return archive::write_archive(
      planned, members,
      [&](const archive::WriteResult& written) {
        return manifest_text(context, inputs, written.members, writer_options.level);
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
    os::place_of_new_file(files, options.archive);
  for (const InputFile& input : inputs) {
    Json line{{"type", "dryrun"}, {"action", "archive"}};
    add_name(line, "key", input.name);
    line["bytes"] = input.info.size;
    emit(context, line, fmt::format("(dryrun) archive: {}", escape_name(input.name)));
  }
  return left_out == 0 ? exit_ok : exit_some_failed;
}

}  // namespace

int create_archive(Context& context, const ArchiveOptions& options) {
  context.break_off_on_stop();
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

}  // namespace bale::cli
