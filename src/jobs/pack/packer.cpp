#include "jobs/pack/packer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "jobs/pack/object_source.hpp"
#include "transfer/byte_io.hpp"

namespace bale::pack {
namespace {

/// How often a batch is packed anew because objects changed under it. Someone who overwrites an object faster than this
/// also sends an event each time: the last of them finds it at rest.
constexpr int most_rounds = 3;
/// What the description of an object may well take: counted before its attributes are known.
constexpr ByteCount usual_description_bytes = 8 << 10;

/// S3 tells when an object was written to the second. The rest is for clocks of its servers that differ.
constexpr Milliseconds second_of_write{1000}, margin{500};

/// Some items of a batch on their way into one archive.
struct Round {
  std::vector<std::size_t> items;  ///< indices into the batch
  std::vector<std::size_t> changed;
  std::vector<std::size_t> put_off;  ///< for the next archive: this one was full
};

Error keeps_changing(const PackPlan& plan, const Item& item) {
  return Error(ErrorKind::unavailable, "the object keeps changing while it is read",
               to_uri(plan.source_bucket, item.key), "it is tried again; nothing has to be done");
}

archive::Deletion deletion_entry(const PackPlan& plan, const Item& item) {
  return {plan.source_bucket, plan.prefix, item.key, item.version_id, item.sequencer, item.time};
}

/// When the key began to have this content, where the event tells it and it differs from last_modified: of an older
/// version that came back, or of a multipart upload, whose object is dated by the upload's begin. Absent where it does
/// not; an event that claims to be later than its message is not believed.
std::optional<TimePoint> current_since(const Item& item, TimePoint last_modified) {
  const Milliseconds least = item.ask_source ? Milliseconds(1) : 2 * second_of_write;
  if (item.sequencer.empty() || item.time < last_modified + least) return std::nullopt;
  if (item.announced && item.time > *item.announced + second_of_write) return std::nullopt;
  return item.time;
}

archive::ManifestObject object_entry(const PackPlan& plan, const Item& item, const FetchedObject& fetched,
                                     const archive::WrittenMember& written) {
  archive::ManifestObject entry;
  take_attributes(fetched, entry);
  entry.source_bucket = plan.source_bucket;
  entry.source_prefix = plan.prefix;
  entry.object_name = basename(item.key.str());
  entry.relative_key = relative_key(item.key.str(), plan.prefix);
  entry.key = item.key;
  entry.member = written.member;
  entry.current_since = current_since(item, entry.last_modified);
  entry.sequencer = item.sequencer;
  entry.sha256 = to_hex_digest(written.sha256);
  entry.data_offset = written.data_offset;
  return entry;
}

ObjectKey key_of(const PackPlan& plan, const std::vector<const Item*>& items, TimePoint created) {
  Sha256 hash;
  for (const Item* item : items) {
    hash.update(as_bytes(fmt::format("{}\n{}\n{}\n{}\n", percent_encode(item->key.str()), item->sequencer,
                                     item->version_id.str(), item->etag.str())));
  }
  return ObjectKey(fmt::format("{}backup_{}_{}.tar.zst", plan.archive_prefix, to_epoch_ms(created),
                               to_hex_digest(hash.finish()).substr(0, 8)));
}

}  // namespace

std::string relative_key(std::string_view key, std::string_view prefix) {
  if (prefix.empty() || !key.starts_with(prefix)) return std::string(key);
  const std::string_view rest = key.substr(prefix.size());
  return rest.starts_with('/') ? std::string(rest.substr(1)) : std::string(key);
}

ObjectKey archive_key(const PackPlan& plan, const std::vector<Item>& items, TimePoint created) {
  std::vector<const Item*> all;
  for (const Item& item : items) all.push_back(&item);
  return key_of(plan, all, created);
}

/// One call of Packer::pack.
class BatchPacking {
 public:
  BatchPacking(const PackPlan& plan, store::ObjectStore& source, store::ObjectStore& outbound, os::World& world,
               flow::Pools pools, flow::MemoryBudget& budget, std::vector<Item> items, std::stop_token stop)
      : plan_(plan),
        source_(source),
        outbound_(outbound),
        world_(world),
        pools_(pools),
        budget_(budget),
        items_(std::move(items)),
        stop_(std::move(stop)) {
    result_.items.resize(items_.size());
  }

