#include "archive/writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "archive/compress.hpp"
#include "archive/frame_index.hpp"
#include "archive/layout.hpp"
#include "archive/member_name.hpp"
#include "archive/plan.hpp"
#include "archive/seek_table.hpp"
#include "archive/tar.hpp"
#include "archive/trailer.hpp"
#include "base/mutex.hpp"
#include "base/text.hpp"
#include "flow/sequencer.hpp"
#include "os/process_use.hpp"

namespace bale::archive {
namespace {

using MakeManifest = std::function<std::optional<std::string>(const WriteResult&)>;

// Of the manifest, and the trailer: 16 GiB of text in the smallest frames.
constexpr std::uint64_t frames_beside = 1 << 18;

void check_options(const WriterOptions& options) {
  if (options.level < min_level || options.level > max_level) {
    throw Error(ErrorKind::invalid,
                fmt::format("compression level {} is not between {} and {}", options.level, min_level, max_level));
  }
  if (options.frame_size < min_frame_size || options.frame_size > max_frame_size ||
      options.frame_size % layout::tar_block != 0) {
    throw Error(ErrorKind::invalid,
                fmt::format("a frame size of {} bytes is not a multiple of {} between {} and {}", options.frame_size,
                            layout::tar_block, format_bytes(min_frame_size), format_bytes(max_frame_size)));
  }
}

void check_members(const std::vector<PlannedMember>& members) {
  for (const PlannedMember& member : members) {
    if (member.name.size() > layout::max_name_bytes) {
      throw Error(
          ErrorKind::invalid,
          fmt::format("the name has {} bytes; at most {} are possible", member.name.size(), layout::max_name_bytes),
          escape_name(std::string_view(member.name).substr(0, 200)) + "...");
    }
  }
}

std::vector<std::string> member_names(const std::vector<PlannedMember>& members) {
  std::vector<std::string_view> keys;
  keys.reserve(members.size());
  for (const PlannedMember& member : members) keys.push_back(member.name);
  std::vector<std::string> names = safe_paths(keys);
  for (std::string& name : names) name.insert(0, layout::member_prefix);
  return names;
}

/// What became of a piece of a chunk. Each is written by the one thread that works on the piece.
struct PieceState {
  std::optional<Error> failure;
  TimePoint modified{};
  Sha256Digest sha256{};
  ByteCount at = 0;  ///< where its first byte (of the header, where it has one) is in the uncompressed frame
};

/// A chunk on its way through the pipeline: its uncompressed bytes, and the memory for the compressed ones.
struct ChunkWork {
  ChunkWork(std::uint64_t chunk_number, Chunk planned, flow::Ticket place, flow::PaidBuffer buffer,
            flow::Ticket output_ticket)
      : number(chunk_number),
        chunk(std::make_shared<const Chunk>(std::move(planned))),
        place_ahead(std::move(place)),
        raw(std::move(buffer)),
        output(std::move(output_ticket)),
        states(chunk->pieces.size()) {}

  const std::uint64_t number;
  const std::shared_ptr<const Chunk> chunk;
  flow::Ticket place_ahead;
  flow::PaidBuffer raw;
  flow::Ticket output;
  std::vector<PieceState> states;  ///< parallel to chunk->pieces
  std::atomic<std::size_t> next_piece{0}, fetchers{0};

  std::byte* data_of(std::size_t piece) { return raw.bytes.data() + states[piece].at + chunk->pieces[piece].header; }
};

/// A frame that is ready to be appended, with the chunk's members. Without content it is left out.
struct FrameResult {
  CompressedFrame frame;
  std::uint64_t hash = 0;  ///< XXH64 of the frame's bytes
  ByteCount content_bytes = 0;
  flow::Ticket ticket;
  std::shared_ptr<const Chunk> chunk;  ///< null for frames of the manifest
  int level = 0;
  double core_seconds = 0;
  std::vector<PieceState> states;
};

class Writer {
 public:
  Writer(const std::vector<PlannedMember>& members, MemberSource& source, transfer::ByteSink& sink, flow::Pools pools,
         flow::MemoryBudget& budget, const WriterOptions& options)
      : members_(members),
        source_(source),
        sink_(sink),
        pools_(pools),
        budget_(budget),
        options_(options),
        ahead_(2 * pools.cores.size() + pools.connections.size() / 8 + 1),
        names_(member_names(members)),
        plan_(plan()),
        description_(charge()),
        frames_([this](std::uint64_t, FrameResult result) { append(std::move(result)); }),
        stop_with_caller_(options.stop, [this] { stop_.request_stop(); }) {
    written_.members.resize(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) written_.members[i].member = names_[i];
  }

