#include "archive/stream_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <unordered_map>
#include <unordered_set>

#include "archive/compress.hpp"
#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t input_bytes = 4ULL << 20;  // one request to a store
constexpr std::size_t output_bytes = 256 << 10;  // what libarchive is handed at a time
constexpr std::size_t piece_bytes = 8ULL << 20;  // what a visitor is handed at a time: see Reader::read

/// The file's frames, decompressed from beginning to end.
class DecompressedStream {
 public:
  explicit DecompressedStream(transfer::RandomSource& source)
      : source_(source), left_(source.size()), input_(input_bytes), output_(output_bytes) {}

  /// The next bytes; empty at the end. Valid until the next call. Throws Error{corrupt}.
  ByteView next() {
    for (;;) {
      if (rest_.empty()) read_input();
      if (rest_.empty() && !more_) {
        if (inside_frame_) throw Error(ErrorKind::corrupt, "the archive ends in the middle of a frame");
        return {};
      }
      const auto step = decompressor_.step(rest_, {output_.data(), output_.capacity()});
      rest_ = rest_.subspan(step.consumed);
      if (step.consumed > 0 || step.produced > 0) inside_frame_ = !step.frame_ended;
      more_ = step.produced == output_.capacity();
      produced_ += step.produced;
      if (step.produced > 0) return {output_.data(), step.produced};
    }
  }
  ByteCount produced() const noexcept { return produced_; }

 private:
  void read_input() {
    const std::size_t length = std::min<ByteCount>(left_, input_.capacity());
    if (length == 0) return;
    source_.read_at(source_.size() - left_, {input_.data(), length});
    left_ -= length;
    rest_ = {input_.data(), length};
  }

  transfer::RandomSource& source_;
  ByteCount left_;
  Buffer input_, output_;
  ByteView rest_;
  bool inside_frame_ = false, more_ = false;
  ByteCount produced_ = 0;
  StreamDecompressor decompressor_;
};

/// The members of the tar in a stream, one after the other. libarchive knows every dialect of tar.
class TarStream {
 public:
  explicit TarStream(transfer::RandomSource& source) : bytes_(source), tar_(::archive_read_new()) {
    if (!tar_) throw std::bad_alloc();
    ::archive_read_support_format_tar(tar_.get());
    ::archive_read_support_format_empty(tar_.get());
    check(::archive_read_open(tar_.get(), this, nullptr, &TarStream::pull, nullptr));
  }

  struct Member {
    std::string name;
    ByteCount size = 0;
    bool regular = false;  ///< neither a link nor a directory nor a device
  };
  std::optional<Member> next() {
    ::archive_entry* entry = nullptr;
    if (check(::archive_read_next_header(tar_.get(), &entry)) == ARCHIVE_EOF) return std::nullopt;
    // Names of pax headers are UTF-8, others are bytes; neither may be converted to the locale of the process.
    const char* name = ::archive_entry_pathname_utf8(entry);
    if (name == nullptr) name = ::archive_entry_pathname(entry);
    const std::int64_t size = ::archive_entry_size(entry);
    const bool regular = ::archive_entry_filetype(entry) == AE_IFREG && ::archive_entry_hardlink(entry) == nullptr &&
                         ::archive_entry_symlink(entry) == nullptr;
    if (name == nullptr || size < 0) throw Error(ErrorKind::corrupt, "a member of the tar has no name or no size");
    return Member{name, static_cast<ByteCount>(size), regular};
  }

  /// Reads up to bytes.size() bytes of the present member; fewer only at its end.
  std::size_t read(MutableBytes bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto got = ::archive_read_data(tar_.get(), bytes.data() + done, bytes.size() - done);
      if (got < 0) check(static_cast<int>(got));
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  /// Reads what is behind the tar, so that the last frame's checksum is verified.
  void finish() {
    while (!bytes_.next().empty()) {
    }
  }
  /// Bytes that the stream has given so far.
  ByteCount produced() const noexcept { return bytes_.produced(); }

 private:
  struct Close {
    void operator()(::archive* tar) const noexcept { ::archive_read_free(tar); }
  };

  /// Called by libarchive, which knows no exceptions: one is kept, and thrown by check().
  static la_ssize_t pull(::archive* tar, void* self, const void** buffer) {
    auto& stream = *static_cast<TarStream*>(self);
    try {
      const ByteView bytes = stream.bytes_.next();
      *buffer = bytes.data();
      return static_cast<la_ssize_t>(bytes.size());
    } catch (...) {
      stream.failure_ = std::current_exception();
      ::archive_set_error(tar, EIO, "the stream below failed");
      return -1;
    }
  }

  int check(int result) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (result >= ARCHIVE_WARN) return result;
    const char* const reason = ::archive_error_string(tar_.get());
    throw Error(ErrorKind::corrupt, fmt::format("the tar is damaged: {}",
                                                escape_for_terminal(reason == nullptr ? "no reason given" : reason)));
  }

