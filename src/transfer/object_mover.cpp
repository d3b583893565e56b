#include "transfer/object_mover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.hpp"
#include "base/text.hpp"
#include "transfer/byte_io.hpp"
#include "transfer/file_upload.hpp"

namespace bale::transfer {
namespace {

/// How many parts of one object are under way: 16 connections fill 10 Gbit/s at the 85 to 90 MB/s that S3 gives to
/// one (https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html), and every part
/// more is another buffer whose pages have to be made.
constexpr std::size_t most_parts_under_way = 16;

/// Whether the file is longer than its reported size: files in /proc report 0, and other files may grow.
bool goes_on(os::ReadableFile& file, ByteCount size) {
  std::byte next[1];
  return file.read_at(size, next) > 0;
}

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

void ObjectMover::check_stop() const {
  if (tools_.world.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
}

ByteCount ObjectMover::upload(const std::filesystem::path& path, const ObjectAddress& to,
                              const store::ObjectAttributes& attributes, const store::WriteConditions& conditions) {
  const auto file = tools_.world.files.open(path);
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
    const FileUpload upload{
        .attributes = attributes,
        .conditions = conditions,
        .part_bytes = choose_part_size(size, part_size_),
        .most_parts_under_way = most_parts_under_way,
        .moved = [this](std::int64_t bytes) { tools_.progress.bytes_done += bytes; },
        .stop = tools_.world.stop,
        // The signature covers the bytes: a second digest would only take time.
        .computes_digests = false,
        .part_bytes_hint =
            "set a larger part size: --part-size 64MB, or multipart_chunksize in the s3 section of ~/.aws/config"};
    size = upload_file(tools_.store, tools_.connections, tools_.budget, *file, to, upload).size;
  });
  return size;
}

ByteCount ObjectMover::upload_stream(const ReadSome& read, const ObjectAddress& to,
                                     const store::ObjectAttributes& attributes,
                                     const store::WriteConditions& conditions, ByteCount expected_bytes) {
  if (expected_bytes == 0) expected_bytes = part_size_ * store::max_parts;
  const ByteCount piece_size = choose_part_size(expected_bytes, part_size_);
  const auto sink = open_object_sink(tools_.store, tools_.connections, to,
                                     {.attributes = attributes,
                                      .conditions = conditions,
                                      .expected_bytes = expected_bytes,
                                      .part_bytes = piece_size,
                                      .stop = tools_.world.stop});
  for (bool ended = false; !ended;) {
    check_stop();
    flow::Ticket ticket = tools_.budget.acquire(piece_size, tools_.world.stop);
    Buffer piece(piece_size);
    while (!ended && piece.size() < piece.capacity()) {
      const std::size_t got = read(piece.spare());
      ended = got == 0;
      piece.resize(piece.size() + got);
    }
    tools_.progress.bytes_done += piece.size();
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

FileDownload ObjectMover::how_to_download(const VersionId& version, std::optional<ByteCount> known_size) {
  return {.version = version,
          .known_size = known_size,
          .part_bytes = part_bytes,
          .most_parts_under_way = most_parts_under_way,
          .sized = [this](ByteCount size) { tools_.progress.bytes_total = size; },  // the only object
          .moved = [this](std::int64_t bytes) { tools_.progress.bytes_done += bytes; },
          .stop = tools_.world.stop};
}

store::ObjectInfo ObjectMover::receive(const ObjectAddress& from, const FileDownload& download,
                                       const std::function<os::AtomicFile&()>& open) {
  return download_file(tools_.store, tools_.connections, tools_.budget, from, download, open);
}

ByteCount ObjectMover::download(const ObjectAddress& from, const VersionId& version,
                                std::optional<ByteCount> known_size, const std::filesystem::path& path,
                                os::Existing existing) {
  std::optional<os::AtomicFile> file;
  const store::ObjectInfo info = receive(from, how_to_download(version, known_size), [&]() -> os::AtomicFile& {
    return file.emplace(tools_.world.files, path, existing);
  });
  file->set_modified(info.last_modified);
  file->commit();
  return info.size;
}

ByteCount ObjectMover::download(const ObjectAddress& from, std::optional<ByteCount> known_size, os::DirectoryTree& tree,
                                const std::string& name, os::Existing existing) {
  std::unique_ptr<os::TreeFile> file;
  const store::ObjectInfo info = receive(from, how_to_download({}, known_size), [&]() -> os::AtomicFile& {
    file = tree.create(name, existing);
    return file->atomic();
  });
  file->commit(info.last_modified);
  return info.size;
}

ByteCount ObjectMover::download_to_stream(const ObjectAddress& from, const VersionId& version,
                                          const std::filesystem::path& path) {
  // Asked for first: no reader of a pipe is let in when there is nothing to read.
  const auto answer = tools_.store.get(from, std::nullopt, {.version_id = version, .if_match = {}});
  const auto file = tools_.world.files.open_stream(path, tools_.world.stop);
  download_stream(*answer, tools_.budget, how_to_download(version, {}), [&](ByteView bytes) { file->write(bytes); });
  return answer->length();
}

ByteCount ObjectMover::download_to(const ObjectAddress& from, const VersionId& version,
                                   const std::function<void(ByteView)>& write) {
  const auto answer = tools_.store.get(from, std::nullopt, {.version_id = version, .if_match = {}});
  download_stream(*answer, tools_.budget, how_to_download(version, {}), write);
  return answer->length();
}

}  // namespace bale::transfer
