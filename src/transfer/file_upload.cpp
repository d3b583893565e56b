#include "transfer/file_upload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "store/checksum.hpp"
#include "store/own_write.hpp"
#include "transfer/multipart.hpp"

namespace bale::transfer {
namespace {

using namespace literals;

/// What is read of a file in one go.
constexpr std::size_t buffer_bytes = 1_MiB;
/// How often an upload that the store does not know any more is begun again: a rule that removes uploads that early
/// would remove the next one too.
constexpr int most_new_beginnings = 2;

constexpr const char* hint_for_changed_file = "upload the file again when no process writes to it";

Error got_longer() {
  return Error(ErrorKind::precondition, "the file got longer while it was read", {}, hint_for_changed_file);
}

/// Whether the file has bytes after its first `size` ones.
bool goes_on(os::ReadableFile& file, ByteCount size) {
  std::byte next[1];
  return file.read_at(size, next) > 0;
}

constexpr store::Checksum::Algorithm algorithm = store::Checksum::Algorithm::crc64nvme;

/// Digests of the bytes of one part, computed in one pass.
struct Digests {
  ByteCount size = 0;
  Md5Digest md5{};
  store::Checksum checksum;

  PartDigests of_part() const { return {size, md5, checksum}; }
};

/// Bytes of a file that are part of an upload.
struct Range {
  ByteCount first = 0, size = 0;
  bool is_end = false;  ///< the file is to end with them
};

/// A range of a file as the body of a request, read as it is sent, and hashed as it is read.
class FileBody final : public store::Body {
 public:
  /// Borrows all. `moved` is told the bytes that are sent. `known` are the digests of the range where it was hashed
  /// before.
  FileBody(os::ReadableFile& file, const Range& range, MutableBytes buffer, const FileUpload& upload,
           std::function<void(std::int64_t)> moved, std::optional<Digests> known = std::nullopt)
      : file_(file),
        range_(range),
        buffer_(buffer),
        upload_(upload),
        moved_(std::move(moved)),
        is_known_before_sent_(known.has_value()),
        known_(std::move(known)),
        hashed_(upload.computes_digests && !is_known_before_sent_ ? 0 : range.size) {}

  ByteCount size() const override { return range_.size; }

  ByteView next(std::size_t most) override {
    if (upload_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    const std::size_t wanted = std::min<ByteCount>({most, buffer_.size(), range_.size - read_});
    if (wanted == 0) return {};
    const MutableBytes bytes = buffer_.first(wanted);
    if (file_.read_at(range_.first + read_, bytes) != wanted) {
      throw Error(ErrorKind::precondition, "the file got shorter while it was read", {}, hint_for_changed_file);
    }
    if (range_.is_end && read_ + wanted == range_.size && goes_on(file_, range_.first + range_.size))
      throw got_longer();
    hash(bytes);
    read_ += wanted;
    return bytes;
  }

  void rewind() override {
    const ByteCount taken_back = std::exchange(sent_, 0);
    if (taken_back > 0) moved_(-static_cast<std::int64_t>(taken_back));
    read_ = 0;
  }

  void sent(ByteCount bytes) override {
    sent_ += bytes;
    moved_(static_cast<std::int64_t>(bytes));
  }

  store::BodyDigests digests() const override {
    store::BodyDigests digests;
    digests.response_is_compared = upload_.computes_digests;
    if (is_known_before_sent_) digests.md5 = known_->md5;
    if (is_known_before_sent_ && upload_.attributes.checksum_algorithm == algorithm)
      digests.checksum = known_->checksum;
    return digests;
  }

  /// Reads the range to its end, to compute the digests.
  void read_all() {
    while (!next(buffer_.size()).empty()) continue;
  }

  /// The digests of the bytes that next() gave. To be called when they were all given.
  const Digests& computed() {
    if (!known_) {
      if (hashed_ != range_.size) throw Error(ErrorKind::internal, "a body was not read to its end");
      known_ = Digests{range_.size, md5_.finish(), checksum_.finish()};
    }
    return *known_;
  }

 private:
  /// Hashes what was not hashed in a pass before: a request that is repeated computes nothing again.
  void hash(ByteView bytes) {
    if (read_ + bytes.size() <= hashed_) return;
    const ByteView fresh = bytes.subspan(hashed_ - read_);
    md5_.update(fresh);
    checksum_.update(fresh);
    hashed_ += fresh.size();
  }

  os::ReadableFile& file_;
  const Range range_;
  const MutableBytes buffer_;
  const FileUpload& upload_;
  const std::function<void(std::int64_t)> moved_;
  const bool is_known_before_sent_;
  std::optional<Digests> known_;
  ByteCount read_ = 0, sent_ = 0;  ///< since the start
  ByteCount hashed_;               ///< in all passes
  Md5 md5_;
  store::RunningChecksum checksum_{algorithm};
};

/// A buffer for one part, paid for.
class PartBuffer {
 public:
  PartBuffer(flow::MemoryBudget& budget, ByteCount size, const std::stop_token& stop) {
    if (size >= buffer_bytes) {
      reused_.emplace(budget.acquire_buffer(buffer_bytes, 0, stop).first);
    } else {
      // The budget keeps what it gave for the next one who wants the same size: small files have many sizes.
      ticket_ = budget.acquire(std::max<ByteCount>(size, 1), stop);
      own_ = Buffer(std::max<ByteCount>(size, 1));
    }
    buffer().resize(buffer().capacity());
  }
  MutableBytes bytes() { return {buffer().data(), std::min<std::size_t>(buffer().size(), buffer_bytes)}; }

