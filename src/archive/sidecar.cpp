#include "archive/sidecar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "archive/compress.hpp"
#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

constexpr std::string_view signature = "BALE-IDX";
// An index that needs no member of version 2 is written as one of version 1.
constexpr std::uint16_t sidecar_version = 2;
constexpr std::uint32_t flag_tail = 1, flag_zero_tail = 2, flag_tar_goes_on = 4, flag_left_out = 8, known_flags = 15;
constexpr std::size_t version_at = 8, etag_bytes_at = 10, flags_at = 12, archive_bytes_at = 16, tail_at = 24,
                      frames_at = 32, objects_at = 40, manifest_bytes_at = 48, sections_at = 56, header_bytes = 80;
constexpr std::size_t frame_entry_bytes = 16, place_entry_bytes = 4, checksum_bytes = 8;
constexpr std::size_t max_etag_bytes = 1024;
// A zstd block of at most 128 KiB takes at least 4 bytes (RFC 8878, 3.1.1.2): no section can hold more than this.
constexpr ByteCount most_expansion = (128 << 10) / 4;
// A skippable frame without content, the smallest there is.
constexpr ByteCount least_frame_bytes = layout::skippable_header_bytes;
constexpr ByteCount most_offset = std::numeric_limits<std::int64_t>::max();
constexpr int section_level = 9;
constexpr std::size_t text_block_bytes = 256 << 10;

Error wrong(std::string what) { return Error(ErrorKind::corrupt, "the index is wrong: " + std::move(what)); }

Buffer compress_section(ByteView content) {
  const ByteCount window = std::clamp<ByteCount>(content.size(), 1024, 8ULL << 20);
  return compress_frame_at(content, section_level, window).bytes;
}

Buffer frame_entries(const std::vector<SidecarFrame>& frames) {
  Buffer entries(frames.size() * frame_entry_bytes);
  for (const SidecarFrame& frame : frames) {
    append_le(entries, frame.file_bytes);
    append_le(entries, frame.tar_bytes);
  }
  return entries;
}

/// Bytes of headers in front of every object; 0 for one that is not there.
Buffer place_entries(const Sidecar& sidecar) {
  Buffer entries(sidecar.manifest.objects.size() * place_entry_bytes);
  for (std::size_t i = 0; i < sidecar.manifest.objects.size(); ++i) {
    const auto data_offset = sidecar.manifest.objects.data_offset_of(i);
    append_le(entries, static_cast<std::uint32_t>(data_offset ? *data_offset - sidecar.header_offsets.at(i) : 0));
  }
  return entries;
}

/// The fixed part in front, as it was read.
struct Header {
  std::uint64_t frames = 0, objects = 0, manifest_bytes = 0;
  ByteCount sections[4] = {};  ///< compressed: frames, places, manifest; then the members that are left out
};

Header read_header(ByteView bytes, const ReaderLimits& limits, Sidecar& sidecar) {
  const auto number = [&](std::size_t at) { return load_le<std::uint64_t>(bytes, at); };
  bool has_left_out = false;
  if (load_le<std::uint16_t>(bytes, version_at) > 1) {
    const auto flags = load_le<std::uint32_t>(bytes, flags_at);
    if ((flags & ~known_flags) != 0) throw wrong("it has flags that are not known");
    sidecar.has_tail = (flags & flag_tail) != 0;
    sidecar.tail_is_zero = (flags & flag_zero_tail) != 0;
    sidecar.tar_goes_on = (flags & flag_tar_goes_on) != 0;
    has_left_out = (flags & flag_left_out) != 0;
  }
  sidecar.archive.bytes = number(archive_bytes_at);
  sidecar.archive.tail_xxh64 = number(tail_at);
  Header header{number(frames_at), number(objects_at), number(manifest_bytes_at), {}};
  for (std::size_t i = 0; i < 3; ++i) header.sections[i] = number(sections_at + 8 * i);
  const ByteCount etag_bytes = load_le<std::uint16_t>(bytes, etag_bytes_at);
  ByteCount left = bytes.size() - header_bytes - checksum_bytes;
  if (etag_bytes > std::min<ByteCount>(left, max_etag_bytes)) throw wrong("its ETag is too long");
  left -= etag_bytes;
  sidecar.archive.etag = ETag(as_text(bytes.subspan(header_bytes, etag_bytes)));
  for (const ByteCount section : header.sections) {
    if (section > left) throw wrong("its sections are longer than the file");
    left -= section;
  }
  if (has_left_out) header.sections[3] = std::exchange(left, 0);
  if (left != 0) throw wrong("bytes are left over");
  if (sidecar.archive.bytes > most_offset) throw wrong("the archive is larger than any file");
  const std::uint64_t most =
      std::min({limits.max_frames, max_sidecar_frames, sidecar.archive.bytes / least_frame_bytes + 1});
  if (header.frames > most) throw wrong(fmt::format("it claims {} frames; at most {} can be", header.frames, most));
  if (header.manifest_bytes > limits.max_manifest_bytes) {
    throw wrong(fmt::format("its manifest claims {}; at most {} are read", format_bytes(header.manifest_bytes),
                            format_bytes(limits.max_manifest_bytes)));
  }
  // Every object takes a pair of braces of the manifest.
  if (header.objects > header.manifest_bytes / 2)
    throw wrong(fmt::format("it claims {} objects, for which the manifest is too short", header.objects));
  return header;
}