  PackResult run() {
    std::vector<std::size_t> unknown, pending;
    for (std::size_t i = 0; i < items_.size(); ++i) (is_known(items_[i]) ? pending : unknown).push_back(i);
    ask(unknown, pending);
    for (int round = 0; !pending.empty() && round < most_rounds; ++round) {
      let_settle(pending);
      std::vector<std::size_t> changed;
      for (std::vector<std::size_t>& group : groups_of(pending)) {
        const std::vector<std::size_t> more = pack_round(std::move(group));
        changed.insert(changed.end(), more.begin(), more.end());
      }
      pending.clear();
      ask(changed, pending);
    }
    for (const std::size_t i : pending) set_failed(i, keeps_changing(plan_, items_[i]));
    return std::move(result_);
  }

 private:
  /// Whether what the event says is enough to read the object. A wrong size of an object that is read by one request
  /// costs that request; a larger one's would spoil the plan of the archive, and asking costs little beside reading it.
  bool is_known(const Item& item) const {
    if (item.deleted) return true;
    return !item.ask_source && !item.etag.empty() && item.size <= plan_.frame_size;
  }

  /// Waits until the second is over in which an item without sequencer was written, where it may not be yet. What is
  /// read then under the same ETag is the newest content of that second. The local clock is not asked: the queue's and
  /// the store's are compared.
  void let_settle(const std::vector<std::size_t>& pending) {
    const bool any_fresh = std::any_of(pending.begin(), pending.end(), [&](std::size_t i) {
      const Item& item = items_[i];
      return !item.deleted && item.sequencer.empty() && item.announced &&
             *item.announced < item.time + 2 * second_of_write;
    });
    if (any_fresh && !world_.clock.sleep_for(second_of_write + margin, stop_))
      throw Error(ErrorKind::cancelled, "stopped while packing", to_uri(plan_.source_bucket, ObjectKey()));
  }

  /// Cuts items into archives by their true sizes.
  std::vector<std::vector<std::size_t>> groups_of(const std::vector<std::size_t>& items) const {
    std::vector<std::vector<std::size_t>> groups;
    ByteCount bytes = plan_.max_bytes;
    for (const std::size_t i : items) {
      if (bytes >= plan_.max_bytes) {
        groups.emplace_back();
        bytes = 0;
      }
      groups.back().push_back(i);
      bytes += items_[i].size;
    }
    return groups;
  }

  void set_failed(std::size_t item, Error error, bool attributes_failed = false) {
    result_.items[item] = {Fate::failed, std::move(error), attributes_failed};
  }

  /// Learns size and ETag of objects by HEAD; those that are there are added to `known`, and so are keys without object
  /// whose deletion is to be recorded.
  void ask(const std::vector<std::size_t>& items, std::vector<std::size_t>& known) {
    std::vector<std::optional<store::ObjectInfo>> infos(items.size());
    std::vector<std::optional<Error>> errors(items.size());
    flow::TaskGroup group;
    for (std::size_t n = 0; n < items.size(); ++n) {
      group.run(pools_.connections, [&, n] {
        const Item& item = items_[items[n]];
        try {
          infos[n] = source_.head({plan_.source_bucket, item.key}, {.version_id = item.version_id, .if_match = {}});
        } catch (const Error& error) {
          errors[n] = error;
        }
      });
    }
    group.wait();
    for (std::size_t n = 0; n < items.size(); ++n) {
      Item& item = items_[items[n]];
      if (errors[n]) {
        set_failed(items[n], *errors[n], true);
      } else if (!infos[n] && item.ask_source) {
        item.deleted = true;
        known.push_back(items[n]);
      } else if (!infos[n]) {
        result_.items[items[n]] = {Fate::gone, std::nullopt, false};
      } else {
        item.size = infos[n]->size;
        item.etag = infos[n]->etag;
        if (item.sequencer.empty()) item.time = infos[n]->last_modified;
        known.push_back(items[n]);
      }
    }
  }

