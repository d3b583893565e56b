// What SQS refuses before it does anything: pure checks, the same for every kind of queue. All are thread-safe.
#pragma once

#include <chrono>
#include <string>

#include "queue/message_queue.hpp"

namespace bale::queue {

// Each throws Error{invalid} InvalidParameterValue.

/// 1-80 letters, digits, '-' and '_'.
/// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
void check_name(const QueueName& queue);
/// Visibility 0-43200 s, retention 60 s to 14 days, and with a dead-letter queue 1-1000 receives.
/// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
void check_settings(const QueueSettings& settings);
/// 0-900 s.
void check_delay(std::chrono::seconds delay);
/// 1-10 messages, 0-20 s.
void check_receive(std::size_t most, Milliseconds wait);
/// 0-43200 s.
void check_visibility(std::chrono::seconds timeout);

/// Why the message cannot be sent: it is empty (MissingParameter), longer than max_message_bytes
/// (InvalidParameterValue), or not UTF-8 (InvalidMessageContents). Absent when it can.
EntryResult check_body(const std::string& body);

/// The Error{invalid} of create() for settings that name a dead-letter queue which does not exist.
Error no_dead_letter(const QueueName& queue, const QueueName& dead_letter);

}  // namespace bale::queue