  WriteResult run(const MakeManifest& make_manifest) {
    start_progress();
    write_members();
    const auto most = std::max_element(bytes_at_level_.begin(), bytes_at_level_.end());
    written_.level = *most > 0 ? static_cast<int>(most - bytes_at_level_.begin()) : options_.level;
    const std::optional<std::string> manifest = make_manifest(written_);
    if (!manifest) return {.members = std::move(written_.members)};
    write_manifest(*manifest);
    write_end(manifest->size());
    return std::move(written_);
  }

 private:
  /// The running digest of a member that is cut into several pieces: whoever brings the next piece goes on with it.
  struct LargeMember {
    using Piece = std::pair<std::shared_ptr<ChunkWork>, std::size_t>;  ///< the work, and which piece of its chunk
    LargeMember(Writer& writer, std::size_t member)
        : pieces([this, &writer, member](std::uint64_t, const Piece& piece) {
            const auto& [work, index] = piece;
            const ByteView bytes(work->data_of(index), work->chunk->pieces[index].size);
            digest.update(bytes);
            writer.show_source(member, work->chunk->pieces[index].offset, bytes);
            if (work->chunk->pieces[index].last) writer.written_.members[member].sha256 = digest.finish();
          }) {}
    Sha256 digest;
    flow::Sequencer<Piece> pieces;
  };

  ChunkPlan plan() const {
    std::vector<PlanItem> items;
    items.reserve(members_.size());
    for (std::size_t i = 0; i < members_.size(); ++i)
      items.push_back({tar_header_bytes(names_[i], members_[i].size), members_[i].size});
    return {std::move(items), options_.frame_size};
  }

  /// Counts the memory that is taken for each member and frame until the end. Throws Error{invalid} where there are too
  /// many frames, before anything is read.
  flow::Ticket charge() const {
    const std::uint64_t frames = plan_.count();
    const auto refuse = [&](std::string what) {
      return Error(
          ErrorKind::invalid,
          fmt::format("the archive would have {} frames of {}; {}", frames, format_bytes(options_.frame_size), what),
          sink_.name(), "use a larger --frame-size");
    };
    if (frames > layout::seek_max_frames - frames_beside)
      throw refuse(fmt::format("the format allows {}", layout::seek_max_frames - frames_beside));
    // Whoever reads the archive with the same limit has to have room for the list of its frames.
    const ByteCount most = std::max<ByteCount>(budget_.limit() / 4, 1 << 20);
    if (frames * frame_memory > most) {
      const auto refusal = refuse(fmt::format("their list takes more than {} of memory", format_bytes(most)));
      throw refusal.with_hint("use a larger --frame-size, or a higher --memory-limit");
    }
    ByteCount bytes = frames * (sizeof(SeekEntry) + sizeof(std::uint64_t) + layout::seek_entry_bytes + 8);
    for (const std::string& name : names_)
      bytes += sizeof(PlanItem) + sizeof(WrittenMember) + 2 * (sizeof(std::string) + name.size());
    return budget_.charge(bytes);
  }

  void start_progress() {
    if (options_.progress == nullptr) return;
    options_.progress->items_total += members_.size();
    for (const PlannedMember& member : members_) options_.progress->bytes_total += member.size;
  }

  // ---- Stages. Every task goes through run_task(), so that a failure anywhere stops the whole pipeline.

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

  void write_members() {
    try {
      while (auto chunk = plan_.next()) start_chunk(std::move(*chunk));
    } catch (...) {
      stop_.request_stop();
      tasks_.wait();  // what a task failed with comes first
      throw;
    }
    finish_tasks();
  }

  void finish_tasks() {
    tasks_.wait();
    if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while writing the archive", sink_.name());
  }