/// Of a section that is in memory as a whole.
Buffer read_section(ByteView section, ByteCount bytes, std::string_view name) {
  if (bytes > section.size() * most_expansion)
    throw wrong(fmt::format("{} claim more than {} compressed bytes can hold", name, section.size()));
  Buffer content(bytes);
  content.resize(bytes);
  try {
    decompress_frame(section, {content.data(), content.size()});
  } catch (const Error& error) {
    throw wrong(fmt::format("{}: {}", name, error.summary()));
  }
  return content;
}

/// The number of members, then a byte and a name for each that is named, with a zero behind it; nothing without
/// members.
std::string left_out_entries(const Sidecar& sidecar) {
  if (sidecar.left_out == 0) return {};
  std::string entries;
  for (unsigned shift = 0; shift < 64; shift += 8) entries += static_cast<char>(sidecar.left_out >> shift & 0xFFU);
  for (const LeftOut& each : sidecar.left_out_members) {
    if (entries.size() + each.member.size() > max_left_out_bytes) break;
    entries += static_cast<char>(each.why);
    entries += each.member;
    entries += '\0';
  }
  return entries;
}

void read_left_out(ByteView entries, Sidecar& sidecar, MemoryShare& memory) {
  const auto wrong_list = [] { return wrong("its list of members that are left out is damaged"); };
  if (entries.size() < sizeof(std::uint64_t) || entries.size() > 2 * max_left_out_bytes) throw wrong_list();
  memory.add(entries.size() * (sizeof(LeftOut) + 1) / 2, "the members that the index leaves out");
  sidecar.left_out = load_le<std::uint64_t>(entries, 0);
  std::string_view names = as_text(entries.subspan(sizeof(std::uint64_t)));
  while (!names.empty()) {
    const std::size_t end = names.find('\0', 1);
    if (end == std::string_view::npos) throw wrong_list();
    sidecar.left_out_members.push_back({std::string(names.substr(1, end - 1)), static_cast<WhyLeftOut>(names[0])});
    names.remove_prefix(end + 1);
  }
  if (sidecar.left_out == 0 || sidecar.left_out_members.size() > sidecar.left_out) throw wrong_list();
}

void read_frames(ByteView entries, Sidecar& sidecar) {
  sidecar.frames.reserve(entries.size() / frame_entry_bytes);
  SidecarFrame frame;
  for (std::size_t at = 0; at < entries.size(); at += frame_entry_bytes) {
    frame = {frame.file_end(), load_le<std::uint64_t>(entries, at), frame.tar_end(),
             load_le<std::uint64_t>(entries, at + 8)};
    const bool is_tail = sidecar.has_tail && at + frame_entry_bytes == entries.size();
    if (is_tail && (at == 0 || frame.file_bytes == 0 || frame.tar_bytes != 0))
      throw wrong("its tail has no bytes, or has content");
    if ((frame.file_bytes < least_frame_bytes && !is_tail) ||
        frame.file_bytes > sidecar.archive.bytes - frame.file_offset)
      throw wrong(fmt::format("frame {} lies outside of the archive", sidecar.frames.size()));
    if (frame.tar_bytes > most_offset - frame.tar_offset)
      throw wrong(fmt::format("frame {} is larger than anything can be", sidecar.frames.size()));
    sidecar.frames.push_back(frame);
  }
  if (frame.file_end() != sidecar.archive.bytes) throw wrong("its frames do not fill the archive");
  if (sidecar.has_tail && sidecar.frames.empty()) throw wrong("it has a tail without a frame");
}

