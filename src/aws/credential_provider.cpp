#include "aws/credential_provider.hpp"

#include "base/error.hpp"

namespace bale::aws {

bool CredentialProvider::holds(TimePoint now) const {
  return current_ && (!current_->expires || now < *current_->expires - distrust_before);
}

bool CredentialProvider::wants_renewal(TimePoint now) const {
  return current_ && current_->expires && now >= *current_->expires - renew_before && now >= next_renewal_;
}

/// Asks the source, without the lock. On failure the credentials stay as they are.
void CredentialProvider::renew(std::unique_lock<std::mutex>& lock) {
  renewing_ = true;
  lock.unlock();
  std::optional<Credentials> fresh;
  std::exception_ptr failure;
  try {
    fresh = source_();
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  renewing_ = false;
  next_renewal_ = clock_.now() + renew_pause;
  if (fresh) current_ = std::move(fresh);
  renewed_.notify_all();
  if (failure) std::rethrow_exception(failure);
}

Credentials CredentialProvider::get() {
  std::unique_lock lock(mutex_);
  renewed_.wait(lock, [&] { return !renewing_ || holds(clock_.now()); });
  const TimePoint now = clock_.now();
  if (!holds(now)) {
    renew(lock);
    return *current_;  // also when they are short-lived: nobody has better ones
  }
  if (renewing_ || !wants_renewal(now)) return *current_;
  const Credentials still_good = *current_;
  try {
    renew(lock);
  } catch (const Error&) {
    return still_good;  // tried again after a pause, until they expire
  }
  return *current_;
}

void CredentialProvider::refuse(const Credentials& refused) {
  const std::scoped_lock lock(mutex_);
  if (current_ == refused) current_.reset();
}

}  // namespace bale::aws