  /// Takes memory for the chunk (in the order of the chunks, see MemoryBudget) and starts fetching its pieces.
  void start_chunk(Chunk planned) {
    flow::Ticket place = ahead_.acquire(1, stop_.get_token());
    auto [raw, output] = budget_.acquire_buffer(planned.bytes, compressed_bound(planned.bytes), stop_.get_token());
    auto work = std::make_shared<ChunkWork>(started_++, std::move(planned), std::move(place), std::move(raw),
                                            std::move(output));
    const Chunk& chunk = *work->chunk;
    ByteCount at = 0;
    for (std::size_t i = 0; i < chunk.pieces.size(); ++i) {
      work->states[i].at = at;
      at += chunk.pieces[i].bytes();
    }
    // Not a task per piece: threads that are free take the next piece, which costs next to nothing for tiny members.
    const std::size_t fetchers = std::min(chunk.pieces.size(), pools_.connections.size());
    work->fetchers = fetchers;
    for (std::size_t i = 0; i < fetchers; ++i) run_task(pools_.connections, [this, work] { fetch_pieces(work); });
  }

  void fetch_pieces(const std::shared_ptr<ChunkWork>& work) {
    const std::size_t pieces = work->chunk->pieces.size();
    for (std::size_t i = work->next_piece++; i < pieces; i = work->next_piece++) {
      if (stop_.stop_requested()) return;
      fetch(*work, i);
    }
    if (--work->fetchers == 0) run_task(pools_.cores, [this, work] { finish_chunk(work); });
  }

  void fetch(ChunkWork& work, std::size_t index) {
    const Piece& piece = work.chunk->pieces[index];
    PieceState& state = work.states[index];
    try {
      state.modified = source_.fetch(piece.member, piece.offset, {work.data_of(index), piece.size});
    } catch (...) {
      // A fetch that was told to stop says nothing about its member.
      if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while writing the archive", sink_.name());
      if (!piece.whole()) throw MemberLost(piece.member, current_error());
      state.failure = current_error();
    }
  }

  void show_source(std::size_t member, ByteCount offset, ByteView bytes) {
    try {
      source_.passed(member, offset, bytes);
    } catch (const Error& error) {
      throw MemberLost(member, error);
    }
  }

  void finish_chunk(const std::shared_ptr<ChunkWork>& work) {
    for (std::size_t i = 0; i < work->chunk->pieces.size(); ++i) {
      const Piece& piece = work->chunk->pieces[i];
      if (!piece.whole()) large_member(piece.member).pieces.put(piece.number, {work, i});
    }
    FrameResult result;
    result.chunk = work->chunk;
    result.content_bytes = frame_as_tar(*work);
    if (result.content_bytes > 0) compress(*work, result);
    result.ticket = std::move(work->output);
    result.ticket.shrink_to(result.frame.bytes.capacity());
    result.states = work->states;
    frames_.put(work->number, std::move(result));
  }

  void compress(const ChunkWork& work, FrameResult& result) {
    const ByteView content(work.raw.bytes.data(), result.content_bytes);
    FrameContent frame{{}, content};
    result.level = options_.level;
    if (options_.levels != nullptr) {
      for (std::size_t i = 0; i < work.states.size(); ++i) {
        if (!work.states[i].failure) frame.members.push_back(&members_[work.chunk->pieces[i].member]);
      }
      result.level = options_.levels->choose(frame);
    }
    const auto started = os::thread_processor_time();
    result.frame = options_.levels == nullptr ? compress_frame(content, result.level, options_.frame_size)
                                              : compress_frame_at(content, result.level, options_.frame_size);
    result.core_seconds = (os::thread_processor_time() - started).count();
    if (options_.levels != nullptr)
      options_.levels->compressed(frame, result.level, result.frame.bytes.size(), result.core_seconds);
    result.hash = xxh64(result.frame.bytes.view());
  }

  LargeMember& large_member(std::size_t member) {
    const Lock lock(large_mutex_);
    auto& slot = large_[member];
    if (!slot) slot = std::make_unique<LargeMember>(*this, member);
    return *slot;
  }

