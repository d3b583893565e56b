#include "archive/sidecar_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "archive/piece_maker.hpp"
#include "archive/stream_reader.hpp"
#include "archive/tar_stream.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

// So much of a frame tells how well the rest of it compresses.
constexpr ByteCount telling_bytes = 1 << 20;
constexpr std::string_view stale_hint = "make the index anew: bale archive index";

/// Index of the frame that holds byte `tar_offset`, which must be less than the index's tar_bytes(). Of frames that
/// begin there it is the last, the one with content.
std::size_t frame_of(const Sidecar& sidecar, ByteCount tar_offset) noexcept {
  const auto behind =
      std::upper_bound(sidecar.frames.begin(), sidecar.frames.end(), tar_offset,
                       [](ByteCount offset, const SidecarFrame& frame) { return offset < frame.tar_offset; });
  return static_cast<std::size_t>(behind - sidecar.frames.begin()) - 1;
}

/// Neighbouring frames, read in one pass, and the objects that are wanted of them.
struct Run {
  std::size_t first_frame = 0, last_frame = 0;
  std::size_t end = 0;    ///< behind the last of its objects, in the order in which they are read
  ByteCount tar_end = 0;  ///< nothing behind this is wanted
};

/// One call of read().
class SidecarReading {
 public:
  SidecarReading(transfer::RandomSource& source, const Sidecar& sidecar, FrameVisitor& visitor, flow::Pools pools,
                 flow::MemoryBudget& budget, const std::stop_token& stop)
      : source_(source),
        sidecar_(sidecar),
        visitor_(visitor),
        pieces_(visitor, budget, stop),
        means_{&pools.connections, &budget},
        stop_(stop) {}

  /// `is_all`: the frames are read to their end, whatever is in them.
  void run(const std::vector<std::size_t>& wanted, bool is_all) {
    sort_out(wanted);
    std::size_t frame = 0;
    while (next_ < order_.size() || (is_all && frame < sidecar_.real_frames())) {
      const Run run = is_all ? rest_from(frame) : plan_run();
      const auto damaged = read_run(run, is_all);
      pieces_.flush();
      if (damaged) report_lost(*damaged);
      frame = (damaged ? damaged->first : run.last_frame) + 1;
    }
    if (unclaimed_ && !has_reported_) throw *unclaimed_;
  }

 private:
  using DamagedFrame = std::pair<std::size_t, Error>;

  const ObjectList& objects() const { return sidecar_.manifest.objects; }
  ByteCount end_of(std::size_t i) const { return *objects().data_offset_of(i) + objects().bytes_of(i); }

  /// Those that have a place, in its order; the others are damage.
  void sort_out(const std::vector<std::size_t>& wanted) {
    std::vector<std::size_t> missing;
    for (const std::size_t i : wanted) {
      if (i >= objects().size()) throw std::out_of_range("no such object");
      (objects().data_offset_of(i) ? order_ : missing).push_back(i);
    }
    std::sort(order_.begin(), order_.end(),
              [&](std::size_t a, std::size_t b) { return sidecar_.header_offsets[a] < sidecar_.header_offsets[b]; });
    order_.erase(std::unique(order_.begin(), order_.end()), order_.end());
    if (!missing.empty())
      report(0, Error(ErrorKind::corrupt, "the tar does not hold what the manifest lists", source_.name()),
             std::move(missing));
  }

  Run rest_from(std::size_t frame) const {
    return {frame, sidecar_.real_frames() - 1, order_.size(), sidecar_.tar_bytes()};
  }

  /// The objects from next_ on whose frames follow each other without one between that nobody wants.
  Run plan_run() const {
    Run run;
    for (run.end = next_; run.end < order_.size(); ++run.end) {
      const std::size_t i = order_[run.end];
      const std::size_t first = frame_of(sidecar_, sidecar_.header_offsets[i]);
      const bool is_first = run.end == next_;
      const bool is_apart = !is_first && first > run.last_frame &&
                            sidecar_.frames[first].tar_offset != sidecar_.frames[run.last_frame].tar_end();
      if (is_apart) break;
      if (is_first) run.first_frame = run.last_frame = first;
      run.tar_end = std::max(run.tar_end, end_of(i));
      run.last_frame = std::max(run.last_frame, frame_of(sidecar_, end_of(i) - 1));
    }
    return run;
  }

