#include "archive/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "archive/compress.hpp"
#include "archive/frame_index.hpp"
#include "archive/frame_reader.hpp"
#include "archive/head_reader.hpp"
#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "archive/seek_table.hpp"
#include "archive/stream_reader.hpp"
#include "archive/tar.hpp"
#include "archive/trailer.hpp"
#include "archive/writer.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "flow/sequencer.hpp"

namespace bale::archive {
namespace {

// Seek table and manifest of a thousand objects fit into this; larger ones take a second request.
constexpr ByteCount tail_bytes = 256 << 10;
// Adjacent frames are read in one request of up to this many bytes: a request's latency is then a small part of it.
constexpr ByteCount read_bytes = 4ULL << 20;
// What the tail lacks of a manifest comes in one request up to this size, which is memory; a manifest of a million
// objects is half of it.
constexpr ByteCount longest_tail_bytes = 64ULL << 20;
constexpr int own_window_log = 27;  // frames of Bale are at most as large

/// Runs `step` and names the place in what it throws.
template <typename Step>
auto in_place(const std::string& place, Step step) {
  try {
    return step();
  } catch (const Error& error) {
    const bool is_named = error.where().empty() || error.where() == place;
    throw error.with_where(is_named ? place : place + ": " + error.where());
  }
}

/// The end of a file, read once; what is not in it is read from the source.
class Tail {
 public:
  explicit Tail(transfer::RandomSource& source) : source_(source), bytes_(source.read_tail(tail_bytes)) {
    offset_ = source.size() - bytes_.size();
  }
  ByteView view() const { return bytes_.view(); }
  ByteCount offset() const noexcept { return offset_; }
  /// Makes the tail begin at `offset` where it begins behind it, by one request; not where it would have more than
  /// `most` bytes.
  void reach_to(ByteCount offset, ByteCount most) {
    if (offset >= offset_ || bytes_.size() + (offset_ - offset) > most) return;
    bytes_ = read(offset, offset_ - offset + bytes_.size());
    offset_ = offset;
  }
  /// `length` bytes at `offset`, which must lie in the file.
  Buffer read(ByteCount offset, ByteCount length) {
    Buffer part(length);
    part.resize(length);
    const ByteCount missing = offset < offset_ ? std::min(length, offset_ - offset) : 0;
    if (missing > 0) source_.read_at(offset, {part.data(), missing});
    if (missing < length) {
      const ByteView known = bytes_.view().subspan(offset + missing - offset_, length - missing);
      std::copy(known.begin(), known.end(), part.data() + missing);
    }
    return part;
  }

 private:
  transfer::RandomSource& source_;
  Buffer bytes_;
  ByteCount offset_ = 0;
};

/// One call of read(): frames on their way from the source to the visitor.
class FrameReading {
 public:
  FrameReading(transfer::RandomSource& source, const FrameIndex& index, FrameVisitor& visitor, flow::Pools pools,
               flow::MemoryBudget& budget, const std::stop_token& stop, FrameReads reads)
      : source_(source),
        index_(index),
        visitor_(visitor),
        pools_(pools),
        reads_(std::move(reads)),
        next_(reads_.next()),
        budget_(budget),
        results_([this](std::uint64_t, Result result) { visit(std::move(result)); }),
        stop_with_caller_(stop, [this] { stop_.request_stop(); }) {}

  void run() {
    try {
      while (next_) start_group();
    } catch (...) {
      stop_.request_stop();
      tasks_.wait();  // what a task failed with comes first
      throw;
    }
    tasks_.wait();
    if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while reading the archive", source_.name());
  }

 private:
  /// A frame whose buffer goes back to the budget with the last of those who use it.
  struct HeldFrame {
    explicit HeldFrame(flow::PaidBuffer buffer) : paid(std::move(buffer)) { data.bytes = std::move(paid.bytes); }
    ~HeldFrame() { paid.bytes = std::move(data.bytes); }
    HeldFrame(const HeldFrame&) = delete;
    HeldFrame& operator=(const HeldFrame&) = delete;
    flow::PaidBuffer paid;
    FrameData data;
  };
  /// Adjacent frames that are read in one request.
  struct Group {
    std::uint64_t first = 0;  ///< number of the first of `reads` among all that are read
    std::vector<FrameRead> reads;
    std::vector<std::shared_ptr<HeldFrame>> frames;
    std::vector<flow::Ticket> tickets;  ///< for the compressed bytes
    Buffer compressed;
  };
  struct Result {
    FrameRead read;
    std::shared_ptr<HeldFrame> frame;
    std::optional<Error> error;
  };