  DecompressedStream bytes_;
  std::exception_ptr failure_;
  std::unique_ptr<::archive, Close> tar_;
};

/// An object of the manifest, and how many members of its name are still in front of its own.
struct Wanted {
  std::size_t object, members_before;
};

/// One pass over the stream that hands objects to a visitor.
class StreamReading {
 public:
  StreamReading(const std::vector<ManifestObject>& objects, const std::vector<std::size_t>& wanted,
                FrameVisitor& visitor, flow::MemoryBudget& budget, const std::stop_token& stop)
      : objects_(objects), visitor_(visitor), budget_(budget), stop_(stop) {
    for (const std::size_t object : wanted) {
      by_member_.emplace(objects.at(object).member, Wanted{object, objects[object].members_before});
      missing_.insert(object);
    }
  }

  void run(transfer::RandomSource& source) {
    try {
      TarStream tar(source);
      while (const auto member = tar.next()) {
        const auto found = by_member_.find(member->name);
        if (found == by_member_.end()) continue;
        if (found->second.members_before > 0)
          --found->second.members_before;
        else
          take(tar, *member, found->second.object);
      }
      flush();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) throw;
      flush();  // what came before the damage is whole
      report(error.with_where(source.name()), missing_objects());
      return;
    }
    if (!missing_.empty())
      report(Error(ErrorKind::corrupt, "the tar does not hold what the manifest lists", source.name()),
             missing_objects());
  }

 private:
  void take(TarStream& tar, const TarStream::Member& member, std::size_t object) {
    // What is no such object is reported as missing at the end.
    if (!member.regular || objects_[object].size != member.size || !missing_.contains(object)) return;
    for (ByteCount offset = 0; offset == 0 || offset < member.size;) {
      make_room();
      const std::size_t length = std::min<ByteCount>(member.size - offset, frame_->bytes.spare().size());
      const MutableBytes into = frame_->bytes.spare().first(length);
      if (tar.read(into) < length) throw Error(ErrorKind::corrupt, "a member ends early");
      frame_->bytes.resize(frame_->bytes.size() + length);
      pieces_.push_back({object, offset, into});
      offset += length;
      if (length == 0) break;
    }
    missing_.erase(object);
  }

  void make_room() {
    if (stop_.stop_requested()) throw Error(ErrorKind::cancelled, "stopped while reading the archive");
    if (frame_ && !frame_->bytes.spare().empty() && pieces_.size() < most_pieces) return;
    flush();
    auto frame = std::make_shared<FrameData>();
    frame->ticket = budget_.acquire(piece_bytes, stop_);
    frame->bytes = Buffer(piece_bytes);
    frame_ = std::move(frame);
  }

  void flush() {
    if (frame_ && !pieces_.empty()) visitor_.frame(std::move(frame_), pieces_);
    frame_.reset();
    pieces_.clear();
  }

  std::vector<std::size_t> missing_objects() const {
    std::vector<std::size_t> objects(missing_.begin(), missing_.end());
    std::sort(objects.begin(), objects.end());
    return objects;
  }

  void report(const Error& error, std::vector<std::size_t> objects) {
    visitor_.damaged({0, error, std::move(objects)});
  }

  static constexpr std::size_t most_pieces = 10'000;
  const std::vector<ManifestObject>& objects_;
  FrameVisitor& visitor_;
  flow::MemoryBudget& budget_;
  const std::stop_token stop_;
  std::unordered_map<std::string_view, Wanted> by_member_;
  std::unordered_set<std::size_t> missing_;  ///< wanted, and not yet handed on whole
  std::shared_ptr<FrameData> frame_;
  std::vector<MemberPiece> pieces_;
};