  /// Writes headers and padding round the data, closes the gaps of members that failed, and digests small members.
  /// Returns the length of the frame's content.
  ByteCount frame_as_tar(ChunkWork& work) {
    std::byte* const base = work.raw.bytes.data();
    ByteCount to = 0;
    for (std::size_t i = 0; i < work.chunk->pieces.size(); ++i) {
      const Piece& piece = work.chunk->pieces[i];
      PieceState& state = work.states[i];
      if (state.failure) continue;
      std::byte* const data = base + to + piece.header;
      if (to != state.at) {
        // Never a piece of a large member, which is at the start of its chunk: another thread may be digesting that
        // one.
        std::memmove(data, work.data_of(i), piece.size);
        state.at = to;
      }
      if (piece.header > 0)
        encode_tar_header({base + to, piece.header}, names_[piece.member], members_[piece.member].size, state.modified,
                          members_[piece.member].mode);
      if (piece.whole()) state.sha256 = Sha256::of({data, piece.size});
      std::memset(data + piece.size, 0, piece.padding);
      to += piece.bytes();
    }
    return to;
  }

  // ---- Output, in order: called by the sequencer, one call at a time.

  void append(FrameResult result) {
    for (std::size_t i = 0; i < result.states.size(); ++i) record(result, i);
    if (result.content_bytes == 0) return;
    entries_.push_back({static_cast<std::uint32_t>(result.frame.bytes.size()),
                        static_cast<std::uint32_t>(result.content_bytes), result.frame.checksum});
    hashes_.push_back(result.hash);
    written_.tar_bytes += result.content_bytes;
    written_.archive_bytes += result.frame.bytes.size();
    written_.core_seconds += result.core_seconds;
    if (result.chunk != nullptr) bytes_at_level_[static_cast<std::size_t>(result.level)] += result.content_bytes;
    sink_.append({std::move(result.frame.bytes), std::move(result.ticket)});
  }

  void record(const FrameResult& result, std::size_t index) {
    const Piece& piece = result.chunk->pieces[index];
    const PieceState& state = result.states[index];
    WrittenMember& member = written_.members[piece.member];
    member.failure = state.failure;
    if (!state.failure) {
      if (piece.number == 0) {
        member.modified = state.modified;
        member.frame_skip = state.at + piece.header;
        member.data_offset = written_.tar_bytes + member.frame_skip;
        member.frame_offset = written_.archive_bytes;
      }
      if (piece.whole()) member.sha256 = state.sha256;
      member.frame_length += result.frame.bytes.size();
    }
    if (options_.progress == nullptr) return;
    options_.progress->bytes_done += piece.size;
    if (piece.last) ++(state.failure ? options_.progress->items_failed : options_.progress->items_done);
  }

  // ---- manifest.json, trailer, seek table

  void write_manifest(const std::string& manifest) {
    TimePoint latest{};  // not the time of day: equal input gives equal archives
    for (const WrittenMember& member : written_.members) latest = std::max(latest, member.modified);
    const ByteCount header = tar_header_bytes(layout::manifest_name, manifest.size());
    manifest_offset_ = written_.tar_bytes + header;
    const ByteCount total = header + tar_padded(manifest.size()) + layout::tar_end_bytes;
    std::vector<std::byte> head(header);
    encode_tar_header(head, layout::manifest_name, manifest.size(), latest);
    try {
      for (ByteCount at = 0; at < total; at += options_.frame_size)
        start_manifest_frame(head, manifest, at, std::min(options_.frame_size, total - at));
    } catch (...) {
      stop_.request_stop();
      tasks_.wait();
      throw;
    }
    finish_tasks();
  }

  /// Bytes [at, at + length) of header, manifest and zeros.
  void start_manifest_frame(ByteView head, const std::string& manifest, ByteCount at, ByteCount length) {
    flow::Ticket ticket = budget_.acquire(length + compressed_bound(length), stop_.get_token());
    auto raw = std::make_shared<Buffer>(length);
    const auto append_part = [&](ByteView part, ByteCount part_at) {
      const ByteCount first = std::clamp<ByteCount>(at, part_at, part_at + part.size()) - part_at;
      const ByteCount last = std::clamp<ByteCount>(at + length, part_at, part_at + part.size()) - part_at;
      raw->append(part.subspan(first, last - first));
    };
    append_part(head, 0);
    append_part(as_bytes(manifest), head.size());
    std::memset(raw->spare().data(), 0, raw->spare().size());
    raw->resize(length);
    auto paid = std::make_shared<flow::Ticket>(std::move(ticket));
    run_task(pools_.cores, [this, raw, paid, number = started_ + at / options_.frame_size] {
      FrameResult result;
      result.content_bytes = raw->size();
      result.frame = compress_frame(raw->view(), options_.level, options_.frame_size);
      result.hash = xxh64(result.frame.bytes.view());
      *raw = Buffer();
      result.ticket = std::move(*paid);
      result.ticket.shrink_to(result.frame.bytes.capacity());
      frames_.put(number, std::move(result));
    });
  }

