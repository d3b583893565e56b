#include "http/pool.hpp"

#include <algorithm>
#include <iterator>

#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::http {
namespace {

/// Once per process, before the first handle; never undone, because other threads may still use libcurl at exit.
void start_libcurl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw Error(ErrorKind::unavailable, "libcurl does not start", curl_easy_strerror(started));
}

const Error& no_memory() {
  static const Error error(ErrorKind::unavailable, "no memory for a connection");
  return error;
}

}  // namespace

Proxy parse_proxy(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t at = url.rfind('@');
  if (at == std::string_view::npos || at < start) return {std::string(url), {}, {}};
  const std::string_view who = url.substr(start, at - start);
  const std::size_t colon = std::min(who.find(':'), who.size());
  return {std::string(url.substr(0, start)) + std::string(url.substr(at + 1)), percent_decode(who.substr(0, colon)),
          percent_decode(who.substr(std::min(colon + 1, who.size())))};
}

Handle::Handle(const Settings& settings, CURLSH* share) : easy_(curl_easy_init()), multi_(curl_multi_init()) {
  if (easy_ == nullptr || multi_ == nullptr) {
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
    throw no_memory();
  }
  set_common(settings, share);
}

Handle::~Handle() {
  curl_easy_cleanup(easy_);
  curl_multi_cleanup(multi_);
}

void Handle::set_common(const Settings& settings, CURLSH* share) {
  const auto set = [this](CURLoption option, auto value) {
    const CURLcode result = curl_easy_setopt(easy_, option, value);
    if (result != CURLE_OK)
      throw Error(ErrorKind::unsupported, "libcurl refuses an option", curl_easy_strerror(result),
                  "Bale needs libcurl 7.85 or newer, with TLS");
  };
  set(CURLOPT_SHARE, share);
  set(CURLOPT_ERRORBUFFER, detail_.data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PATH_AS_IS, 1L);  // keys may hold ".." and "//"
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_MAXAGE_CONN, static_cast<long>(settings.max_idle_time.count()));
  set(CURLOPT_MAXLIFETIME_CONN, static_cast<long>(settings.max_connection_age.count()));
  set(CURLOPT_DNS_SHUFFLE_ADDRESSES, 1L);     // of several addresses, the first may be the one that fails
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // a proxy's answer to CONNECT is not the answer
  set(CURLOPT_USERAGENT, settings.user_agent.c_str());
  set(CURLOPT_SSL_VERIFYPEER, settings.verify_tls ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, settings.verify_tls ? 2L : 0L);
  if (!settings.ca_bundle.empty()) {
    set(CURLOPT_CAINFO, settings.ca_bundle.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // these authorities and no others
  }
  if (!settings.ca_directory.empty()) set(CURLOPT_CAPATH, settings.ca_directory.c_str());
}

Pool::Pool(Settings settings, os::Clock& clock)
    : settings_(std::move(settings)),
      http_proxy_(parse_proxy(settings_.http_proxy)),
      https_proxy_(parse_proxy(settings_.https_proxy)),
      clock_(clock) {
  start_libcurl();
  share_ = curl_share_init();
  if (share_ == nullptr) throw no_memory();
  curl_share_setopt(share_, CURLSHOPT_LOCKFUNC, &Pool::lock);
  curl_share_setopt(share_, CURLSHOPT_UNLOCKFUNC, &Pool::unlock);
  curl_share_setopt(share_, CURLSHOPT_USERDATA, this);
  curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
  curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

Pool::~Pool() {
  idle_.clear();  // before what they share
  curl_share_cleanup(share_);
}

void Pool::lock(CURL*, curl_lock_data what, curl_lock_access, void* self) {
  static_cast<Pool*>(self)->share_mutexes_[what].lock();
}

void Pool::unlock(CURL*, curl_lock_data what, void* self) { static_cast<Pool*>(self)->share_mutexes_[what].unlock(); }

std::unique_ptr<Handle> Pool::take(const std::string& origin) {
  {
    const Lock guard(mutex_);
    const auto found = idle_.find(origin);
    if (found != idle_.end() && !found->second.empty()) {
      std::unique_ptr<Handle> handle = std::move(found->second.back().handle);
      found->second.pop_back();
      --idle_count_;
      return handle;
    }
  }
  return std::make_unique<Handle>(settings_, share_);
}

void Pool::give_back(const std::string& origin, std::unique_ptr<Handle> handle) {
  constexpr std::chrono::seconds look_interval{10};
  if (settings_.max_idle_connections == 0) return;  // and it is closed
  Handles closed;                                   // closed after the lock is released: a TLS connection says goodbye
  const Lock guard(mutex_);
  const steady_time now = clock_.steady();
  if (now >= next_look_) {
    take_out_old(now - settings_.max_idle_time, closed);
    next_look_ = now + look_interval;
  }
  if (idle_count_ >= settings_.max_idle_connections) take_out_oldest(closed);
  idle_[origin].push_back({std::move(handle), now});
  ++idle_count_;
}

void Pool::close_idle(const std::string& origin) {
  Handles closed;
  const Lock guard(mutex_);
  const auto found = idle_.find(origin);
  if (found == idle_.end()) return;
  closed = std::move(found->second);
  idle_count_ -= closed.size();
  idle_.erase(found);
}

void Pool::close_all_idle() {
  std::unordered_map<std::string, Handles> closed;  // outlives the lock: closing a connection takes time
  const Lock guard(mutex_);
  closed.swap(idle_);
  idle_count_ = 0;
}

void Pool::take_out_old(steady_time oldest, Handles& closed) {
  for (auto& [origin, handles] : idle_) {
    const auto kept =
        std::find_if(handles.begin(), handles.end(), [&](const Idle& idle) { return idle.since > oldest; });
    idle_count_ -= static_cast<std::size_t>(kept - handles.begin());
    std::move(handles.begin(), kept, std::back_inserter(closed));
    handles.erase(handles.begin(), kept);
  }
  std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
}

void Pool::take_out_oldest(Handles& closed) {
  const auto age = [](const auto& entry) {
    return entry.second.empty() ? steady_time::max() : entry.second.front().since;
  };
  const auto oldest =
      std::min_element(idle_.begin(), idle_.end(), [&](const auto& a, const auto& b) { return age(a) < age(b); });
  if (oldest == idle_.end() || oldest->second.empty()) return;
  closed.push_back(std::move(oldest->second.front()));
  oldest->second.erase(oldest->second.begin());
  --idle_count_;
}

}  // namespace bale::http
