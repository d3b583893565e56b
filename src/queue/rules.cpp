#include "queue/rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace bale::queue {
namespace {

constexpr std::size_t most_name_bytes = 80;
constexpr std::chrono::seconds max_delay{900};
constexpr std::chrono::seconds min_retention{60}, max_retention{14 * 24 * 3600};
constexpr std::uint32_t max_max_receive_count = 1000;

Error invalid_value(std::string what) {
  return Error(ErrorKind::invalid, std::move(what)).with_code("InvalidParameterValue");
}

}  // namespace

void check_name(const QueueName& queue) {
  const std::string& name = queue.str();
  const bool legal =
      !name.empty() && name.size() <= most_name_bytes && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      });
  if (!legal) throw invalid_value(fmt::format("'{}' is not a queue name: use 1-80 letters, digits, '-' and '_'", name));
}

void check_settings(const QueueSettings& settings) {
  check_visibility(settings.visibility_timeout);
  if (settings.retention < min_retention || settings.retention > max_retention)
    throw invalid_value("messages are kept 60 seconds to 14 days");
  if (!settings.dead_letter.empty() &&
      (settings.max_receive_count < 1 || settings.max_receive_count > max_max_receive_count))
    throw invalid_value("max_receive_count must be 1-1000");
}

void check_delay(std::chrono::seconds delay) {
  if (delay.count() < 0 || delay > max_delay) throw invalid_value("messages are delayed by 0-900 seconds");
}

void check_receive(std::size_t most, Milliseconds wait) {
  if (most < 1 || most > max_batch) throw invalid_value("1-10 messages are received at once");
  if (wait.count() < 0 || wait > max_wait) throw invalid_value("a receive waits 0-20 seconds");
}

void check_visibility(std::chrono::seconds timeout) {
  if (timeout.count() < 0 || timeout > max_visibility)
    throw invalid_value("the visibility timeout must be 0-43200 seconds");
}

EntryResult check_body(const std::string& body) {
  if (body.empty()) return Error(ErrorKind::invalid, "a message must not be empty").with_code("MissingParameter");
  if (body.size() > max_message_bytes) {
    return Error(ErrorKind::invalid,
                 fmt::format("the message has {} bytes; at most {} are allowed", body.size(), max_message_bytes))
        .with_code("InvalidParameterValue");
  }
  if (!is_utf8(body)) return Error(ErrorKind::invalid, "a message is UTF-8 text").with_code("InvalidMessageContents");
  return std::nullopt;
}

Error no_dead_letter(const QueueName& queue, const QueueName& dead_letter) {
  return invalid_value(fmt::format("the dead-letter queue '{}' does not exist", dead_letter.str()))
      .with_where(queue.str())
      .with_hint("create the dead-letter queue first");
}

}  // namespace bale::queue
