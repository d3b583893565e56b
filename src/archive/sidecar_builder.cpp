#include "archive/sidecar_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "archive/layout.hpp"
#include "archive/manifest_forms.hpp"
#include "archive/stream_reader.hpp"
#include "archive/tar.hpp"
#include "archive/tar_stream.hpp"
#include "base/error.hpp"

namespace bale::archive {
namespace {

using Member = TarStream::Member;

/// What one pass over the archive finds.
struct Found {
  std::vector<SidecarFrame> frames;
  std::vector<Member> members;
  std::optional<Manifest> manifest;
  std::optional<Error> manifest_error;  ///< why the last manifest.json was not taken
  MemoryShare memory;                   ///< of frames and members
  MemoryShare manifest_memory;
};

class Pass {
 public:
  Pass(transfer::RandomSource& source, const BuildOptions& options)
      : options_(options),
        name_(source.name()),
        bytes_(source, {.file_end = source.size()},
               {[this](ByteCount, const FrameStream::Position& position) { return before_request(position); },
                [this](ByteCount file, ByteCount tar) { note_frame(file, tar); }},
               options.means, options.limits.window_log()) {
    found_.memory = options.limits.share();
  }

  Found run() {
    TarStream tar(bytes_);
    while (auto member = tar.next()) {
      check_piece(member->header_offset);
      if (is_manifest_name(member->name) && member->regular) keep_manifest(tar, member->size);
      keep(std::move(*member));
    }
    bytes_.drain();
    check_piece(bytes_.tar_offset());
    return std::move(found_);
  }

 private:
  ByteCount before_request(const FrameStream::Position& position) {
    if (options_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while reading the archive");
    if (options_.progress != nullptr) options_.progress->bytes_done = position.file_offset;
    return ReadAhead::most_request_bytes;
  }

  void note_frame(ByteCount file_offset, ByteCount tar_offset) {
    if (found_.frames.size() == std::min<std::uint64_t>(options_.limits.max_frames, max_sidecar_frames)) {
      throw Error(ErrorKind::unsupported,
                  fmt::format("the archive has more than {} frames: too many for an index", found_.frames.size()));
    }
    found_.memory.add(2 * sizeof(SidecarFrame), "the frames of the archive");
    const SidecarFrame last = found_.frames.empty() ? SidecarFrame{} : found_.frames.back();
    found_.frames.push_back(
        {last.file_end(), file_offset - last.file_end(), last.tar_end(), tar_offset - last.tar_end()});
  }

  /// The member before ends where the next one, or what is behind the tar, begins: a tar of sparse files has less.
  void check_piece(ByteCount next_offset) {
    if (found_.members.empty()) return;
    Member& last = found_.members.back();
    if (last.regular && last.size > next_offset - std::min(next_offset, last.data_offset)) last.in_one_piece = false;
  }

  void keep(Member member) {
    found_.memory.add(2 * sizeof(Member) + member.name.size(), "the members of the tar");
    const bool too_far = member.data_offset - member.header_offset > std::numeric_limits<std::uint32_t>::max();
    if (too_far) member.in_one_piece = false;
    found_.members.push_back(std::move(member));
  }

  void keep_manifest(TarStream& tar, ByteCount size) {
    found_.manifest.reset();
    found_.manifest_error.reset();
    try {
      found_.manifest_memory = options_.limits.share();
      found_.manifest = read_manifest(tar, size, options_.limits.max_manifest_bytes, found_.manifest_memory);
      settle_source_prefixes(*found_.manifest, name_, found_.manifest_memory);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt || bytes_.broken()) throw;
      found_.manifest_error = error;
    }
  }

