#include "mount/session.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "mount/frame_cache.hpp"
#include "mount/object_reader.hpp"
#include "mount/service.hpp"

namespace bale::mount {
namespace {

constexpr const char* fuse_device = "/dev/fuse";
// Names and attributes are answered at once, and reads in threads of their own.
constexpr std::size_t session_threads = 4;
// For reads to end, once the mount has.
constexpr Milliseconds end_grace{5000};

/// What libfuse has to say, for the error that follows; it would print it otherwise.
class FuseWords {
 public:
  FuseWords() {
    words().clear();
    fuse_set_log_func(note);
  }
  ~FuseWords() { fuse_set_log_func(nullptr); }
  FuseWords(const FuseWords&) = delete;
  FuseWords& operator=(const FuseWords&) = delete;
  std::string text() const {
    std::string text = words();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

 private:
  static std::string& words() {
    static std::string all;  // libfuse has one function for the whole process; mounting is done by one thread
    return all;
  }
  static void note(fuse_log_level, const char* format, std::va_list arguments) {
    char line[512];
    const int length = std::vsnprintf(line, sizeof line, format, arguments);
    if (length > 0) words().append(line, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof line - 1));
  }
};

/// A file descriptor that becomes readable when the session is to end, and stays so.
class EndSignal {
 public:
  EndSignal() : descriptor_(::eventfd(0, EFD_CLOEXEC)) {
    if (descriptor_ < 0) throw Error(ErrorKind::unavailable, "no more files can be opened");
  }
  ~EndSignal() { ::close(descriptor_); }
  EndSignal(const EndSignal&) = delete;
  EndSignal& operator=(const EndSignal&) = delete;
  void give() noexcept {
    const std::uint64_t one = 1;
    // Its counter cannot be full after so few writes.
    static_cast<void>(::write(descriptor_, &one, sizeof one) == sizeof one);
  }
  int descriptor() const noexcept { return descriptor_; }

 private:
  const int descriptor_;
};

std::string options_of(const MountOptions& options) {
  std::string text = "ro,nosuid,nodev,noatime,default_permissions,fsname=bale,subtype=bale";
  if (options.allow_other) text += ",allow_other";
  return text;
}

std::string hint_of_refusal(const MountOptions& options, const std::string& words) {
  if (words.find("fusermount3") != std::string::npos && words.find("No such file") != std::string::npos)
    return "install the package fuse3: only root can mount without its program fusermount3";
  if (options.allow_other && ::geteuid() != 0)
    return "--allow-other needs the line user_allow_other in /etc/fuse.conf; only root can do without";
  return "a container needs --device /dev/fuse and --cap-add SYS_ADMIN";
}

/// libfuse's session: made, mounted, and both undone.
class Session {
 public:
  Session(Service& service, const MountOptions& options) {
    const FuseWords words;
    fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
    fuse_opt_add_arg(&arguments, "bale");
    fuse_opt_add_arg(&arguments, "-o");
    fuse_opt_add_arg(&arguments, options_of(options).c_str());
    session_ = fuse_session_new(&arguments, &Service::operations(), sizeof(fuse_lowlevel_ops), &service);
    fuse_opt_free_args(&arguments);
    if (session_ == nullptr) throw Error(ErrorKind::unsupported, "libfuse cannot begin: " + words.text());
    if (fuse_session_mount(session_, options.directory.c_str()) != 0) {
      fuse_session_destroy(session_);
      const std::string said = words.text();
      throw Error(ErrorKind::denied, "mounting was refused" + (said.empty() ? "" : ": " + said),
                  options.directory.native(), hint_of_refusal(options, said));
    }
    const int device = fuse_session_fd(session_);
    ::fcntl(device, F_SETFL, ::fcntl(device, F_GETFL) | O_NONBLOCK);
  }
  ~Session() {
    unmount();
    fuse_session_destroy(session_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void unmount() {
    if (!std::exchange(is_unmounted_, true)) fuse_session_unmount(session_);
  }
  /// Takes requests until the end is signalled or the mount is gone; then signals the end to the others.
  void take_requests(EndSignal& end) {
    fuse_buf buffer{};
    while (wait_for_request(end, buffer)) fuse_session_process_buf(session_, &buffer);
    std::free(buffer.mem);
    end.give();
  }

 private:
  /// The next request; false at the end. One thread waits at a time: a request would wake all that do.
  bool wait_for_request(EndSignal& end, fuse_buf& buffer) {
    const Lock lock(waiting_);
    pollfd ready[2] = {{fuse_session_fd(session_), POLLIN, 0}, {end.descriptor(), POLLIN, 0}};
    while (fuse_session_exited(session_) == 0) {
      if (::poll(ready, 2, -1) < 0) continue;  // interrupted
      if (ready[1].revents != 0) return false;
      const int got = fuse_session_receive_buf(session_, &buffer);
      if (got != -EINTR && got != -EAGAIN) return got > 0;
    }
    return false;
  }

  Mutex waiting_;  ///< who holds it waits for the next request
  fuse_session* session_ = nullptr;
  bool is_unmounted_ = false;
};

}  // namespace

void check_mount_point(os::Files& files, const os::fs::path& directory) {
  if (!files.info_followed(fuse_device)) {
    throw Error(ErrorKind::unsupported, "this system has no FUSE", fuse_device,
                "load the kernel module (modprobe fuse); a container needs --device /dev/fuse and --cap-add SYS_ADMIN");
  }
  std::optional<os::FileInfo> is;
  try {
    is = files.info_followed(directory);
  } catch (const Error& error) {
    // ENOTCONN of a mount whose program was killed.
    throw error.with_hint(fmt::format("if a mount was left here, `fusermount3 -u {}` removes it", directory.native()));
  }
  if (!is)
    throw Error(ErrorKind::not_found, "the mount point does not exist", directory.native(), "make it with mkdir");
  if (is->type != os::FileType::directory)
    throw Error(ErrorKind::invalid, "the mount point is not a directory", directory.native(),
                "name an empty directory");
  const auto above = files.info_followed(files.resolve(directory).parent_path());
  if (above && above->device != is->device) {
    throw Error(ErrorKind::precondition, "something is mounted here already", directory.native(),
                fmt::format("name another directory, or unmount it: fusermount3 -u {}", directory.native()));
  }
  if (!files.list(directory).empty())
    throw Error(ErrorKind::precondition, "the mount point is not empty", directory.native(), "name an empty directory");
}

void serve(Tree& tree, store::ObjectStore& archives, flow::MemoryBudget& budget, telemetry::Log& log,
           const os::World& world, const MountOptions& options, const std::function<void()>& mounted,
           const std::function<void()>& stuck) {
  check_mount_point(world.files, options.directory);
  FrameCache cache(options.cache_bytes);
  ObjectReader reader(archives, cache, budget);
  EndSignal end;
  std::optional<Service> service;
  service.emplace(tree, reader, log, world.clock, Owner{::getuid(), ::getgid()});
  Session session(*service, options);
  {
    const std::stop_callback stop(world.stop, [&] { end.give(); });
    mounted();
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < session_threads; ++i) threads.emplace_back([&] { session.take_requests(end); });
    session.take_requests(end);
  }
  service->end();
  session.unmount();
  const std::jthread watch([&](const std::stop_token& done) {
    if (world.clock.sleep_for(end_grace, done)) stuck();
  });
  service.reset();  // its reads are at their end before libfuse's session is
}

}  // namespace bale::mount
