#include "cli/s3_transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cloud/part_size.hpp"
#include "os/signals.hpp"
#include "store/content_check.hpp"
#include "store/part_size.hpp"
#include "transfer/byte_io.hpp"

namespace bale::cli {
namespace {

using namespace literals;

/// What is read or written in one go where bytes stream through.
constexpr std::size_t buffer_bytes = 1_MiB;
/// The largest part that a download holds whole, several at a time: larger ones are checked in the finished file.
constexpr ByteCount most_part_in_memory = 16_MiB;

/// How many parts of one object are under way: 16 connections fill 10 Gbit/s at the 85 to 90 MB/s that S3 gives to
/// one (https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html), and every part
/// more is another buffer whose pages have to be made.
constexpr std::size_t most_parts_under_way = 16;

/// Smaller holes would cut a part into many writes, each of which waits for the disk.
constexpr std::size_t least_hole_of_part = 64_KiB;

Error stopped() { return Error(ErrorKind::cancelled, "interrupted"); }

/// Whether the file is longer than its reported size: files in /proc report 0, and other files may grow.
bool goes_on(os::ReadableFile& file, ByteCount size) {
  std::byte next[1];
  return file.read_at(size, next) > 0;
}

Error got_longer() {
  return Error(ErrorKind::precondition, "the file got longer while it was read", {},
               "copy the file again when no process writes to it");
}

/// Fills all of `bytes`; false when the stream ends first.
bool fill(store::GetStream& stream, MutableBytes bytes) {
  while (!bytes.empty()) {
    const std::size_t got = stream.read(bytes);
    if (got == 0) return false;
    bytes = bytes.subspan(got);
  }
  return true;
}

/// Bytes first..first+size of a file as the body of a request, read as they are sent.
class FileBody final : public store::Body {
 public:
  /// Borrows all; `moved` is told how many bytes were sent, negative when the body starts again.
  /// `is_end`: the file ends with these bytes, or next() throws.
  FileBody(os::ReadableFile& file, ByteCount first, ByteCount size, bool is_end,
           std::function<void(std::int64_t)> moved, std::stop_token stop)
      : file_(file),
        first_(first),
        size_(size),
        is_end_(is_end),
        moved_(std::move(moved)),
        stop_(std::move(stop)),
        buffer_(std::min<ByteCount>(size, buffer_bytes)) {
    buffer_.resize(buffer_.capacity());
  }
  ByteCount size() const override { return size_; }
  ByteView next(std::size_t most) override {
    if (stop_.stop_requested()) throw stopped();
    const std::size_t wanted = std::min<ByteCount>({most, buffer_.size(), size_ - done_});
    if (wanted == 0) return {};
    if (file_.read_at(first_ + done_, MutableBytes(buffer_.data(), wanted)) != wanted) {
      throw Error(ErrorKind::precondition, "the file got shorter while it was read", {},
                  "copy the file again when no process writes to it");
    }
    if (is_end_ && done_ + wanted == size_ && goes_on(file_, first_ + size_)) throw got_longer();
    done_ += wanted;
    return buffer_.view().first(wanted);
  }
  void rewind() override {
    moved_(-static_cast<std::int64_t>(std::exchange(sent_, 0)));
    done_ = 0;
  }
  void sent(ByteCount bytes) override {
    sent_ += bytes;
    moved_(static_cast<std::int64_t>(bytes));
  }