void read_places(ByteView entries, Sidecar& sidecar) {
  const ObjectList& objects = sidecar.manifest.objects;
  sidecar.header_offsets.reserve(objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const ByteCount headers = load_le<std::uint32_t>(entries, i * place_entry_bytes);
    const auto misplaced = [&](std::string_view what) {
      return wrong(fmt::format("objects[{}] ({}) {}", i, escape_name(objects[i].relative_key), what));
    };
    const auto data = objects.data_offset_of(i);
    if (!data) {
      if (headers != 0) throw misplaced("has a header, but no place");
      sidecar.header_offsets.push_back(0);
      continue;
    }
    if (headers < layout::tar_block || headers > *data) throw misplaced("has no header in front of it");
    if (*data > sidecar.tar_bytes() || objects.bytes_of(i) > sidecar.tar_bytes() - *data)
      throw misplaced("lies outside of the archive");
    sidecar.header_offsets.push_back(*data - headers);
  }
}

/// Whether two objects are names of one member: a file, and a hard link to it.
bool is_shared(const ObjectList& objects, std::size_t a, std::size_t b) {
  return objects.data_offset_of(a) == objects.data_offset_of(b) && objects.bytes_of(a) == objects.bytes_of(b) &&
         objects[a].data_member() == objects[b].data_member();
}

bool has_hard_links(const ObjectList& objects) {
  return std::any_of(objects.begin(), objects.end(),
                     [](const ManifestObject& object) { return !object.content_member.empty(); });
}

void check_no_overlap(const Sidecar& sidecar) {
  const ObjectList& objects = sidecar.manifest.objects;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (objects.data_offset_of(i)) order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return sidecar.header_offsets[a] < sidecar.header_offsets[b]; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const std::size_t before = order[i - 1];
    if (is_shared(objects, before, order[i])) continue;
    if (sidecar.header_offsets[order[i]] < *objects.data_offset_of(before) + objects.bytes_of(before)) {
      throw wrong(fmt::format("objects[{}] ({}) overlaps another object", order[i],
                              escape_name(objects[order[i]].relative_key)));
    }
  }
}

/// Decompresses the section piece by piece: as a whole it would take several times what it gives.
void read_manifest(ByteView section, const Header& header, Sidecar& sidecar, MemoryShare& memory) {
  StreamDecompressor decompressor;
  Buffer block(text_block_bytes);
  ByteCount given = 0;
  bool ended = false;
  const auto next = [&]() -> std::string_view {
    while (!ended) {
      const auto step = decompressor.step(section, {block.data(), block.capacity()});
      if (step.consumed == 0 && step.produced == 0 && !step.frame_ended) throw wrong("its manifest is cut short");
      section = section.subspan(step.consumed);
      given += step.produced;
      ended = step.frame_ended;
      if (given > header.manifest_bytes || (ended && (given < header.manifest_bytes || !section.empty())))
        throw wrong("its manifest does not have the size that it claims");
      if (step.produced > 0) return as_text({block.data(), step.produced});
    }
    return {};
  };
  try {
    sidecar.manifest = parse_manifest(next, memory);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    throw wrong("its manifest: " + error.summary());
  }
  const std::uint64_t objects = sidecar.manifest.objects.size();
  if (objects != header.objects)
    throw wrong(fmt::format("it claims {} objects, its manifest has {}", header.objects, objects));
}

void check_envelope(ByteView bytes) {
  if (bytes.size() < header_bytes + checksum_bytes || as_text(bytes.first(signature.size())) != signature)
    throw Error(ErrorKind::corrupt, "not an index of an archive", {}, "make one with bale archive index");
  // The version comes first, so that a newer format may change everything behind it.
  const auto version = load_le<std::uint16_t>(bytes, version_at);
  if (version > sidecar_version) {
    throw Error(ErrorKind::unsupported,
                fmt::format("the index has version {}; this program reads up to {}", version, sidecar_version), {},
                "read it with a newer bale, or make one with bale archive index");
  }
  const std::size_t sealed = bytes.size() - checksum_bytes;
  if (version == 0 || load_le<std::uint64_t>(bytes, sealed) != xxh64(bytes.first(sealed)))
    throw Error(ErrorKind::corrupt, "the index is damaged: its checksum does not match", {},
                "make it anew with bale archive index");
}

}  // namespace

ArchiveIdentity identity_of(ByteCount archive_bytes, ByteView tail, const ETag& etag) {
  return {archive_bytes, xxh64(tail.last(std::min<ByteCount>(tail.size(), identity_tail_bytes))), etag};
}

