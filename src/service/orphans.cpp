#include "service/orphans.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.hpp"
#include "store/events.hpp"

namespace bale::service {
namespace {

constexpr std::string_view dead_letter_suffix = "-dlq";

/// "eu-west-1", "us-gov-east-1": two letters or more, words, a number.
bool is_region(std::string_view text) {
  const std::size_t last = text.rfind('-');
  if (last == std::string_view::npos || last + 1 == text.size() || text.find('-') < 2) return false;
  const std::string_view words = text.substr(0, last), number = text.substr(last + 1);
  const auto is_word_character = [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; };
  return words.find('-') != std::string_view::npos && std::all_of(words.begin(), words.end(), is_word_character) &&
         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// What stands between `begin` and `end` of a text; absent where it does not have them.
std::optional<std::string> between(const std::string& text, const std::string& begin, const std::string& end) {
  if (text.size() <= begin.size() + end.size() || !text.starts_with(begin) || !text.ends_with(end)) return std::nullopt;
  return text.substr(begin.size(), text.size() - begin.size() - end.size());
}

template <typename Value>
void add_once(std::vector<Value>& values, const Value& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

/// Whether config::source_queue() could give some rule for this bucket this name.
bool may_be_of(const config::Settings& settings, const QueueName& queue, const BucketName& bucket) {
  constexpr std::size_t longest_stem = 67, hash = 9;  // a long name is cut; with filters "-" and 8 digits end it
  const std::string plain = fmt::format("{}-source-{}", settings.stack_name, bucket.str());
  const std::string& name = queue.str();
  if (name == plain) return true;
  if (name.size() <= hash || name[name.size() - hash] != '-') return false;
  const std::string stem = name.substr(0, name.size() - hash);
  std::string safe = plain;
  std::replace(safe.begin(), safe.end(), '.', '-');
  return stem == safe || stem.starts_with(safe + "-") || (stem.size() == longest_stem && safe.starts_with(stem));
}

class Finder {
 public:
  Finder(const config::ReplicationConfig& config, const Ports& ports)
      : config_(config), settings_(config.settings), ports_(ports) {
    for (const config::EnabledRegion& enabled : settings_.enabled_regions) add_once(regions_, enabled.region);
    for (const config::Rule& rule : config_.rules) {
      add_once(regions_, rule.source.region);
      know(rule.source.region, config::source_queue(settings_, rule.source));
      know(rule.source.region, config::relay_queue(settings_, rule.source.region));
      used_.insert(config::outbound_bucket(settings_, rule.source.region));
      for (const Region& region : config::destination_regions(rule.destinations)) {
        add_once(regions_, region);
        know(region, config::target_queue(settings_, region));
        used_.insert(config::inbound_bucket(settings_, region));
      }
    }
  }

  Orphans run() {
    if (regions_.empty()) return {};
    look([&] {
      for (const store::BucketInfo& bucket : ports_.store(regions_.front()).list_buckets()) see_bucket(bucket.name);
    });
    for (const Region& region : regions_) look([&] { see_queues(region); });
    for (const config::Rule& rule : config_.rules)
      look([&] { see_notifications(rule.source.region, rule.source.bucket); });
    for (const OrphanedQueue& orphan : std::vector<OrphanedQueue>(found_.queues)) {
      for (const BucketName& bucket : buckets_) {
        if (may_be_of(settings_, orphan.queue, bucket)) look([&] { see_notifications(orphan.region, bucket); });
      }
    }
    return std::move(found_);
  }

 private:
  void know(const Region& region, const QueueName& queue) { known_.insert({region, queue}); }

  template <typename Look>
  void look(const Look& look) {
    try {
      look();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::cancelled) throw;
      found_.unseen.push_back(error);
    }
  }

  void see_bucket(const BucketName& bucket) {
    buckets_.push_back(bucket);
    const std::string begin = fmt::format("{}-{}-", settings_.stack_name, settings_.account);
    for (const char* role : {"-outbound", "-inbound"}) {
      const auto region = between(bucket.str(), begin, role);
      if (!region || !is_region(*region)) continue;
      add_once(regions_, Region(*region));
      if (used_.count(bucket) > 0) continue;
      look([&] {
        const StagingStatus status = staging_status(Region(*region), bucket, ports_.store(Region(*region)));
        if (status.archives > 0) found_.staging.push_back(status);
      });
    }
  }

  bool is_of_stack(const QueueName& queue, bool& is_source) const {
    is_source = between(queue.str(), settings_.stack_name + "-source-", "").has_value();
    if (is_source) return true;
    for (const char* role : {"-relay", "-target"}) {
      const auto region = between(queue.str(), settings_.stack_name + "-", role);
      if (region && is_region(*region)) return true;
    }
    return false;
  }

  void see_queues(const Region& region) {
    queue::MessageQueue& queues = ports_.queues(region);
    std::set<QueueName> names;  // without "-dlq": the queue itself may be gone
    for (const QueueName& listed : queues.list(settings_.stack_name + "-")) {
      const auto base = between(listed.str(), "", std::string(dead_letter_suffix));
      names.insert(base ? QueueName(*base) : listed);
    }
    for (const QueueName& name : names) {
      OrphanedQueue orphan{region, name, {}, 0, false};
      if (known_.count({region, name}) > 0 || !is_of_stack(name, orphan.is_source)) continue;
      if (queues.exists(name)) orphan.depth = queues.depth(name);
      const QueueName dead_letter = config::dead_letter_queue(name);
      if (queues.exists(dead_letter)) orphan.failed = queues.depth(dead_letter).total();
      found_.queues.push_back(orphan);
    }
  }

  void see_notifications(const Region& region, const BucketName& bucket) {
    if (!seen_buckets_.insert(bucket).second || !ports_.store(region).head_bucket(bucket)) return;
    const std::string ours = fmt::format("bale-{}-source-", settings_.stack_name);
    for (const store::NotificationRule& rule : ports_.store(region).get_notifications(bucket)) {
      if (!rule.id.starts_with(ours)) continue;
      const QueueName queue(rule.id.substr(std::string_view("bale-").size()));
      if (known_.count({region, queue}) == 0) found_.notifications.push_back({region, bucket, rule, queue});
    }
  }

  const config::ReplicationConfig& config_;
  const config::Settings& settings_;
  const Ports& ports_;
  Orphans found_;
  std::vector<Region> regions_;
  std::vector<BucketName> buckets_;
  std::set<std::pair<Region, QueueName>> known_;
  std::set<BucketName> used_, seen_buckets_;
};

bool is_for(const config::Source& source, const store::ObjectEvent& event) {
  if (event.bucket != source.bucket) return false;
  if ((event.deleted || event.ask_source) && !source.track_deletes) return false;
  const std::string& key = event.key.str();
  return (source.prefix.empty() || key.starts_with(source.prefix + "/")) && key.ends_with(source.suffix);
}

/// Moves the messages of one orphaned queue, or of its dead-letter queue.
class Mover {
 public:
  Mover(const config::ReplicationConfig& config, const Ports& ports, MovedMessages& moved)
      : config_(config), ports_(ports), moved_(moved) {}

  void run(const QueueName& from, bool is_dead_letter) {
    queue::MessageQueue& queues = ports_.queues(moved_.region);
    if (!queues.exists(from)) return;
    std::set<std::string> seen;
    std::vector<Receipt> kept;
    const auto give_back = [&] {
      if (!kept.empty()) queues.set_visibility(from, kept, std::chrono::seconds(0));
    };
    try {
      for (bool is_new = true; is_new;) {
        const auto messages = queues.receive(from, queue::max_batch, Milliseconds(0), {});
        is_new = !messages.empty();
        std::vector<Receipt> done;
        for (const queue::Message& message : messages) {
          is_new &= seen.insert(message.id).second;  // one that was kept came back: all have been looked at
          (move(message, is_dead_letter) ? done : kept).push_back(message.receipt);
        }
        for (const auto& removed : queues.remove(from, done)) {
          if (removed) throw *removed;
        }
      }
    } catch (...) {
      give_back();
      throw;
    }
    moved_.kept += kept.size();
    give_back();
  }

 private:
  /// Sends the message to the queues of all rules that are for one of its objects. False when there is none.
  bool move(const queue::Message& message, bool is_dead_letter) {
    store::Notification notification;
    try {
      notification = store::parse_notification(message.body);
    } catch (const Error&) {
      return false;
    }
    bool done = notification.is_test;
    for (const config::Rule& rule : config_.rules) {
      const bool any = std::any_of(notification.events.begin(), notification.events.end(),
                                   [&](const store::ObjectEvent& event) { return is_for(rule.source, event); });
      if (!any) continue;
      const QueueName queue = config::source_queue(config_.settings, rule.source);
      const QueueName to = is_dead_letter ? config::dead_letter_queue(queue) : queue;
      for (const auto& sent : ports_.queues(rule.source.region).send(to, {message.body})) {
        if (sent) throw *sent;
      }
      ++moved_.to[to];
      done = true;
    }
    return done;
  }

  const config::ReplicationConfig& config_;
  const Ports& ports_;
  MovedMessages& moved_;
};

}  // namespace

bool Orphans::any_waiting() const {
  return !staging.empty() || std::any_of(queues.begin(), queues.end(), [](const OrphanedQueue& queue) {
    return queue.depth.total() + queue.failed > 0;
  });
}

Orphans find_orphans(const config::ReplicationConfig& config, const Ports& ports) {
  return Finder(config, ports).run();
}

std::vector<MovedMessages> move_orphaned_messages(const config::ReplicationConfig& config, const Orphans& orphans,
                                                  const Ports& ports, bool dryrun) {
  std::vector<MovedMessages> all;
  for (const OrphanedQueue& orphan : orphans.queues) {
    if (!orphan.is_source || orphan.depth.total() + orphan.failed == 0) continue;
    // What is in a queue of other buckets is for no rule; and it may be another stack's.
    const bool may_match = std::any_of(config.rules.begin(), config.rules.end(), [&](const config::Rule& rule) {
      return may_be_of(config.settings, orphan.queue, rule.source.bucket);
    });
    if (!may_match) continue;
    MovedMessages& moved = all.emplace_back(MovedMessages{orphan.region, orphan.queue, {}, 0});
    if (dryrun) continue;
    Mover mover(config, ports, moved);
    mover.run(orphan.queue, false);
    mover.run(config::dead_letter_queue(orphan.queue), true);
  }
  return all;
}

}  // namespace bale::service