  const Frame& frame(const FrameRead& read) const { return index_.frames()[read.frame]; }

  void run_task(flow::ThreadPool& pool, std::function<void()> task) {
    tasks_.run(pool, [this, work = std::move(task)] {
      try {
        if (!stop_.stop_requested()) work();
      } catch (...) {
        tasks_.fail(std::current_exception());
        stop_.request_stop();  // wakes whoever waits for memory
        throw;
      }
    });
  }

  /// Starts reading the next frame, and those adjacent to it for which there is memory right now.
  void start_group() {
    auto group = std::make_shared<Group>();
    group->first = started_;
    const auto add = [&](std::pair<flow::PaidBuffer, flow::Ticket> grant) {
      group->frames.push_back(std::make_shared<HeldFrame>(std::move(grant.first)));
      group->tickets.push_back(std::move(grant.second));
      group->reads.push_back(std::move(*next_));
      next_ = reads_.next();
      ++started_;
    };
    const Frame& first = frame(*next_);
    add(budget_.acquire_buffer(first.decompressed, first.compressed, stop_.get_token()));
    ByteCount length = first.compressed;
    while (next_ && next_->frame == group->reads.back().frame + 1) {
      const Frame& adjacent = frame(*next_);
      if (length + adjacent.compressed > read_bytes) break;
      auto grant = budget_.try_acquire_buffer(adjacent.decompressed, adjacent.compressed);
      if (!grant) break;
      add(std::move(*grant));
      length += adjacent.compressed;
    }
    // Frames without content may lie between adjacent ones; they are read along.
    const Frame& last = frame(group->reads.back());
    length = last.file_offset + last.compressed - first.file_offset;
    run_task(pools_.connections, [this, group, length] { read_group(group, length); });
  }

  void read_group(const std::shared_ptr<Group>& group, ByteCount length) {
    group->compressed = Buffer(length);
    group->compressed.resize(length);
    source_.read_at(frame(group->reads.front()).file_offset, {group->compressed.data(), length});
    for (std::size_t i = 0; i < group->frames.size(); ++i)
      run_task(pools_.cores, [this, group, i] { decompress(*group, i); });
  }

  void decompress(Group& group, std::size_t i) {
    const Frame& described = frame(group.reads[i]);
    const std::size_t number = group.reads[i].frame;
    const ByteCount at = described.file_offset - frame(group.reads.front()).file_offset;
    // The first is looked at by those behind it, and stays.
    Result result{i == 0 ? group.reads[i] : std::move(group.reads[i]), std::move(group.frames[i]), std::nullopt};
    Buffer& out = result.frame->data.bytes;
    try {
      out.resize(described.decompressed);
      read_frame(group.compressed.view().subspan(at, described.compressed), described, {out.data(), out.size()});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      result.error = error.with_where(fmt::format("{}, frame {}", source_.name(), number));
    }
    results_.put(group.first + i, std::move(result));
  }

  void visit(Result result) {
    const FrameRead& read = result.read;
    if (result.error) {
      Damage damage{read.frame, *result.error, {}};
      for (const FramePiece& piece : read.pieces) damage.objects.push_back(piece.object);
      return visitor_.damaged(damage);
    }
    const ByteView content = result.frame->data.bytes.view();
    std::vector<MemberPiece> pieces;
    pieces.reserve(read.pieces.size());
    for (const FramePiece& piece : read.pieces)
      pieces.push_back({piece.object, piece.offset, content.subspan(piece.at, piece.size)});
    const FrameData* data = &result.frame->data;
    visitor_.frame(std::shared_ptr<const FrameData>(std::move(result.frame), data), pieces);
  }

  transfer::RandomSource& source_;
  const FrameIndex& index_;
  FrameVisitor& visitor_;
  const flow::Pools pools_;
  FrameReads reads_;
  std::optional<FrameRead> next_;
  std::uint64_t started_ = 0;
  flow::MemoryBudget& budget_;
  flow::Sequencer<Result> results_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> stop_with_caller_;
  flow::TaskGroup tasks_;  // last: waits for the tasks before what they use is gone
};

class SeekableReader final : public Reader {
 public:
  SeekableReader(transfer::RandomSource& source, FrameIndex index, Manifest manifest, MemoryShare memory)
      : source_(source), index_(std::move(index)), manifest_(std::move(manifest)), memory_(std::move(memory)) {}

