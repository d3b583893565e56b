#include "mount/object_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "archive/frame_reader.hpp"
#include "archive/member_name.hpp"
#include "archive/tar.hpp"
#include "archive/writer.hpp"
#include "base/error.hpp"
#include "store/read_exactly.hpp"
#include "transfer/byte_io.hpp"

namespace bale::mount {
namespace {

using namespace bale::literals;

// Up to here the frames of an object are read together, and their seek table is not needed: two frames of the default
// size. What a frame holds beside the object counts, for it is decompressed as well.
constexpr ByteCount most_run_bytes = 32_MiB;
// Of seek tables: 32 MiB in memory.
constexpr std::size_t most_indexed_frames = 1 << 20;

/// What a person hears of a copy that cannot be read.
Error out_of_reach(const Error& error, const ObjectAddress& archive) {
  if (error.kind() == ErrorKind::not_found) {
    return Error(ErrorKind::not_found, "the archive that holds the object is not there any more", to_uri(archive),
                 "`bale catalog search --all-versions` shows which other backups have the object");
  }
  const bool is_archived = error.code() == "InvalidObjectState";
  return Error(error.kind(), "the archive that holds the object cannot be read: " + error.summary(), to_uri(archive),
               is_archived ? "ask S3 to make the archive readable for some days (RestoreObject), then read again"
                           : error.hint())
      .with_code(error.code());
}

/// Calls `ask` with each copy of the object's archive until one can be read. Throws Error{denied} for a row whose
/// buckets were all refused when the tree was built.
template <typename Ask>
auto ask_copies(const catalog::Record& record, Ask ask) {
  std::optional<Error> first;
  for (const ObjectAddress& copy : catalog::archive_places(record)) {
    try {
      return ask(copy);
    } catch (const Error& error) {
      const bool is_out_of_reach = error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::denied;
      if (!is_out_of_reach) throw;
      if (!first) first = out_of_reach(error, copy);
    }
  }
  if (first) throw *first;
  throw Error(ErrorKind::denied, "the catalog row names no bucket that may be read", record.archive_key.str(),
              "the warning at the start of the mount names the bucket: --allow-bucket allows it");
}

/// `length` bytes of an archive.
Buffer fetch_range(store::ObjectStore& store, const ObjectAddress& archive, ByteCount offset, ByteCount length) {
  try {
    const auto stream = store.get(archive, store::ByteRange::at(offset, length));
    if (stream->length() != length)
      throw Error(ErrorKind::corrupt, "the archive ends before the object's place", to_uri(archive));
    Buffer bytes(length);
    bytes.resize(length);
    store::read_exactly(*stream, {bytes.data(), bytes.size()}, to_uri(archive));
    return bytes;
  } catch (const Error& error) {
    // The record is of another file than the one that is there.
    if (error.kind() == ErrorKind::invalid && error.code() == "InvalidRange")
      throw Error(ErrorKind::corrupt, "the archive ends before the object's place", to_uri(archive));
    throw error.where().empty() ? error.with_where(to_uri(archive)) : error;
  }
}

/// Holds the end of what stands in front of an object against the tar headers that it can have: the catalog's word for
/// whose bytes they are is not enough.
void check_header(const catalog::Record& record, ByteView before) {
  std::string_view relative = record.object_path.str();
  const std::string prefix = record.source_prefix + "/";
  if (prefix.size() > 1 && relative.starts_with(prefix)) relative.remove_prefix(prefix.size());
  const ByteCount size = size_of(record);
  for (const std::string& name : archive::possible_member_names(relative)) {
    const ByteCount length = archive::tar_header_bytes(name, size);
    if (length <= before.size() && archive::is_tar_header_of(before.last(length), name, size)) return;
  }
  throw Error(ErrorKind::corrupt,
              "another object, or none, is at the recorded place: the archive and the record differ",
              to_uri(record.archive_bucket, record.archive_key));
}

/// Copies what both have: `out` is to hold the bytes from `wanted` on, `frame` has those from `begin` on. Returns how
/// many of `out` are filled.
std::size_t copy_part(MutableBytes out, ByteCount wanted, ByteView frame, ByteCount begin) {
  const ByteView part = frame.subspan(wanted - begin);
  const std::size_t length = std::min(part.size(), out.size());
  std::copy_n(part.begin(), length, out.begin());
  return length;
}

/// Whether the frames of an object are read together.
bool is_small(const catalog::Record& record) {
  const ByteCount size = size_of(record);
  return record.location->frame_length <= most_run_bytes && size <= most_run_bytes &&
         record.location->frame_skip + size <= most_run_bytes;
}

Error ends_early(const catalog::Record& record) {
  return Error(ErrorKind::corrupt, "the frames end before the object does",
               to_uri(record.archive_bucket, record.archive_key));
}

}  // namespace

ByteCount size_of(const catalog::Record& record) {
  if (record.object_size) return *record.object_size;
  throw Error(ErrorKind::unsupported, "the catalog row does not say how large the object is",
              to_uri(record.archive_bucket, record.archive_key),
              "restore the object with `bale restore`, which reads the whole archive");
}

FrameIndexCache::Index FrameIndexCache::get(std::int64_t archive, const std::function<archive::FrameIndex()>& load) {
  const std::shared_ptr<Slot> slot = slot_of(archive);
  const Lock lock(slot->mutex);
  if (slot->index) return slot->index;
  slot->index = std::make_shared<const archive::FrameIndex>(load());
  forget_old(archive, slot->index->frames().size());
  return slot->index;
}

std::shared_ptr<FrameIndexCache::Slot> FrameIndexCache::slot_of(std::int64_t archive) {
  const Lock lock(mutex_);
  const auto found =
      std::find_if(places_.begin(), places_.end(), [&](const Place& place) { return place.archive == archive; });
  if (found == places_.end())
    places_.push_front({archive, 1, std::make_shared<Slot>()});
  else
    places_.splice(places_.begin(), places_, found);
  return places_.front().slot;
}

void FrameIndexCache::forget_old(std::int64_t archive, std::size_t frames) {
  constexpr std::size_t most_places = 1024;  // they are looked through one by one
  const Lock lock(mutex_);
  std::size_t held = 0;
  for (Place& place : places_) {
    if (place.archive == archive) place.frames = frames;
    held += place.frames;
  }
  while (places_.size() > 1 && (held > most_indexed_frames || places_.size() > most_places)) {
    held -= places_.back().frames;
    places_.pop_back();
  }
}

void ObjectReader::read(const StoredObject& object, ByteCount offset, MutableBytes out, const std::stop_token& stop) {
  if (out.empty()) return;
  if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while reading");
  const catalog::Record& record = object.record;
  const ObjectAddress archive{record.archive_bucket, record.archive_key};
  if (!record.location || record.archive_key.empty()) {
    throw Error(ErrorKind::unsupported, "the catalog row does not say where in its archive the object is",
                to_uri(archive), "`bale restore` gets the object: it reads the whole archive");
  }
  const archive::MemberLocation& place = *record.location;
  const ByteCount most = archive::ReaderLimits{}.max_frame_bytes;
  if (place.frame_length == 0 || place.frame_length > INT64_MAX || place.frame_offset > INT64_MAX ||
      place.frame_skip > most)
    throw Error(ErrorKind::corrupt, "the recorded place of the object is impossible", to_uri(archive));
  if (is_small(record))
    read_run(object, offset, out, stop);
  else
    read_frames(object, offset, out, stop);
}

void ObjectReader::read_run(const StoredObject& object, ByteCount offset, MutableBytes out,
                            const std::stop_token& stop) {
  const archive::MemberLocation& place = *object.record.location;
  const ByteCount end = place.frame_offset + place.frame_length;
  ByteCount wanted = place.frame_skip + offset;  // in what the frames decompress to
  ByteCount begin = 0;
  for (ByteCount at = place.frame_offset; !out.empty();) {
    if (at >= end) throw ends_early(object.record);
    const FrameCache::Frame frame = cache_.get(
        object.archive, at, end, [&] { return load_run(object, at, end, stop); }, stop);
    const ByteView bytes = frame->bytes.view();
    if (begin == 0) {
      if (place.frame_skip > bytes.size()) throw ends_early(object.record);
      check_header(object.record, bytes.first(place.frame_skip));
    }
    if (wanted < begin + bytes.size()) {
      const std::size_t copied = copy_part(out, wanted, bytes, begin);
      out = out.subspan(copied);
      wanted += copied;
    }
    begin += bytes.size();
    at += frame->compressed;
  }
}

void ObjectReader::read_frames(const StoredObject& object, ByteCount offset, MutableBytes out,
                               const std::stop_token& stop) {
  const archive::MemberLocation& place = *object.record.location;
  const auto [index, first] = frames_of(object);
  const std::vector<archive::Frame>& frames = index->frames();
  ByteCount wanted = frames[first].tar_offset + place.frame_skip + offset;
  while (!out.empty()) {
    if (wanted >= index->tar_bytes()) throw ends_early(object.record);
    const std::size_t number = index->frame_of(wanted);
    const archive::Frame& described = frames[number];
    const bool is_last = number + 1 == frames.size();
    const ByteCount end = is_last ? described.file_offset + described.compressed : frames[number + 1].file_offset;
    const FrameCache::Frame frame = cache_.get(
        object.archive, described.file_offset, end,
        [&] { return std::vector<FrameCache::Frame>{load_frame(object, described, end, stop)}; }, stop);
    const ByteView bytes = frame->bytes.view();
    if (bytes.size() != described.decompressed) throw ends_early(object.record);
    if (number == first) {
      if (place.frame_skip > bytes.size()) throw ends_early(object.record);
      check_header(object.record, bytes.first(place.frame_skip));
    }
    const std::size_t copied = copy_part(out, wanted, bytes, described.tar_offset);
    out = out.subspan(copied);
    wanted += copied;
  }
}

std::vector<FrameCache::Frame> ObjectReader::load_run(const StoredObject& object, ByteCount offset, ByteCount end,
                                                      const std::stop_token& stop) {
  // How much the frames hold is known when they are there, too late to wait for memory: most are of the default size.
  const flow::Ticket ticket = budget_.acquire(end - offset + archive::default_frame_size, stop);
  const Buffer compressed = fetch(object, offset, end - offset);
  const std::string where =
      fmt::format("{}, frame at {}", to_uri(object.record.archive_bucket, object.record.archive_key), offset);
  std::vector<FrameCache::Frame> frames;
  try {
    const auto may_hold = [](ByteCount claimed) {
      if (claimed > archive::ReaderLimits{}.max_frame_bytes)
        throw Error(ErrorKind::corrupt, "the frames hold more than the record's place can need");
    };
    for (archive::RunFrame& frame : archive::decompress_run(compressed.view(), may_hold)) {
      frames.push_back(std::make_shared<const CachedFrame>(
          CachedFrame{offset + frame.at, frame.compressed, std::move(frame.content)}));
    }
    if (frames.empty() || frames.front()->offset != offset)
      throw Error(ErrorKind::corrupt, "the recorded place has no content");
  } catch (const Error& error) {
    throw error.where().empty() ? error.with_where(where) : error;
  }
  return frames;
}

FrameCache::Frame ObjectReader::load_frame(const StoredObject& object, const archive::Frame& frame, ByteCount end,
                                           const std::stop_token& stop) {
  const flow::Ticket ticket = budget_.acquire(ByteCount{frame.compressed} + frame.decompressed, stop);
  const Buffer compressed = fetch(object, frame.file_offset, frame.compressed);
  Buffer content(frame.decompressed);
  content.resize(frame.decompressed);
  try {
    archive::read_frame(compressed.view(), frame, {content.data(), content.size()});
  } catch (const Error& error) {
    throw error.with_where(fmt::format(
        "{}, frame at {}", to_uri(object.record.archive_bucket, object.record.archive_key), frame.file_offset));
  }
  return std::make_shared<const CachedFrame>(
      CachedFrame{frame.file_offset, end - frame.file_offset, std::move(content)});
}

std::pair<FrameIndexCache::Index, std::size_t> ObjectReader::frames_of(const StoredObject& object) {
  const FrameIndexCache::Index index = indexes_.get(object.archive, [&] {
    return ask_copies(object.record, [&](const ObjectAddress& copy) {
      const auto source = transfer::open_object_source(store_, copy);
      return archive::read_frame_index(*source, {.budget = nullptr, .memory = budget_.limit() / 4});
    });
  });
  const std::vector<archive::Frame>& frames = index->frames();
  const auto first = std::lower_bound(frames.begin(), frames.end(), object.record.location->frame_offset,
                                      [](const archive::Frame& frame, ByteCount at) { return frame.file_offset < at; });
  if (first == frames.end() || first->file_offset != object.record.location->frame_offset) {
    throw Error(ErrorKind::corrupt, "no frame starts at the recorded place: the archive and the record differ",
                to_uri(object.record.archive_bucket, object.record.archive_key));
  }
  return {index, static_cast<std::size_t>(first - frames.begin())};
}

std::optional<ByteCount> ObjectReader::next_frame(const StoredObject& object, ByteCount offset) {
  if (!object.record.location || is_small(object.record)) return std::nullopt;
  const auto [index, first] = frames_of(object);
  const std::vector<archive::Frame>& frames = index->frames();
  const ByteCount begin = frames[first].tar_offset + object.record.location->frame_skip;
  if (begin + offset >= index->tar_bytes()) return std::nullopt;
  const ByteCount next = frames[index->frame_of(begin + offset)].tar_end() - begin;
  return next < size_of(object.record) ? std::optional(next) : std::nullopt;
}

Buffer ObjectReader::fetch(const StoredObject& object, ByteCount offset, ByteCount length) {
  return ask_copies(object.record,
                    [&](const ObjectAddress& copy) { return fetch_range(store_, copy, offset, length); });
}

}  // namespace bale::mount
