// bale s3 cp
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/download_names.hpp"
#include "cli/name_changes.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"
#include "cli/s3_transfer.hpp"
#include "flow/item_runner.hpp"
#include "os/target.hpp"
#include "os/tree_walk.hpp"
#include "transfer/copy.hpp"

namespace bale::cli {
namespace {

using Kind = Location::Kind;

enum class Operation { upload, download, copy };

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::upload: return "upload";
    case Operation::download: return "download";
    case Operation::copy: return "copy";
  }
  return "";
}

std::string_view doing(Operation operation) {
  switch (operation) {
    case Operation::upload: return "uploading";
    case Operation::download: return "downloading";
    case Operation::copy: return "copying";
  }
  return "";
}

/// One file or object to be transferred. `file` is the local side of an upload or download.
struct Item {
  os::fs::path file;
  std::string name;  ///< of a recursive download: `file` relative to the destination
  ObjectAddress from, to;
  ByteCount size = 0;
};

store::SystemHeaders with_options(store::SystemHeaders headers, const AttributeOptions& options) {
  const auto take = [](std::string& header, const std::optional<std::string>& option) {
    if (option) header = *option;
  };
  take(headers.content_type, options.content_type);
  take(headers.cache_control, options.cache_control);
  take(headers.content_disposition, options.content_disposition);
  take(headers.content_encoding, options.content_encoding);
  take(headers.content_language, options.content_language);
  take(headers.expires, options.expires);
  take(headers.website_redirect, options.website_redirect);
  return headers;
}

bool names_a_header(const AttributeOptions& options) {
  return options.content_type || options.cache_control || options.content_disposition || options.content_encoding ||
         options.content_language || options.expires || options.website_redirect;
}

/// A run of `bale s3 cp`.
class Copy {
 public:
  Copy(Context& context, const CopyRequest& request)
      : context_(context),
        request_(request),
        source_(parse_source(request.source)),
        destination_(parse_destination(request.destination)),
        operation_(operation_of(source_, destination_)),
        mover_(move_tools(context, progress_), chosen_part_size(context, request.part_size)) {
    if (operation_ == Operation::download && request.recursive)
      tree_.emplace(context.world().files, os::open_tree_root(context.world().files, destination_.path),
                    os::Durability::each_file);
  }

  int run() {
    if (request_.recursive) return run_many();
    if (source_.kind == Kind::stream) return run_from_input();
    if (destination_.kind == Kind::stream) return run_to_output();
    const Item item = single_item();
    if (!is_wanted(request_.filters, basename(source_text(item)))) return exit_ok;
    if (context_.options().dryrun) check_both_sides(item);
    progress_.items_total = 1;
    if (operation_ == Operation::upload) progress_.bytes_total = item.size;
    const ProgressPrinter printer(context_, progress_, std::string(doing(operation_)));
    transfer(item, std::nullopt);
    return exit_ok;
  }

 private:
  struct Ended {};  ///< thrown through a listing

  static Operation operation_of(const Location& source, const Location& destination) {
    const bool from_remote = source.kind == Kind::remote, to_remote = destination.kind == Kind::remote;
    if (from_remote && to_remote) return Operation::copy;
    if (to_remote) return Operation::upload;
    if (from_remote) return Operation::download;
    throw Error(ErrorKind::invalid, "neither side is in S3", {}, "write one of them as s3://bucket/key");
  }

  // One object

  Item single_item() const {
    Item item;
    if (source_.kind == Kind::remote) item.from = parse_object_uri(request_.source);
    if (source_.kind == Kind::local) {
      const auto info = context_.world().files.info_followed(source_.path);
      if (!info) throw Error(ErrorKind::not_found, "no such file", escape_name(request_.source));
      if (info->type == os::FileType::directory) {
        throw Error(ErrorKind::invalid, "this is a directory", escape_name(request_.source),
                    "copy all that is in it with --recursive");
      }
      if (info->type != os::FileType::regular)
        throw Error(ErrorKind::invalid, "this is no regular file", escape_name(request_.source));
      item.file = source_.path;
      item.size = info->size;
    }
    if (destination_.kind == Kind::remote)
      item.to = destination_object(source_.kind == Kind::local ? source_.path.filename().native()
                                                               : std::string(basename(item.from.key.str())));
    else
      item.file = destination_file(item.from.key);
    return item;
  }

