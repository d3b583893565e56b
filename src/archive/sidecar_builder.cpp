#include "archive/sidecar_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "archive/layout.hpp"
#include "archive/manifest_forms.hpp"
#include "archive/manifest_survey.hpp"
#include "archive/stream_reader.hpp"
#include "archive/tar.hpp"
#include "archive/tar_stream.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

using Member = TarStream::Member;

/// What one pass over the archive finds.
struct Found {
  std::vector<SidecarFrame> frames;
  std::vector<Member> members;
  bool has_tail = false, tail_is_zero = false, tar_goes_on = false;
  std::vector<Remark> remarks;
  std::optional<Manifest> manifest;
  std::uint64_t unlisted = 0;           ///< files that are left out because no manifest lists them
  std::optional<Error> manifest_error;  ///< why the last manifest.json was not taken
  MemoryShare memory;                   ///< of frames and members
  MemoryShare manifest_memory;
};

class Pass {
 public:
  Pass(transfer::RandomSource& source, const BuildOptions& options)
      : options_(options),
        name_(source.name()),
        bytes_(source, {.file_end = source.size(), .may_have_tail = true},
               {[this](ByteCount, const FrameStream::Position& position) { return before_request(position); },
                [this](ByteCount file, ByteCount tar) { note_frame(file, tar); }},
               options.means, options.limits.window_log()) {
    found_.memory = options.limits.share();
  }

  Found run() {
    TarStream tar(bytes_);
    while (auto member = tar.next()) {
      check_piece(tar.member_end());
      survey_.note(*member, tar.tars_before(), found_.memory);
      if (is_manifest_name(member->name) && member->regular) keep_manifest(tar, member->size);
      keep(std::move(*member));
    }
    check_piece(tar.member_end());
    bytes_.drain();
    found_.remarks = tar.remarks();
    found_.tar_goes_on = tar.goes_on();
    note_tail();
    if (!survey_.has_manifest()) return std::move(found_);
    found_.manifest = survey_.finish(found_.manifest_memory);
    found_.unlisted = survey_.left_out();
    for (Remark& remark : survey_.remarks()) found_.remarks.push_back(std::move(remark));
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

  /// What is behind the frames has an entry among them: they fill the file.
  void note_tail() {
    const auto& tail = bytes_.tail();
    if (!tail) return;
    note_frame(tail->offset + tail->bytes, bytes_.tar_offset());
    found_.has_tail = true;
    found_.tail_is_zero = tail->is_zero;
  }

  /// A sparse file has fewer bytes in the tar than its size.
  void check_piece(ByteCount end) {
    if (found_.members.empty()) return;
    Member& last = found_.members.back();
    if (last.regular && last.size > end - std::min(end, last.data_offset)) last.in_one_piece = false;
  }

  void keep(Member member) {
    found_.memory.add(2 * sizeof(Member) + member.name.size() + member.hard_link_to.size(), "the members of the tar");
    const bool too_far = member.data_offset - member.header_offset > std::numeric_limits<std::uint32_t>::max();
    if (too_far) member.in_one_piece = false;
    found_.members.push_back(std::move(member));
  }

  void keep_manifest(TarStream& tar, ByteCount size) {
    survey_.take(std::nullopt);
    found_.manifest_error.reset();
    try {
      if (!survey_.has_manifest()) found_.manifest_memory = options_.limits.share();
      Manifest manifest = read_manifest(tar, size, options_.limits.max_manifest_bytes, found_.manifest_memory);
      settle_source_prefixes(manifest, name_, found_.manifest_memory);
      survey_.take(std::move(manifest));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt || bytes_.broken()) throw;
      found_.manifest_error = error;
    }
  }

  const BuildOptions& options_;
  const std::string name_;  ///< of the archive
  Found found_;
  ManifestSurvey survey_;
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
        std::lower_bound(by_name.begin(), by_name.end(), object.data_member(),
                         [&](std::size_t each, const std::string& name) { return members[each].name < name; });
    const auto left = static_cast<std::size_t>(by_name.end() - first);
    const Member* member = object.members_before < left
                               ? &members[*(first + static_cast<std::ptrdiff_t>(object.members_before))]
                               : nullptr;
    const bool is_there = member != nullptr && member->name == object.data_member() && is_placeable(*member) &&
                          member->size == object.size;
    objects.set_place(i, is_there ? std::optional(member->data_offset) : std::nullopt);
    if (!is_there) ++built.missing;
    built.sidecar.header_offsets.push_back(is_there ? member->header_offset : 0);
  }
}