  /// Packs the items into one archive. Returns those that changed since they were announced.
  std::vector<std::size_t> pack_round(std::vector<std::size_t> items) {
    Round round{std::move(items), {}, {}};
    while (!round.items.empty()) {
      // Else a large object failed half-way: the archive was given up, and is written again without it.
      if (write_one(round)) round.items = std::exchange(round.put_off, {});
      if (!round.items.empty() && stop_.stop_requested())
        throw Error(ErrorKind::cancelled, "stopped while packing", to_uri(plan_.source_bucket, ObjectKey()));
    }
    return round.changed;
  }

  /// Writes the archive of round.items. False when it was given up for one object, which has then been taken out of the
  /// round, or is to be read once more.
  bool write_one(Round& round) {
    const auto started = world_.clock.steady();
    std::vector<std::size_t> deletions;
    const std::vector<std::size_t> objects = order_objects(round.items, deletions);
    std::vector<archive::PlannedMember> members;
    std::vector<Item> wanted;
    ByteCount total = 0;
    for (const std::size_t i : objects) {
      members.push_back({relative_key(items_[i].key.str(), plan_.prefix), items_[i].size});
      wanted.push_back(items_[i]);
      total += items_[i].size + 2048;  // headers and padding
    }
    ObjectMembers source(source_, plan_.source_bucket, std::move(wanted), plan_.description_bytes);
    const flow::Ticket described =
        budget_.charge(std::min(plan_.description_bytes, objects.size() * usual_description_bytes));
    const TimePoint created = world_.clock.now();
    std::vector<const Item*> all;
    for (const std::size_t i : round.items) all.push_back(&items_[i]);
    const ObjectKey key = key_of(plan_, all, created);
    auto sink =
        transfer::open_object_sink(outbound_, pools_.connections, {plan_.outbound_bucket, key}, sink_options(total));
    std::size_t entries = 0;
    const auto manifest = [&](const archive::WriteResult& written) -> std::optional<std::string> {
      std::string text = manifest_text(created, objects, deletions, source, written, entries);
      if (entries == 0) return std::nullopt;
      return text;
    };
    archive::WriterOptions options;
    options.level = plan_.level;
    options.levels = plan_.levels;
    options.frame_size = plan_.frame_size;
    options.stop = stop_;
    try {
      const archive::WriteResult written =
          archive::write_archive(members, source, manifest, *sink, pools_, budget_, options);
      settle(round, objects, deletions, written, source);
      if (entries > 0) report(key, objects, written, started);
      return true;
    } catch (const archive::MemberLost& lost) {
      const std::size_t item = objects.at(lost.index());
      // Perhaps its bytes were damaged on the way: they are read once more.
      if (lost.kind() == ErrorKind::corrupt && read_again_.insert(item).second) return false;
      classify(round, item, lost, source.fetched(lost.index()).tags_failed);
      std::erase(round.items, item);
      return false;
    }
  }

  std::vector<std::size_t> order_objects(const std::vector<std::size_t>& items,
                                         std::vector<std::size_t>& deletions) const {
    std::vector<std::size_t> objects;
    std::vector<archive::PlannedMember> names;
    for (const std::size_t i : items) {
      if (items_[i].deleted) {
        deletions.push_back(i);
      } else {
        objects.push_back(i);
        names.push_back({relative_key(items_[i].key.str(), plan_.prefix), items_[i].size});
      }
    }
    std::vector<std::size_t> ordered;
    for (const std::size_t n : archive::like_beside_like(names)) ordered.push_back(objects[n]);
    return ordered;
  }

  static transfer::ObjectSinkOptions sink_options(ByteCount total) {
    transfer::ObjectSinkOptions options;
    options.attributes.headers.content_type = "application/zstd";
    options.conditions.if_none_match = true;
    options.name_is_own = true;
    options.expected_bytes = total + total / 128 + (1 << 20);  // what zstd can add at worst, and the manifest
    return options;
  }

