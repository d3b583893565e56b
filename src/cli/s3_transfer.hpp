// Single objects between a store and local files or standard streams, in bounded memory.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "base/names.hpp"
#include "cli/context.hpp"
#include "flow/progress.hpp"
#include "os/directory_tree.hpp"
#include "store/object_store.hpp"
#include "transfer/file_download.hpp"

namespace bale::cli {

/// Objects of this size and more are moved in parts of this size, several at once: as aws-cli does, so that ETags
/// agree.
inline constexpr ByteCount part_bytes = 8ULL << 20;

/// Returns how large the parts of uploads at least are: `option`, the value of --part-size, else `multipart_chunksize`
/// of the profile (not with --local), else part_bytes. Throws Error{invalid} for what is no size of parts.
ByteCount chosen_part_size(Context& context, const std::string& option);

/// Moves objects. Thread-safe; its functions must not be called on a thread of the context's connection pool, which
/// they need. All throw Error{cancelled} when the context's stop token is requested, leaving nothing half-done behind.
class ObjectMover {
 public:
  /// Borrows both; `progress` is raised by the bytes moved.
  /// `part_size` is the least size of the parts of uploads; smaller files go up in one request.
  ObjectMover(Context& context, flow::Progress& progress, ByteCount part_size = part_bytes)
      : context_(context), progress_(progress), part_size_(part_size) {}

  /// Puts a regular file, and one that has more bytes than its size says (as those of /proc) as a stream. Returns the
  /// object's size. Throws Error{precondition} when the file gets shorter or longer while it is read.
  ByteCount upload(const std::filesystem::path& file, const ObjectAddress& to,
                   const store::ObjectAttributes& attributes, const store::WriteConditions& conditions);
  /// Puts standard input until its end. `expected_bytes` is an upper bound of its length; 0: what 10,000 parts
  /// take, 78 GiB if nobody chose their size. Returns its length.
  ByteCount upload_input(const ObjectAddress& to, const store::ObjectAttributes& attributes,
                         const store::WriteConditions& conditions, ByteCount expected_bytes);
  /// Writes an object to a file that appears when it is complete, with the object's modification time. `known_size`
  /// saves a request where a listing told it. `existing` says what happens to a file that has the name; a symbolic link
  /// to a file stays, and the file is replaced. Returns the object's size. Throws Error{corrupt}, leaving no file, when
  /// the bytes are not those of the object's ETag (where that tells: store::ContentCheck), and as os::AtomicFile does.
  ByteCount download(const ObjectAddress& from, const VersionId& version, std::optional<ByteCount> known_size,
                     const std::filesystem::path& file, os::Existing existing);
  /// The same for a file below a tree, whose directories are made where missing; a symbolic link is an Error{denied}.
  ByteCount download(const ObjectAddress& from, std::optional<ByteCount> known_size, os::DirectoryTree& tree,
                     const std::string& name, os::Existing existing);
  /// Writes an object to a pipe or device (os::Files::is_stream). Returns its size. Throws Error{corrupt} as download()
  /// does, but at the end only, when the bytes are out.
  ByteCount download_to_stream(const ObjectAddress& from, const VersionId& version, const std::filesystem::path& file);
  /// The same to standard output.
  ByteCount print(const ObjectAddress& from, const VersionId& version);

 private:
  /// Fills a part of `bytes`; 0: the end.
  using ReadSome = std::function<std::size_t(MutableBytes bytes)>;
  ByteCount upload_stream(const ReadSome& read, const ObjectAddress& to, const store::ObjectAttributes& attributes,
                          const store::WriteConditions& conditions, ByteCount expected_bytes);
  transfer::FileDownload how_to_download(const VersionId& version, std::optional<ByteCount> known_size);
  store::ObjectInfo receive(const ObjectAddress& from, const transfer::FileDownload& download,
                            const std::function<os::AtomicFile&()>& open);
  void check_stop() const;
  store::ObjectStore& store() { return context_.store(context_.region()); }

  Context& context_;
  flow::Progress& progress_;
  const ByteCount part_size_;
};

}  // namespace bale::cli
