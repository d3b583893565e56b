#include "aws/credential_provider.hpp"

#include "base/error.hpp"

namespace bale::aws {

bool CredentialProvider::holds(TimePoint now) const {
  return current_ && (!current_->expires || now < *current_->expires - distrust_before);
}

bool CredentialProvider::wants_renewal(TimePoint now) const {
  return current_ && current_->expires && now >= *current_->expires - renew_before && now >= next_renewal_;
}

CredentialProvider::Renewal CredentialProvider::ask() const {
  Renewal renewal;
  try {
    renewal.fresh = source_();
  } catch (...) {
    renewal.failure = std::current_exception();
  }
  return renewal;
}

/// On failure the credentials stay as they are.
void CredentialProvider::accept(const Renewal& renewal) {
  renewing_ = false;
  next_renewal_ = clock_.now() + renew_pause;
  if (renewal.fresh) current_ = renewal.fresh;
  renewed_.notify_all();
}

Credentials CredentialProvider::get() {
  Lock lock(mutex_);
  renewed_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return !renewing_ || holds(clock_.now()); });
  const TimePoint now = clock_.now();
  const bool held = holds(now);
  if (held && (renewing_ || !wants_renewal(now))) return *current_;
  std::optional<Credentials> still_good;
  if (held) still_good = current_;
  renewing_ = true;
  lock.unlock();
  const Renewal renewal = ask();
  lock.lock();
  accept(renewal);
  if (!renewal.failure) return *renewal.fresh;  // also when they are short-lived: nobody has better ones
  if (still_good) return *still_good;           // tried again after a pause, until they expire
  std::rethrow_exception(renewal.failure);
}

void CredentialProvider::refuse(const Credentials& refused) {
  const Lock lock(mutex_);
  if (current_ == refused) current_.reset();
}

}  // namespace bale::aws