  /// Reads a run's objects, from next_ on. Returns the frame that is damaged, where one is.
  std::optional<DamagedFrame> read_run(const Run& run, bool is_all) {
    std::size_t frame = run.first_frame;
    const FrameStream::Part part{sidecar_.frames[run.first_frame].file_offset,
                                 sidecar_.frames[run.last_frame].file_end(),
                                 sidecar_.frames[run.first_frame].tar_offset};
    FrameStream bytes(
        source_, part,
        {[&](ByteCount offset, const FrameStream::Position& position) { return wanted_from(run, offset, position); },
         [&](ByteCount file, ByteCount tar) {
           check_end(frame, file, tar);
           ++frame;
         }},
        means_, ReaderLimits{.budget = means_.budget}.window_log());
    try {
      while (next_ < run.end) read_objects(bytes, names_of_one_member(run.end));
      if (is_all) bytes.drain();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw error.where().empty() ? error.with_where(source_.name()) : error;
      frame = std::min(frame, run.last_frame);
      return DamagedFrame(frame, error.with_where(fmt::format("{}, frame {}", source_.name(), frame)));
    }
    return std::nullopt;
  }

  /// The next object, and those behind it that are other names of its member.
  std::vector<std::size_t> names_of_one_member(std::size_t end) const {
    const std::size_t first = order_[next_];
    std::vector<std::size_t> names{first};
    for (std::size_t i = next_ + 1; i < end; ++i) {
      const std::size_t other = order_[i];
      const bool is_other_name = sidecar_.header_offsets[other] == sidecar_.header_offsets[first] &&
                                 objects().data_offset_of(other) == objects().data_offset_of(first) &&
                                 objects().bytes_of(other) == objects().bytes_of(first) &&
                                 objects()[other].data_member() == objects()[first].data_member();
      if (!is_other_name) break;
      names.push_back(other);
    }
    return names;
  }

  /// What is wrong with the objects alone is reported; a broken stream is thrown.
  void read_objects(FrameStream& bytes, const std::vector<std::size_t>& names) {
    const std::size_t i = names.front();
    try {
      if (!bytes.seek(sidecar_.header_offsets[i])) throw misplaced();
      TarStream tar(bytes);
      const auto member = tar.next();
      const bool is_it = member && member->name == objects()[i].data_member() &&
                         member->size == objects().bytes_of(i) && member->regular && member->in_one_piece &&
                         member->data_offset == objects().data_offset_of(i);
      if (!is_it) throw misplaced();
      pieces_.take(tar, names, objects().bytes_of(i));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt || bytes.broken()) throw;
      pieces_.flush();
      const std::size_t frame = frame_of(sidecar_, sidecar_.header_offsets[i]);
      report(frame,
             error.with_where(fmt::format("{}, frame {}", source_.name(), frame)).with_hint(std::string(stale_hint)),
             names);
    }
    next_ += names.size();
  }

  static Error misplaced() {
    return Error(ErrorKind::corrupt, "another member, or none, is where the index says that the object is");
  }

  /// Up to where the run is wanted; in its last frame, as far as the ratio of what was read of it tells. The first
  /// request for that frame tells it; the ratio of the whole frame only limits that one.
  ByteCount wanted_from(const Run& run, ByteCount file_offset, const FrameStream::Position& position) const {
    if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while reading the archive");
    const SidecarFrame& last = sidecar_.frames[run.last_frame];
    ByteCount end = last.file_end();
    if (run.tar_end < last.tar_end()) {
      const bool tells = position.tar_offset >= last.tar_offset + telling_bytes;
      const double ratio = tells ? static_cast<double>(position.file_offset - last.file_offset) /
                                       static_cast<double>(position.tar_offset - last.tar_offset)
                                 : static_cast<double>(last.file_bytes) / static_cast<double>(last.tar_bytes);
      const auto estimate = static_cast<ByteCount>(ratio * static_cast<double>(run.tar_end - last.tar_offset));
      const ByteCount bytes = estimate + estimate / 32;
      end = std::min(end, last.file_offset + (tells ? bytes : std::min(bytes, ReadAhead::most_request_bytes)));
    }
    return end > file_offset ? end - file_offset : 0;
  }

  void check_end(std::size_t frame, ByteCount file_offset, ByteCount tar_offset) const {
    const bool as_told = frame < sidecar_.frames.size() && sidecar_.frames[frame].file_end() == file_offset &&
                         sidecar_.frames[frame].tar_end() == tar_offset;
    if (!as_told)
      throw Error(ErrorKind::corrupt, "the frame does not end where the index says", {}, std::string(stale_hint));
  }

  /// What begins in the damaged frame, or began before it and is not done, is lost; the others are still read.
  void report_lost(const DamagedFrame& damaged) {
    std::vector<std::size_t> lost;
    for (; next_ < order_.size(); ++next_) {
      if (frame_of(sidecar_, sidecar_.header_offsets[order_[next_]]) > damaged.first) break;
      lost.push_back(order_[next_]);
    }
    if (lost.empty())
      unclaimed_ = damaged.second;
    else
      report(damaged.first, damaged.second, std::move(lost));
  }

  void report(std::size_t frame, const Error& error, std::vector<std::size_t> objects) {
    has_reported_ = true;
    visitor_.damaged({frame, error, std::move(objects)});
  }

  transfer::RandomSource& source_;
  const Sidecar& sidecar_;
  FrameVisitor& visitor_;
  PieceMaker pieces_;
  const ReadAheadMeans means_;
  const std::stop_token stop_;
  std::vector<std::size_t> order_;  ///< objects in the order of their places
  std::size_t next_ = 0;            ///< the first of them that is not done
  bool has_reported_ = false;
  std::optional<Error> unclaimed_;  ///< damage where no object begins
};

