#include "jobs/collect/backfill.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "store/events.hpp"
#include "store/listing.hpp"

namespace bale::collect {
namespace {

/// Events of several objects travel in one message; its objects are settled together, so that one that fails brings
/// back only a few others.
constexpr std::size_t objects_per_message = 10;

std::string time_text(const std::optional<TimePoint>& time) { return time ? to_iso8601(*time) : ""; }

/// The longer of two prefixes of which one must begin with the other.
std::string narrower_prefix(const std::string& own, const std::string& asked, const config::Source& source) {
  if (asked.starts_with(own)) return asked;
  if (own.starts_with(asked)) return own;
  throw Error(ErrorKind::invalid, fmt::format("no object of this source starts with '{}'", asked),
              "s3://" + source.bucket.str() + "/" + own, "give a prefix within the source's prefix_filter");
}

/// Where an interrupted backfill is. One record per source and filter.
class Cursor {
 public:
  Cursor(records::RecordStore& records, const TableName& table, const QueueName& queue, const BackfillFilter& filter,
         const std::string& prefix)
      : records_(records), table_(table) {
    const std::string what =
        fmt::format("{}\n{}\n{}\n{}", prefix, filter.suffix, time_text(filter.since), time_text(filter.until));
    key_ = {{"id", records::Value("backfill#" + queue.str() + "#" + to_hex_digest(Sha256::of(as_bytes(what))))}};
  }
  std::string load() const {
    const auto item = records_.get(table_, key_);
    if (!item) return {};
    const auto found = item->find("last_key");
    const std::string* text = found == item->end() ? nullptr : std::get_if<std::string>(&found->second.data);
    return text == nullptr ? std::string() : *text;
  }
  void save(const std::string& last_key) {
    records::Item item = key_;
    item["last_key"] = records::Value(last_key);
    records_.put(table_, item);
  }
  void clear() { records_.remove(table_, key_); }

 private:
  records::RecordStore& records_;
  const TableName& table_;
  records::Item key_;
};

bool passes(const store::ListedObject& object, const BackfillFilter& filter, const config::Source& source) {
  const std::string& key = object.key.str();
  return key.ends_with(source.suffix) && key.ends_with(filter.suffix) &&
         (!filter.since || object.last_modified >= *filter.since) &&
         (!filter.until || object.last_modified < *filter.until);
}

}  // namespace

Backfill::Backfill(const config::Source& source, store::ObjectStore& store, queue::MessageQueue& queues,
                   QueueName queue, records::RecordStore& records, TableName table, os::World& world)
    : source_(source),
      store_(store),
      queues_(queues),
      queue_(std::move(queue)),
      records_(records),
      table_(std::move(table)),
      world_(world) {}

BackfillResult Backfill::run(const BackfillFilter& filter, bool restart, bool dryrun,
                             const std::function<void(const BackfillResult&)>& progress) {
  store::ListRequest request;
  request.prefix = narrower_prefix(source_.prefix.empty() ? "" : source_.prefix + "/", filter.prefix, source_);
  Cursor cursor(records_, table_, queue_, filter, request.prefix);
  BackfillResult result;
  if (!dryrun && !restart) request.start_after = cursor.load();
  result.resumed = !request.start_after.empty();
  store::Listing pages(store_, source_.bucket, request);
  for (;;) {
    if (world_.stop.stop_requested()) return result;
    const auto page = pages.next();
    if (!page) break;
    std::vector<std::string> messages;
    std::vector<store::ObjectEvent> events;
    const auto flush = [&] {
      if (!events.empty()) messages.push_back(store::make_backfill_message(events, source_.region));
      events.clear();
    };
    for (const store::ListedObject& object : page->objects) {
      ++result.looked_at;
      if (!passes(object, filter, source_)) continue;
      events.push_back(
          {source_.bucket, object.key, false, object.size, object.etag, VersionId(), "", object.last_modified});
      ++result.objects;
      result.bytes += object.size;
      if (events.size() == objects_per_message) flush();
    }
    flush();
    if (!dryrun) {
      for (const auto& sent : queues_.send(queue_, messages)) {
        if (sent) throw *sent;
      }
      if (!page->objects.empty()) cursor.save(page->objects.back().key.str());
    }
    progress(result);
  }
  if (!dryrun) cursor.clear();
  result.finished = true;
  return result;
}

}  // namespace bale::collect