/// The key of a member: its name without "./" in front.
std::string_view key_of(std::string_view name) {
  while (name.starts_with("./")) name.remove_prefix(2);
  return name;
}

/// `content`: the member that has its data, itself unless it is a hard link.
ManifestObject object_of(const Member& member, const Member& content) {
  ManifestObject object;
  const std::string_view key = key_of(member.name);
  object.relative_key = key;
  object.object_name = std::string(basename(key));
  object.key = ObjectKey(key);
  object.member = member.name;
  if (&content != &member && content.name != member.name) object.content_member = content.name;
  object.last_modified = member.modified;
  object.mode = content.mode;
  object.size = content.size;
  object.data_offset = content.data_offset;
  return object;
}

/// The permission bits that directories of the tar leave to what is below them. An index has no directories: what is in
/// a private one must not be readable by others when it is extracted.
class DirectoryAccess {
 public:
  DirectoryAccess(const std::vector<Member>& members, MemoryShare& memory) {
    constexpr std::uint32_t group = 0070, others = 0007, group_search = 0010, others_search = 0001;
    for (const Member& member : members) {
      if (!member.is_directory) continue;
      std::string_view key = key_of(member.name);
      while (key.ends_with('/')) key.remove_suffix(1);
      std::uint32_t access = 0777;
      if ((member.mode & group_search) == 0) access &= ~group;
      if ((member.mode & others_search) == 0) access &= ~others;
      if (key.empty() || access == 0777) continue;
      memory.add(sizeof(std::string_view) + 6 * sizeof(void*), "the members of the tar");
      access_[key] &= access;
    }
  }
  /// Returns the bits that all directories of the key leave.
  std::uint32_t of(std::string_view key) const {
    std::uint32_t access = 0777;
    if (access_.empty()) return access;
    for (std::size_t end = key.find('/'); end != std::string_view::npos; end = key.find('/', end + 1)) {
      const auto found = access_.find(key.substr(0, end));
      if (found != access_.end()) access &= found->second.bits;
    }
    return access;
  }

 private:
  struct Bits {
    std::uint32_t bits = 0777;
    Bits& operator&=(std::uint32_t other) {
      bits &= other;
      return *this;
    }
  };
  std::unordered_map<std::string_view, Bits> access_;  ///< by key, of those that withhold something
};

/// Names of members as tar resolves the targets of hard links: without '.' components, repeated '/' and a '/' in front.
class LinkNames {
 public:
  explicit LinkNames(MemoryShare& memory) : memory_(memory) {}
  /// Returns the plain form of `name`, valid as long as `name` and this object.
  std::string_view plain(std::string_view name) {
    const bool is_plain = !name.starts_with('/') && !name.starts_with("./") && !name.ends_with('/') &&
                          name.find("//") == std::string_view::npos && name.find("/./") == std::string_view::npos;
    if (is_plain) return name;
    std::string plain;
    for (const std::string_view component : split(name, '/')) {
      if (component.empty() || component == ".") continue;
      if (!plain.empty()) plain += '/';
      plain += component;
    }
    memory_.add(sizeof(std::string) + plain.size(), "the members of the tar");
    return made_.emplace_back(std::move(plain));
  }

 private:
  MemoryShare& memory_;
  std::deque<std::string> made_;
};

constexpr std::size_t no_member = std::numeric_limits<std::size_t>::max();

/// What a member of a tar without manifest is.
struct Content {
  std::size_t member = no_member;  ///< which one has its data; no_member where none has
  bool is_lost = false;            ///< it has data, which are not in the archive
};

/// By member. A hard link is what the latest member of the name in front of it is, as for tar: a link to a symlink has
/// no data.
std::vector<Content> contents_of(const std::vector<Member>& members, MemoryShare& memory) {
  std::vector<Content> contents(members.size());
  LinkNames names(memory);
  std::unordered_map<std::string_view, Content> latest;
  memory.add(members.size() * (2 * sizeof(Content) + sizeof(std::string_view) + 4 * sizeof(void*)),
             "the members of the tar");
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    if (member.regular) contents[i].member = i;
    contents[i].is_lost = member.is_strange;
    if (!member.hard_link_to.empty()) {
      const auto target = latest.find(names.plain(member.hard_link_to));
      contents[i] = target == latest.end() ? Content{no_member, true} : target->second;
    }
    latest[names.plain(member.name)] = contents[i];
  }
  return contents;
}

