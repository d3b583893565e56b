// Where restored objects go, and what is there already: a directory or a bucket.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/deliver.hpp"
#include "archive/file_name.hpp"
#include "catalog/record_list.hpp"
#include "flow/memory_budget.hpp"
#include "flow/thread_pool.hpp"
#include "os/files.hpp"
#include "store/object_store.hpp"

namespace bale::recover {

/// Where restored objects go: a directory, or a bucket with a prefix before every key.
struct RestoreTarget {
  std::optional<os::TreeRoot> directory;
  BucketName bucket;
  std::string prefix;
  bool with_tags = true;      ///< in a bucket; false: for servers that know no tags
  bool with_metadata = true;  ///< user metadata, in a bucket
  std::string storage_class;  ///< in a bucket; empty: the object's own, STANDARD for those of an archive class
};

/// Takes objects, named by their index in the list of records that it was made with. Thread-safe for calls that concern
/// different objects.
class RestoreDestination {
 public:
  virtual ~RestoreDestination() = default;
  /// The path or URI that the object gets.
  virtual std::string name(std::size_t index) const = 0;
  /// What the name differs in from the object's key. The default: nothing.
  virtual archive::NameChange name_change(std::size_t index) const {
    static_cast<void>(index);
    return archive::NameChange::none;
  }
  /// Whether the object has to be written: false when it is there with the same content. To be called before receive().
  /// Throws Error{precondition} when something else is there that may not be replaced, Error{denied} for a symbolic
  /// link on the way.
  virtual bool look(std::size_t index) = 0;
  /// A receiver of `size` bytes that gives the object its name on finish(). Bytes of an object that come in one write()
  /// have to stay valid until then. finish() throws Error{precondition} when something came there since look().
  virtual std::unique_ptr<archive::ObjectReceiver> receive(std::size_t index, ByteCount size) = 0;
  /// Whether an object of this size that comes in pieces is written with tickets of the budget.
  virtual bool takes_tickets(ByteCount size) const noexcept = 0;
  /// How many objects one task should write one after the other.
  virtual std::size_t objects_a_task() const noexcept = 0;
  /// Makes what was written durable, where finish() did not.
  virtual void sync() = 0;
};

/// Files under archive::file_paths() of the keys, each with the object's modification time, and directories for folder
/// markers; made durable by sync(). A directory never gives way to a file, and no symbolic link is followed. `files`
/// and `records` are borrowed. Throws Error{invalid} when a key comes twice.
std::unique_ptr<RestoreDestination> make_directory_destination(os::Files& files, const os::TreeRoot& directory,
                                                               const catalog::RecordList& records, bool overwrite);

/// Objects with all that was recorded of them, durable on finish(). Written on the condition that what is there is
/// still what was looked at. References are borrowed; parts of large objects go up on `connections`, with tickets of
/// `budget`.
std::unique_ptr<RestoreDestination> make_bucket_destination(store::ObjectStore& store, const RestoreTarget& target,
                                                            const catalog::RecordList& records, bool overwrite,
                                                            flow::ThreadPool& connections, flow::MemoryBudget& budget,
                                                            std::stop_token stop);

}  // namespace bale::recover