  const Manifest& manifest() const override { return manifest_; }
  bool random_access() const override { return true; }
  std::size_t frames() const override { return index_.frames().size(); }
  ByteCount archive_bytes() const override { return source_.size(); }
  ByteCount tar_bytes() const override { return index_.tar_bytes(); }
  MemberLocation locate(std::size_t object) const override {
    check_index(object);
    return index_.locate(*manifest_.objects.data_offset_of(object), manifest_.objects.bytes_of(object));
  }

  void read(const std::vector<std::size_t>& objects, FrameVisitor& visitor, flow::Pools pools,
            flow::MemoryBudget& budget, std::stop_token stop) override {
    std::vector<std::size_t> wanted(objects);
    if (wanted.empty()) {
      wanted.resize(manifest_.objects.size());
      std::iota(wanted.begin(), wanted.end(), 0);
    }
    for (const std::size_t object : wanted) check_index(object);
    FrameReading(source_, index_, visitor, pools, budget, stop, {index_, manifest_.objects, wanted}).run();
  }

 private:
  void check_index(std::size_t object) const {
    if (object >= manifest_.objects.size()) throw std::out_of_range("no such object");
  }
  transfer::RandomSource& source_;
  const FrameIndex index_;
  const Manifest manifest_;
  const MemoryShare memory_;
};

/// The seek table at the end of the file.
struct SeekTable {
  SeekFooter footer;
  std::vector<SeekEntry> entries;
  ByteCount data_bytes = 0;  ///< of the file in front of the table
  std::uint64_t hash = 0;    ///< XXH64 of the table
};

/// Absent where the file does not end in one.
std::optional<SeekTable> read_seek_table(ByteCount file_bytes, Tail& tail, const ReaderLimits& limits,
                                         MemoryShare& memory) {
  SeekFooter footer;
  if (!find_seek_footer(tail.view(), limits.max_frames, footer)) return std::nullopt;
  const ByteCount length = footer.table_bytes();
  if (length > file_bytes) {
    throw Error(ErrorKind::corrupt, fmt::format("the seek table claims {} bytes; the file has {}", length, file_bytes));
  }
  memory.add(footer.frames * frame_memory, "the frames of the archive");
  const Buffer table = tail.read(file_bytes - length, length);
  return SeekTable{footer, decode_seek_table(table.view(), footer), file_bytes - length, xxh64(table.view())};
}

/// Absent where the last frame is not Bale's trailer: other programs write the seekable format too.
std::optional<Trailer> read_trailer(const SeekTable& table, Tail& tail) {
  if (table.entries.empty() || table.entries.back().decompressed != 0) return std::nullopt;
  const ByteCount length = table.entries.back().compressed;
  if (length > table.data_bytes) throw Error(ErrorKind::corrupt, "the seek table places frames outside the file");
  // Where none of the known versions has this length, the beginning says which one it is.
  const std::size_t frames = table.entries.size() - 1;
  const bool is_known = length == layout::trailer_v1_bytes || length == layout::trailer_bytes(frames);
  const Buffer frame =
      tail.read(table.data_bytes - length, is_known ? length : std::min<ByteCount>(length, layout::trailer_head_bytes));
  if (!looks_like_trailer(frame.view())) return std::nullopt;
  if (load_le<std::uint32_t>(frame.view(), 4) != length - layout::skippable_header_bytes)
    throw Error(ErrorKind::corrupt, "the trailer's length is not that of the seek table");
  if (!table.footer.checksums || table.footer.unused_bits)
    throw Error(ErrorKind::corrupt, "the seek table's descriptor is not the one that Bale writes");
  if (table.entries.back().checksum != layout::checksum_of_nothing)
    throw Error(ErrorKind::corrupt, "the seek table's last checksum is not that of a frame without content");
  Trailer trailer = decode_trailer(frame.view());
  if (trailer.version > 1 && trailer.frame_hashes.size() != frames)
    throw Error(ErrorKind::corrupt, "the trailer's length is not that of an archive with so many frames");
  if (trailer.version > 1 && trailer.seek_table_hash != table.hash)
    throw Error(ErrorKind::corrupt, "the seek table is not the one that was written: its XXH64 is another");
  return trailer;
}

void check_trailer(const Trailer& trailer, const FrameIndex& index, const ReaderLimits& limits) {
  if (trailer.tar_bytes != index.tar_bytes()) {
    throw Error(ErrorKind::corrupt, fmt::format("the trailer says {} bytes of tar, the seek table {}",
                                                trailer.tar_bytes, index.tar_bytes()));
  }
  const bool possible = trailer.frame_bytes <= max_frame_size &&
                        std::all_of(index.frames().begin(), index.frames().end(),
                                    [&](const Frame& frame) { return frame.decompressed <= trailer.frame_bytes; });
  if (!possible) throw Error(ErrorKind::corrupt, "a frame is larger than the trailer says frames are");
  for (std::size_t i = 0; i < index.frames().size(); ++i) {
    const Frame& frame = index.frames()[i];
    if (frame.compressed > compressed_bound(frame.decompressed)) {
      throw Error(ErrorKind::corrupt, fmt::format("frame {} claims {} bytes that hold {}: no frame is as long", i,
                                                  frame.compressed, frame.decompressed));
    }
  }
  if (trailer.manifest_bytes > limits.max_manifest_bytes) {
    throw Error(ErrorKind::corrupt,
                fmt::format("the manifest claims {}; at most {} are read", format_bytes(trailer.manifest_bytes),
                            format_bytes(limits.max_manifest_bytes)));
  }
  const bool inside = trailer.manifest_bytes > 0 && trailer.manifest_offset < trailer.tar_bytes &&
                      trailer.manifest_bytes <= trailer.tar_bytes - trailer.manifest_offset &&
                      trailer.manifest_offset >= layout::tar_block;
  if (!inside) throw Error(ErrorKind::corrupt, "the trailer places the manifest outside the archive");
  if (trailer.manifest_offset + tar_padded(trailer.manifest_bytes) + layout::tar_end_bytes != trailer.tar_bytes)
    throw Error(ErrorKind::corrupt, "the tar does not end behind the manifest");
}

/// The text of the manifest, piece by piece. Goes on to the end of the tar, which may be in a frame behind the
/// manifest's: no other read would verify that one.
class ManifestText {
 public:
  ManifestText(Tail& tail, const FrameIndex& index, const Trailer& trailer, int window_log)
      : tail_(tail),
        index_(index),
        window_log_(window_log),
        begin_(trailer.manifest_offset),
        end_(trailer.manifest_offset + trailer.manifest_bytes),
        frame_(index.frame_of(begin_)) {}

