#include "archive/tar_stream.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <type_traits>
#include <utility>

#include "archive/layout.hpp"
#include "archive/little_endian.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t output_bytes = 256 << 10;  // what libarchive is handed at a time
// libarchive holds all headers of a member, and a list of the pieces of a sparse file, which may be twice as long.
constexpr ByteCount most_header_bytes = 16ULL << 20;
// What has a calendar date of four digits, in seconds: 0001-01-01 to 9999-12-31.
constexpr std::int64_t first_second = -62'135'596'800, last_second = 253'402'300'799;

TimePoint modified_of(::archive_entry* entry) {
  const std::int64_t seconds = ::archive_entry_mtime_is_set(entry) != 0 ? ::archive_entry_mtime(entry) : 0;
  if (seconds < first_second || seconds > last_second) return {};
  return from_epoch_ms(seconds * 1000 + ::archive_entry_mtime_nsec(entry) / 1'000'000);
}

}  // namespace

void check_zstd_start(transfer::RandomSource& source) {
  std::byte start[4];
  const bool long_enough = source.size() >= sizeof start;
  if (long_enough) source.read_at(0, start);
  const auto magic = long_enough ? load_le<std::uint32_t>(start, 0) : 0;
  const bool skippable = (magic & layout::skippable_magic_mask) == layout::skippable_magic_first;
  if (magic != layout::zstd_magic && !skippable)
    throw Error(ErrorKind::corrupt, "not a zstd file, so no archive of Bale", {}, "check the name of the file");
}

// ---- FrameStream

FrameStream::FrameStream(transfer::RandomSource& source, const Part& part, Observer observer, ReadAheadMeans means,
                         int window_log)
    : observer_(std::move(observer)),
      tar_end_(part.tar_begin),
      output_(output_bytes),
      block_begin_(part.tar_begin),
      decompressor_(window_log),
      input_(source, part.file_begin, part.file_end,
             observer_.wanted
                 ? ReadAhead::Wanted([this](ByteCount offset) { return observer_.wanted(offset, position()); })
                 : ReadAhead::Wanted(),
             means) {}

ByteView FrameStream::next() {
  if (given_ == block_.size()) {
    block_ = {};
    block_begin_ = tar_end_;
    given_ = 0;
    block_ = next_block();
  }
  return block_.subspan(std::exchange(given_, block_.size()));
}

ByteView FrameStream::next_block() {
  broken_ = true;  // unless the end of this is reached
  for (;;) {
    if (rest_.empty()) rest_ = input_.next();
    if (rest_.empty() && !more_) {
      if (inside_frame_) throw Error(ErrorKind::corrupt, "the archive ends in the middle of a frame");
      broken_ = false;
      return {};
    }
    const auto step = decompressor_.step(rest_, {output_.data(), output_.capacity()});
    rest_ = rest_.subspan(step.consumed);
    if (step.consumed > 0 || step.produced > 0) inside_frame_ = !step.frame_ended;
    more_ = step.produced == output_.capacity();
    tar_end_ += step.produced;
    if (step.frame_ended && step.consumed + step.produced > 0 && observer_.frame_ended)
      observer_.frame_ended(position().file_offset, tar_end_);
    if (step.produced == 0) continue;
    broken_ = false;
    return {output_.data(), step.produced};
  }
}

bool FrameStream::seek(ByteCount tar_offset) {
  while (tar_offset > block_begin_ + block_.size()) {
    given_ = block_.size();
    if (next().empty()) return false;
  }
  if (tar_offset < block_begin_) return false;
  given_ = tar_offset - block_begin_;
  return true;
}

void FrameStream::drain() {
  while (!next().empty()) {
  }
}

// ---- TarStream

TarStream::TarStream(FrameStream& bytes) : bytes_(bytes), begin_(bytes.tar_offset()), tar_(::archive_read_new()) {
  if (!tar_) throw std::bad_alloc();
  static_assert(std::is_same_v<la_ssize_t, long>);
  ::archive_read_support_format_tar(tar_.get());
  ::archive_read_support_format_empty(tar_.get());
  check(::archive_read_open(tar_.get(), this, nullptr, &TarStream::pull, nullptr));
}

void TarStream::Close::operator()(::archive* tar) const noexcept { ::archive_read_free(tar); }

std::optional<TarStream::Member> TarStream::next() {
  ::archive_entry* entry = nullptr;
  if (has_member_) check(::archive_read_data_skip(tar_.get()));
  has_member_ = true;
  header_bytes_ = 0;
  if (check(::archive_read_next_header(tar_.get(), &entry)) == ARCHIVE_EOF) return std::nullopt;
  header_bytes_.reset();
  // Names of pax headers are UTF-8, others are bytes; neither may be converted to the locale of the process.
  const char* name = ::archive_entry_pathname_utf8(entry);
  if (name == nullptr) name = ::archive_entry_pathname(entry);
  const std::int64_t size = ::archive_entry_size(entry);
  if (name == nullptr || size < 0) throw Error(ErrorKind::corrupt, "a member of the tar has no name or no size");
  Member member;
  member.name = name;
  member.size = static_cast<ByteCount>(size);
  member.regular = ::archive_entry_filetype(entry) == AE_IFREG && ::archive_entry_hardlink(entry) == nullptr &&
                   ::archive_entry_symlink(entry) == nullptr;
  member.in_one_piece = ::archive_entry_sparse_count(entry) == 0;
  member.header_offset = begin_ + static_cast<ByteCount>(::archive_read_header_position(tar_.get()));
  // All headers have been taken from the stream, and nothing behind them.
  member.data_offset = begin_ + static_cast<ByteCount>(::archive_filter_bytes(tar_.get(), 0));
  member.mode = static_cast<std::uint32_t>(::archive_entry_perm(entry)) & 0777U;
  member.modified = modified_of(entry);
  return member;
}

std::size_t TarStream::read(MutableBytes bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto got = ::archive_read_data(tar_.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0) check(static_cast<int>(got));
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

/// Called by libarchive, which knows no exceptions: one is kept, and thrown by check().
long TarStream::pull(::archive* tar, void* self, const void** buffer) {
  auto& stream = *static_cast<TarStream*>(self);
  try {
    const ByteView bytes = stream.bytes_.next();
    if (stream.header_bytes_ && (*stream.header_bytes_ += bytes.size()) > most_header_bytes + output_bytes) {
      throw Error(ErrorKind::corrupt,
                  fmt::format("the headers of a member are longer than {}", format_bytes(most_header_bytes)));
    }
    *buffer = bytes.data();
    return static_cast<long>(bytes.size());
  } catch (...) {
    stream.failure_ = std::current_exception();
    ::archive_set_error(tar, EIO, "the stream below failed");
    return -1;
  }
}

int TarStream::check(int result) {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  if (result >= ARCHIVE_WARN) return result;
  const char* const reason = ::archive_error_string(tar_.get());
  throw Error(ErrorKind::corrupt, fmt::format("the tar is damaged: {}",
                                              escape_for_terminal(reason == nullptr ? "no reason given" : reason)));
}

}  // namespace bale::archive
