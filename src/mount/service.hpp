// What the kernel asks, answered out of the tree and the archives.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>

#include "flow/thread_pool.hpp"
#include "mount/fuse.hpp"
#include "mount/object_reader.hpp"
#include "mount/open_object.hpp"
#include "mount/pending_reads.hpp"
#include "mount/tree.hpp"
#include "telemetry/log.hpp"

namespace bale::mount {

/// Who owns all that is shown.
struct Owner {
  std::uint32_t user = 0, group = 0;
};

/// A directory that somebody lists: where the last answer ended, so that the next one goes on from there.
struct OpenDirectory {
  Mutex mutex;
  std::uint64_t answered BALE_GUARDED_BY(mutex) = 0;  ///< entries, "." and ".." included
  std::string last BALE_GUARDED_BY(mutex);            ///< name of the last one; empty for "." and ".."
};

/// The file system of one mount. Its operations are called on the session's threads; reads go on in threads of their
/// own, so that listing does not wait for the network. Thread-safe.
class Service {
 public:
  /// `tree`, `reader` and `log` are borrowed.
  Service(Tree& tree, ObjectReader& reader, telemetry::Log& log, os::Clock& clock, Owner owner);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// For fuse_session_new(), whose user data is the Service.
  static const fuse_lowlevel_ops& operations();
  /// Answers what waits with an error, and lets what is under way end soon. Nothing may be asked afterwards.
  void end();

  // What the operations do. Each answers its request, or throws Error.
  void lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  void get_attributes(fuse_req_t request, fuse_ino_t node);
  void open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
  void read(fuse_req_t request, std::size_t size, off_t offset, const fuse_file_info* file);
  void release(fuse_req_t request, const fuse_file_info* file);
  void open_directory(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
  void list(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset, const fuse_file_info* file,
            bool with_attributes);
  void release_directory(fuse_req_t request, const fuse_file_info* file);
  void statistics(fuse_req_t request);
  void get_extended(fuse_req_t request, fuse_ino_t node, const char* name, std::size_t size);
  void list_extended(fuse_req_t request, fuse_ino_t node, std::size_t size);
  /// Answers a request that failed in a way that is not the asking process's doing, and says so in the log.
  void fail(fuse_req_t request, const Error& error);

 private:
  NodeId node_of(fuse_ino_t number) const noexcept;
  fuse_ino_t number_of(NodeId node) const noexcept;
  Node existing(fuse_ino_t number);
  struct stat describe(const Node& node) const;
  fuse_entry_param entry_of(const Node& node) const;
  void read_now(const std::shared_ptr<OpenObject>& object, const std::shared_ptr<PendingReads::Pending>& pending,
                std::size_t size, ByteCount offset);
  void read_ahead(const std::shared_ptr<OpenObject>& object);
  void tell(OpenObject& object, const Error& error);

  Tree& tree_;
  ObjectReader& reader_;
  telemetry::Log& log_;
  const Owner owner_;
  std::stop_source ending_;
  Mutex mutex_;
  std::uint64_t last_handle_ BALE_GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, std::shared_ptr<OpenObject>> objects_ BALE_GUARDED_BY(mutex_);
  std::map<std::uint64_t, std::shared_ptr<OpenDirectory>> directories_ BALE_GUARDED_BY(mutex_);
  PendingReads pending_;
  flow::ThreadPool readers_;  // last: its tasks use the others
};

}  // namespace bale::mount
