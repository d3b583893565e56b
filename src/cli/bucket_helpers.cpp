// bale bucket list-tagged, lifecycle
#include "cli/bucket_helpers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/s3_commands.hpp"
#include "flow/item_runner.hpp"
#include "jobs/bucket/place.hpp"

namespace bale::cli {
namespace {

using Json = nlohmann::ordered_json;

/// The rule that `lifecycle on` writes.
constexpr const char* rule_id = "bale-transition";
/// The rule that the helper of s3-backup-restore wrote to turn the move on.
constexpr const char* rule_id_of_script = "EnabledTransitioningToGlacier";

/// Looks at the tags of objects, several at a time.
class TagSearch {
 public:
  TagSearch(Context& context, WantedTags wanted) : context_(context), wanted_(std::move(wanted)) {}

  int run(const ObjectAddress& where) {
    require_bucket(context_, where.bucket);
    {
      const ProgressPrinter printer(context_, progress_, "looking at");
      flow::ItemRunner runner(context_.options().connections, context_.stop());
      for_each_object(context_, where.bucket, where.key.str(), [&](const store::ListedObject& object) {
        if (bucket::is_own_key(object.key.str())) return;
        runner.run(
            [this, address = ObjectAddress{where.bucket, object.key}, size = object.size] { look(address, size); });
      });
      runner.wait();
      const auto failures = runner.failures();  // of the output
      if (!failures.empty()) throw failures.front().error;
    }
    if (context_.stop().stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    emit(context_,
         {{"type", "summary"},
          {"objects", progress_.items_done.load()},
          {"found", found_.load()},
          {"failed", progress_.items_failed.load()}},
         fmt::format("{} of {} found, {} failed", format_count(found_),
                     format_count(progress_.items_done + progress_.items_failed, "object"),
                     format_count(progress_.items_failed)));
    return progress_.items_failed == 0 ? exit_ok : exit_some_failed;
  }

 private:
  void look(const ObjectAddress& object, ByteCount size) {
    if (context_.stop().stop_requested()) return;
    try {
      const store::Tags tags = context_.store(context_.region()).get_tags(object);
      ++progress_.items_done;
      if (!has_tags(tags, wanted_)) return;
      ++found_;
      Json line{{"type", "tagged"}};
      add_name(line, "key", object.key.str());
      line.update({{"size", size}, {"tags", tags}});
      emit(context_, line, escape_name(object.key.str()));
    } catch (...) {
      const Error error = current_error();
      if (error.kind() == ErrorKind::cancelled && context_.stop().stop_requested()) return;
      if (error.code() == "NoSuchKey") return;  // it was deleted meanwhile
      ++progress_.items_failed;
      emit_failure(context_, "tags of " + escape_name(to_uri(object)), error);
    }
  }

  Context& context_;
  const WantedTags wanted_;
  flow::Progress progress_;
  std::atomic<std::uint64_t> found_{0};
};

void emit_rule(Context& context, const store::LifecycleRule& rule, const char* type, bool dryrun = false) {
  std::string text = fmt::format("{}{}: {}{}", dryrun ? "(dryrun) " : "", type, escape_name(rule.id),
                                 rule.is_enabled ? "" : " (disabled)");
  if (!rule.prefix.empty()) text += fmt::format(", prefix {}", escape_name(rule.prefix));
  if (rule.transition_days)
    text += fmt::format(", to {} after {}", escape_for_terminal(rule.transition_class),
                        format_count(*rule.transition_days, "day"));
  Json line{{"type", type}, {"id", rule.id}, {"enabled", rule.is_enabled}, {"prefix", rule.prefix}, {"dryrun", dryrun}};
  if (rule.transition_days)
    line.update({{"transition_days", *rule.transition_days}, {"transition_class", rule.transition_class}});
  emit(context, line, text);
}

store::LifecycleRule rule_of(const LifecycleOptions& options) {
  store::LifecycleRule rule;
  rule.id = rule_id;
  rule.prefix = options.prefix;
  rule.transition_days = options.days;
  rule.transition_class = options.storage_class;
  return rule;
}

}  // namespace

WantedTags parse_wanted_tags(const std::vector<std::string>& texts) {
  WantedTags wanted;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty())
      throw Error(ErrorKind::invalid, fmt::format("'{}' is not a tag", escape_for_terminal(text)), "--tag",
                  "write NAME=VALUE or NAME");
    wanted.emplace_back(name, equals == std::string::npos ? std::nullopt : std::optional(text.substr(equals + 1)));
  }
  return wanted;
}

bool has_tags(const store::Tags& tags, const WantedTags& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& each) {
    const auto found = tags.find(each.first);
    return found != tags.end() && (!each.second || found->second == *each.second);
  });
}

int bucket_list_tagged(Context& context, const ListTaggedOptions& options) {
  context.break_off_on_stop();
  const ObjectAddress where = parse_s3_uri(options.uri);
  WantedTags wanted = parse_wanted_tags(options.tags);
  if (wanted.empty()) wanted.emplace_back("Deleted", "True");
  return TagSearch(context, std::move(wanted)).run(where);
}

int bucket_lifecycle(Context& context, const LifecycleOptions& options) {
  context.break_off_on_stop();
  const ObjectAddress where = parse_s3_uri(options.uri);
  if (!where.key.empty())
    throw Error(ErrorKind::invalid, "a lifecycle is one of a bucket", escape_name(options.uri),
                "write s3://bucket, and --prefix PREFIX");
  const bool dryrun = context.options().dryrun;
  store::BucketSettings& settings = context.bucket_settings(context.region());
  store::Lifecycle lifecycle = settings.get_lifecycle(where.bucket);
  if (options.state == "show") {
    for (const store::LifecycleRule& rule : lifecycle.rules) emit_rule(context, rule, "rule");
    return exit_ok;
  }
  if (options.state == "on") {
    if (!options.yes && !dryrun) {
      throw Error(ErrorKind::precondition,
                  fmt::format("objects in {} cannot be had as before: moving them costs money, and so does getting "
                              "them back",
                              options.storage_class),
                  escape_name(options.uri), "add --yes to move them, or --dryrun to see the rule");
    }
    const store::LifecycleRule rule = rule_of(options);
    if (!dryrun) settings.set_lifecycle(where.bucket, store::with_rule(std::move(lifecycle), rule));
    emit_rule(context, rule, "rule", dryrun);
    return exit_ok;
  }
  const auto is_ours = [](const store::LifecycleRule& rule) {
    return rule.id == rule_id || rule.id == rule_id_of_script;
  };
  const std::vector<store::LifecycleRule> all = lifecycle.rules;
  if (std::none_of(all.begin(), all.end(), is_ours)) {
    emit(context, {{"type", "lifecycle"}, {"removed", 0}}, "the move was not on");
    return exit_ok;
  }
  std::erase_if(lifecycle.rules, is_ours);
  if (!dryrun) settings.set_lifecycle(where.bucket, lifecycle);
  for (const store::LifecycleRule& rule : all) {
    if (is_ours(rule)) emit_rule(context, rule, "removed", dryrun);
  }
  return exit_ok;
}

}  // namespace bale::cli