  void write_end(ByteCount manifest_bytes) {
    written_.frames = entries_.size();
    const auto trailer_bytes = static_cast<std::uint32_t>(layout::trailer_bytes(entries_.size()));
    entries_.push_back({trailer_bytes, 0, layout::checksum_of_nothing});
    Buffer table = encode_seek_table(entries_);
    Buffer trailer = encode_trailer({.manifest_offset = manifest_offset_,
                                     .manifest_bytes = manifest_bytes,
                                     .objects = count_written(),
                                     .tar_bytes = written_.tar_bytes,
                                     .frame_bytes = options_.frame_size,
                                     .seek_table_hash = xxh64(table.view()),
                                     .frame_hashes = std::move(hashes_)});
    written_.archive_bytes += trailer.size() + table.size();
    sink_.append({std::move(trailer), {}});
    sink_.append({std::move(table), {}});
    sink_.finish();
  }

  std::uint64_t count_written() const {
    return static_cast<std::uint64_t>(std::count_if(written_.members.begin(), written_.members.end(),
                                                    [](const WrittenMember& member) { return !member.failure; }));
  }

  const std::vector<PlannedMember>& members_;
  MemberSource& source_;
  transfer::ByteSink& sink_;
  const flow::Pools pools_;
  flow::MemoryBudget& budget_;
  const WriterOptions& options_;
  /// Chunks between fetching and compressed, counted like bytes: enough for every core and connection. Running further
  /// ahead gains nothing, and pays for the pages of fresh buffers instead of using warm ones again.
  flow::MemoryBudget ahead_;
  const std::vector<std::string> names_;
  ChunkPlan plan_;
  const flow::Ticket description_;     ///< counts names, results and lists of frames
  std::uint64_t started_ = 0;          ///< chunks of plan_
  WriteResult written_;                ///< guarded by the sequencer while tasks run; a digest by its LargeMember
  std::vector<SeekEntry> entries_;     ///< as above
  std::vector<std::uint64_t> hashes_;  ///< as above; parallel to entries_
  std::array<ByteCount, max_level + 1> bytes_at_level_{};  ///< as above
  ByteCount manifest_offset_ = 0;
  Mutex large_mutex_;
  std::unordered_map<std::size_t, std::unique_ptr<LargeMember>> large_ BALE_GUARDED_BY(large_mutex_);
  flow::Sequencer<FrameResult> frames_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> stop_with_caller_;
  flow::TaskGroup tasks_;  // last: waits for the tasks before what they use is gone
};

}  // namespace

std::vector<std::size_t> like_beside_like(const std::vector<PlannedMember>& members) {
  struct SortKey {
    std::string_view extension, base, name;
    auto operator<=>(const SortKey&) const = default;
  };
  const auto key_of = [](std::string_view name) {
    const std::string_view base = basename(name);
    const std::size_t dot = base.rfind('.');
    // ".profile" has no extension.
    return SortKey{dot == std::string_view::npos || dot == 0 ? std::string_view() : base.substr(dot + 1), base, name};
  };
  std::vector<SortKey> keys;
  keys.reserve(members.size());
  for (const PlannedMember& member : members) keys.push_back(key_of(member.name));
  std::vector<std::size_t> order(members.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
  return order;
}

WriteResult write_archive(const std::vector<PlannedMember>& members, MemberSource& source, const MakeManifest& manifest,
                          transfer::ByteSink& sink, flow::Pools pools, flow::MemoryBudget& budget,
                          const WriterOptions& options) {
  check_options(options);
  check_members(members);
  return Writer(members, source, sink, pools, budget, options).run(manifest);
}

}  // namespace bale::archive