 private:
  os::ReadableFile& file_;
  const ByteCount first_, size_;
  const bool is_end_;
  const std::function<void(std::int64_t)> moved_;
  const std::stop_token stop_;
  Buffer buffer_;
  ByteCount done_ = 0, sent_ = 0;  ///< since the start: read, and of that sent
};

/// Names the file in an error that has no place of its own.
template <typename Step>
void naming(const std::filesystem::path& path, Step step) {
  try {
    step();
  } catch (const Error& error) {
    if (!error.where().empty()) throw;
    throw error.with_where(escape_name(path.native()));
  }
}

}  // namespace

ByteCount chosen_part_size(Context& context, const std::string& option) {
  if (!option.empty()) return store::parse_part_size(option, "--part-size");
  if (!context.options().local.empty()) return part_bytes;
  return cloud::part_size_of_profile(context.world(), context.options().profile).value_or(part_bytes);
}

void ObjectMover::check_stop() const {
  if (context_.stop().stop_requested()) throw stopped();
}

ByteCount ObjectMover::upload(const std::filesystem::path& path, const ObjectAddress& to,
                              const store::ObjectAttributes& attributes, const store::WriteConditions& conditions) {
  const auto file = context_.world().files.open(path);
  ByteCount size = file->size();
  naming(path, [&] {
    if (goes_on(*file, size)) {
      ByteCount done = 0;
      const auto read = [&](MutableBytes bytes) {
        const std::size_t got = file->read_at(done, bytes);
        done += got;
        return got;
      };
      size = upload_stream(read, to, attributes, conditions, 0);
      return;
    }
    if (size >= part_size_) return upload_in_parts(*file, size, to, attributes, conditions);
    const flow::Ticket ticket = context_.budget().acquire(std::min<ByteCount>(size, buffer_bytes), context_.stop());
    FileBody body(
        *file, 0, size, /*is_end=*/true, [&](std::int64_t bytes) { progress_.bytes_done += bytes; }, context_.stop());
    store().put(to, body, attributes, conditions);
  });
  return size;
}

ETag ObjectMover::send_part(const ObjectAddress& to, const UploadId& upload, std::uint32_t number, std::uint32_t count,
                            store::Body& body) {
  try {
    return store().upload_part(to, upload, number, body);
  } catch (const Error& error) {
    // Some servers take fewer parts than S3.
    if (error.kind() != ErrorKind::invalid || number == 1) throw;
    throw error.with_summary(fmt::format("the server refuses part {} of {}: {}", number, count, error.summary()))
        .with_hint(
            "set a larger part size: --part-size 64MB, or multipart_chunksize in the s3 section of ~/.aws/config");
  }
}

void ObjectMover::upload_in_parts(os::ReadableFile& file, ByteCount size, const ObjectAddress& to,
                                  const store::ObjectAttributes& attributes, const store::WriteConditions& conditions) {
  const ByteCount part_size = transfer::choose_part_size(size, part_size_);
  const auto count = static_cast<std::uint32_t>((size + part_size - 1) / part_size);
  const os::CleanUp to_abort;
  const UploadId upload = store().create_upload(to, attributes);
  try {
    std::vector<store::UploadedPart> parts(count);
    {
      flow::TaskGroup group;
      for (std::uint32_t i = 0; i < count && !group.failed(); ++i) {
        group.wait_until_at_most(most_parts_under_way - 1);
        group.run(context_.pools().connections, [&, i] {
          const ByteCount first = i * part_size, length = std::min(part_size, size - first);
          const flow::Ticket ticket = context_.budget().acquire(buffer_bytes, context_.stop());
          FileBody body(
              file, first, length, /*is_end=*/false, [&](std::int64_t bytes) { progress_.bytes_done += bytes; },
              context_.stop());
          parts[i] = {i + 1, send_part(to, upload, i + 1, count, body), length};
        });
      }
      group.wait();
    }
    if (goes_on(file, size)) throw got_longer();
    check_stop();
    store().complete_upload(to, upload, parts, conditions);
  } catch (...) {
    try {
      store().abort_upload(to, upload);
    } catch (const Error&) {
      // The first failure is the one to tell; what stays behind is listed as an upload under way.
    }
    throw;
  }
}

ByteCount ObjectMover::upload_input(const ObjectAddress& to, const store::ObjectAttributes& attributes,
                                    const store::WriteConditions& conditions, ByteCount expected_bytes) {
  return upload_stream([&](MutableBytes bytes) { return context_.world().terminal.in(bytes, context_.stop()); }, to,
                       attributes, conditions, expected_bytes);
}

ByteCount ObjectMover::upload_stream(const ReadSome& read, const ObjectAddress& to,
                                     const store::ObjectAttributes& attributes,
                                     const store::WriteConditions& conditions, ByteCount expected_bytes) {
  if (expected_bytes == 0) expected_bytes = part_size_ * store::max_parts;
  const ByteCount piece_size = transfer::choose_part_size(expected_bytes, part_size_);
  const auto sink = transfer::open_object_sink(store(), context_.pools().connections, to,
                                               {.attributes = attributes,
                                                .conditions = conditions,
                                                .expected_bytes = expected_bytes,
                                                .part_bytes = piece_size,
                                                .stop = context_.stop()});
  for (bool ended = false; !ended;) {
    check_stop();
    flow::Ticket ticket = context_.budget().acquire(piece_size, context_.stop());
    Buffer piece(piece_size);
    while (!ended && piece.size() < piece.capacity()) {
      const std::size_t got = read(piece.spare());
      ended = got == 0;
      piece.resize(piece.size() + got);
    }
    progress_.bytes_done += piece.size();
    if (sink->written() + piece.size() > expected_bytes) {
      throw Error(ErrorKind::invalid,
                  fmt::format("standard input is longer than the {} expected", format_bytes(expected_bytes)), {},
                  "say how long it may be with --expected-size BYTES");
    }
    piece.shrink();
    ticket.shrink_to(std::max<ByteCount>(piece.capacity(), 1));
    sink->append({std::move(piece), std::move(ticket)});
  }
  sink->finish();
  return sink->written();
}

void ObjectMover::stream(store::GetStream& stream, const std::function<void(ByteView)>& write) {
  const flow::Ticket ticket = context_.budget().acquire(buffer_bytes, context_.stop());
  Buffer buffer(std::clamp<ByteCount>(stream.length(), 1, buffer_bytes));
  while (const std::size_t got = stream.read(buffer.spare())) {
    check_stop();
    const ByteView bytes(buffer.data(), got);
    write(bytes);
    progress_.bytes_done += got;
  }
  check_stop();
}

ByteCount ObjectMover::download(const ObjectAddress& from, const VersionId& version,
                                std::optional<ByteCount> known_size, const std::filesystem::path& path,
                                os::Existing existing) {
  std::optional<os::AtomicFile> file;
  const store::ObjectInfo info = receive(from, version, known_size, [&]() -> os::AtomicFile& {
    return file.emplace(context_.world().files, path, existing);
  });
  file->set_modified(info.last_modified);
  file->commit();
  return info.size;
}

ByteCount ObjectMover::download(const ObjectAddress& from, std::optional<ByteCount> known_size, os::DirectoryTree& tree,
                                const std::string& name, os::Existing existing) {
  std::unique_ptr<os::TreeFile> file;
  const store::ObjectInfo info = receive(from, {}, known_size, [&]() -> os::AtomicFile& {
    file = tree.create(name, existing);
    return file->atomic();
  });
  file->commit(info.last_modified);
  return info.size;
}

store::ObjectInfo ObjectMover::receive(const ObjectAddress& from, const VersionId& version,
                                       std::optional<ByteCount> known_size, const OpenFile& open) {
  store::ObjectInfo info;
  const store::ReadConditions wanted{.version_id = version, .if_match = {}};
  if (!known_size || *known_size >= 2 * part_bytes) {
    const auto found = store().head(from, {.version_id = version, .if_match = {}, .with_evidence = true});
    if (!found) throw Error(ErrorKind::not_found, "no such object", to_uri(from)).with_code("NoSuchKey");
    info = *found;
    if (!known_size) progress_.bytes_total = info.size;  // the only object
    known_size = info.size;
  }
  os::AtomicFile& file = open();
  if (*known_size >= 2 * part_bytes) {
    download_in_parts(from, info, file);
  } else {
    const auto answer = store().get(from, std::nullopt, wanted);
    info = answer->info();
    ByteCount written = 0, data_end = 0;
    stream(*answer, [&](ByteView bytes) {
      data_end = std::max(data_end, os::write_leaving_holes(file.file(), written, bytes));
      written += bytes.size();
    });
    if (data_end < written) file.file().extend_to(written);
  }
  return info;
}

void ObjectMover::download_in_parts(const ObjectAddress& from, const store::ObjectInfo& info, os::AtomicFile& file) {
  // Every part asks for the version that HEAD showed, so that a change in between is an error and never a mixture.
  const store::ReadConditions same{.version_id = info.version_id, .if_match = info.etag};
  store::ContentCheck check(info);
  // Parts as the object was uploaded in can be checked while they are in memory, and those of any size by a CRC.
  const bool in_ranges = check.takes_ranges();
  const bool as_uploaded = check.part_bytes() > 0 && check.part_bytes() <= most_part_in_memory;
  const bool is_read_again = check.is_possible() && !in_ranges && !as_uploaded;
  const ByteCount part = as_uploaded ? check.part_bytes() : part_bytes;
  flow::TaskGroup group;
  for (ByteCount first = 0; first < info.size && !group.failed(); first += part) {
    const ByteCount length = std::min(part, info.size - first);
    group.wait_until_at_most(most_parts_under_way - 1);  // whose buffers are then free to be taken
    const auto paid =
        std::make_shared<flow::PaidBuffer>(context_.budget().acquire_buffer(part, 0, context_.stop()).first);
    group.run(context_.pools().connections, [&, first, length, paid] {
      check_stop();
      Buffer& buffer = paid->bytes;
      buffer.resize(length);
      const auto answer = store().get(from, store::ByteRange::at(first, length), same);
      if (answer->length() != length || !fill(*answer, {buffer.data(), buffer.size()}))
        throw Error(ErrorKind::corrupt, "the store answered with another range than was asked for", to_uri(from));
      if (in_ranges) check.add(first, buffer.view());
      if (as_uploaded) check.set_part(first / part, buffer.view());
      os::write_leaving_holes(file.file(), first, buffer.view(), least_hole_of_part, /*past_cache=*/!is_read_again);
      progress_.bytes_done += length;
    });
  }
  group.wait();
  file.file().extend_to(info.size);  // what ends in a hole
  if (is_read_again) read_again(*file.reopen(), check);
  check.finish(from);
}

void ObjectMover::read_again(os::ReadableFile& file, store::ContentCheck& check) {
  const flow::Ticket ticket = context_.budget().acquire(buffer_bytes, context_.stop());
  Buffer buffer(buffer_bytes);
  for (ByteCount offset = 0;;) {
    check_stop();
    const std::size_t got = file.read_at(offset, {buffer.data(), buffer.capacity()});
    if (got == 0) return;
    check.update({buffer.data(), got});
    offset += got;
  }
}

ByteCount ObjectMover::download_to_stream(const ObjectAddress& from, const VersionId& version,
                                          const std::filesystem::path& path) {
  // Asked for first: no reader of a pipe is let in when there is nothing to read.
  const auto answer = store().get(from, std::nullopt, {.version_id = version, .if_match = {}});
  const auto file = context_.world().files.open_stream(path, context_.stop());
  stream(*answer, [&](ByteView bytes) { file->write(bytes); });
  return answer->length();
}

ByteCount ObjectMover::print(const ObjectAddress& from, const VersionId& version) {
  const auto answer = store().get(from, std::nullopt, {.version_id = version, .if_match = {}});
  stream(*answer, [&](ByteView bytes) { context_.print_bytes(bytes); });
  return answer->length();
}

}  // namespace bale::cli