  /// The key that is meant: a key that is empty or ends with '/' is a directory that `name` goes into.
  ObjectAddress destination_object(const std::string& name) const {
    ObjectAddress to = destination_.object;
    const bool directory = to.key.empty() || (to.key.str().ends_with('/') && !request_.exact_key);
    if (!directory) return to;
    if (name.empty()) {
      throw Error(ErrorKind::invalid, "the source has no name to go into the destination by", to_uri(to),
                  "write the whole key of the destination");
    }
    to.key = ObjectKey(to.key.str() + name);
    return to;
  }

  os::fs::path destination_file(const ObjectKey& key) const {
    const os::fs::path& path = destination_.path;
    const auto info = context_.world().files.info_followed(path);
    const bool directory = path.native().ends_with('/') || (info && info->type == os::FileType::directory);
    return directory ? local_path_for(path, basename(key.str())) : path;
  }

  int run_from_input() {
    const ObjectAddress to = parse_object_uri(request_.destination);
    if (context_.options().dryrun) {
      require_bucket(context_, to.bucket);
      return tell_dryrun("-", to_uri(to));
    }
    const ProgressPrinter printer(context_, progress_, "uploading");
    const ByteCount bytes =
        mover_.upload_stream([&](MutableBytes into) { return context_.world().terminal.in(into, context_.stop()); }, to,
                             attributes_for(to.key.str()), conditions(), request_.expected_size);
    tell_done("-", to_uri(to), bytes);
    return exit_ok;
  }

  /// Nothing but the object's bytes goes to standard output.
  int run_to_output() {
    const ObjectAddress from = parse_object_uri(request_.source);
    if (context_.options().dryrun) {
      require_object(from);
      return tell_dryrun(to_uri(from), "-");
    }
    mover_.download_to(from, VersionId(request_.version_id), [&](ByteView bytes) { context_.print_bytes(bytes); });
    return exit_ok;
  }

  /// What a real run would find missing first.
  void check_both_sides(const Item& item) {
    if (source_.kind == Kind::remote) require_object(item.from);
    if (destination_.kind == Kind::remote) require_bucket(context_, item.to.bucket);
    if (destination_.kind == Kind::local && !context_.world().files.is_stream(item.file)) check_file(item.file);
  }

  void check_file(const os::fs::path& file) {
    os::Files& files = context_.world().files;
    os::place_of_new_file(files, file);
    if (request_.if_none_match && files.info_followed(file))
      throw Error(ErrorKind::precondition, "something has this name already", escape_name(file.native()));
  }

  void require_object(const ObjectAddress& object) {
    store::ObjectStore& store = context_.store(context_.region());
    if (store.head(object, {.version_id = VersionId(request_.version_id), .if_match = {}})) return;
    require_bucket(context_, object.bucket);
    throw Error(ErrorKind::not_found, "no such object", to_uri(object)).with_code("NoSuchKey");
  }

  // Many objects

  int run_many() {
    check_many();
    if (operation_ == Operation::download && !context_.options().dryrun)
      os::try_target(context_.world().files, destination_.path);
    const auto started = context_.world().clock.steady();
    {
      const ProgressPrinter printer(context_, progress_, std::string(doing(operation_)));
      flow::ItemRunner runner(context_.options().connections);
      try {
        switch (operation_) {
          case Operation::upload: start_files(runner); break;
          case Operation::download: start_downloads(runner); break;
          case Operation::copy: start_copies(runner); break;
        }
      } catch (const Ended&) {
        // What ended it is told when the items under way have ended.
      }
      progress_.items_total = items_;
      progress_.bytes_total = bytes_;  // known only now: an estimate from a part of the listing would mislead
    }
    if (const auto error = end_.error()) throw ended_run(*error, {progress_.items_done, left_to_do()}, "copied");
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    require_any();
    tell_summary(std::chrono::duration_cast<Milliseconds>(context_.world().clock.steady() - started));
    return progress_.items_failed == 0 ? exit_ok : exit_some_failed;
  }