 private:
  Buffer& buffer() { return reused_ ? reused_->bytes : own_; }
  std::optional<flow::PaidBuffer> reused_;
  flow::Ticket ticket_;
  Buffer own_;
};

class Uploader {
 public:
  Uploader(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget, os::ReadableFile& file,
           const ObjectAddress& to, const FileUpload& upload)
      : store_(store),
        connections_(connections),
        budget_(budget),
        file_(file),
        to_(to),
        upload_(upload),
        size_(file.size()) {}

  FileUploaded run() {
    if (goes_on(file_, size_)) throw got_longer();
    if (size_ < upload_.part_bytes) return put();
    if (upload_.part_bytes == 0 || (size_ - 1) / upload_.part_bytes >= store::max_parts) {
      throw Error(ErrorKind::invalid,
                  fmt::format("{} need more than {} parts of {}", format_bytes(size_), store::max_parts,
                              format_bytes(upload_.part_bytes)),
                  to_uri(to_), upload_.part_bytes_hint);
    }
    return upload_in_parts();
  }

 private:
  // One request

  FileUploaded put() {
    PartBuffer buffer(budget_, size_, upload_.stop);
    const Range whole{0, size_, /*is_end=*/true};
    std::optional<Digests> known;
    if (upload_.expected_checksum) {
      FileBody first(file_, whole, buffer.bytes(), upload_, tell_moved_);
      first.read_all();
      known = first.computed();
      check_expected(known->checksum);
    }
    FileBody body(file_, whole, buffer.bytes(), upload_, tell_moved_, known);
    if (upload_.before_complete) upload_.before_complete();
    FileUploaded uploaded;
    uploaded.size = uploaded.sent_bytes = size_;
    uploaded.object = store_.put(to_, body, upload_.attributes, upload_.conditions);
    uploaded.etag = uploaded.object.etag;
    if (!upload_.computes_digests) return uploaded;
    uploaded.etag = ETag(to_hex_digest(body.computed().md5));
    uploaded.checksum = body.computed().checksum;
    if (!agrees(uploaded)) put_again(body, uploaded);
    return uploaded;
  }

  /// Whether the ETag in the response says that the store has the bytes that were sent, or cannot tell.
  bool agrees(const FileUploaded& uploaded) {
    const ETag& etag = uploaded.object.etag;
    const bool has_kms_key =
        !upload_.attributes.kms_key_arn.empty() || upload_.attributes.encryption.starts_with("aws:kms");
    if (etag == uploaded.etag || !store::is_md5(etag) || has_kms_key) return true;
    // The bucket may encrypt with a KMS key on its own: the ETag looks like an MD5 then, and is none.
    const auto found = store_.head(to_, {.version_id = uploaded.object.version_id, .if_match = {}});
    return found && found->size == size_ && found->is_etag_opaque;
  }

  void put_again(FileBody& body, FileUploaded& uploaded) {
    store::WriteConditions conditions = upload_.conditions;
    if (conditions.if_none_match || !conditions.if_match.empty()) {
      // The object that broke the condition is the damaged one.
      conditions.if_none_match = false;
      conditions.if_match = uploaded.object.etag;
    }
    body.rewind();
    uploaded.sent_bytes += size_;
    uploaded.object = store_.put(to_, body, upload_.attributes, conditions);
    if (agrees(uploaded)) return;
    throw Error(ErrorKind::corrupt,
                fmt::format("the store received other bytes than were sent: its ETag is {}, their MD5 {}",
                            uploaded.object.etag.str(), uploaded.etag.str()),
                to_uri(to_), "upload the file again: the object that is there is damaged");
  }

  // Parts

  FileUploaded upload_in_parts() {
    std::optional<UploadId> resumed = upload_.resume;
    for (int beginnings = 0;; ++beginnings) {
      try {
        return upload_once(resumed);
      } catch (const Error& error) {
        if (error.code() != no_such_upload || beginnings == most_new_beginnings) throw;
        resumed.reset();
        const std::int64_t lost = moved_.exchange(0);
        if (upload_.moved && lost != 0) upload_.moved(-lost);
      }
    }
  }

  std::unique_ptr<MultipartUpload> open(const std::optional<UploadId>& resumed) {
    const MultipartOptions options{.attributes = upload_.attributes,
                                   .remember = upload_.remember,
                                   .stays_when_destroyed = upload_.remember != nullptr,
                                   .stop = upload_.stop};
    if (resumed) {
      if (auto found = MultipartUpload::resume(store_, to_, *resumed, options)) return found;
    }
    return std::make_unique<MultipartUpload>(store_, to_, options);
  }

