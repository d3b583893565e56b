#include "transfer/file_digests.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/crc.hpp"
#include "base/error.hpp"
#include "base/mutex.hpp"
#include "transfer/etag_builder.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

/// Large enough that handing a piece to other threads costs nothing beside hashing it (3 ms at 650 MB/s).
constexpr std::size_t piece_bytes = 2_MiB;
/// Pieces that are read, hashed and taken at the same time: what is slow for a moment does not stop the others.
constexpr std::size_t most_pieces = 6;
/// Ranges of a file that is read in parallel: a thread that is late delays the end by one range only.
constexpr ByteCount range_bytes = 16_MiB;
constexpr std::size_t read_bytes = 1_MiB;

void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
}

Error changed_size(ByteCount expected) {
  return Error(ErrorKind::precondition,
               "the file had " + std::to_string(expected) + " bytes and got shorter or longer while it was read", {},
               "read the file again when no process writes to it");
}

/// A piece of a file, while something works on it.
struct Piece {
  ByteCount offset = 0;
  Buffer bytes;
};

/// Buffers for the pieces of one file, which wait for each other. Thread-safe.
class Pieces {
 public:
  Pieces(std::size_t count, std::size_t bytes) {
    for (std::size_t i = 0; i < count; ++i) free_.push_back(std::make_unique<Piece>(Piece{0, Buffer(bytes)}));
  }
  /// Waits for a free piece; null once the work has failed. The piece is free again when nothing refers to it.
  std::shared_ptr<Piece> take() {
    Lock lock(mutex_);
    changed_.wait(lock, [&]() BALE_REQUIRES(mutex_) { return !free_.empty() || has_failed_; });
    if (has_failed_) return nullptr;
    std::unique_ptr<Piece> piece = std::move(free_.back());
    free_.pop_back();
    return {piece.release(), [this](Piece* used) { give_back(std::unique_ptr<Piece>(used)); }};
  }
  void fail() {
    const Lock lock(mutex_);
    has_failed_ = true;
    changed_.notify_all();
  }

 private:
  void give_back(std::unique_ptr<Piece> piece) {
    const Lock lock(mutex_);
    free_.push_back(std::move(piece));
    changed_.notify_all();
  }
  Mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Piece>> free_ BALE_GUARDED_BY(mutex_);
  bool has_failed_ BALE_GUARDED_BY(mutex_) = false;
};

/// Work that has to be done piece by piece, in order, beside that of other lanes. It is on one thread of its pool at a
/// time, and on none while it has nothing to do. Thread-safe. Borrows all; the group is waited for before the end.
class Lane {
 public:
  using Work = std::function<void()>;
  Lane(flow::TaskGroup& group, flow::ThreadPool& pool, Pieces& pieces) : group_(group), pool_(pool), pieces_(pieces) {}

  void add(Work work) {
    const Lock lock(mutex_);
    waiting_.push_back(std::move(work));
    if (!std::exchange(is_running_, true)) submit();
  }

 private:
  void submit() {
    group_.run(pool_, [this] { run_one(); });
  }
  void run_one() {
    Work work;
    {
      const Lock lock(mutex_);
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    try {
      work();
    } catch (...) {
      pieces_.fail();
      throw;
    }
    work = nullptr;  // its piece is free for others
    const Lock lock(mutex_);
    is_running_ = !waiting_.empty();
    if (is_running_) submit();
  }

  flow::TaskGroup& group_;
  flow::ThreadPool& pool_;
  Pieces& pieces_;
  Mutex mutex_;
  std::deque<Work> waiting_ BALE_GUARDED_BY(mutex_);
  bool is_running_ BALE_GUARDED_BY(mutex_) = false;
};

/// One pass over a file.
class Reading {
 public:
  Reading(os::ReadableFile& file, const FileReading& reading, flow::Pools pools, flow::MemoryBudget& budget)
      : file_(file),
        reading_(reading),
        size_(file.size()),
        piece_bytes_(std::clamp<ByteCount>(size_ + 1, os::page_bytes, piece_bytes)),
        count_(size_ < piece_bytes_ ? 1 : most_pieces),
        ticket_(budget.acquire(count_ * piece_bytes_ + reading.more_bytes, reading.stop)),
        pieces_(count_, piece_bytes_),
        // The MD5 of a file that is no longer than a part is its ETag too.
        is_etag_apart_(size_ >= reading.part_bytes),
        etag_(reading.part_bytes),
        whole_lane_(group_, pools.cores, pieces_),
        etag_lane_(group_, pools.cores, pieces_),
        take_lane_(group_, pools.connections, pieces_),
        follow_lane_(group_, pools.connections, pieces_) {}

