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
#include "archive/tar.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace bale::archive {
namespace {

constexpr std::size_t output_bytes = 256 << 10;  // what libarchive is handed at a time
// libarchive holds all headers of a member, and a list of the pieces of a sparse file, which may be twice as long.
constexpr ByteCount most_header_bytes = 16ULL << 20;
constexpr ByteCount usual_window = 1ULL << 27;  // what decoders accept unless told otherwise
constexpr std::size_t least_frame_start = 4;    // a magic number
// What has a calendar date of four digits, in seconds: 0001-01-01 to 9999-12-31.
constexpr std::int64_t first_second = -62'135'596'800, last_second = 253'402'300'799;

TimePoint modified_of(::archive_entry* entry) {
  const std::int64_t seconds = ::archive_entry_mtime_is_set(entry) != 0 ? ::archive_entry_mtime(entry) : 0;
  if (seconds < first_second || seconds > last_second) return {};
  return from_epoch_ms(seconds * 1000 + ::archive_entry_mtime_nsec(entry) / 1'000'000);
}

bool is_zero(ByteView bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

/// Names of pax headers are UTF-8, others are bytes; neither may be converted to the locale of the process.
std::string_view text_of(const char* utf8, const char* bytes) {
  if (utf8 != nullptr) return utf8;
  return bytes == nullptr ? std::string_view() : std::string_view(bytes);
}

const char* name_of(::archive_entry* entry) {
  const char* const name = ::archive_entry_pathname_utf8(entry);
  return name != nullptr ? name : ::archive_entry_pathname(entry);
}

/// Directories, and those of GNU tar's incremental archives, whose data are names. What other types have is data of
/// their own, also where the name ends with '/'.
bool is_directory_type(char type) noexcept { return type == '5' || type == 'D'; }

Error no_frame_at(const FrameStream::Tail& tail) {
  return Error(ErrorKind::corrupt,
               fmt::format("the compressed data are damaged: no zstd frame begins at byte {}", tail.offset));
}

}  // namespace

Remark remark_of_tail(const FrameStream::Tail& tail) {
  return {fmt::format("{} bytes at the end of the file, from byte {} on, are no zstd frame, and are not read",
                      tail.bytes, tail.offset),
          true};
}

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
    : part_(part),
      observer_(std::move(observer)),
      tar_end_(part.tar_begin),
      frame_begin_(part.file_begin),
      output_(output_bytes),
      block_begin_(part.tar_begin),
      decompressor_(window_log, part.may_have_tail),
      window_(means.budget != nullptr ? means.budget->charge() : flow::Ticket()),
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
  if (tail_) return {};
  broken_ = true;  // unless the end of this is reached
  const ByteCount begin = tar_end_;
  while (tar_end_ == begin) {
    if (rest_.empty()) rest_ = input_.next();
    if (rest_.empty() && !more_) {
      const ByteCount in_frame = part_.file_end - frame_begin_;
      if (inside_frame_ && part_.may_have_tail && frame_begin_ > part_.file_begin && in_frame < least_frame_start)
        begin_tail();
      else if (inside_frame_)
        throw Error(ErrorKind::corrupt, "the archive ends in the middle of a frame");
      broken_ = false;
      return {};
    }
    if (!step_into_output()) {
      begin_tail();
      broken_ = false;
      return {};
    }
  }
  broken_ = false;
  return {output_.data(), tar_end_ - begin};
}

/// One step of the decompressor. False where the bytes behind a frame are no frame, and need not be one.
bool FrameStream::step_into_output() {
  StreamDecompressor::Step step;
  try {
    step = decompressor_.step(rest_, {output_.data(), output_.capacity()});
  } catch (const Error&) {
    const bool is_tail = part_.may_have_tail && frame_begin_ > part_.file_begin && decompressor_.met_no_frame();
    if (!is_tail) throw;
    return false;
  }
  if (step.window > usual_window && step.window > window_.bytes()) window_.charge_to(step.window);
  head_is_zero_ = head_is_zero_ && is_zero(rest_.first(std::min(step.consumed, least_frame_start)));
  rest_ = rest_.subspan(step.consumed);
  if (step.consumed > 0 || step.produced > 0) inside_frame_ = !step.frame_ended;
  more_ = step.produced == output_.capacity();
  tar_end_ += step.produced;
  if (step.frame_ended && step.consumed + step.produced > 0) {
    frame_begin_ = position().file_offset;
    head_is_zero_ = true;
    if (observer_.frame_ended) observer_.frame_ended(frame_begin_, tar_end_);
  }
  return true;
}

