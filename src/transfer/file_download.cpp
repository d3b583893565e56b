#include "transfer/file_download.hpp"

#include <algorithm>
#include <memory>

#include "base/error.hpp"
#include "store/content_check.hpp"
#include "store/read_exactly.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

/// What is read or written in one go where bytes stream through.
constexpr std::size_t buffer_bytes = 1_MiB;
/// The largest part that a download holds whole, several at a time: larger ones are checked in the finished file.
constexpr ByteCount most_part_in_memory = 16_MiB;
/// Smaller holes would cut a part into many writes, each of which waits for the disk.
constexpr std::size_t least_hole_of_part = 64_KiB;

void check_stop(const FileDownload& download) {
  if (download.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
}

class Downloader {
 public:
  Downloader(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
             const ObjectAddress& from, const FileDownload& download)
      : store_(store), connections_(connections), budget_(budget), from_(from), download_(download) {}

  store::ObjectInfo run(const std::function<DownloadTarget()>& open) {
    std::optional<ByteCount> size = download_.known_size;
    store::ObjectInfo info;
    if (!size || *size >= 2 * download_.part_bytes) {
      const auto found = store_.head(from_, {.version_id = download_.version, .if_match = {}, .with_evidence = true});
      if (!found) throw Error(ErrorKind::not_found, "no such object", to_uri(from_)).with_code("NoSuchKey");
      info = *found;
      if (download_.found) download_.found(info);
      if (!size && download_.sized) download_.sized(info.size);
      size = info.size;
    }
    const DownloadTarget file = open();
    if (*size < 2 * download_.part_bytes) return in_one_request(file);
    in_parts(info, file);
    return info;
  }

 private:
  store::ObjectInfo in_one_request(const DownloadTarget& target) {
    const auto answer = store_.get(from_, std::nullopt, {.version_id = download_.version, .if_match = {}});
    ByteCount written = 0, data_end = 0;
    download_stream(*answer, budget_, download_, [&](ByteView bytes) {
      data_end = std::max(data_end, os::write_leaving_holes(target.file, written, bytes));
      if (download_.received) download_.received(written, bytes);
      written += bytes.size();
    });
    if (data_end < written) target.file.extend_to(written);
    return answer->info();
  }

  void in_parts(const store::ObjectInfo& info, const DownloadTarget& target) {
    store::ContentCheck check(info);
    // Parts as the object was uploaded in can be checked while they are in memory, and those of any size by a CRC.
    const bool in_ranges = check.takes_ranges();
    const bool as_uploaded = check.part_bytes() > 0 && check.part_bytes() <= most_part_in_memory;
    const bool is_read_again = check.is_possible() && !in_ranges && !as_uploaded;
    const ByteCount part = as_uploaded ? check.part_bytes() : download_.part_bytes;
    bool has_all = true;  // of the bytes, in memory
    flow::TaskGroup group;
    for (ByteCount first = 0; first < info.size && !group.failed(); first += part) {
      const ByteCount length = std::min(part, info.size - first);
      if (download_.has && download_.has(first, length)) {
        has_all = false;
        if (download_.moved) download_.moved(static_cast<std::int64_t>(length));
        continue;
      }
      group.wait_until_at_most(download_.most_parts_under_way - 1);  // whose buffers are then free to be taken
      const auto paid = std::make_shared<flow::PaidBuffer>(budget_.acquire_buffer(part, 0, download_.stop).first);
      group.run(connections_, [&, first, length, paid] {
        const ByteView bytes = fetch(info, first, length, paid->bytes);
        if (in_ranges) check.add(first, bytes);
        if (as_uploaded) check.set_part(first / part, bytes);
        os::write_leaving_holes(target.file, first, bytes, least_hole_of_part, /*past_cache=*/!is_read_again);
        if (download_.received) download_.received(first, bytes);
        if (download_.moved) download_.moved(static_cast<std::int64_t>(length));
      });
    }
    group.wait();
    target.file.extend_to(info.size);  // what ends in a hole
    if (!has_all) check = store::ContentCheck(info);
    if (is_read_again || (!has_all && check.is_possible())) read_again(*target.reopen(), check);
    check.finish(from_);
  }

  ByteView fetch(const store::ObjectInfo& info, ByteCount first, ByteCount length, Buffer& buffer) {
    check_stop(download_);
    buffer.resize(length);
    // Every part asks for the version or the ETag that HEAD showed, so that a change in between is an error and never a
    // mixture.
    const VersionId version = download_.names_version ? info.version_id : VersionId();
    const auto answer =
        store_.get(from_, store::ByteRange::at(first, length), {.version_id = version, .if_match = info.etag});
    if (answer->length() != length)
      throw Error(ErrorKind::corrupt, "the store answered with another range than was asked for", to_uri(from_));
    store::read_exactly(*answer, {buffer.data(), buffer.size()}, to_uri(from_));
    return buffer.view();
  }

  void read_again(os::ReadableFile& file, store::ContentCheck& check) {
    const flow::Ticket ticket = budget_.acquire(buffer_bytes, download_.stop);
    Buffer buffer(buffer_bytes);
    for (ByteCount offset = 0;;) {
      check_stop(download_);
      const std::size_t got = file.read_at(offset, {buffer.data(), buffer.capacity()});
      if (got == 0) return;
      check.update({buffer.data(), got});
      offset += got;
    }
  }

  store::ObjectStore& store_;
  flow::ThreadPool& connections_;
  flow::MemoryBudget& budget_;
  const ObjectAddress& from_;
  const FileDownload& download_;
};

}  // namespace

store::ObjectInfo download_file(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
                                const ObjectAddress& from, const FileDownload& download,
                                const std::function<os::AtomicFile&()>& open) {
  const auto open_target = [&] {
    os::AtomicFile& file = open();
    return DownloadTarget{file.file(), [&file] { return file.reopen(); }};
  };
  return download_into(store, connections, budget, from, download, open_target);
}

store::ObjectInfo download_into(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
                                const ObjectAddress& from, const FileDownload& download,
                                const std::function<DownloadTarget()>& open) {
  return Downloader(store, connections, budget, from, download).run(open);
}

void download_stream(store::GetStream& stream, flow::MemoryBudget& budget, const FileDownload& download,
                     const std::function<void(ByteView)>& write) {
  const flow::Ticket ticket = budget.acquire(buffer_bytes, download.stop);
  Buffer buffer(std::clamp<ByteCount>(stream.length(), 1, buffer_bytes));
  while (const std::size_t got = stream.read(buffer.spare())) {
    check_stop(download);
    write({buffer.data(), got});
    if (download.moved) download.moved(static_cast<std::int64_t>(got));
  }
  check_stop(download);
}

}  // namespace bale::transfer