std::string difference(const ArchiveIdentity& recorded, const ArchiveIdentity& present) {
  if (recorded.bytes != present.bytes)
    return fmt::format("it is of an archive of {} bytes; this one has {}", recorded.bytes, present.bytes);
  if (recorded.tail_xxh64 != present.tail_xxh64) return "it is of an archive that ends otherwise";
  const bool differ = !recorded.etag.empty() && !present.etag.empty() && recorded.etag != present.etag;
  if (differ) return "it is of an object with another ETag";
  return {};
}

std::string_view to_string(WhyLeftOut why) noexcept {
  switch (why) {
    case WhyLeftOut::no_link_target: return "it is a hard link, and what it leads to is not in front of it";
    case WhyLeftOut::unknown_type: return "it has data, but its type is unknown";
    case WhyLeftOut::directory_data: return "it is a directory by its name, but has data";
    case WhyLeftOut::not_in_one_piece: return "it is a sparse file, and not in the tar in one piece";
  }
  return "an index cannot have it";
}

Buffer encode_sidecar(const Sidecar& sidecar) {
  if (sidecar.frames.size() > max_sidecar_frames) {
    throw Error(ErrorKind::unsupported, fmt::format("the archive has {} frames; an index has at most {}",
                                                    sidecar.frames.size(), max_sidecar_frames));
  }
  const std::string manifest = to_json(sidecar.manifest);
  const Buffer sections[] = {compress_section(frame_entries(sidecar.frames).view()),
                             compress_section(place_entries(sidecar).view()), compress_section(as_bytes(manifest))};
  const std::string_view etag = std::string_view(sidecar.archive.etag.str()).substr(0, max_etag_bytes);
  const std::string left_out = left_out_entries(sidecar);
  ByteCount total = header_bytes + etag.size() + left_out.size() + checksum_bytes;
  for (const Buffer& section : sections) total += section.size();
  Buffer out(total);
  out.append(as_bytes(signature));
  const std::uint32_t flags = (sidecar.has_tail ? flag_tail : 0) | (sidecar.tail_is_zero ? flag_zero_tail : 0) |
                              (sidecar.tar_goes_on ? flag_tar_goes_on : 0) | (left_out.empty() ? 0 : flag_left_out);
  const bool is_first_version = flags == 0 && !has_hard_links(sidecar.manifest.objects);
  append_le(out, is_first_version ? std::uint16_t{1} : sidecar_version);
  append_le(out, static_cast<std::uint16_t>(etag.size()));
  append_le(out, flags);
  append_le(out, sidecar.archive.bytes);
  append_le(out, sidecar.archive.tail_xxh64);
  append_le(out, std::uint64_t{sidecar.frames.size()});
  append_le(out, std::uint64_t{sidecar.manifest.objects.size()});
  append_le(out, std::uint64_t{manifest.size()});
  for (const Buffer& section : sections) append_le(out, std::uint64_t{section.size()});
  out.append(as_bytes(etag));
  for (const Buffer& section : sections) out.append(section.view());
  out.append(as_bytes(left_out));
  append_le(out, xxh64(out.view()));
  return out;
}

Sidecar decode_sidecar(ByteView bytes, const ReaderLimits& limits, MemoryShare& memory) {
  check_envelope(bytes);
  Sidecar sidecar;
  const Header header = read_header(bytes, limits, sidecar);
  std::size_t at = header_bytes + sidecar.archive.etag.str().size();
  const auto section = [&](std::size_t i) {
    const ByteView compressed = bytes.subspan(at, header.sections[i]);
    at += header.sections[i];
    return compressed;
  };
  const ByteView frames = section(0), places = section(1), manifest = section(2);
  memory.add(header.frames * (frame_entry_bytes + sizeof(SidecarFrame)), "the frames of the index");
  read_frames(read_section(frames, header.frames * frame_entry_bytes, "the frames").view(), sidecar);
  memory.give_back(header.frames * frame_entry_bytes);
  read_manifest(manifest, header, sidecar, memory);
  // What the manifest has: the claim was compared with it.
  memory.add(header.objects * (place_entry_bytes + 2 * sizeof(ByteCount)), "the places of the index's objects");
  read_places(read_section(places, header.objects * place_entry_bytes, "the places of objects").view(), sidecar);
  check_no_overlap(sidecar);
  if (header.sections[3] > 0) read_left_out(section(3), sidecar, memory);
  return sidecar;
}

Sidecar decode_sidecar(ByteView bytes, const ReaderLimits& limits) {
  MemoryShare memory = limits.share();
  return decode_sidecar(bytes, limits, memory);
}

}  // namespace bale::archive