  FileUploaded upload_once(const std::optional<UploadId>& resumed) {
    const auto multipart = open(resumed);
    try {
      return send_and_complete(*multipart);
    } catch (const Error& error) {
      throw multipart->failed_with(error);
    }
  }

  FileUploaded send_and_complete(MultipartUpload& multipart) {
    const ByteCount part_size = upload_.part_bytes;
    const auto count = static_cast<std::uint32_t>((size_ + part_size - 1) / part_size);
    std::vector<Digests> parts(count);
    adopted_ = 0;
    {
      flow::TaskGroup group;
      for (std::uint32_t i = 0; i < count && !group.failed(); ++i) {
        group.wait_until_at_most(upload_.most_parts_under_way - 1);
        group.run(connections_, [&, i] {
          const ByteCount first = i * part_size;
          move_part(multipart, i + 1, count, {first, std::min(part_size, size_ - first)}, parts[i]);
        });
      }
      group.wait();
    }
    if (goes_on(file_, size_)) throw got_longer();
    if (upload_.stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted");
    FileUploaded uploaded;
    uploaded.size = size_;
    uploaded.parts = count;
    uploaded.sent_bytes = sent_;
    uploaded.adopted_bytes = adopted_;
    uploaded.parts_were_not_listed = !multipart.knows_stored_parts();
    store::WriteConditions conditions = upload_.conditions;
    if (upload_.computes_digests) {
      join(parts, uploaded);
      check_expected(uploaded.checksum);
      conditions.checksum = uploaded.checksum;
    }
    if (upload_.before_complete) upload_.before_complete();
    uploaded.object = multipart.complete(conditions);
    if (!upload_.computes_digests) uploaded.etag = uploaded.object.etag;
    return uploaded;
  }

  /// Adopts a part that the store has already, or sends it.
  void move_part(MultipartUpload& multipart, std::uint32_t number, std::uint32_t count, const Range& range,
                 Digests& digests) {
    PartBuffer buffer(budget_, range.size, upload_.stop);
    std::optional<Digests> known;
    if (upload_.computes_digests && multipart.has_stored(number, range.size)) {
      FileBody stored(file_, range, buffer.bytes(), upload_, tell_moved_);
      stored.read_all();
      known = digests = stored.computed();
      if (multipart.adopt(number, digests.of_part())) {
        adopted_ += range.size;
        tell_moved_(static_cast<std::int64_t>(range.size));
        return;
      }
    }
    FileBody body(file_, range, buffer.bytes(), upload_, tell_moved_, known);
    send(multipart, number, count, body);
    if (upload_.computes_digests) digests = body.computed();
    sent_ += range.size;
  }

  void send(MultipartUpload& multipart, std::uint32_t number, std::uint32_t count, FileBody& body) {
    try {
      if (upload_.computes_digests)
        multipart.send(number, body, [&] { return body.computed().of_part(); });
      else
        multipart.send(number, body);
    } catch (const Error& error) {
      // Some servers take fewer parts than S3.
      if (error.kind() != ErrorKind::invalid || number == 1) throw;
      throw error.with_summary(fmt::format("the server refuses part {} of {}: {}", number, count, error.summary()))
          .with_hint(upload_.part_bytes_hint);
    }
  }

  void check_expected(const store::Checksum& found) const {
    if (!upload_.expected_checksum || *upload_.expected_checksum == found) return;
    throw Error(ErrorKind::precondition, "the file has other bytes than expected: its CRC64NVME is another", {},
                "look whether the file was written or damaged since it was recorded")
        .with_code(file_differs);
  }

  /// The digests of the whole file, from those of its parts.
  static void join(const std::vector<Digests>& parts, FileUploaded& uploaded) {
    Md5 all;
    uploaded.checksum = store::checksum_of(algorithm, {});
    for (const Digests& part : parts) {
      all.update({part.md5.data(), part.md5.size()});
      uploaded.checksum = store::join(uploaded.checksum, part.checksum, part.size);
    }
    uploaded.etag = ETag(fmt::format("{}-{}", to_hex_digest(all.finish()), parts.size()));
  }

  store::ObjectStore& store_;
  flow::ThreadPool& connections_;
  flow::MemoryBudget& budget_;
  os::ReadableFile& file_;
  const ObjectAddress to_;
  const FileUpload& upload_;
  const ByteCount size_;
  std::atomic<ByteCount> sent_{0}, adopted_{0};
  std::atomic<std::int64_t> moved_{0};  ///< of the upload under way, as `moved` was told
  const std::function<void(std::int64_t)> tell_moved_ = [this](std::int64_t bytes) {
    moved_ += bytes;
    if (upload_.moved) upload_.moved(bytes);
  };
};

}  // namespace

FileUploaded upload_file(store::ObjectStore& store, flow::ThreadPool& connections, flow::MemoryBudget& budget,
                         os::ReadableFile& file, const ObjectAddress& to, const FileUpload& upload) {
  return Uploader(store, connections, budget, file, to, upload).run();
}

}  // namespace bale::transfer
