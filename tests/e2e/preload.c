// Loaded before libc into the program under test (LD_PRELOAD): what disks, network mounts, instruments and clocks do.
//
//   TEST_TIME_FACTOR=N      the steady clock runs N times as fast, and all waits with it; the wall clock does not
//   TEST_ROUNDED_TIME=TEXT  a file whose path contains TEXT has, at each second look, a modification time that is 200
//   ns
//                           later, in the next millisecond: as two servers of one network file system tell it
//   TEST_FLIP_BIT=TEXT      one bit of the first write to such a file changes on its way to the disk
//   TEST_GROW=TEXT          once such a file was read to its end, another writer appends a byte to it at once
//   TEST_LOG=FILE           notes "sync PATH", "drop PATH" (from the page cache) and "read PATH OFFSET BYTES"
//
// preloaded.py compiles it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REAL(result, name, ...)                               \
  typedef result (*name##_type)(__VA_ARGS__);                 \
  static name##_type real_##name(void) {                      \
    static name##_type found;                                 \
    if (!found) found = (name##_type)dlsym(RTLD_NEXT, #name); \
    return found;                                             \
  }

REAL(int, clock_gettime, clockid_t, struct timespec*)
REAL(int, pthread_cond_clockwait, pthread_cond_t*, pthread_mutex_t*, clockid_t, const struct timespec*)
REAL(int, poll, struct pollfd*, nfds_t, int)
REAL(int, stat, const char*, struct stat*)
REAL(int, lstat, const char*, struct stat*)
REAL(int, fstat, int, struct stat*)
REAL(ssize_t, pread, int, void*, size_t, off_t)
REAL(ssize_t, pwrite, int, const void*, size_t, off_t)
REAL(int, fsync, int)
REAL(int, posix_fadvise, int, off_t, off_t, int)

// Time

static const long long second = 1000000000LL;
static struct timespec begin;
static long long factor = 1;

static long long nanoseconds(struct timespec t) { return t.tv_sec * second + t.tv_nsec; }

static struct timespec of_nanoseconds(long long n) {
  const struct timespec t = {.tv_sec = n / second, .tv_nsec = n % second};
  return t;
}

__attribute__((constructor)) static void start(void) {
  const char* const text = getenv("TEST_TIME_FACTOR");
  if (text) factor = atoll(text);
  real_clock_gettime()(CLOCK_MONOTONIC, &begin);
}

int clock_gettime(clockid_t id, struct timespec* now) {
  const int result = real_clock_gettime()(id, now);
  if (result == 0 && factor > 1 && id == CLOCK_MONOTONIC)
    *now = of_nanoseconds(nanoseconds(begin) + (nanoseconds(*now) - nanoseconds(begin)) * factor);
  return result;
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t id,
                           const struct timespec* until) {
  struct timespec real = *until;
  if (factor > 1 && id == CLOCK_MONOTONIC)
    real = of_nanoseconds(nanoseconds(begin) + (nanoseconds(*until) - nanoseconds(begin)) / factor);
  return real_pthread_cond_clockwait()(condition, mutex, id, &real);
}

int poll(struct pollfd* list, nfds_t count, int milliseconds) {
  if (factor > 1 && milliseconds > 0) milliseconds = (int)((milliseconds + factor - 1) / factor);
  return real_poll()(list, count, milliseconds);
}

// Files

static int is_named(const char* path, const char* variable) {
  const char* const text = getenv(variable);
  return text && path && strstr(path, text);
}

static const char* path_of(int descriptor, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t size = readlink(link, path, PATH_MAX - 1);
  path[size < 0 ? 0 : size] = 0;
  return path;
}

static void note(const char* what, const char* path, long long offset, long long bytes) {
  const char* const file = getenv("TEST_LOG");
  char line[PATH_MAX + 100];
  if (!file) return;
  const int size = bytes < 0 ? snprintf(line, sizeof line, "%s %s\n", what, path)
                             : snprintf(line, sizeof line, "%s %s %lld %lld\n", what, path, offset, bytes);
  const int log = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (log < 0 || write(log, line, (size_t)size) != size) abort();
  close(log);
}

static int looked(int result, const char* path, struct stat* info) {
  static int looks;
  if (result != 0 || !is_named(path, "TEST_ROUNDED_TIME") || !S_ISREG(info->st_mode)) return result;
  const long millisecond = info->st_mtim.tv_nsec / 1000000 % 999 * 1000000;
  info->st_mtim.tv_nsec = millisecond + 999900 + (__atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) % 2) * 200;
  return result;
}

int stat(const char* path, struct stat* info) { return looked(real_stat()(path, info), path, info); }
int lstat(const char* path, struct stat* info) { return looked(real_lstat()(path, info), path, info); }
int fstat(int descriptor, struct stat* info) {
  char path[PATH_MAX];
  return looked(real_fstat()(descriptor, info), path_of(descriptor, path), info);
}

static void grow(int descriptor, const char* path, off_t end) {
  static int is_done;
  struct stat info;
  if (real_fstat()(descriptor, &info) != 0 || end < info.st_size) return;
  if (__atomic_exchange_n(&is_done, 1, __ATOMIC_RELAXED)) return;
  const int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0 || write(file, "+", 1) != 1) abort();
  close(file);
}

ssize_t pread(int descriptor, void* into, size_t size, off_t offset) {
  char path[PATH_MAX];
  const ssize_t got = real_pread()(descriptor, into, size, offset);
  if (got <= 0 || !(getenv("TEST_GROW") || getenv("TEST_LOG"))) return got;
  path_of(descriptor, path);
  note("read", path, offset, got);
  if (is_named(path, "TEST_GROW")) grow(descriptor, path, offset + got);
  return got;
}

ssize_t pwrite(int descriptor, const void* from, size_t size, off_t offset) {
  static int is_done;
  char path[PATH_MAX];
  const int flips = size > 0 && getenv("TEST_FLIP_BIT") && is_named(path_of(descriptor, path), "TEST_FLIP_BIT") &&
                    !__atomic_exchange_n(&is_done, 1, __ATOMIC_RELAXED);
  if (!flips) return real_pwrite()(descriptor, from, size, offset);
  void* bytes = NULL;
  if (posix_memalign(&bytes, 4096, size) != 0) abort();
  memcpy(bytes, from, size);
  ((char*)bytes)[size / 2] ^= 4;
  const ssize_t put = real_pwrite()(descriptor, bytes, size, offset);
  free(bytes);
  return put;
}

int fsync(int descriptor) {
  char path[PATH_MAX];
  note("sync", path_of(descriptor, path), 0, -1);
  return real_fsync()(descriptor);
}

int posix_fadvise(int descriptor, off_t offset, off_t size, int advice) {
  char path[PATH_MAX];
  if (advice == POSIX_FADV_DONTNEED) note("drop", path_of(descriptor, path), 0, -1);
  return real_posix_fadvise()(descriptor, offset, size, advice);
}
