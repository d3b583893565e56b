#include <algorithm>

#include "config/permitted.hpp"
#include "service/loops.hpp"
#include "store/events.hpp"

namespace bale::service {
namespace {

/// The queues between the regions were made with the timeout of the most patient rule: so long may work take
/// unextended.
std::chrono::seconds visibility_of(const config::ReplicationConfig& config) {
  std::chrono::seconds longest{1};
  for (const config::Rule& rule : config.rules) longest = std::max(longest, rule.source.visibility_timeout);
  return longest;
}

bool any_permanent(const std::vector<ReplicationFailure>& failures) {
  return std::any_of(failures.begin(), failures.end(),
                     [](const ReplicationFailure& failure) { return !is_transient(failure.error.kind()); });
}

}  // namespace

ArchiveLoop::ArchiveLoop(LoopContext& context, std::string stage, const Region& region, QueueName queue,
                         BucketName staging, Work work)
    : context_(context),
      stage_(std::move(stage)),
      region_(region),
      queues_(context.ports.queues(region)),
      queue_(std::move(queue)),
      staging_(std::move(staging)),
      work_(std::move(work)),
      visibility_(visibility_of(context.config)),
      keeper_(queues_, queue_, visibility_, context.world.clock, [this](const Error& error) {
        context_.log.warning(stage_ + ".extend", "cannot extend the visibility of a message",
                             {{"queue", queue_.str()}, {"error", error.what()}});
      }) {}

void ArchiveLoop::run(std::stop_token stop) {
  Health::Loop& health = context_.health.add(stage_ + " " + region_.str());
  int failures = 0;
  while (!stop.stop_requested()) {
    try {
      const auto messages = queues_.receive(queue_, 1, poll_wait(context_.options.until_idle), stop);
      health.answered();
      for (const queue::Message& message : messages) take(message, health);
      failures = 0;
    } catch (const std::exception&) {
      const Error error = current_error();
      health.failed(error);
      context_.log.error(stage_ + ".loop", error.what(), {{"queue", queue_.str()}});
      context_.world.clock.sleep_for(pause_after(failures++), stop);
    }
  }
}

void ArchiveLoop::take(const queue::Message& message, Health::Loop& health) {
  const InHand in_hand(context_.in_hand, 1);
  const Health::Loop::Work working(health);
  keeper_.hold({message});
  const std::vector<ReplicationFailure> failures = work_on(message);
  keeper_.drop({message.receipt});
  if (failures.empty()) {
    context_.attempted(stage_, message.id, {});
    for (const auto& result : queues_.remove(queue_, {message.receipt})) {
      if (result) throw *result;  // it comes back, finds its archive gone, and is removed then
    }
    return;
  }
  const bool cancelled = std::any_of(failures.begin(), failures.end(), [](const ReplicationFailure& failure) {
    return failure.error.kind() == ErrorKind::cancelled;
  });
  if (cancelled) {
    queues_.set_visibility(queue_, {message.receipt}, std::chrono::seconds(0));
    return;
  }
  tell(message, failures);
  // What will not pass by itself need not wait long for its next turn, nor for the dead-letter queue.
  if (any_permanent(failures))
    queues_.set_visibility(queue_, {message.receipt}, collect::retry_delay(message.receive_count, visibility_));
}

void ArchiveLoop::tell(const queue::Message& message, const std::vector<ReplicationFailure>& failures) {
  context_.attempted(stage_, message.id, failures);
  for (const ReplicationFailure& failure : failures) {
    context_.log.error(stage_ + ".failed", failure.error.what(),
                       {{"object", failure.what}, {"receives", message.receive_count}, {"hint", failure.error.hint()}});
  }
}

std::vector<ReplicationFailure> ArchiveLoop::work_on(const queue::Message& message) {
  std::vector<ReplicationFailure> failures;
  std::string what = "message " + message.id;
  try {
    const store::Notification notification = store::parse_notification(message.body);
    for (const store::ObjectEvent& event : notification.events) {
      what = to_uri(event.bucket, event.key);
      if (!staging_.empty() && event.bucket != staging_) {
        failures.push_back({stage_, what, config::foreign_event(queue_, {event.bucket, event.key}, staging_)});
        continue;
      }
      if (event.deleted || event.ask_source) continue;
      for (ReplicationFailure& failure : work_({event.bucket, event.key})) failures.push_back(std::move(failure));
    }
  } catch (const std::exception&) {
    failures.push_back({stage_, what, current_error()});
  }
  return failures;
}

}  // namespace bale::service