  /// Throws Error{not_found} if there was nothing to copy: the prefix may be misspelt.
  void require_any() const {
    if (found_ > 0 || progress_.items_failed > 0) return;
    throw Error(
        ErrorKind::not_found, std::string(nothing_found(request_.filters)), escape_name(request_.source),
        operation_ == Operation::upload ? "name a directory with files in it" : "`bale s3 ls` shows what there is");
  }

  void check_many() {
    const auto refuse = [](const char* what, const char* hint) { return Error(ErrorKind::invalid, what, {}, hint); };
    if (source_.kind == Kind::stream || destination_.kind == Kind::stream)
      throw refuse("--recursive does not go with '-'", "copy one object, or name a directory");
    if (!request_.version_id.empty())
      throw refuse("--recursive does not go with --version-id", "a version belongs to one object");
    if (destination_.kind == Kind::remote) require_bucket(context_, destination_.object.bucket);
    if (source_.kind == Kind::remote) require_bucket(context_, source_.object.bucket);
    if (operation_ != Operation::copy || source_.object.bucket != destination_.object.bucket) return;
    const std::string from = as_directory(source_.object.key.str()), to = as_directory(destination_.object.key.str());
    if (to != from && to.starts_with(from))
      throw refuse("the destination is inside the source: the copies would be copied again and again",
                   "choose a destination that does not start with the source's prefix");
  }

  /// Ends a listing when nothing more is to be started: but what is left to do is counted first, up to a limit.
  void check_end() const {
    if (context_.stop().stop_requested() || (end_.is_over() && !left_to_do())) throw Ended();
  }

  /// Returns how many of the items that were found are not copied; absent where there are too many to be counted.
  std::optional<std::uint64_t> left_to_do() const {
    constexpr std::uint64_t most_counted = 100'000;  // a hundred requests of a listing
    const std::uint64_t left = items_ - progress_.items_done;
    return left > most_counted ? std::nullopt : std::optional(left);
  }

  void start_files(flow::ItemRunner& runner) {
    const std::string prefix = as_directory(destination_.object.key.str());
    const os::TreeVisitor visitor{.file =
                                      [&](const os::WalkedFile& found) {
                                        check_end();
                                        if (!is_wanted(request_.filters, found.name)) return;
                                        start(runner, {source_.path / found.name,
                                                       {},
                                                       {},
                                                       {destination_.object.bucket, ObjectKey(prefix + found.name)},
                                                       found.info.size});
                                      },
                                  .skipped =
                                      [&](const os::fs::path& path, const std::string& reason) {
                                        emit_warning(context_,
                                                     fmt::format("skipped {}: {}", escape_name(path.native()), reason));
                                      },
                                  .failed =
                                      [&](const os::fs::path& path, const Error& error) {
                                        ++progress_.items_failed;
                                        emit_failure(context_, "upload failed: " + escape_name(path.native()), error);
                                      }};
    os::walk_tree(context_.world().files, source_.path, {.links = os::Links::follow}, visitor);
  }

  void start_copies(flow::ItemRunner& runner) {
    const std::string prefix = as_directory(source_.object.key.str());
    for_each_object(context_, source_.object.bucket, prefix, [&](const store::ListedObject& found) {
      check_end();
      const std::string relative = found.key.str().substr(prefix.size());
      if (!is_wanted(request_.filters, relative)) return;
      ++found_;
      start_copy(runner, {{}, {}, {source_.object.bucket, found.key}, {}, found.size}, relative);
    });
  }

  void start_copy(flow::ItemRunner& runner, Item item, const std::string& relative) {
    item.to = {destination_.object.bucket, ObjectKey(as_directory(destination_.object.key.str()) + relative)};
    if (item.to.key.empty()) {  // the marker of the source "directory" itself, to the top of a bucket
      emit_warning(context_, fmt::format("skipped {}: it would have no name", escape_name(to_uri(item.from))));
      return;
    }
    start(runner, std::move(item));
  }

