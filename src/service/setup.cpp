#include "service/setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.hpp"
#include "compression/statistics_item.hpp"

namespace bale::service {
namespace {

/// What SQS takes to know a queue's new permissions everywhere is "up to 60 seconds".
/// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
constexpr Milliseconds permission_patience{90'000};
constexpr Milliseconds first_pause{500}, longest_pause{8'000};

/// S3 tries whether it may send to the queue before it takes a rule.
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-enable-disable-notification-intro.html
bool is_not_allowed_yet(const Error& error) {
  return error.code() == "InvalidArgument" && error.summary().find("Unable to validate") != std::string::npos;
}

/// Ceph RGW, which notifies topics of its own only, does not understand what a queue is.
bool knows_no_queues(const Error& error) {
  return error.kind() == ErrorKind::unsupported || error.code() == "MalformedXML" || error.code() == "NotImplemented";
}

bool same_rule(const store::NotificationRule& a, const store::NotificationRule& b) {
  return a.id == b.id && a.queue == b.queue && a.events == b.events && a.prefix == b.prefix && a.suffix == b.suffix;
}

class Setup {
 public:
  /// `ports` null: nothing is there yet, and nothing is made; then `world` may be null too.
  Setup(const config::ReplicationConfig& config, const Ports* ports, os::World* world, bool dryrun)
      : config_(config), settings_(config.settings), ports_(ports), maker_(dryrun ? nullptr : ports), world_(world) {}

  std::vector<SetupStep> run() {
    for (const config::Rule& rule : config_.rules) make_rule(rule);
    for (const Region& region : source_regions()) make_source_region(region);
    for (const Region& region : target_regions()) make_target_region(region);
    for (const auto& [bucket, rules] : notifications_) set_notifications(bucket, rules);
    return std::move(steps_);
  }

 private:
  struct QueueTimes {
    std::chrono::seconds visibility{0};
    std::uint32_t max_receive_count = 0;
  };

  std::vector<Region> source_regions() const {
    std::vector<Region> regions;
    for (const config::Rule& rule : config_.rules) add_once(regions, rule.source.region);
    return regions;
  }

  std::vector<Region> target_regions() const {
    std::vector<Region> regions;
    for (const config::Rule& rule : config_.rules) {
      for (const Region& region : config::destination_regions(rule.destinations)) add_once(regions, region);
    }
    return regions;
  }

  static void add_once(std::vector<Region>& regions, const Region& region) {
    if (std::find(regions.begin(), regions.end(), region) == regions.end()) regions.push_back(region);
  }

  /// The queues between the regions serve several rules: they wait as long as the most patient of them.
  template <typename Concerned>
  QueueTimes times_of(Concerned concerned) const {
    QueueTimes times;
    for (const config::Rule& rule : config_.rules) {
      if (!concerned(rule)) continue;
      times.visibility = std::max(times.visibility, rule.source.visibility_timeout);
      times.max_receive_count = std::max(times.max_receive_count, rule.source.max_receive_count);
    }
    return times;
  }

  void make_rule(const config::Rule& rule) {
    const config::Source& source = rule.source;
    bucket(source.bucket, source.region, "source");
    for (const config::Destination& destination : rule.destinations) {
      bucket(destination.bucket, destination.region, destination.backup ? "destination (backup)" : "destination");
    }
    const QueueName name = config::source_queue(settings_, source);
    queue(name, source.region, {source.visibility_timeout, source.max_receive_count}, source.bucket,
          "events of " + source.bucket.str());
    store::NotificationRule notification = created_rule(name);
    if (source.track_deletes) notification.events.emplace_back("s3:ObjectRemoved:*");
    notification.prefix = source.prefix.empty() ? "" : source.prefix + "/";
    notification.suffix = source.suffix;
    notify(source.bucket, source.region, name, std::move(notification));
  }

  void make_source_region(const Region& region) {
    const BucketName outbound = config::outbound_bucket(settings_, region);
    bucket(outbound, region, "staging: archives to be relayed");
    const QueueName name = config::relay_queue(settings_, region);
    queue(name, region, times_of([&](const config::Rule& rule) { return rule.source.region == region; }), outbound,
          "archives to be relayed");
    notify(outbound, region, name, created_rule(name));
    table(config::replication_table(settings_), region, "id", "what replicate itself has to remember");
    table(config::levels_table(settings_), region, std::string(compression::settings_key_attribute),
          "what is learned of compression levels");
  }

  void make_target_region(const Region& region) {
    const BucketName inbound = config::inbound_bucket(settings_, region);
    bucket(inbound, region, "staging: archives to be landed");
    bucket(config::catalog_bucket(settings_, region), region, "catalog");
    const QueueName name = config::target_queue(settings_, region);
    const auto lands_here = [&](const config::Rule& rule) {
      const auto regions = config::destination_regions(rule.destinations);
      return std::find(regions.begin(), regions.end(), region) != regions.end();
    };
    queue(name, region, times_of(lands_here), inbound, "archives to be landed");
    notify(inbound, region, name, created_rule(name));
    table(config::replication_table(settings_), region, "id", "what replicate itself has to remember");
  }

  static store::NotificationRule created_rule(const QueueName& name) {
    store::NotificationRule rule;
    rule.id = "bale-" + name.str();
    rule.events.emplace_back("s3:ObjectCreated:*");
    return rule;
  }

  void add_step(std::string kind, std::string name, const Region& region, std::string detail, bool exists) {
    steps_.push_back({std::move(kind), std::move(name), region, std::move(detail), exists, {}});
  }

  void bucket(const BucketName& name, const Region& region, const std::string& purpose) {
    if (!buckets_.insert(name).second) return;
    const auto there = ports_ == nullptr ? std::nullopt : ports_->store(region).head_bucket(name);
    if (there && there->region != region) {
      throw Error(ErrorKind::invalid,
                  fmt::format("the bucket is in {}, the configuration says {}", there->region.str(), region.str()),
                  "s3://" + name.str(), "correct the region in replication_config.json");
    }
    if (!there && maker_ != nullptr) create_bucket(maker_->store(region), name);
    add_step("bucket", name.str(), region, purpose, there.has_value());
  }

  /// That it has just been made is as good: by another who sets up the same, or by this very request, which was sent
  /// twice on its way.
  static void create_bucket(store::ObjectStore& store, const BucketName& name) {
    try {
      store.create_bucket(name);
    } catch (const Error& error) {
      if (error.code() != "BucketAlreadyOwnedByYou") throw;
    }
  }

  /// A queue that takes the events of a bucket, with its dead-letter queue.
  void queue(const QueueName& name, const Region& region, QueueTimes times, const BucketName& event_source,
             const std::string& purpose) {
    const QueueName dead_letter = config::dead_letter_queue(name);
    const bool exists =
        ports_ != nullptr && ports_->queues(region).exists(name) && ports_->queues(region).exists(dead_letter);
    if (maker_ != nullptr) {
      queue::MessageQueue& queues = maker_->queues(region);
      queue::QueueSettings dead;
      dead.retention =
          std::chrono::hours(14 * 24);  // the longest that SQS keeps a message: time to find out and redrive
      queues.create(dead_letter, dead);
      queue::QueueSettings settings;
      settings.visibility_timeout = times.visibility;
      settings.retention = dead.retention;
      settings.dead_letter = dead_letter;
      settings.max_receive_count = times.max_receive_count;
      settings.event_sources = {event_source};
      queues.create(name, settings);
    }
    add_step("queue", name.str(), region, purpose, exists);
  }

  void table(const TableName& name, const Region& region, const std::string& key, const std::string& purpose) {
    if (!tables_.insert({region, name}).second) return;
    bool exists = ports_ != nullptr && ports_->records(region).describe_table(name).has_value();
    if (!exists && maker_ != nullptr) exists = !make_table(maker_->records(region), name, key);
    add_step("table", name.str(), region, purpose, exists);
  }

  /// False when somebody else made it at the same time; it can be used then.
  static bool make_table(records::RecordStore& records, const TableName& name, const std::string& key) {
    try {
      records.create_table(name, {{key, records::KeyType::string}, std::nullopt});
      return true;
    } catch (const Error& error) {
      if (error.code() != "ResourceInUseException" || !records.describe_table(name)) throw;
      return false;
    }
  }

  /// To be called after queue(): a rule names its queue as the bucket knows it.
  void notify(const BucketName& bucket, const Region& region, const QueueName& queue, store::NotificationRule rule) {
    const bool is_there = ports_ != nullptr && (maker_ != nullptr || ports_->queues(region).exists(queue));
    rule.queue = is_there ? ports_->queues(region).notification_target(queue) : queue.str();
    auto& entry = notifications_[bucket];
    entry.region = region;
    entry.queues.push_back(queue);
    entry.rules.push_back(std::move(rule));
  }

  struct BucketRules {
    Region region;
    std::vector<store::NotificationRule> rules;
    std::vector<QueueName> queues;  ///< of the rules, one each
  };

  void set_notifications(const BucketName& bucket, const BucketRules& wanted) {
    std::vector<store::NotificationRule> present;
    if (ports_ != nullptr && ports_->store(wanted.region).head_bucket(bucket))
      present = ports_->store(wanted.region).get_notifications(bucket);
    // Ours are replaced as a whole, so that a rule that left the configuration goes too; those of others stay.
    // Another stack, whose name only starts with this one's, is one of the others.
    std::vector<store::NotificationRule> all;
    const std::string ours = fmt::format("bale-{}-source-", settings_.stack_name);
    const auto is_wanted = [&](const store::NotificationRule& rule) {
      return std::any_of(wanted.rules.begin(), wanted.rules.end(),
                         [&](const auto& each) { return each.id == rule.id; });
    };
    for (const store::NotificationRule& rule : present) {
      if (!rule.id.starts_with(ours) && !is_wanted(rule)) all.push_back(rule);
    }
    all.insert(all.end(), wanted.rules.begin(), wanted.rules.end());
    const bool same = std::is_permutation(all.begin(), all.end(), present.begin(), present.end(), same_rule);
    if (!same && maker_ != nullptr) tell_queues(bucket, wanted, all);
    for (std::size_t i = 0; i < wanted.rules.size(); ++i) {
      const store::NotificationRule& rule = wanted.rules[i];
      add_step("notification", bucket.str() + "/" + rule.prefix + "*" + rule.suffix, wanted.region,
               "to " + wanted.queues[i].str(), same);
      steps_.back().queue = wanted.queues[i];
    }
  }

  void tell_queues(const BucketName& bucket, const BucketRules& wanted,
                   const std::vector<store::NotificationRule>& rules) {
    try {
      set_when_allowed(maker_->store(wanted.region), bucket, rules);
    } catch (const Error& error) {
      if (!knows_no_queues(error)) throw;
      throw error
          .with_summary(fmt::format("the server cannot tell the queue {} of the bucket's objects: {}",
                                    wanted.queues.front().str(), error.summary()))
          .with_hint(
              "all buckets, queues and tables are made. A server that knows no SQS needs a bridge to the queues: "
              "docs/replicate.md, Events");
    }
  }

  /// Sets the rules, as soon as their queues' permissions are known to S3.
  void set_when_allowed(store::ObjectStore& store, const BucketName& bucket,
                        const std::vector<store::NotificationRule>& rules) {
    const auto deadline = world_->clock.steady() + permission_patience;
    for (Milliseconds pause = first_pause;; pause = std::min(pause * 2, longest_pause)) {
      try {
        return store.set_notifications(bucket, rules);
      } catch (const Error& error) {
        if (!is_not_allowed_yet(error)) throw;
        if (world_->clock.steady() >= deadline) {
          throw error.with_hint(
              "may S3 send to each queue of the bucket's rules? The queue has to be in the bucket's region, and the "
              "key of an encrypted queue has to allow s3.amazonaws.com");
        }
      }
      if (!world_->clock.sleep_for(pause, world_->stop))
        throw Error(ErrorKind::cancelled, "stopped while waiting for a queue's permissions", "s3://" + bucket.str());
    }
  }

  const config::ReplicationConfig& config_;
  const config::Settings& settings_;
  const Ports* const ports_;
  const Ports* const maker_;  ///< null: nothing is made
  os::World* const world_;
  std::vector<SetupStep> steps_;
  std::set<BucketName> buckets_;
  std::set<std::pair<Region, TableName>> tables_;  ///< those that are done
  std::map<BucketName, BucketRules> notifications_;
};

}  // namespace

std::vector<SetupStep> set_up_replication(const config::ReplicationConfig& config, const Ports& ports, os::World& world,
                                          bool dryrun) {
  return Setup(config, &ports, &world, dryrun).run();
}

std::vector<SetupStep> plan_replication(const config::ReplicationConfig& config) {
  return Setup(config, nullptr, nullptr, true).run();
}

}  // namespace bale::service
