#include "cli/orphan_printer.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/output.hpp"

namespace bale::cli {

using Json = nlohmann::ordered_json;

service::Ports ports_of(Context& context) {
  return {[&context](const Region& region) -> store::ObjectStore& { return context.store(region); },
          [&context](const Region& region) -> queue::MessageQueue& { return context.queues(region); },
          [&context](const Region& region) -> records::RecordStore& { return context.records(region); }};
}

void print_orphans(Context& context, const service::Orphans& orphans) {
  using enum Align;
  Table table({{"NOT CONFIGURED"}, {"NAME"}, {"REGION"}, {"WAITING", right}, {"IN FLIGHT", right}, {"FAILED", right}});
  const auto add = [&](const char* kind, const std::string& name, const Region& region, std::uint64_t waiting,
                       std::uint64_t in_flight, std::uint64_t failed, const std::string& queue) {
    Json line = {{"type", "orphan"},   {"kind", kind},           {"name", name},    {"region", region.str()},
                 {"waiting", waiting}, {"in_flight", in_flight}, {"failed", failed}};
    if (!queue.empty()) line["queue"] = queue;
    emit_json(context, line);
    table.add(
        {kind, escape_name(name), region.str(), format_count(waiting), format_count(in_flight), format_count(failed)});
  };
  for (const service::OrphanedQueue& queue : orphans.queues)
    add("queue", queue.queue.str(), queue.region, queue.depth.visible + queue.depth.delayed, queue.depth.in_flight,
        queue.failed, {});
  for (const service::StagingStatus& staging : orphans.staging)
    add("staging", staging.bucket.str(), staging.region, staging.archives, 0, 0, {});
  for (const service::OrphanedNotification& told : orphans.notifications)
    add("notification", told.bucket.str() + "/" + told.rule.prefix + "*" + told.rule.suffix, told.region, 0, 0, 0,
        told.queue.str());
  const bool any = !orphans.queues.empty() || !orphans.staging.empty() || !orphans.notifications.empty();
  if (any && !context.json()) context.print("\n" + table.text());
  for (const Error& error : orphans.unseen) {
    context.log().warning("replicate.orphans", "cannot look for what is not configured any more",
                          {{"error", error.what()}});
  }
}

}  // namespace bale::cli
