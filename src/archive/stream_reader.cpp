#include "archive/stream_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "archive/layout.hpp"
#include "archive/manifest_forms.hpp"
#include "archive/piece_maker.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t text_block_bytes = 256 << 10;

/// An object of the manifest, and how many members of its name are still in front of its own.
struct Wanted {
  std::size_t object, members_before;
};

/// One pass over the stream that hands objects to a visitor.
class StreamReading {
 public:
  StreamReading(const ObjectList& objects, const std::vector<std::size_t>& wanted, FrameVisitor& visitor,
                flow::MemoryBudget& budget, const std::stop_token& stop)
      : objects_(objects), visitor_(visitor), pieces_(visitor, budget, stop) {
    for (const std::size_t object : wanted) {
      const ManifestObject described = objects.at(object);
      by_member_.emplace(xxh64(as_bytes(described.member)), Wanted{object, described.members_before});
      missing_.insert(object);
    }
  }

  void run(transfer::RandomSource& source, ReadAheadMeans means) {
    FrameStream bytes(source, {.file_end = source.size()}, {}, means);
    try {
      TarStream tar(bytes);
      // Behind the last one nothing is of interest: checksums were verified when the manifest was looked for.
      while (!missing_.empty()) {
        const auto member = tar.next();
        if (!member) break;
        Wanted* const wanted = find(member->name);
        if (wanted == nullptr) continue;
        if (wanted->members_before > 0)
          --wanted->members_before;
        else
          take(tar, *member, wanted->object);
      }
      pieces_.flush();
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
  Wanted* find(const std::string& member) {
    auto [at, end] = by_member_.equal_range(xxh64(as_bytes(member)));
    while (at != end && objects_[at->second.object].member != member) ++at;
    return at == end ? nullptr : &at->second;
  }

  void take(TarStream& tar, const TarStream::Member& member, std::size_t object) {
    // What is no such object is reported as missing at the end.
    if (!member.regular || objects_.bytes_of(object) != member.size || !missing_.contains(object)) return;
    pieces_.take(tar, object, member.size);
    missing_.erase(object);
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
  std::unordered_multimap<std::uint64_t, Wanted> by_member_;  ///< by XXH64 of the member's name
  std::unordered_set<std::size_t> missing_;                   ///< wanted, and not yet handed on whole
};

class StreamReader final : public Reader {
 public:
  StreamReader(transfer::RandomSource& source, Manifest manifest, MemoryShare memory, ByteCount tar_bytes,
               std::optional<Error> flaw)
      : source_(source),
        manifest_(std::move(manifest)),
        memory_(std::move(memory)),
        tar_bytes_(tar_bytes),
        flaw_(std::move(flaw)) {}

  const Manifest& manifest() const override { return manifest_; }
  bool random_access() const override { return false; }
  std::optional<Error> flaw() const override { return flaw_; }
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
    StreamReading(manifest_.objects, wanted, visitor, budget, stop).run(source_, {&pools.connections, &budget});
  }

 private:
  transfer::RandomSource& source_;
  const Manifest manifest_;
  const MemoryShare memory_;
  const ByteCount tar_bytes_;
  const std::optional<Error> flaw_;
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

std::unique_ptr<Reader> open_stream(transfer::RandomSource& source, const ReaderLimits& limits) {
  check_zstd_start(source);
  FrameStream bytes(source, {.file_end = source.size()}, {}, {}, limits.window_log());
  TarStream tar(bytes);
  std::optional<Manifest> manifest;
  MemoryShare memory;
  while (const auto member = tar.next()) {
    if (!is_manifest_name(member->name)) continue;
    if (!member->regular) throw Error(ErrorKind::corrupt, "manifest.json is not a regular file in the tar");
    manifest.reset();  // the last one counts
    memory = limits.share();
    manifest = read_manifest(tar, member->size, limits.max_manifest_bytes, memory);
    settle_source_prefixes(*manifest, source.name(), memory);
  }
  std::optional<Error> end_failure;
  try {
    bytes.drain();
  } catch (const Error& error) {
    end_failure = error;
  }
  if (end_failure && (!manifest || end_failure->kind() != ErrorKind::corrupt)) throw *end_failure;
  if (!manifest)
    throw Error(ErrorKind::corrupt, "the archive has no manifest.json", {},
                "an index tells what is in it: bale archive index");
  std::optional<Error> flaw;
  if (manifest->version > 0) {
    // Bale wrote it, so it had a seek table: all objects are there, only the way to a single one is lost.
    flaw = end_failure ? end_failure->with_where(source.name()) : no_seek_table(source.name());
  } else if (end_failure) {
    throw *end_failure;
  }
  return std::make_unique<StreamReader>(source, std::move(*manifest), std::move(memory), bytes.tar_offset(),
                                        std::move(flaw));
}

}  // namespace bale::archive