/// Looks whether what is left of the file is more than padding.
void FrameStream::begin_tail() {
  tail_ = {frame_begin_, part_.file_end - frame_begin_, head_is_zero_};
  for (; tail_->is_zero; rest_ = input_.next()) {
    tail_->is_zero = is_zero(rest_);
    if (rest_.empty() && input_.offset() == part_.file_end) break;
  }
  rest_ = {};
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

TarStream::TarStream(FrameStream& bytes)
    : bytes_(bytes), begin_(bytes.tar_offset()), given_end_(begin_), member_end_(begin_) {
  open();
}

void TarStream::open() {
  tar_.reset(::archive_read_new());
  if (!tar_) throw std::bad_alloc();
  static_assert(std::is_same_v<la_ssize_t, long>);
  has_member_ = false;
  ::archive_read_support_format_tar(tar_.get());
  ::archive_read_support_format_empty(tar_.get());
  check(::archive_read_open(tar_.get(), this, nullptr, &TarStream::pull, nullptr));
}

void TarStream::Close::operator()(::archive* tar) const noexcept { ::archive_read_free(tar); }

std::optional<TarStream::Member> TarStream::next() {
  do {
    if (auto member = next_of_tar()) return member;
  } while (find_next_tar());
  return std::nullopt;
}

std::optional<TarStream::Member> TarStream::next_of_tar() {
  ::archive_entry* entry = nullptr;
  if (directory_bytes_ > 0) {
    skip_data_of_directory();
  } else if (has_member_) {
    check(::archive_read_data_skip(tar_.get()));
    member_end_ = taken();
  }
  has_member_ = true;
  header_bytes_ = 0;
  if (check(::archive_read_next_header(tar_.get(), &entry)) == ARCHIVE_EOF) return std::nullopt;
  header_bytes_.reset();
  const std::int64_t size = ::archive_entry_size(entry);
  const std::string_view link = text_of(::archive_entry_hardlink_utf8(entry), ::archive_entry_hardlink(entry));
  const char* const name = name_of(entry);
  if (name == nullptr || size < 0) throw Error(ErrorKind::corrupt, "a member of the tar has no name or no size");
  Member member;
  member.name = name;
  member.size = static_cast<ByteCount>(size);
  // A hard link of a pax archive may have the data of its own.
  const bool has_link = !link.empty() && member.size == 0;
  const auto type = ::archive_entry_filetype(entry);
  member.regular = (type == AE_IFREG || !link.empty()) && !has_link && ::archive_entry_symlink(entry) == nullptr;
  if (has_link) member.hard_link_to = link;
  member.is_directory = type == AE_IFDIR;
  if (member.is_directory && !is_directory_type(type_of_member())) directory_bytes_ = member.size;
  member.is_strange = (type == 0 && link.empty() && member.size > 0) || directory_bytes_ > 0;
  member.in_one_piece = ::archive_entry_sparse_count(entry) == 0;
  member.header_offset = begin_ + static_cast<ByteCount>(::archive_read_header_position(tar_.get()));
  // All headers have been taken from the stream, and nothing behind them.
  member.data_offset = taken();
  member.mode = static_cast<std::uint32_t>(::archive_entry_perm(entry)) & 0777U;
  member.modified = modified_of(entry);
  return member;
}

/// libarchive reads on behind the header of a directory: a tar that begins behind its data is given to it instead.
void TarStream::skip_data_of_directory() {
  const ByteCount data = std::exchange(directory_bytes_, 0);
  const ByteCount padded = data + (layout::tar_block - data % layout::tar_block) % layout::tar_block;
  const ByteCount at = taken();
  take_back(given_end_ - at);
  skip(padded);
  member_end_ = at + padded;
  begin_at(member_end_);
}

/// Offset in the tar stream of the first byte that libarchive has not used yet.
ByteCount TarStream::taken() const { return begin_ + static_cast<ByteCount>(::archive_filter_bytes(tar_.get(), 0)); }

/// Returns the type in the header of the present member, whose data libarchive has not begun to read.
char TarStream::type_of_member() const {
  constexpr std::size_t type_at = 156;
  const std::size_t behind_header = given_.size() - std::min<ByteCount>(given_end_ - taken(), given_.size());
  const std::size_t back = layout::tar_block - type_at;  // from the end of the header to its type
  if (behind_header >= back) return static_cast<char>(given_[behind_header - back]);
  const std::size_t before = back - behind_header;
  return before <= before_given_.size() ? before_given_[before_given_.size() - before] : '\0';
}

/// Gives back what libarchive was given and did not use.
void TarStream::take_back(ByteCount unused) {
  // libarchive reads one block ahead; the block may begin before the bytes that it was given last.
  const ByteCount of_given = std::min<ByteCount>(unused, given_.size());
  const ByteCount of_before = std::min<ByteCount>(unused - of_given, before_given_.size());
  std::string back = before_given_.substr(before_given_.size() - of_before);
  const ByteView last = given_.last(of_given);
  if (rest_.empty() && pushed_.empty())
    rest_ = last;
  else
    back += as_text(last);
  pushed_ = back + pushed_;
  given_ = {};
  before_given_.clear();
}

/// Drops bytes that libarchive has not been given, or has given back.
void TarStream::skip(ByteCount bytes) {
  const std::size_t of_pushed = std::min<ByteCount>(bytes, pushed_.size());
  pushed_.erase(0, of_pushed);
  for (bytes -= of_pushed; bytes > 0;) {
    if (rest_.empty()) rest_ = bytes_.next();
    if (rest_.empty()) throw Error(ErrorKind::corrupt, "the tar ends in the middle of a member");
    const std::size_t part = std::min<ByteCount>(bytes, rest_.size());
    rest_ = rest_.subspan(part);
    bytes -= part;
  }
}

/// Has libarchive read a tar from here on.
void TarStream::begin_at(ByteCount at) {
  begin_ = given_end_ = at;
  open();
}

/// Skips the zero blocks that end a tar. Returns false if no tar follows.
bool TarStream::find_next_tar() {
  ByteCount at = taken();
  take_back(given_end_ - at);
  ByteCount zeros = at - member_end_;
  for (std::string block = take_block(); !block.empty(); block = take_block()) {
    if (!is_zero(as_bytes(block))) {
      if (zeros == layout::tar_block && !lone_zero_at_) lone_zero_at_ = member_end_;
      return begin_tar(std::move(block), at);
    }
    at += block.size();
    zeros += block.size();
  }
  // A tar that does not end in zeros may go on in a frame of which only the first bytes are damaged.
  if (zeros == 0 && bytes_.tail() && !bytes_.tail()->is_zero) throw no_frame_at(*bytes_.tail());
  return false;
}

/// Begins to read the tar that `block` begins; false where it begins none.
bool TarStream::begin_tar(std::string block, ByteCount at) {
  if (!has_tar_checksum(as_bytes(block))) {
    foreign_at_ = at;
    bytes_.drain();
    return false;
  }
  pushed_ = block + pushed_;
  ++tars_before_;
  begin_at(at);
  return true;
}

/// The next block behind the end of a tar; shorter at the end of the stream, and empty there.
std::string TarStream::take_block() {
  std::string block;
  while (block.size() < layout::tar_block) {
    const std::size_t wanted = layout::tar_block - block.size();
    if (!pushed_.empty()) {
      block.append(pushed_, 0, wanted);
      pushed_.erase(0, wanted);
      continue;
    }
    if (rest_.empty()) rest_ = bytes_.next();
    if (rest_.empty()) break;
    const ByteView part = rest_.first(std::min(wanted, rest_.size()));
    block.append(as_text(part));
    rest_ = rest_.subspan(part.size());
  }
  return block;
}

/// What libarchive gets next. Valid until the next call.
ByteView TarStream::give() {
  before_given_.append(as_text(given_.last(std::min(given_.size(), layout::tar_block))));
  before_given_.erase(0, before_given_.size() - std::min(before_given_.size(), layout::tar_block));
  if (!pushed_.empty()) {
    pushed_given_ = std::exchange(pushed_, {});
    given_ = as_bytes(pushed_given_);
  } else {
    given_ = rest_.empty() ? bytes_.next() : std::exchange(rest_, {});
  }
  given_end_ += given_.size();
  return given_;
}

std::vector<Remark> TarStream::remarks() const {
  std::vector<Remark> remarks;
  if (lone_zero_at_) {
    remarks.push_back(
        {fmt::format("a lone zero block at byte {} of the tar does not end it: what follows was looked at",
                     *lone_zero_at_),
         false});
  }
  if (foreign_at_) {
    remarks.push_back(
        {fmt::format("what follows the end of the tar, from its byte {} on, is no tar, and is not read", *foreign_at_),
         true});
  }
  if (const auto& tail = bytes_.tail(); tail && !tail->is_zero) remarks.push_back(remark_of_tail(*tail));
  return remarks;
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
    const ByteView bytes = stream.give();
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
  // ARCHIVE_RETRY: a header was no header, and libarchive would look for the next one.
  if (result >= ARCHIVE_WARN && result != ARCHIVE_RETRY) return result;
  // Behind a frame whose first bytes are damaged nothing is read: the tar only seems to be too short.
  if (bytes_.tail() && !bytes_.tail()->is_zero) throw no_frame_at(*bytes_.tail());
  const char* const reason = ::archive_error_string(tar_.get());
  throw Error(ErrorKind::corrupt, fmt::format("the tar is damaged: {}",
                                              escape_for_terminal(reason == nullptr ? "no reason given" : reason)));
}

}  // namespace bale::archive