  /// Sets in `entries` how many objects and deletions are in it.
  std::string manifest_text(TimePoint created, const std::vector<std::size_t>& objects,
                            const std::vector<std::size_t>& deletions, ObjectMembers& source,
                            const archive::WriteResult& written, std::size_t& entries) const {
    archive::Manifest manifest;
    manifest.source_region = plan_.source_region;
    manifest.created = created;
    manifest.level = written.level;
    manifest.targets = plan_.targets;
    archive::ManifestWriter text(manifest);
    entries = deletions.size();
    for (std::size_t n = 0; n < objects.size(); ++n) {
      if (written.members[n].failure) continue;
      text.add(object_entry(plan_, items_[objects[n]], source.fetched(n), written.members[n]));
      source.forget_attributes(n);
      ++entries;
    }
    for (const std::size_t i : deletions) text.add(deletion_entry(plan_, items_[i]));
    return text.take();
  }

  void settle(Round& round, const std::vector<std::size_t>& objects, const std::vector<std::size_t>& deletions,
              const archive::WriteResult& written, const ObjectMembers& source) {
    for (const std::size_t i : deletions) result_.items[i] = {Fate::recorded, std::nullopt, false};
    for (std::size_t n = 0; n < objects.size(); ++n) {
      if (written.members[n].failure)
        classify(round, objects[n], *written.members[n].failure, source.fetched(n).tags_failed);
      else
        result_.items[objects[n]] = {Fate::packed, std::nullopt, false};
    }
  }

  /// What a failed read of one object means for its item.
  void classify(Round& round, std::size_t item, const Error& error, bool attributes_failed) {
    if (error.kind() == ErrorKind::cancelled) throw error;
    if (error.code() == put_off_code)
      round.put_off.push_back(item);
    else if (error.code() == "NoSuchKey" || error.code() == "NoSuchVersion")
      result_.items[item] = {Fate::gone, std::nullopt, false};
    else if (error.kind() == ErrorKind::precondition)
      round.changed.push_back(item);
    else
      set_failed(item, error, attributes_failed);
  }

  void report(const ObjectKey& key, const std::vector<std::size_t>& objects, const archive::WriteResult& written,
              std::chrono::steady_clock::time_point started) {
    PackedArchive archive;
    archive.key = key;
    archive.archive_bytes = written.archive_bytes;
    archive.level = written.level;
    archive.core_seconds = written.core_seconds;
    for (std::size_t n = 0; n < objects.size(); ++n) {
      if (written.members[n].failure) continue;
      ++archive.objects;
      archive.object_bytes += items_[objects[n]].size;
    }
    archive.duration = std::chrono::duration_cast<Milliseconds>(world_.clock.steady() - started);
    result_.archives.push_back(std::move(archive));
  }

  const PackPlan& plan_;
  store::ObjectStore& source_;
  store::ObjectStore& outbound_;
  os::World& world_;
  flow::Pools pools_;
  flow::MemoryBudget& budget_;
  std::vector<Item> items_;
  std::stop_token stop_;
  std::set<std::size_t> read_again_;  ///< large objects whose bytes were not those that the store says
  PackResult result_;
};

Packer::Packer(PackPlan plan, store::ObjectStore& source, store::ObjectStore& outbound, os::World& world,
               telemetry::Log& log, flow::Pools pools, flow::MemoryBudget& budget)
    : plan_(std::move(plan)),
      source_(source),
      outbound_(outbound),
      world_(world),
      log_(log),
      pools_(pools),
      budget_(budget) {}

PackResult Packer::pack(const std::vector<Item>& items, std::stop_token stop) {
  PackResult result = BatchPacking(plan_, source_, outbound_, world_, pools_, budget_, items, std::move(stop)).run();
  for (const PackedArchive& archive : result.archives) {
    log_.info("pack.done", "packed an archive",
              {{"archive", to_uri(plan_.outbound_bucket, archive.key)},
               {"objects", archive.objects},
               {"object_bytes", archive.object_bytes},
               {"archive_bytes", archive.archive_bytes},
               {"level", archive.level},
               {"milliseconds", archive.duration.count()}});
  }
  return result;
}

}  // namespace bale::pack