  void start_downloads(flow::ItemRunner& runner) {
    const std::string prefix = as_directory(source_.object.key.str());
    NameChanges changes(context_);
    DownloadNames names(
        context_, source_.object.bucket, prefix,
        [&](std::string_view relative) { return is_wanted(request_.filters, relative); },
        [&](const store::ListedObject& found, const std::string& path, bool is_directory) {
          const Item item{destination_.path / path, path, {source_.object.bucket, found.key}, {}, found.size};
          const std::string relative = found.key.str().substr(prefix.size());
          changes.tell(to_uri(item.from), item.file.native(), archive::change_of(relative, path));
          ++found_;
          if (is_directory)
            make_directory(item);
          else
            start(runner, item);
        });
    for_each_object(context_, source_.object.bucket, prefix, [&](const store::ListedObject& found) {
      check_end();
      names.add(found);
    });
    names.finish();
  }

  /// Of an empty object with a '/' at the end of its key, as consoles make them.
  void make_directory(const Item& item) {
    if (context_.options().dryrun || end_.is_over()) return;
    try {
      tree_->make_directories(item.name);
    } catch (const Error& error) {
      if (end_.take(error)) return;
      ++progress_.items_failed;
      emit_failure(context_, "download failed: " + escape_name(to_uri(item.from)), error);
    }
  }

  void start(flow::ItemRunner& runner, Item item) {
    ++items_;
    ++found_;
    bytes_ += item.size;
    if (end_.is_over()) return;
    runner.run([this, item = std::move(item)] { try_transfer(item); });
  }

  void try_transfer(const Item& item) noexcept {
    if (context_.stop().stop_requested() || end_.is_over()) return;
    try {
      transfer(item, item.size);
    } catch (...) {
      const Error error = current_error();
      if (error.kind() == ErrorKind::cancelled && context_.stop().stop_requested()) return;
      if (end_.take(error)) return;
      ++progress_.items_failed;
      emit_failure(context_,
                   fmt::format("{} failed: {} to {}", to_string(operation_), escape_name(source_text(item)),
                               escape_name(destination_text(item))),
                   error);
    }
  }

  // The work on one item

  void transfer(const Item& item, std::optional<ByteCount> listed_size) {
    if (context_.options().dryrun) {
      tell_dryrun(source_text(item), destination_text(item));
      return;
    }
    ByteCount bytes = item.size;
    switch (operation_) {
      case Operation::upload:
        bytes = mover_.upload(item.file, item.to, attributes_for(item.file.filename().native()), conditions());
        break;
      case Operation::download: bytes = download(item, listed_size); break;
      case Operation::copy: copy(item); break;
    }
    tell_done(source_text(item), destination_text(item), bytes);
  }

  ByteCount download(const Item& item, std::optional<ByteCount> listed_size) {
    // As aws-cli does, a download replaces a file, whenever it came there.
    const auto existing = request_.if_none_match ? os::Existing::keep : os::Existing::replace;
    if (request_.recursive) return mover_.download(item.from, listed_size, *tree_, item.name, existing);
    if (!context_.world().files.is_stream(item.file)) os::try_target(context_.world().files, item.file.parent_path());
    if (item.file.has_parent_path()) make_directories_durably(item.file.parent_path());
    const VersionId version(request_.version_id);
    // Keys choose the names of many files; one object goes into a pipe when its user names the pipe.
    if (context_.world().files.is_stream(item.file)) return mover_.download_to_stream(item.from, version, item.file);
    return mover_.download(item.from, version, listed_size, item.file, existing);
  }

  /// A file that survives a power cut is worth nothing in a directory that does not.
  void make_directories_durably(const os::fs::path& path) {
    os::Files& files = context_.world().files;
    for (const os::fs::path& made : files.make_directories(path)) {
      const os::fs::path parent = made.parent_path();
      files.sync_directory(parent.empty() ? os::fs::path(".") : parent);
    }
  }

