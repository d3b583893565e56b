#include "jobs/recover/restore.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/mutex.hpp"
#include "base/text.hpp"
#include "jobs/recover/restore_reader.hpp"

namespace bale::recover {
namespace {

// Between looks at archives that were asked for: S3 takes minutes to days.
constexpr Milliseconds first_pause = std::chrono::seconds(5);
constexpr Milliseconds longest_pause = std::chrono::minutes(1);

std::unique_ptr<RestoreDestination> destination_of(store::ObjectStore* store, const RestoreTarget& target,
                                                   const RestoreOptions& options, const catalog::RecordList& records,
                                                   os::World& world, flow::Pools pools, flow::MemoryBudget& budget) {
  if (target.directory) return make_directory_destination(world.files, *target.directory, records, options.overwrite);
  return make_bucket_destination(*store, target, records, options.overwrite, pools.connections, budget, world.stop);
}

/// What makes a record impossible to restore, whatever its archive says.
std::optional<Error> flaw_of(const catalog::Record& record, const catalog::ArchiveBuckets& buckets) {
  if (record.deleted)
    return Error(ErrorKind::not_found, "the object was deleted at its source", record.object_path.str());
  if (catalog::archive_places(record).empty()) {
    return Error(ErrorKind::unsupported, "the catalog row does not say where its archive is", record.backup_file,
                 "extract it from the archive with `bale archive extract`");
  }
  return buckets.refusal_of(record);
}

std::vector<std::size_t> records_of(const ArchivePlan& plan) {
  std::vector<std::size_t> all = plan.records;
  all.insert(all.end(), plan.unplaced.begin(), plan.unplaced.end());
  return all;
}

Error gone_error(const ObjectAddress& archive) {
  return Error(ErrorKind::not_found, "the archive that holds the object is not there any more", to_uri(archive),
               "`bale catalog search --all-versions` shows which other backups have the object");
}

Error unreadable_error(const ArchiveCopy& copy) {
  return Error(
      ErrorKind::denied, "the archive cannot be read, although it is not said to be archived", to_uri(copy.address),
      fmt::format("its storage class is {}: ask for it with `aws s3api restore-object`, then repeat the command",
                  copy.storage_class));
}

/// One call of Restore::run.
class RestoreRun {
 public:
  RestoreRun(const RestoreTools& tools, const std::function<void(const RestoredObject&)>& done,
             const ArchiveEvents& events)
      : tools_(tools), records_(tools.records), options_(tools.options), done_(done), events_(events) {
    tools_.settle = [this](std::size_t index, RestoreFate fate, const std::optional<Error>& error) {
      settle(index, fate, error);
    };
  }

  RestoreResult run() {
    const std::vector<std::size_t> wanted = look();
    const std::vector<ArchivePlan> plans = plan_restore(records_, wanted, options_.ranges, options_.buckets);
    result_.archives = plans.size();
    if (options_.dryrun) {
      foresee(plans);
      return result_;
    }
    RestoreReader reader(tools_);
    const std::vector<std::size_t> asleep = reader.read(plans);
    tools_.destination.sync();
    if (!asleep.empty()) wake(reader, plan_restore(records_, asleep, options_.ranges, options_.buckets));
    result_.requests = reader.requests();
    result_.bytes_read = reader.bytes_read();
    return result_;
  }

 private:
  /// An archive that was asked for.
  struct Sleeper {
    ArchivePlan plan;
    ArchiveCopy copy;
  };

  void settle(std::size_t index, RestoreFate fate, const std::optional<Error>& error) {
    const catalog::Record record = records_[index];
    RestoredObject object;
    object.record = &record;
    object.destination = tools_.destination.name(index);
    object.name_change = tools_.destination.name_change(index);
    object.fate = fate;
    object.error = error;
    if (fate == RestoreFate::restored && record.location) object.bytes_read = record.location->frame_length;
    if (options_.progress != nullptr) {
      ++(fate == RestoreFate::failed ? options_.progress->items_failed : options_.progress->items_done);
      if (fate != RestoreFate::failed) options_.progress->bytes_done += record.object_size.value_or(0);
    }
    const Lock lock(mutex_);
    done_(object);
  }
  void fail(const ArchivePlan& plan, const Error& error) {
    for (const std::size_t index : records_of(plan)) settle(index, RestoreFate::failed, error);
  }
  store::ObjectStore& store_of(const ArchivePlan& plan) { return tools_.archives(records_[records_of(plan).front()]); }

