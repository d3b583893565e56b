// libcurl's handles, kept for reuse. Private to http/.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.hpp"
#include "http/settings.hpp"

namespace bale::http {

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

/// Handles by the origin that their connection leads to, the latest used first. All share names and TLS sessions.
/// Thread-safe.
class Pool {
 public:
  explicit Pool(Settings settings);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const Settings& settings() const noexcept { return settings_; }
  /// One that was connected to `origin`, or a new one.
  std::unique_ptr<Handle> take(const std::string& origin);
  void give_back(const std::string& origin, std::unique_ptr<Handle> handle);

 private:
  static void lock(CURL* easy, curl_lock_data what, curl_lock_access access, void* self);
  static void unlock(CURL* easy, curl_lock_data what, void* self);

  const Settings settings_;
  std::array<std::mutex, CURL_LOCK_DATA_LAST> share_mutexes_;
  CURLSH* share_ = nullptr;

  Mutex mutex_;
  std::unordered_map<std::string, std::vector<std::unique_ptr<Handle>>> idle_ BALE_GUARDED_BY(mutex_);
  std::size_t idle_count_ BALE_GUARDED_BY(mutex_) = 0;
};

}  // namespace bale::http
