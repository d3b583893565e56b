// libcurl's handles, kept for reuse. Private to http/.
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.hpp"
#include "http/settings.hpp"
#include "os/clock.hpp"

namespace bale::http {

/// A proxy with its user and password apart from its URL: libcurl quotes the URL in its messages.
struct Proxy {
  std::string url, user, password;
};

/// Reads "http://user:password@host:port", also without a scheme; user and password are percent-decoded. They end at
/// the last '@'.
Proxy parse_proxy(std::string_view url);

/// An easy handle in a multi handle of its own: the multi handle keeps the connection, and lets a body be pulled.
/// Used by one thread at a time.
class Handle {
 public:
  /// Sets what all requests have in common. Throws Error{unavailable} when there is no memory.
  Handle(const Settings& settings, CURLSH* share);
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  CURL* easy() const noexcept { return easy_; }
  CURLM* multi() const noexcept { return multi_; }
  /// libcurl's own words on the last failure.
  const char* detail() const noexcept { return detail_.data(); }
  void clear_detail() noexcept { detail_[0] = '\0'; }

 private:
  void set_common(const Settings& settings, CURLSH* share);

  std::array<char, CURL_ERROR_SIZE> detail_{};
  CURL* easy_ = nullptr;
  CURLM* multi_ = nullptr;
};

/// Idle handles by the origin that their connection leads to. All share resolved names and TLS sessions. Thread-safe.
class Pool {
 public:
  /// `clock` measures how long handles are idle; borrowed.
  Pool(Settings settings, os::Clock& clock);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Returns the proxy for https or for http origins. An empty URL means that no proxy is used.
  const Proxy& proxy(bool is_tls) const noexcept { return is_tls ? https_proxy_ : http_proxy_; }
  const Settings& settings() const noexcept { return settings_; }
  /// Returns the handle that was used last for `origin`, or a new one.
  std::unique_ptr<Handle> take(const std::string& origin);
  /// Keeps the handle for reuse, and closes those that are idle for too long or too many.
  void give_back(const std::string& origin, std::unique_ptr<Handle> handle);
  /// Closes all idle connections to `origin`: the server behind them failed. Handles in use are not touched.
  void close_idle(const std::string& origin);
  void close_all_idle();

 private:
  static void lock(CURL* easy, curl_lock_data what, curl_lock_access access, void* self);
  static void unlock(CURL* easy, curl_lock_data what, void* self);

  using steady_time = std::chrono::steady_clock::time_point;
  struct Idle {
    std::unique_ptr<Handle> handle;
    steady_time since;
  };
  using Handles = std::vector<Idle>;  ///< the last one was used last
  /// Moves handles that are idle since `oldest` or longer into `closed`.
  void take_out_old(steady_time oldest, Handles& closed) BALE_REQUIRES(mutex_);
  void take_out_oldest(Handles& closed) BALE_REQUIRES(mutex_);

  const Settings settings_;
  const Proxy http_proxy_, https_proxy_;
  os::Clock& clock_;
  std::array<std::mutex, CURL_LOCK_DATA_LAST> share_mutexes_;
  CURLSH* share_ = nullptr;

  Mutex mutex_;
  std::unordered_map<std::string, Handles> idle_ BALE_GUARDED_BY(mutex_);
  std::size_t idle_count_ BALE_GUARDED_BY(mutex_) = 0;
  steady_time next_look_ BALE_GUARDED_BY(mutex_){};  ///< when idle handles are looked through again
};

}  // namespace bale::http
