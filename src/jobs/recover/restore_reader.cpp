#include "jobs/recover/restore_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "archive/writer.hpp"
#include "base/text.hpp"
#include "jobs/recover/stand_in.hpp"
#include "os/target.hpp"

namespace bale::recover {
namespace {

using namespace bale::literals;

constexpr ByteCount task_bytes = 1_MiB;  // written by one task of small objects
/// What a decompressor holds of a frame, beside the objects: as much as frames have unless somebody chose otherwise.
constexpr ByteCount window_bytes = archive::default_frame_size;

/// Whether the failure ends the restore: no other object fares better.
bool is_of_all(const Error& error) { return error.kind() == ErrorKind::cancelled || os::is_of_whole_target(error); }

bool is_asleep(const Error& error) { return error.code() == "InvalidObjectState"; }

/// Whether another copy of the archive may have what this one does not give.
bool is_of_one_copy(ErrorKind kind) noexcept {
  return kind == ErrorKind::not_found || kind == ErrorKind::denied || kind == ErrorKind::corrupt;
}

int weight(const Error& error) { return error.kind() == ErrorKind::corrupt ? 2 : is_asleep(error) ? 1 : 0; }

/// The store speaks of a missing or unreadable object; the user has to hear that it is the archive.
Error of_archive(const Error& error, const ObjectAddress& archive) {
  if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::denied) return error;
  if (error.kind() == ErrorKind::not_found && error.code().empty()) return error;  // it is there, without the object
  const bool gone = error.kind() == ErrorKind::not_found;
  const std::string what = gone ? std::string("the archive that holds the object is not there any more")
                                : "the archive that holds the object cannot be read: " + error.summary();
  const std::string hint = gone ? "`bale catalog search --all-versions` shows which other backups have the object"
                                : hint_of_unreadable(error);
  return Error(error.kind(), what, to_uri(archive), hint).with_code(error.code()).with_cause(error);
}

std::vector<std::size_t> positions_of(const ReadBatch& batch) {
  std::vector<std::size_t> positions;
  for (const auto& [position, error] : batch.left) positions.push_back(position);
  return positions;
}

}  // namespace

ReadBatch::ReadBatch(std::vector<std::size_t> indices) : records(std::move(indices)) {
  for (std::size_t i = 0; i < records.size(); ++i) left.emplace(i, std::nullopt);
}

void ReadBatch::blame(std::size_t position, const Error& error) {
  std::optional<Error>& known = left.at(position);
  if (!known || weight(error) > weight(*known)) known = error;
}

void ReadBatch::blame_all(const Error& error) {
  for (const std::size_t position : positions_of(*this)) blame(position, error);
}

template <typename Step>
bool SettledWrite::guarded(Step step) {
  if (is_settled_) return false;
  try {
    step();
    return true;
  } catch (const std::exception&) {
    const Error error = current_error();
    if (is_of_all(error)) throw error;
    refused(error);
    return false;
  }
}

/// Something came there since it was looked at: another restore of the same object, or this very write, sent twice on
/// its way; or something else.
void SettledWrite::refused(Error error) {
  is_settled_ = true;
  receiver_.reset();
  try {
    if (error.kind() == ErrorKind::precondition && !tools_.destination.look(index_))
      return tools_.settle(index_, RestoreFate::same, std::nullopt);
  } catch (const Error& other) {
    error = other;
  }
  tools_.settle(index_, RestoreFate::failed, error);
}

bool SettledWrite::write(ByteView bytes) {
  return guarded([&] {
    if (!receiver_) receiver_ = tools_.destination.receive(index_, size_);
    if (!bytes.empty()) receiver_->write(bytes);
  });
}

void SettledWrite::finish() {
  const bool done = guarded([&] {
    if (!receiver_) receiver_ = tools_.destination.receive(index_, size_);
    receiver_->finish();
  });
  if (!done) return;
  is_settled_ = true;
  receiver_.reset();
  tools_.settle(index_, RestoreFate::restored, std::nullopt);
}