  void copy(const Item& item) {
    store::ObjectStore& store = context_.store(context_.region());
    const AttributeOptions& given = request_.attributes;
    transfer::CopyOptions options{.version_id = VersionId(request_.version_id),
                                  .storage_class = given.storage_class,
                                  .kms_key_arn = given.kms_key_id,
                                  .metadata = given.metadata,
                                  .tags = given.tags,
                                  .conditions = conditions()};
    if (names_a_header(given)) {
      const auto info = store.head(item.from, {.version_id = options.version_id, .if_match = {}});
      if (info) options.headers = with_options(info->headers, given);
    }
    transfer::copy_object(store, item.from, store, item.to, options, context_.pools().connections, context_.stop());
    progress_.bytes_done += item.size;
  }

  store::ObjectAttributes attributes_for(std::string_view name) const {
    const AttributeOptions& given = request_.attributes;
    store::ObjectAttributes attributes;
    if (request_.guess_type) attributes.headers.content_type = guess_content_type(name);
    attributes.headers = with_options(attributes.headers, given);
    attributes.metadata = given.metadata.value_or(store::UserMetadata{});
    attributes.tags = given.tags.value_or(store::Tags{});
    attributes.storage_class = given.storage_class.value_or("STANDARD");
    attributes.kms_key_arn = given.kms_key_id.value_or("");
    return attributes;
  }

  store::WriteConditions conditions() const { return {.if_none_match = request_.if_none_match, .if_match = {}}; }

  // What is printed

  std::string source_text(const Item& item) const {
    return operation_ == Operation::upload ? item.file.native() : to_uri(item.from);
  }
  std::string destination_text(const Item& item) const {
    return operation_ == Operation::download ? item.file.native() : to_uri(item.to);
  }

  nlohmann::ordered_json line_of(const char* type, const std::string& from, const std::string& to) const {
    nlohmann::ordered_json line{{"type", type}, {"operation", to_string(operation_)}};
    add_name(line, "source", from);
    add_name(line, "destination", to);
    return line;
  }

  int tell_dryrun(const std::string& from, const std::string& to) {
    ++progress_.items_done;
    emit(context_, line_of("dryrun", from, to),
         fmt::format("(dryrun) {}: {} to {}", to_string(operation_), escape_name(from), escape_name(to)));
    return exit_ok;
  }

  void tell_done(const std::string& from, const std::string& to, ByteCount bytes) {
    ++progress_.items_done;
    nlohmann::ordered_json line = line_of("copied", from, to);
    line["bytes"] = bytes;
    emit(context_, line, fmt::format("{}: {} to {}", to_string(operation_), escape_name(from), escape_name(to)));
  }

  void tell_summary(Milliseconds elapsed) {
    const std::uint64_t done = progress_.items_done, failed = progress_.items_failed;
    const ByteCount bytes = context_.options().dryrun ? bytes_ : progress_.bytes_done.load();
    emit(context_,
         {{"type", "summary"},
          {"operation", to_string(operation_)},
          {"dryrun", context_.options().dryrun},
          {"objects", done},
          {"bytes", bytes},
          {"failed", failed},
          {"seconds", static_cast<double>(elapsed.count()) / 1000}},
         fmt::format("{}{}, {} in {} ({}){}", context_.options().dryrun ? "(dryrun) " : "",
                     format_count(done, "object"), format_bytes(bytes), format_duration(elapsed),
                     format_rate(bytes, elapsed), failed == 0 ? "" : fmt::format(", {} failed", format_count(failed))));
  }

  Context& context_;
  const CopyRequest& request_;
  const Location source_, destination_;
  const Operation operation_;
  flow::Progress progress_;
  transfer::ObjectMover mover_;
  std::optional<os::DirectoryTree> tree_;  ///< of a recursive download
  flow::RunEnd end_;
  std::uint64_t items_ = 0;
  ByteCount bytes_ = 0;
  std::uint64_t found_ = 0;  ///< what the filters took, markers of directories too
};

}  // namespace

int copy_objects(Context& context, const CopyRequest& request) {
  context.break_off_on_stop();
  return Copy(context, request).run();
}

}  // namespace bale::cli