  /// `task` for each index, side by side. Throws Error{cancelled} after a stop.
  void for_each(std::size_t count, const std::function<void(std::size_t)>& task) {
    std::atomic<std::size_t> next{0};
    flow::TaskGroup group;
    for (std::size_t n = std::min(count, tools_.pools.connections.size()); n > 0; --n) {
      group.run(tools_.pools.connections, [&] {
        for (std::size_t i = next++; i < count; i = next++) {
          if (tools_.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while restoring");
          task(i);
        }
      });
    }
    group.wait();
  }

  /// Looks at the place of every object. Returns those that are to be written; the others are settled.
  std::vector<std::size_t> look() {
    if (options_.progress != nullptr) {
      options_.progress->items_total += records_.size();
      for (std::size_t index = 0; index < records_.size(); ++index)
        options_.progress->bytes_total += records_.object_size(index).value_or(0);
    }
    std::vector<char> is_wanted(records_.size(), 0);
    for_each(records_.size(), [&](std::size_t index) {
      try {
        if (const auto flaw = flaw_of(records_[index], options_.buckets)) throw Error(*flaw);
        if (tools_.destination.look(index))
          is_wanted[index] = 1;
        else
          settle(index, RestoreFate::same, std::nullopt);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) throw;
        settle(index, RestoreFate::failed, error);
      }
    });
    std::vector<std::size_t> wanted;
    for (std::size_t index = 0; index < is_wanted.size(); ++index) {
      if (is_wanted[index] != 0) wanted.push_back(index);
    }
    return wanted;
  }

  /// What a run would do: one HEAD for an archive, or a few where it is not readable.
  void foresee(const std::vector<ArchivePlan>& plans) {
    for_each(plans.size(), [&](std::size_t i) {
      const ArchivePlan& plan = plans[i];
      try {
        const ArchiveCopy copy = best_copy(store_of(plan), plan.copies);
        if (copy.access == Access::absent) throw gone_error(copy.address);
        foresee(plan, copy);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) throw;
        return fail(plan, error);
      }
      for (const std::size_t index : records_of(plan)) settle(index, RestoreFate::restored, std::nullopt);
    });
  }
  void foresee(const ArchivePlan& plan, const ArchiveCopy& copy) {
    const Lock lock(mutex_);
    result_.requests += plan.ranges.size();
    result_.bytes_read += plan.range_bytes();
    if (!plan.unplaced.empty()) {  // it has to be opened: its end, and, as of the reference, all of it
      result_.requests += 2;
      result_.bytes_read += copy.size;
    }
    if (copy.access == Access::archived) told_asked(copy);
    if (copy.access != Access::readable) ++result_.archives_waiting;
  }
  void told_asked(const ArchiveCopy& copy) BALE_REQUIRES(mutex_) {
    ++result_.archives_asked;
    if (events_.asked) events_.asked(copy);
  }

  /// Asks for the archives, reads each when it can be read, and goes on until none is left.
  void wake(RestoreReader& reader, std::vector<ArchivePlan> plans) {
    std::vector<Sleeper> sleepers = ask(std::move(plans));
    bool has_waited = false;
    for (Milliseconds pause{0};;) {
      read_awake(reader, sleepers);
      if (sleepers.empty()) break;
      if (!options_.archives.wait) return leave(sleepers);
      if (events_.waiting) events_.waiting(sleepers.size());
      has_waited = true;
      if (pause.count() > 0 && !tools_.world.clock.sleep_for(pause, tools_.world.stop))
        throw Error(ErrorKind::cancelled, "stopped while waiting for archives", {},
                    "they were asked for: run the same command again later");
      pause = std::clamp(2 * pause, first_pause, longest_pause);
      look_again(sleepers);
    }
    if (has_waited && events_.waiting) events_.waiting(0);
  }

