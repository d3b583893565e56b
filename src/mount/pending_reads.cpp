#include "mount/pending_reads.hpp"

#include <algorithm>
#include <cerrno>

#include "mount/fuse.hpp"

namespace bale::mount {
namespace {

// libfuse is asked about interruptions this often, while anything waits.
constexpr std::chrono::milliseconds look_every{200};

}  // namespace

PendingReads::PendingReads(os::Clock& clock, Milliseconds grace)
    : clock_(clock), grace_(grace), watcher_([this](const std::stop_token& stop) { watch(stop); }) {}

std::shared_ptr<PendingReads::Pending> PendingReads::begin(Request request) {
  auto pending = std::make_shared<Pending>(Pending{request, false, std::nullopt});
  {
    const Lock lock(mutex_);
    waiting_.push_back(pending);
  }
  begun_.notify_all();
  return pending;
}

void PendingReads::answer(const std::shared_ptr<Pending>& pending, const std::function<void(Request)>& reply) {
  {
    const Lock lock(mutex_);
    if (pending->answered) return;
    pending->answered = true;
    waiting_.remove(pending);
  }
  reply(pending->request);
}

void PendingReads::give_up_all(int error) {
  std::list<std::shared_ptr<Pending>> given_up;
  {
    const Lock lock(mutex_);
    given_up.swap(waiting_);
    for (const auto& pending : given_up) pending->answered = true;
  }
  for (const auto& pending : given_up) fuse_reply_err(pending->request, error);
}

void PendingReads::watch(const std::stop_token& stop) {
  Lock lock(mutex_);
  while (!stop.stop_requested()) {
    begun_.wait(lock, stop, [this]() BALE_REQUIRES(mutex_) { return !waiting_.empty(); });
    const auto interrupted = take_interrupted(clock_.steady());
    lock.unlock();
    for (const auto& pending : interrupted) fuse_reply_err(pending->request, EINTR);
    lock.lock();
    begun_.wait_for(lock, stop, look_every, [] { return false; });
  }
}

std::list<std::shared_ptr<PendingReads::Pending>> PendingReads::take_interrupted(
    std::chrono::steady_clock::time_point now) {
  std::list<std::shared_ptr<Pending>> taken;
  for (auto place = waiting_.begin(); place != waiting_.end();) {
    const auto next = std::next(place);
    Pending& pending = **place;
    // What is in the list is not answered, so that its request is there to be asked.
    if (!pending.interrupted && fuse_req_interrupted(pending.request) != 0) pending.interrupted = now;
    if (pending.interrupted && now - *pending.interrupted >= grace_) {
      pending.answered = true;
      taken.splice(taken.end(), waiting_, place);
    }
    place = next;
  }
  return taken;
}

}  // namespace bale::mount
