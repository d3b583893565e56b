#include "archive/stream_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "archive/layout.hpp"
#include "archive/manifest_forms.hpp"
#include "archive/manifest_survey.hpp"
#include "archive/piece_maker.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t text_block_bytes = 256 << 10;

/// An object of the manifest, and how many members of its name are in front of its own.
struct Wanted {
  std::size_t object, members_before;
};

/// Reads the stream and hands objects to a visitor. One pass does, unless several objects share a member.
class StreamReading {
 public:
  StreamReading(const ObjectList& objects, const std::vector<std::size_t>& wanted, FrameVisitor& visitor,
                flow::MemoryBudget& budget, const std::stop_token& stop)
      : objects_(objects), visitor_(visitor), pieces_(visitor, budget, stop) {
    for (const std::size_t object : wanted) {
      const ManifestObject described = objects.at(object);
      again_.emplace(xxh64(as_bytes(described.data_member())), Wanted{object, described.members_before});
      missing_.insert(object);
    }
  }

  void run(transfer::RandomSource& source, ReadAheadMeans means, int window_log) {
    try {
      while (!again_.empty()) pass(source, means, window_log);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      pieces_.flush();  // what came before the damage is whole
      report(error.with_where(source.name()), missing_objects());
      return;
    }
    if (!missing_.empty())
      report(Error(ErrorKind::corrupt, "the tar does not hold what the manifest lists", source.name()),
             missing_objects());
  }

 private:
  /// Reads one object of each member; what else shares it is left to the next pass.
  void pass(transfer::RandomSource& source, ReadAheadMeans means, int window_log) {
    by_member_ = std::exchange(again_, {});
    std::unordered_map<std::uint64_t, std::size_t> seen;
    FrameStream bytes(source, {.file_end = source.size(), .may_have_tail = true}, {}, means, window_log);
    TarStream tar(bytes);
    // Behind the last one nothing is of interest: checksums were verified when the manifest was looked for.
    while (!by_member_.empty()) {
      const auto member = tar.next();
      if (!member) break;
      const std::uint64_t name = xxh64(as_bytes(member->name));
      if (by_member_.contains(name)) take(tar, *member, name, seen[name]++);
    }
    pieces_.flush();
  }

  void take(TarStream& tar, const TarStream::Member& member, std::uint64_t name, std::size_t members_before) {
    std::optional<std::size_t> object;
    auto [at, end] = by_member_.equal_range(name);
    while (at != end) {
      const Wanted wanted = at->second;
      const bool is_it =
          wanted.members_before == members_before && objects_[wanted.object].data_member() == member.name;
      if (!is_it) {
        ++at;
        continue;
      }
      at = by_member_.erase(at);
      // What is no such object is reported as missing at the end.
      const bool is_whole = member.regular && objects_.bytes_of(wanted.object) == member.size;
      if (!is_whole) continue;
      if (object)
        again_.emplace(name, wanted);
      else
        object = wanted.object;
    }
    if (!object) return;
    pieces_.take(tar, {*object}, member.size);
    missing_.erase(*object);
  }

  std::vector<std::size_t> missing_objects() const {
    std::vector<std::size_t> objects(missing_.begin(), missing_.end());
    std::sort(objects.begin(), objects.end());
    return objects;
  }

  void report(const Error& error, std::vector<std::size_t> objects) {
    visitor_.damaged({0, error, std::move(objects)});
  }

  const ObjectList& objects_;
  FrameVisitor& visitor_;
  PieceMaker pieces_;
  std::unordered_multimap<std::uint64_t, Wanted> by_member_, again_;  ///< by XXH64 of the member's name
  std::unordered_set<std::size_t> missing_;                           ///< wanted, and not yet handed on whole
};

class StreamReader final : public Reader {
 public:
  StreamReader(transfer::RandomSource& source, Manifest manifest, MemoryShare memory, ByteCount tar_bytes,
               std::optional<Error> flaw, std::vector<Remark> remarks)
      : source_(source),
        manifest_(std::move(manifest)),
        memory_(std::move(memory)),
        tar_bytes_(tar_bytes),
        flaw_(std::move(flaw)),
        remarks_(std::move(remarks)) {}