  std::vector<Sleeper> ask(std::vector<ArchivePlan> plans) {
    std::vector<Sleeper> all(plans.size());
    std::vector<char> is_asked(plans.size(), 0);
    for_each(plans.size(), [&](std::size_t i) {
      Sleeper& sleeper = all[i];
      sleeper.plan = std::move(plans[i]);
      try {
        store::ObjectStore& store = store_of(sleeper.plan);
        sleeper.copy = best_copy(store, sleeper.plan.copies);
        if (sleeper.copy.access == Access::absent) throw gone_error(sleeper.copy.address);
        if (sleeper.copy.access == Access::archived) {
          transfer::request_restore(store, sleeper.copy.address, {}, sleeper.copy.storage_class, options_.archives);
          const Lock lock(mutex_);
          told_asked(sleeper.copy);
          sleeper.copy.access = Access::restoring;
        }
        is_asked[i] = 1;
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) throw;
        fail(sleeper.plan, error);
      }
    });
    std::vector<Sleeper> sleepers;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (is_asked[i] != 0) sleepers.push_back(std::move(all[i]));
    }
    return sleepers;
  }

  void look_again(std::vector<Sleeper>& sleepers) {
    for_each(sleepers.size(), [&](std::size_t i) {
      try {
        sleepers[i].copy = best_copy(store_of(sleepers[i].plan), {sleepers[i].copy.address});
      } catch (const Error& error) {
        // A look that fails in passing is followed by another; what lasts shows when the archive is read.
        if (error.kind() == ErrorKind::cancelled) throw;
        if (!is_transient(error.kind())) sleepers[i].copy.access = Access::readable;
      }
    });
  }

  /// Takes away those that can be read, or are gone, and reads them.
  void read_awake(RestoreReader& reader, std::vector<Sleeper>& sleepers) {
    const auto awake = std::stable_partition(sleepers.begin(), sleepers.end(), [](const Sleeper& sleeper) {
      return sleeper.copy.access == Access::restoring || sleeper.copy.access == Access::archived;
    });
    std::vector<Sleeper> ready(std::make_move_iterator(awake), std::make_move_iterator(sleepers.end()));
    sleepers.erase(awake, sleepers.end());
    if (ready.empty()) return;
    std::vector<ArchivePlan> plans;
    for (Sleeper& sleeper : ready) {
      sleeper.plan.copies = {sleeper.copy.address};
      plans.push_back(sleeper.plan);
    }
    const std::vector<std::size_t> still_asleep = reader.read(plans);
    tools_.destination.sync();
    for (const Sleeper& sleeper : ready) {
      for (const std::size_t index : records_of(sleeper.plan)) {
        if (std::find(still_asleep.begin(), still_asleep.end(), index) != still_asleep.end())
          settle(index, RestoreFate::failed, unreadable_error(sleeper.copy));
      }
    }
  }

  /// For another run.
  void leave(const std::vector<Sleeper>& sleepers) {
    result_.archives_waiting = sleepers.size();
    for (const Sleeper& sleeper : sleepers) {
      for (const std::size_t index : records_of(sleeper.plan)) settle(index, RestoreFate::waiting, std::nullopt);
    }
  }

  RestoreTools tools_;
  const catalog::RecordList& records_;
  const RestoreOptions& options_;
  const std::function<void(const RestoredObject&)>& done_;
  const ArchiveEvents& events_;
  Mutex mutex_;           ///< one call of done_ and events_ at a time
  RestoreResult result_;  ///< raised by several threads in foresee() and ask(), under mutex_
};

}  // namespace

Restore::Restore(std::function<store::ObjectStore&(const catalog::Record&)> archives, store::ObjectStore* destination,
                 RestoreTarget target, RestoreOptions options, os::World& world, flow::Pools pools,
                 flow::MemoryBudget& budget)
    : archives_(std::move(archives)),
      destination_(destination),
      target_(std::move(target)),
      options_(std::move(options)),
      world_(world),
      pools_(pools),
      budget_(budget) {}

RestoreResult Restore::run(const catalog::RecordList& records, const std::function<void(const RestoredObject&)>& done,
                           const ArchiveEvents& events) {
  const auto destination = destination_of(destination_, target_, options_, records, world_, pools_, budget_);
  const RestoreTools tools{records, archives_, *destination, options_, world_, pools_, budget_, {}};
  return RestoreRun(tools, done, events).run();
}

}  // namespace bale::recover