class StreamReader final : public Reader {
 public:
  StreamReader(transfer::RandomSource& source, Manifest manifest, ByteCount tar_bytes, std::optional<Error> flaw)
      : source_(source), manifest_(std::move(manifest)), tar_bytes_(tar_bytes), flaw_(std::move(flaw)) {}

  const Manifest& manifest() const override { return manifest_; }
  bool random_access() const override { return false; }
  std::optional<Error> flaw() const override { return flaw_; }
  std::size_t frames() const override { return 1; }
  ByteCount archive_bytes() const override { return source_.size(); }
  ByteCount tar_bytes() const override { return tar_bytes_; }
  MemberLocation locate(std::size_t) const override {
    throw Error(ErrorKind::unsupported, "the archive has no seek table: its objects have no place of their own",
                source_.name(), "read it as a whole");
  }
  void read(const std::vector<std::size_t>& objects, FrameVisitor& visitor, flow::Pools, flow::MemoryBudget& budget,
            std::stop_token stop) override {
    std::vector<std::size_t> wanted(objects);
    for (std::size_t i = 0; objects.empty() && i < manifest_.objects.size(); ++i) wanted.push_back(i);
    StreamReading(manifest_.objects, wanted, visitor, budget, stop).run(source_);
  }

 private:
  transfer::RandomSource& source_;
  const Manifest manifest_;
  const ByteCount tar_bytes_;
  const std::optional<Error> flaw_;
};

void check_start(transfer::RandomSource& source) {
  std::byte start[4];
  const bool long_enough = source.size() >= sizeof start;
  if (long_enough) source.read_at(0, start);
  const auto magic = long_enough ? load_le<std::uint32_t>(start, 0) : 0;
  const bool skippable = (magic & layout::skippable_magic_mask) == layout::skippable_magic_first;
  if (magic != layout::zstd_magic && !skippable)
    throw Error(ErrorKind::corrupt, "not a zstd file, so no archive of Bale", {}, "check the name of the file");
}

std::string read_manifest_text(TarStream& tar, ByteCount size, ByteCount most) {
  if (size > most)
    throw Error(ErrorKind::corrupt,
                fmt::format("the manifest claims {}; at most {} are read", format_bytes(size), format_bytes(most)));
  // Grown as bytes come: the size is only a claim.
  std::string text;
  Buffer block(output_bytes);
  while (const std::size_t got = tar.read({block.data(), block.capacity()})) text.append(as_text({block.data(), got}));
  if (text.size() != size) throw Error(ErrorKind::corrupt, "the manifest is cut short");
  return text;
}

}  // namespace

std::unique_ptr<Reader> open_stream(transfer::RandomSource& source, const ReaderLimits& limits) {
  check_start(source);
  TarStream tar(source);
  std::optional<std::string> manifest;
  while (const auto member = tar.next()) {
    const bool is_manifest = member->name == layout::manifest_name || member->name == "./manifest.json";
    if (!is_manifest) continue;
    if (!member->regular) throw Error(ErrorKind::corrupt, "manifest.json is not a regular file in the tar");
    manifest = read_manifest_text(tar, member->size, limits.max_manifest_bytes);
  }
  std::optional<Error> end_failure;
  try {
    tar.finish();
  } catch (const Error& error) {
    end_failure = error;
  }
  if (end_failure && (!manifest || end_failure->kind() != ErrorKind::corrupt)) throw *end_failure;
  if (!manifest) throw Error(ErrorKind::corrupt, "the archive has no manifest.json");
  Manifest parsed = parse_manifest(*manifest);
  std::optional<Error> flaw;
  if (parsed.version > 0) {
    // Bale wrote it, so it had a seek table: all objects are there, only the way to a single one is lost.
    flaw = end_failure.value_or(Error(ErrorKind::corrupt, "the seek table at the end is missing or damaged"))
               .with_where(source.name());
  } else if (end_failure) {
    throw *end_failure;
  }
  return std::make_unique<StreamReader>(source, std::move(parsed), tar.produced(), std::move(flaw));
}

}  // namespace bale::archive
