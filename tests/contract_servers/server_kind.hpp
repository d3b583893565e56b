// Real servers as kinds of the contract suites. Where they are is said by the environment, see docs/testing.md.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "cloud/enforcing_store.hpp"
#include "cloud/s3_store.hpp"
#include "os/world.hpp"
#include "queue/message_queue.hpp"

namespace bale::testing {

/// A session with the server whose endpoint is the value of an environment variable.
class ServerSession {
 public:
  explicit ServerSession(const char* variable) {
    const char* const endpoint = std::getenv(variable);
    if (endpoint == nullptr)
      throw Error(ErrorKind::invalid, std::string(variable) + " is not set: run through tests/servers/with_servers.py");
    const cloud::SessionOptions options{.endpoint_url = endpoint, .region = "eu-west-1"};
    session_ = std::make_unique<cloud::Session>(world_, os::system_processes(), options);
  }
  cloud::Session& session() { return *session_; }

 private:
  os::World world_ = os::system_world();
  std::unique_ptr<cloud::Session> session_;
};

/// A name that no other test, of this run or another, uses: servers keep what tests leave.
inline std::string unique_name(const std::string& name) {
  static std::atomic<int> next{0};
  static const std::string run = std::to_string(::time(nullptr)) + "-" + std::to_string(::getpid());
  return "t-" + run + "-" + std::to_string(next++) + "-" + name;
}

/// Servers have a clock of their own: it is waited for, where that is short.
inline bool wait_for_server(Milliseconds duration) {
  if (duration > Milliseconds(3000)) return false;
  std::this_thread::sleep_for(duration);
  return true;
}

}  // namespace bale::testing
