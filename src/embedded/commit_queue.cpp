#include "embedded/commit_queue.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "embedded/store_clock.hpp"

namespace bale::embedded {
namespace {

/// Bounds the time that other processes are kept out, and the memory of one transaction.
constexpr std::size_t most_parts = 256;

}  // namespace

std::int64_t WriteContext::last_sequence() {
  if (sequence_ < 0) {
    Query counter = database.query("SELECT value FROM counter");
    counter.step();
    sequence_ = stored_ = counter.integer(0);
  }
  return sequence_;
}

std::int64_t WriteContext::next_sequence() {
  last_sequence();
  return ++sequence_;
}

void WriteContext::raise_sequence(std::int64_t least) { sequence_ = std::max(last_sequence(), least); }

std::int64_t WriteContext::time() const { return clock_->now(); }

void WriteContext::store_sequence() {
  if (sequence_ != stored_) database.execute("UPDATE counter SET value = ?", sequence_);
}

CommitQueue::CommitQueue(const std::filesystem::path& file, std::function<void(const Committed&)> committed,
                         StoreClock* clock, std::stop_token stop)
    : database_(file, {.damage_hint = {}, .stop = std::move(stop)}), clock_(clock), committed_(std::move(committed)) {}

void CommitQueue::run(Database::Durability durability, const Work& work) {
  Request mine{.work = &work, .durability = durability};
  Lock lock(mutex_);
  waiting_.push_back(&mine);
  mine.changed.wait(lock, [&]() BALE_REQUIRES(mutex_) { return mine.done || waiting_.front() == &mine; });
  if (!mine.done) {
    // First in line. The group stays in the queue meanwhile, so that nobody else becomes first.
    const std::size_t size = std::min(waiting_.size(), most_parts);
    const std::vector<Request*> group(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(size));
    lock.unlock();
    commit(group);
    lock.lock();
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(size));
    for (Request* request : group) {
      request->done = true;
      if (request != &mine) request->changed.notify_one();
    }
    if (!waiting_.empty()) waiting_.front()->changed.notify_one();
  }
  if (mine.failure) std::rethrow_exception(mine.failure);
}

void CommitQueue::commit(const std::vector<Request*>& group) {
  try {
    const bool power_safe = std::any_of(group.begin(), group.end(), [](const Request* request) {
      return request->durability == Database::Durability::power_safe;
    });
    database_.set_durability(power_safe ? Database::Durability::power_safe : Database::Durability::process);
    Transaction transaction(database_);
    WriteContext context(database_, clock_);
    run_parts(context, group);
    if (clock_ != nullptr) clock_->keep(context);
    context.store_sequence();
    transaction.commit();
    const std::int64_t version = database_.data_version();
    committed_(
        {context.wake_, version != data_version_, power_safe ? std::max<std::int64_t>(context.sequence_, 0) : 0});
    data_version_ = version;
  } catch (...) {
    // Nothing of the group was committed, whatever each part thought.
    for (Request* request : group) {
      if (!request->failure) request->failure = std::current_exception();
    }
  }
}

void CommitQueue::run_parts(WriteContext& context, const std::vector<Request*>& group) {
  for (Request* request : group) {
    try {
      Savepoint part(context.database);
      (*request->work)(context);
      part.release();
    } catch (...) {
      request->failure = std::current_exception();
      if (!context.database.in_transaction()) throw;  // SQLite has undone everything: the disk is full, for one
    }
  }
}

}  // namespace bale::embedded