  FileDigests run() {
    const ByteCount read = read_all();
    group_.wait();
    check_stop(reading_.stop);
    if (read != size_) throw changed_size(size_);
    FileDigests digests{.size = size_, .md5 = whole_.finish(), .crc64nvme = crc_};
    digests.etag = is_etag_apart_ ? etag_.finish() : ETag(to_hex_digest(digests.md5));
    return digests;
  }

 private:
  /// Reads the file until its end or a failure, and hands each piece on. Returns how much was read.
  ByteCount read_all() {
    ByteCount offset = 0;
    try {
      while (const std::shared_ptr<Piece> piece = pieces_.take()) {
        check_stop(reading_.stop);
        piece->offset = offset;
        piece->bytes.resize(0);
        piece->bytes.resize(file_.read_at(offset, piece->bytes.spare()));
        if (piece->bytes.empty()) break;
        offset += piece->bytes.size();
        if (offset > size_) throw changed_size(size_);
        hand_on(piece);
        if (reading_.moved) reading_.moved(piece->bytes.size());
      }
    } catch (...) {
      group_.fail(std::current_exception());
    }
    return offset;
  }

  void hand_on(const std::shared_ptr<Piece>& piece) {
    whole_lane_.add([this, piece] { whole_.update(piece->bytes.view()); });
    etag_lane_.add([this, piece] {
      if (is_etag_apart_) etag_.update(piece->bytes.view());
      crc_ = crc_of(crc64nvme, piece->bytes.view(), crc_);
    });
    if (!reading_.take) return;
    take_lane_.add([this, piece] {
      reading_.take(piece->offset, piece->bytes.view());
      if (reading_.follow)
        follow_lane_.add([this, at = piece->offset, size = piece->bytes.size()] { reading_.follow(at, size); });
    });
  }

  os::ReadableFile& file_;
  const FileReading& reading_;
  const ByteCount size_, piece_bytes_;
  const std::size_t count_;
  const flow::Ticket ticket_;
  Pieces pieces_;
  const bool is_etag_apart_;
  Md5 whole_;
  EtagBuilder etag_;
  std::uint64_t crc_ = 0;
  flow::TaskGroup group_;
  Lane whole_lane_, etag_lane_, take_lane_, follow_lane_;
};

}  // namespace

FileDigests read_digests(os::ReadableFile& file, const FileReading& reading, flow::Pools pools,
                         flow::MemoryBudget& budget) {
  return Reading(file, reading, pools, budget).run();
}

std::uint64_t read_crc64nvme(os::ReadableFile& file, ByteCount size, flow::ThreadPool& cores,
                             flow::MemoryBudget& budget, const std::function<void(ByteCount)>& moved,
                             std::stop_token stop) {
  if (file.size() != size) {
    throw Error(ErrorKind::corrupt,
                "the file has " + std::to_string(file.size()) + " bytes, not " + std::to_string(size));
  }
  const std::size_t ranges = (size + range_bytes - 1) / range_bytes;
  std::vector<std::uint64_t> checksums(ranges);
  flow::TaskGroup group;
  for (std::size_t i = 0; i < ranges; ++i) {
    group.wait_until_at_most(2 * cores.size());
    if (group.failed()) break;
    group.run(cores, [&, i] {
      const ByteCount end = std::min(size, (i + 1) * range_bytes);
      const flow::Ticket ticket = budget.acquire(read_bytes, stop);
      Buffer buffer(read_bytes);
      for (ByteCount offset = i * range_bytes; offset < end;) {
        check_stop(stop);
        const std::size_t wanted = std::min<ByteCount>(read_bytes, end - offset);
        if (file.read_at(offset, {buffer.data(), wanted}) != wanted)
          throw Error(ErrorKind::corrupt, "the file got shorter while it was read");
        checksums[i] = crc_of(crc64nvme, {buffer.data(), wanted}, checksums[i]);
        offset += wanted;
        if (moved) moved(wanted);
      }
    });
  }
  group.wait();
  std::uint64_t whole = 0;
  for (std::size_t i = 0; i < ranges; ++i)
    whole = join_crcs(crc64nvme, whole, checksums[i], std::min(size, (i + 1) * range_bytes) - i * range_bytes);
  return whole;
}

}  // namespace bale::transfer