/// Why a member that has data is no object; absent for what is one, and for what has no data.
std::optional<WhyLeftOut> why_left_out(const std::vector<Member>& members, const Content& content,
                                       const Member& member) {
  if (content.member != no_member)
    return members[content.member].in_one_piece ? std::nullopt : std::optional(WhyLeftOut::not_in_one_piece);
  if (!content.is_lost) return std::nullopt;
  if (!member.hard_link_to.empty()) return WhyLeftOut::no_link_target;
  return member.is_directory ? WhyLeftOut::directory_data : WhyLeftOut::unknown_type;
}

/// Makes objects of the members of a tar without manifest.
void take_members(const std::vector<Member>& members, BuiltSidecar& built) {
  const std::vector<Content> contents = contents_of(members, built.memory);
  std::unordered_map<std::string, std::size_t> newest;  // by key, index into `members`
  std::vector<bool> is_kept(members.size(), false);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    const auto why = why_left_out(members, contents[i], member);
    if (why) {
      built.memory.add(member.name.size() + 2 * sizeof(LeftOut), "the members of the tar");
      built.left_out.push_back({member.name, *why});
    }
    const std::size_t content = contents[i].member;
    if (content == no_member) built.not_regular += why ? 0 : 1;
    if (content == no_member || !is_placeable(members[content])) continue;
    std::string key(key_of(member.name));
    built.memory.add(2 * key.size() + 4 * sizeof(void*) + sizeof(ByteCount), "the members of the tar");
    const auto [place, is_first] = newest.try_emplace(std::move(key), i);
    if (!is_first) is_kept[std::exchange(place->second, i)] = false;
    is_kept[i] = true;
  }
  ObjectList& objects = built.sidecar.manifest.objects;
  const DirectoryAccess access(members, built.memory);
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!is_kept[i]) continue;
    const Member& content = members[contents[i].member];
    const ByteCount before = objects.memory();
    ManifestObject object = object_of(members[i], content);
    if (object.mode) *object.mode &= access.of(object.key.str());
    objects.push_back(std::move(object));
    built.memory.add(objects.memory() - before + 2 * sizeof(ByteCount), "the members of the tar");
    built.sidecar.header_offsets.push_back(content.header_offset);
  }
}

/// Has the index name what is left out, as far as names have room.
void note_left_out(BuiltSidecar& built) {
  built.sidecar.left_out = built.left_out.size();
  std::size_t bytes = 0;
  for (const LeftOut& each : built.left_out) {
    bytes += each.member.size() + 2;
    if (bytes + sizeof(std::uint64_t) > max_left_out_bytes) break;
    built.sidecar.left_out_members.push_back(each);
  }
}

/// The manifest that was found. Absent where the tar has none; throws where it should have been one.
std::optional<Manifest> manifest_of(Found& found) {
  if (found.manifest && !found.manifest_error) return std::move(found.manifest);
  // Other programs call files manifest.json too; but what has objects/ beside it was meant as one.
  const bool is_meant = std::any_of(found.members.begin(), found.members.end(), [](const Member& member) {
    return member.name.starts_with(layout::member_prefix);
  });
  if (found.manifest_error && is_meant) throw *found.manifest_error;
  return std::move(found.manifest);
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
    built.sidecar.has_tail = found.has_tail;
    built.sidecar.tail_is_zero = found.tail_is_zero;
    built.sidecar.tar_goes_on = found.tar_goes_on;
    built.remarks = std::move(found.remarks);
    built.memory = std::move(found.memory);
    if (auto manifest = manifest_of(found)) {
      built.has_manifest = true;
      built.sidecar.manifest = std::move(*manifest);
      built.sidecar.left_out = found.unlisted;
      place_objects(found.members, built);
    } else {
      built.sidecar.manifest.version = 0;
      take_members(found.members, built);
      note_left_out(built);
    }
    return built;
  } catch (const Error& error) {
    throw error.where().empty() ? error.with_where(source.name()) : error;
  }
}

}  // namespace bale::archive
