// Single objects between a store and local files or streams, in bounded memory.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "base/names.hpp"
#include "flow/memory_budget.hpp"
#include "flow/progress.hpp"
#include "flow/thread_pool.hpp"
#include "os/directory_tree.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"
#include "transfer/file_download.hpp"

namespace bale::transfer {

/// Objects of this size and more are moved in parts of this size, several at once: as aws-cli does, so that ETags
/// agree.
inline constexpr ByteCount part_bytes = 8ULL << 20;

/// What objects are moved with. All is borrowed; `progress` is raised by the bytes moved.
struct MoveTools {
  store::ObjectStore& store;
  flow::ThreadPool& connections;
  flow::MemoryBudget& budget;
  os::World& world;
  flow::Progress& progress;
};

/// Moves objects. Thread-safe; its functions must not be called on a thread of `connections`, which they need. All
/// throw Error{cancelled} when the world's stop token is requested, leaving nothing half-done behind.
class ObjectMover {
 public:
  /// Fills a part of `bytes` and returns how much; 0: the end.
  using ReadSome = std::function<std::size_t(MutableBytes bytes)>;

  /// `part_size` is the least size of the parts of uploads; smaller files go up in one request.
  explicit ObjectMover(const MoveTools& tools, ByteCount part_size = part_bytes)
      : tools_(tools), part_size_(part_size) {}

  /// Puts a regular file, and one that has more bytes than its size says (as those of /proc) as a stream. Returns the
  /// object's size. Throws Error{precondition} when the file gets shorter or longer while it is read.
  ByteCount upload(const std::filesystem::path& file, const ObjectAddress& to,
                   const store::ObjectAttributes& attributes, const store::WriteConditions& conditions);
  /// Puts what `read` gives until its end. `expected_bytes` is an upper bound of its length; 0: what 10,000 parts
  /// take, 78 GiB if nobody chose their size. Returns its length.
  ByteCount upload_stream(const ReadSome& read, const ObjectAddress& to, const store::ObjectAttributes& attributes,
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
  /// The same to whom `write` gives the bytes, in their order.
  ByteCount download_to(const ObjectAddress& from, const VersionId& version,
                        const std::function<void(ByteView)>& write);

 private:
  transfer::FileDownload how_to_download(const VersionId& version, std::optional<ByteCount> known_size);
  store::ObjectInfo receive(const ObjectAddress& from, const transfer::FileDownload& download,
                            const std::function<os::AtomicFile&()>& open);
  void check_stop() const;

  const MoveTools tools_;
  const ByteCount part_size_;
};

}  // namespace bale::transfer