/// Names the first members that are left out.
void add_left_out(const Sidecar& sidecar, std::vector<Remark>& remarks) {
  constexpr std::size_t most_named = 100;
  const std::size_t named = std::min(most_named, sidecar.left_out_members.size());
  for (std::size_t i = 0; i < named; ++i) {
    const LeftOut& each = sidecar.left_out_members[i];
    remarks.push_back({fmt::format("left out {}: {}", escape_name(each.member), to_string(each.why)), true});
  }
  if (sidecar.left_out > named)
    remarks.push_back(
        {fmt::format("left out {} {}members that have data", sidecar.left_out - named, named > 0 ? "more " : ""),
         true});
}

class SidecarReader final : public Reader {
 public:
  SidecarReader(transfer::RandomSource& source, Sidecar sidecar, MemoryShare memory)
      : source_(source), sidecar_(std::move(sidecar)), memory_(std::move(memory)) {}

  const Manifest& manifest() const override { return sidecar_.manifest; }
  bool random_access() const override { return true; }
  std::optional<Error> flaw() const override {
    // Bale wrote it, and with a seek table.
    if (sidecar_.manifest.version > 0) return no_seek_table(source_.name());
    return std::nullopt;
  }
  std::vector<Remark> remarks() const override {
    std::vector<Remark> remarks;
    if (sidecar_.tar_goes_on) remarks.push_back({"what follows the end of the tar is no tar, and is not read", true});
    const SidecarFrame tail = sidecar_.frames.empty() ? SidecarFrame{} : sidecar_.frames.back();
    if (sidecar_.has_tail && !sidecar_.tail_is_zero)
      remarks.push_back(remark_of_tail({tail.file_offset, tail.file_bytes, false}));
    add_left_out(sidecar_, remarks);
    return remarks;
  }
  std::size_t frames() const override { return sidecar_.real_frames(); }
  ByteCount archive_bytes() const override { return sidecar_.archive.bytes; }
  ByteCount tar_bytes() const override { return sidecar_.tar_bytes(); }

  MemberLocation locate(std::size_t i) const override {
    const ManifestObject object = sidecar_.manifest.objects.at(i);
    if (!object.data_offset)
      throw Error(ErrorKind::corrupt, "the tar does not hold the object, though the manifest lists it", source_.name());
    // An empty object is in the frame of its header.
    const ByteCount begin = object.size > 0 ? *object.data_offset : *object.data_offset - 1;
    const ByteCount end = object.size > 0 ? begin + object.size - 1 : begin;
    const SidecarFrame& first = sidecar_.frames[frame_of(sidecar_, begin)];
    const SidecarFrame& last = sidecar_.frames[frame_of(sidecar_, end)];
    return {first.file_offset, last.file_end() - first.file_offset, *object.data_offset - first.tar_offset};
  }

  void read(const std::vector<std::size_t>& objects, FrameVisitor& visitor, flow::Pools pools,
            flow::MemoryBudget& budget, std::stop_token stop) override {
    std::vector<std::size_t> wanted(objects);
    for (std::size_t i = 0; objects.empty() && i < sidecar_.manifest.objects.size(); ++i) wanted.push_back(i);
    SidecarReading(source_, sidecar_, visitor, pools, budget, stop).run(wanted, objects.empty());
  }

 private:
  transfer::RandomSource& source_;
  const Sidecar sidecar_;
  const MemoryShare memory_;
};

}  // namespace

std::unique_ptr<Reader> open_with_sidecar(transfer::RandomSource& source, Sidecar sidecar, MemoryShare memory) {
  if (sidecar.archive.bytes != source.size())
    throw Error(ErrorKind::corrupt, "the index is of another archive", source.name(), std::string(stale_hint));
  return std::make_unique<SidecarReader>(source, std::move(sidecar), std::move(memory));
}

}  // namespace bale::archive
