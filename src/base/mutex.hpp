// A mutex and its lock as Clang's thread-safety analysis knows them.
//
// A member that a mutex guards says so with BALE_GUARDED_BY, a function that is called with the lock held says
// BALE_REQUIRES. `make clang` then refuses code that touches the one or calls the other without the lock. The mutexes
// of libstdc++ have no such attributes: with them the analysis sees nothing.
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <mutex>

#ifdef __clang__
#define BALE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define BALE_THREAD_ATTRIBUTE(x)
#endif

/// On a member: it is touched only with this mutex held.
#define BALE_GUARDED_BY(mutex) BALE_THREAD_ATTRIBUTE(guarded_by(mutex))
/// On a function or lambda, after its parameters, const and noexcept: the caller holds this mutex.
#define BALE_REQUIRES(mutex) BALE_THREAD_ATTRIBUTE(requires_capability(mutex))

namespace bale {

/// std::mutex; taken with Lock.
class BALE_THREAD_ATTRIBUTE(capability("mutex")) Mutex : private std::mutex {
  friend class Lock;
};

/// Holds a Mutex (borrowed) while it lives. It is a std::unique_lock, so condition variables take it; give their
/// predicate BALE_REQUIRES. Used by one thread.
class BALE_THREAD_ATTRIBUTE(scoped_lockable) Lock : public std::unique_lock<std::mutex> {
 public:
  explicit Lock(Mutex& mutex) BALE_THREAD_ATTRIBUTE(acquire_capability(mutex)) : unique_lock(mutex) {}
  ~Lock() BALE_THREAD_ATTRIBUTE(release_capability()) = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  /// Takes the mutex again after unlock().
  void lock() BALE_THREAD_ATTRIBUTE(acquire_capability()) { unique_lock::lock(); }
  /// Gives the mutex back before the end of the scope.
  void unlock() BALE_THREAD_ATTRIBUTE(release_capability()) { unique_lock::unlock(); }
};

}  // namespace bale