/// Collects the objects of a range into tasks.
class RangePieces final : public archive::RangeReceiver {
 public:
  RangePieces(RestoreReader& reader, ReadBatch& batch, std::shared_ptr<const void> memory)
      : reader_(reader), batch_(batch), memory_(std::move(memory)) {}
  void object(std::size_t position, ByteView bytes) override {
    batch_.left.erase(position);
    group_.emplace_back(batch_.records[position], bytes);
    group_bytes_ += bytes.size();
    if (group_.size() >= reader_.tools_.destination.objects_a_task() || group_bytes_ >= task_bytes) flush();
  }
  void failed(std::size_t position, const Error& error) override { batch_.blame(position, error); }
  void flush() {
    if (!group_.empty()) reader_.deliver(memory_, std::exchange(group_, {}));
    group_bytes_ = 0;
  }

 private:
  RestoreReader& reader_;
  ReadBatch& batch_;
  const std::shared_ptr<const void> memory_;
  std::vector<std::pair<std::size_t, ByteView>> group_;
  ByteCount group_bytes_ = 0;
};

void RestoreReader::check_stop() const {
  if (tools_.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while restoring");
  // run_at_once() tells why.
  if (deliveries_.failed()) throw Error(ErrorKind::cancelled, "the destination cannot be written to");
}

void RestoreReader::run_at_once(const std::vector<std::function<void()>>& tasks, std::size_t at_once) {
  if (tasks.empty()) return;
  flow::ThreadPool readers(std::min(tasks.size(), at_once), "bale-restore");
  flow::TaskGroup group;
  for (const std::function<void()>& task : tasks) {
    group.run(readers, [this, &task] {
      check_stop();
      task();
    });
  }
  try {
    group.wait();
  } catch (const Error&) {
    deliveries_.wait();  // throws what ended the reads, where that was a delivery
    throw;
  }
  deliveries_.wait();
}

bool RestoreReader::is_streamed(const archive::LocatedRange& range) const {
  const archive::RangeLimits& limits = tools_.options.ranges;
  return range.objects.size() == 1 && (limits.alone || range.content > limits.content);
}

std::vector<std::size_t> RestoreReader::read(const std::vector<ArchivePlan>& plans) {
  std::deque<Work> works;  // they stay where they are
  std::vector<std::function<void()>> ranges, streams, openings;
  for (const ArchivePlan& plan : plans) {
    const std::size_t any = plan.records.empty() ? plan.unplaced.front() : plan.records.front();
    Work& work = works.emplace_back(plan, tools_.archives(tools_.records[any]));
    for (const archive::LocatedRange& range : plan.ranges) {
      if (is_streamed(range))
        streams.emplace_back([this, &work, index = range.objects.front()] { read_alone(work, index); });
      else
        ranges.emplace_back([this, &work, &range] { read_range(work, range); });
    }
    if (!plan.unplaced.empty()) openings.emplace_back([this, &work] { read_unplaced(work); });
  }
  // One kind after the other: a range waits for one large ticket, a stream into a bucket for many small ones while its
  // upload hoards some. Eight streams hoard half of the budget at most (transfer/object_sink.cpp).
  const std::size_t most = tools_.options.at_once;
  const bool takes_tickets = tools_.destination.takes_tickets(~ByteCount{0});
  run_at_once(ranges, most);
  run_at_once(streams, takes_tickets ? std::min<std::size_t>(most, 8) : most);
  run_at_once(openings, takes_tickets ? 1 : std::min<std::size_t>(most, 4));
  const Lock lock(mutex_);
  return std::exchange(asleep_, {});
}

/// Reads from one copy after the other until nothing of the batch is left, and settles what no copy gives.
void RestoreReader::from_copies(Work& work, ReadBatch& batch, const ReadCopy& read) {
  const std::vector<ObjectAddress>& copies = work.plan.copies;
  const std::size_t first = work.first_copy;
  bool any_awake = false;
  for (std::size_t n = 0; n < copies.size() && !batch.left.empty() && !work.is_asleep; ++n) {
    const std::size_t copy = (first + n) % copies.size();
    try {
      read(copies[copy], batch);
      any_awake = true;
      work.first_copy = copy;
    } catch (const std::exception&) {
      const Error error = current_error();
      if (is_of_all(error)) throw error;
      batch.blame_all(of_archive(error, copies[copy]));
      any_awake |= !is_of_one_copy(error.kind());
      if (!is_of_one_copy(error.kind())) break;
    }
  }
  for (const auto& [position, error] : batch.left) {
    const std::size_t index = batch.records[position];
    if (work.is_asleep || (error && is_asleep(*error))) {
      if (!any_awake) work.is_asleep = true;
      const Lock lock(mutex_);
      asleep_.push_back(index);
    } else {
      tools_.settle(index, RestoreFate::failed,
                    error.value_or(Error(ErrorKind::internal, "the object was not told of", to_uri(copies.front()))));
    }
  }
}

void RestoreReader::read_range(Work& work, const archive::LocatedRange& range) {
  ReadBatch batch(range.objects);
  for (const std::size_t index : batch.records) batch.objects.push_back(located(tools_.records[index]));
  from_copies(work, batch, [&](const ObjectAddress& copy, ReadBatch& wanted) {
    for (const auto& part : archive::plan_ranges(wanted.objects, positions_of(wanted), tools_.options.ranges))
      read_places(work.store, copy, wanted, part);
  });
}

/// Where bytes of the range are damaged, each place in it is read by itself, so that damage touches no others.
void RestoreReader::read_places(store::ObjectStore& store, const ObjectAddress& copy, ReadBatch& batch,
                                const archive::LocatedRange& range) {
  std::vector<archive::LocatedRange> places{range};
  if (!range.has_one_place) {
    try {
      return read_pieces(store, copy, batch, range);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
    }
    std::vector<std::size_t> touched;
    for (const std::size_t position : range.objects) {
      if (batch.left.contains(position)) touched.push_back(position);
    }
    archive::RangeLimits by_place = tools_.options.ranges;
    by_place.gap = 0;
    by_place.range = 0;
    places = archive::plan_ranges(batch.objects, touched, by_place);
  }
  for (const archive::LocatedRange& place : places) {
    try {
      read_pieces(store, copy, batch, place);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      for (const std::size_t position : place.objects) {
        if (batch.left.contains(position)) batch.blame(position, error);
      }
    }
  }
}

void RestoreReader::read_pieces(store::ObjectStore& store, const ObjectAddress& copy, ReadBatch& batch,
                                const archive::LocatedRange& range) {
  check_stop();
  auto [paid, window] =
      tools_.budget.acquire_buffer(std::max<ByteCount>(range.content, 1), window_bytes, tools_.world.stop);
  const auto memory = std::make_shared<flow::PaidBuffer>(std::move(paid));
  ++requests_;
  bytes_ += range.length;  // of an answer that breaks off too
  RangePieces pieces(*this, batch, memory);
  try {
    archive::read_range(store, copy, batch.objects, range, {memory->bytes.data(), range.content}, pieces);
  } catch (...) {
    pieces.flush();
    throw;
  }
  pieces.flush();
}

void RestoreReader::deliver(std::shared_ptr<const void> memory, std::vector<std::pair<std::size_t, ByteView>> objects) {
  deliveries_.run(tools_.pools.connections, [this, memory = std::move(memory), objects = std::move(objects)] {
    for (const auto& [index, bytes] : objects) {
      check_stop();
      SettledWrite write(tools_, index, bytes.size());
      write.write(bytes);
      write.finish();
    }
  });
}

/// A large object, streamed.
void RestoreReader::read_alone(Work& work, std::size_t index) {
  ReadBatch batch({index});
  const archive::LocatedObject object = located(tools_.records[index]);
  from_copies(work, batch, [&](const ObjectAddress& copy, ReadBatch& wanted) {
    SettledWrite write(tools_, index, object.size);
    ++requests_;
    struct Refused {};
    try {
      archive::read_located(
          work.store, copy, object.location, object.size, object.sha256,
          [&](ByteView bytes) {
            check_stop();
            if (!write.write(bytes)) throw Refused();
          },
          object.member_names);
      bytes_ += object.location.frame_length;
      write.finish();
    } catch (const Refused&) {
      // Settled; the rest need not be read.
    }
    wanted.left.clear();
  });
}

void RestoreReader::read_unplaced(Work& work) {
  ReadBatch batch(work.plan.unplaced);
  from_copies(work, batch, [&](const ObjectAddress& copy, ReadBatch& wanted) {
    read_opened(tools_, work.store, copy, wanted, requests_, bytes_);
  });
}

}  // namespace bale::recover