  std::string_view next() {
    while (frame_ < index_.frames().size()) {
      const Frame& frame = index_.frames()[frame_];
      if (!content_)
        content_.emplace(
            frame, [this](ByteCount at, ByteCount length) { return tail_.read(at, length); }, window_log_);
      const ByteCount at = frame.tar_offset + content_->given();
      const ByteView content =
          in_place(fmt::format("frame {}, which holds manifest.json", frame_), [&] { return content_->next(); });
      if (content.empty()) {
        content_.reset();
        ++frame_;
        continue;
      }
      const ByteCount from = std::max(begin_, at), to = std::min(end_, at + content.size());
      if (from < to) return as_text(content.subspan(from - at, to - from));
    }
    return {};
  }

 private:
  Tail& tail_;
  const FrameIndex& index_;
  const int window_log_;
  const ByteCount begin_, end_;
  std::size_t frame_;
  std::optional<FramePieces> content_;
};

Manifest read_manifest(Tail& tail, const FrameIndex& index, const Trailer& trailer, int window_log,
                       MemoryShare& memory) {
  tail.reach_to(index.frames()[index.frame_of(trailer.manifest_offset)].file_offset,
                std::min(longest_tail_bytes, memory.most() / 4));
  ManifestText text(tail, index, trailer, window_log);
  return parse_manifest([&] { return text.next(); }, memory);
}

/// Whether the table is of the last of several archives that follow one another: its frames end where it begins, but do
/// not begin where the file does.
bool begins_in_the_middle(const SeekTable& table, transfer::RandomSource& source) {
  ByteCount length = 0;
  for (const SeekEntry& entry : table.entries) length += entry.compressed;
  if (length >= table.data_bytes) return false;
  std::byte start[4];
  source.read_at(table.data_bytes - length, start);
  return load_le<std::uint32_t>(start, 0) == layout::zstd_magic;
}

/// Null where the file is not an archive with a seek table of Bale.
std::unique_ptr<Reader> open_seekable(transfer::RandomSource& source, Tail& tail, const ReaderLimits& limits) {
  MemoryShare memory = limits.share();
  auto table = read_seek_table(source.size(), tail, limits, memory);
  if (!table) return nullptr;
  auto trailer = read_trailer(*table, tail);
  if (!trailer) return nullptr;
  if (begins_in_the_middle(*table, source)) return nullptr;
  FrameIndex index(table->entries, table->data_bytes, limits.max_frame_bytes, trailer->frame_hashes);
  table->entries = {};
  trailer->frame_hashes = {};
  memory.give_back(table->footer.frames * (frame_memory - sizeof(Frame)));
  check_trailer(*trailer, index, limits);
  Manifest manifest = read_manifest(tail, index, *trailer, std::min(limits.window_log(), own_window_log), memory);
  if (manifest.objects.size() != trailer->objects) {
    throw Error(ErrorKind::corrupt, fmt::format("the manifest lists {} objects, the trailer says {}",
                                                manifest.objects.size(), trailer->objects));
  }
  check_places(manifest.objects, trailer->manifest_offset - layout::tar_block);
  return std::make_unique<SeekableReader>(source, std::move(index), std::move(manifest), std::move(memory));
}

/// The archive of Bale that the first `end` bytes of the file are; null where they are none.
std::unique_ptr<Reader> open_head(transfer::RandomSource& source, ByteCount end, const ReaderLimits& limits,
                                  bool is_padded) {
  auto head = std::make_unique<HeadSource>(source, end);
  std::unique_ptr<Reader> inner;
  try {
    Tail tail(*head);
    inner = open_seekable(*head, tail, limits);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
  }
  if (!inner) return nullptr;
  std::vector<Remark> remarks;
  if (!is_padded) remarks.push_back(remark_of_tail({end, source.size() - end, false}));
  return reader_of_head(std::move(head), std::move(inner), source.size(), std::move(remarks));
}

/// An archive of Bale with up to 256 KiB behind its end that are no zstd frames; null where the file is something else.
std::unique_ptr<Reader> open_before_tail(transfer::RandomSource& source, const Tail& tail, const ReaderLimits& limits) {
  const ByteView end = tail.view();
  const auto length = bytes_behind_seek_table(end);
  if (!length || *length == 0) return nullptr;
  const ByteView behind = end.last(*length);
  if (behind.size() >= 4) {
    const auto magic = load_le<std::uint32_t>(behind, 0);
    const bool is_skippable = (magic & layout::skippable_magic_mask) == layout::skippable_magic_first;
    if (magic == layout::zstd_magic || is_skippable) return nullptr;  // another archive follows
  }
  const bool is_padded = std::all_of(behind.begin(), behind.end(), [](std::byte b) { return b == std::byte{0}; });
  return open_head(source, source.size() - *length, limits, is_padded);
}

std::unique_ptr<Reader> open_as_stream(transfer::RandomSource& source, const ReaderLimits& limits) {
  OpenedStream stream = open_stream(source, limits);
  if (!stream.reader->flaw() || !stream.tail) return std::move(stream.reader);
  // Its seek table lies further in front than was looked.
  auto reader = open_head(source, stream.tail->offset, limits, stream.tail->is_zero);
  return reader ? std::move(reader) : std::move(stream.reader);
}

}  // namespace

std::unique_ptr<Reader> open_archive(transfer::RandomSource& source, const ReaderLimits& limits,
                                     const OtherWay& other_way) {
  return in_place(source.name(), [&]() -> std::unique_ptr<Reader> {
    Tail tail(source);
    if (source.size() == 0) throw Error(ErrorKind::corrupt, "the archive is empty");
    std::optional<Error> damage;
    try {
      if (auto reader = open_seekable(source, tail, limits)) return reader;
      if (auto reader = open_before_tail(source, tail, limits)) return reader;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt || !other_way) throw;
      damage = error;
    }
    if (auto reader = other_way ? other_way(tail.view()) : nullptr) return reader;
    if (damage) throw *damage;
    return open_as_stream(source, limits);
  });
}

bool has_own_index(transfer::RandomSource& source, const ReaderLimits& limits) {
  try {
    Tail tail(source);
    if (source.size() == 0) return false;
    return open_seekable(source, tail, limits) != nullptr || open_before_tail(source, tail, limits) != nullptr;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    return false;
  }
}

}  // namespace bale::archive