  const BuildOptions& options_;
  const std::string name_;  ///< of the archive
  Found found_;
  FrameStream bytes_;
};

bool is_placeable(const Member& member) { return member.regular && member.in_one_piece; }

/// Gives the objects of a manifest their places.
void place_objects(const std::vector<Member>& members, BuiltSidecar& built) {
  std::vector<std::size_t> by_name(members.size());
  std::iota(by_name.begin(), by_name.end(), 0);
  std::stable_sort(by_name.begin(), by_name.end(),
                   [&](std::size_t a, std::size_t b) { return members[a].name < members[b].name; });
  ObjectList& objects = built.sidecar.manifest.objects;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const ManifestObject object = objects[i];
    const auto first =
        std::lower_bound(by_name.begin(), by_name.end(), object.member,
                         [&](std::size_t each, const std::string& name) { return members[each].name < name; });
    const auto left = static_cast<std::size_t>(by_name.end() - first);
    const Member* member = object.members_before < left
                               ? &members[*(first + static_cast<std::ptrdiff_t>(object.members_before))]
                               : nullptr;
    const bool is_there =
        member != nullptr && member->name == object.member && is_placeable(*member) && member->size == object.size;
    objects.set_place(i, is_there ? std::optional(member->data_offset) : std::nullopt);
    if (!is_there) ++built.missing;
    built.sidecar.header_offsets.push_back(is_there ? member->header_offset : 0);
  }
}

ManifestObject object_of(const Member& member) {
  ManifestObject object;
  std::string_view key = member.name;
  while (key.starts_with("./")) key.remove_prefix(2);
  object.relative_key = key;
  object.object_name = std::string(basename(key));
  object.key = ObjectKey(key);
  object.member = member.name;
  object.last_modified = member.modified;
  object.mode = member.mode;
  object.size = member.size;
  object.data_offset = member.data_offset;
  return object;
}

/// Makes objects of the members of a tar without manifest.
void take_members(const std::vector<Member>& members, BuiltSidecar& built) {
  std::unordered_map<std::string, std::size_t> newest;  // by key, index into `members`
  std::vector<bool> is_kept(members.size(), false);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    if (!member.regular) ++built.not_regular;
    if (member.regular && !member.in_one_piece) built.scattered.push_back(member.name);
    if (!is_placeable(member)) continue;
    ManifestObject object = object_of(member);
    built.memory.add(2 * object.relative_key.size() + 4 * sizeof(void*) + sizeof(ByteCount), "the members of the tar");
    const auto [place, is_first] = newest.try_emplace(std::move(object.relative_key), i);
    if (!is_first) is_kept[std::exchange(place->second, i)] = false;
    is_kept[i] = true;
  }
  ObjectList& objects = built.sidecar.manifest.objects;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!is_kept[i]) continue;
    const ByteCount before = objects.memory();
    objects.push_back(object_of(members[i]));
    built.memory.add(objects.memory() - before + 2 * sizeof(ByteCount), "the members of the tar");
    built.sidecar.header_offsets.push_back(members[i].header_offset);
  }
}

/// The manifest that was found. Absent where the tar has none; throws where it should have been one.
std::optional<Manifest> manifest_of(Found& found) {
  if (found.manifest) return std::move(found.manifest);
  // Other programs call files manifest.json too; but what has objects/ beside it was meant as one.
  const bool is_meant = std::any_of(found.members.begin(), found.members.end(), [](const Member& member) {
    return member.name.starts_with(layout::member_prefix);
  });
  if (found.manifest_error && is_meant) throw *found.manifest_error;
  return std::nullopt;
}

}  // namespace

BuiltSidecar build_sidecar(transfer::RandomSource& source, const BuildOptions& options) {
  try {
    BuiltSidecar built;
    const Buffer tail = source.read_tail(identity_tail_bytes);
    if (source.size() == 0) throw Error(ErrorKind::corrupt, "the archive is empty");
    built.sidecar.archive = identity_of(source.size(), tail.view(), source.etag());
    check_zstd_start(source);
    Found found = Pass(source, options).run();
    built.sidecar.frames = std::move(found.frames);
    built.memory = std::move(found.memory);
    if (auto manifest = manifest_of(found)) {
      built.has_manifest = true;
      built.sidecar.manifest = std::move(*manifest);
      place_objects(found.members, built);
    } else {
      built.sidecar.manifest.version = 0;
      take_members(found.members, built);
    }
    return built;
  } catch (const Error& error) {
    throw error.where().empty() ? error.with_where(source.name()) : error;
  }
}

}  // namespace bale::archive