  const Manifest& manifest() const override { return manifest_; }
  bool random_access() const override { return false; }
  std::optional<Error> flaw() const override { return flaw_; }
  std::vector<Remark> remarks() const override { return remarks_; }
  std::size_t frames() const override { return 1; }
  ByteCount archive_bytes() const override { return source_.size(); }
  ByteCount tar_bytes() const override { return tar_bytes_; }
  MemberLocation locate(std::size_t) const override {
    throw Error(ErrorKind::unsupported, "the archive has no seek table: its objects have no place of their own",
                source_.name(), "read it as a whole, or give it an index: bale archive index");
  }
  void read(const std::vector<std::size_t>& objects, FrameVisitor& visitor, flow::Pools pools,
            flow::MemoryBudget& budget, std::stop_token stop) override {
    std::vector<std::size_t> wanted(objects);
    for (std::size_t i = 0; objects.empty() && i < manifest_.objects.size(); ++i) wanted.push_back(i);
    const int window_log = ReaderLimits{.budget = &budget}.window_log();
    StreamReading(manifest_.objects, wanted, visitor, budget, stop)
        .run(source_, {&pools.connections, &budget}, window_log);
  }

 private:
  transfer::RandomSource& source_;
  const Manifest manifest_;
  const MemoryShare memory_;
  const ByteCount tar_bytes_;
  const std::optional<Error> flaw_;
  const std::vector<Remark> remarks_;
};

}  // namespace

bool is_manifest_name(const std::string& member) noexcept {
  return member == layout::manifest_name || member == "./manifest.json";
}

Manifest read_manifest(TarStream& tar, ByteCount size, ByteCount most, MemoryShare& memory) {
  if (size > most)
    throw Error(ErrorKind::corrupt,
                fmt::format("the manifest claims {}; at most {} are read", format_bytes(size), format_bytes(most)));
  Buffer block(text_block_bytes);
  ByteCount done = 0;
  const auto next = [&]() -> std::string_view {
    const std::size_t got = tar.read({block.data(), block.capacity()});
    done += got;
    if (got == 0 && done != size) throw Error(ErrorKind::corrupt, "the manifest is cut short");
    return as_text({block.data(), got});
  };
  return parse_manifest(next, memory);
}

Error no_seek_table(const std::string& name) {
  return Error(ErrorKind::corrupt, "the seek table at the end is missing or damaged", name);
}

OpenedStream open_stream(transfer::RandomSource& source, const ReaderLimits& limits) {
  check_zstd_start(source);
  FrameStream bytes(source, {.file_end = source.size(), .may_have_tail = true}, {}, {nullptr, limits.budget},
                    limits.window_log());
  TarStream tar(bytes);
  ManifestSurvey survey;
  MemoryShare memory = limits.share();
  while (const auto member = tar.next()) {
    survey.note(*member, tar.tars_before(), memory);
    if (!is_manifest_name(member->name)) continue;
    if (!member->regular) throw Error(ErrorKind::corrupt, "manifest.json is not a regular file in the tar");
    Manifest manifest = read_manifest(tar, member->size, limits.max_manifest_bytes, memory);
    settle_source_prefixes(manifest, source.name(), memory);
    survey.take(std::move(manifest));
  }
  std::optional<Error> end_failure;
  try {
    bytes.drain();
  } catch (const Error& error) {
    end_failure = error;
  }
  if (end_failure && (!survey.has_manifest() || end_failure->kind() != ErrorKind::corrupt)) throw *end_failure;
  if (!survey.has_manifest())
    throw Error(ErrorKind::corrupt, "the archive has no manifest.json", {},
                "an index tells what is in it: bale archive index");
  Manifest manifest = survey.finish(memory);
  std::optional<Error> flaw;
  if (manifest.version > 0) {
    // Bale wrote it, so it had a seek table: all objects are there, only the way to a single one is lost.
    flaw = end_failure ? end_failure->with_where(source.name()) : no_seek_table(source.name());
  } else if (end_failure) {
    throw *end_failure;
  }
  std::vector<Remark> remarks = tar.remarks();
  for (Remark& remark : survey.remarks()) remarks.push_back(std::move(remark));
  const ByteCount tar_bytes = bytes.tar_offset();
  return {std::make_unique<StreamReader>(source, std::move(manifest), std::move(memory), tar_bytes, std::move(flaw),
                                         std::move(remarks)),
          bytes.tail()};
}

}  // namespace bale::archive
