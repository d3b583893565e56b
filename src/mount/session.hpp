// A mount, from its beginning to its end.
#pragma once

#include <functional>

#include "flow/memory_budget.hpp"
#include "mount/tree.hpp"
#include "os/world.hpp"
#include "store/object_store.hpp"
#include "telemetry/log.hpp"

namespace bale::mount {

struct MountOptions {
  os::fs::path directory;                ///< where; an empty directory
  bool allow_other = false;              ///< other users may look, too
  ByteCount cache_bytes = 256ULL << 20;  ///< most decompressed bytes that are kept
};

/// Throws Error: not_found where the mount point is missing; invalid where it is no directory; precondition where it is
/// not empty, or something is mounted there; unsupported where the system has no FUSE.
void check_mount_point(os::Files& files, const os::fs::path& directory);

/// Shows `tree` at the mount point, read-only, until `world.stop` is requested or somebody unmounts it; then unmounts
/// it, also where files are open (they give errors from then on). `mounted` is called once it is there; `stuck`, on
/// another thread, when reads have not ended five seconds after the mount: a request may wait for its service for a
/// minute yet, though nobody waits for the request. serve() then returns after them, or `stuck` ends the process.
/// `archives` holds the archives; `budget` pays for what is read from them, besides the cache. All are borrowed for the
/// call. Throws what check_mount_point() throws, and Error{denied} with libfuse's words where mounting is refused.
void serve(Tree& tree, store::ObjectStore& archives, flow::MemoryBudget& budget, telemetry::Log& log,
           const os::World& world, const MountOptions& options, const std::function<void()>& mounted,
           const std::function<void()>& stuck);

}  // namespace bale::mount
