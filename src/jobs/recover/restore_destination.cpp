#include "jobs/recover/restore_destination.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "transfer/byte_io.hpp"

namespace bale::recover {
namespace {

using namespace bale::literals;

constexpr ByteCount piece_bytes = 1_MiB;
/// An object that comes in pieces is put together in memory up to this size; more is uploaded in parts as it comes.
constexpr ByteCount whole_bytes = 8_MiB;

/// The size that names are chosen by where a record says none: an object with content becomes a file, never a
/// directory.
constexpr ByteCount any_content = 1;

/// Returns false where the record says another size.
bool can_have(const catalog::Record& record, ByteCount size) noexcept {
  return !record.object_size || *record.object_size == size;
}

Error is_different(const std::string& destination) {
  return Error(ErrorKind::precondition, "something else has this name already", destination,
               "restore to another place, or replace it with --overwrite");
}

class DirectoryDestination final : public RestoreDestination {
 public:
  DirectoryDestination(os::Files& files, const os::TreeRoot& directory, const catalog::RecordList& records,
                       bool overwrite)
      : records_(records), overwrite_(overwrite), extractor_(files, directory, keys_of(records)) {}

  std::string name(std::size_t index) const override { return extractor_.path_of(index).native(); }
  archive::NameChange name_change(std::size_t index) const override {
    return archive::change_of(records_.object_path(index), extractor_.name_of(index));
  }

  bool look(std::size_t index) override {
    const auto there = extractor_.tree().info(extractor_.name_of(index));
    if (!there) return true;
    const std::string path = name(index);
    if (extractor_.is_directory(index)) {
      if (there->type == os::FileType::directory) return false;
      throw Error(ErrorKind::precondition, "a file has the directory's name", path, "restore to another place");
    }
    if (there->type == os::FileType::directory) {
      throw Error(ErrorKind::precondition, "a directory has the file's name", path,
                  "restore to another place, or together with the objects below it: then it gets an escaped name");
    }
    if (is_same(index, *there)) return false;
    if (!overwrite_) throw is_different(path);
    return true;
  }

  std::unique_ptr<archive::ObjectReceiver> receive(std::size_t index, ByteCount) override {
    const auto existing = overwrite_ ? os::Existing::replace : os::Existing::keep;
    return extractor_.receive(index, records_.last_modified(index), existing);
  }
  bool takes_tickets(ByteCount) const noexcept override { return false; }
  std::size_t objects_a_task() const noexcept override { return 32; }  // a small file is written in no time
  void sync() override { extractor_.sync(); }

 private:
  static std::vector<archive::ExtractedKey> keys_of(const catalog::RecordList& records) {
    std::vector<archive::ExtractedKey> keys;
    keys.reserve(records.size());
    for (std::size_t index = 0; index < records.size(); ++index)
      keys.push_back({records.object_path(index), records.object_size(index).value_or(any_content)});
    return keys;
  }

  bool is_same(std::size_t index, const os::FileInfo& there) {
    const catalog::Record record = records_[index];
    if (there.type != os::FileType::regular || !can_have(record, there.size) || record.sha256.empty()) return false;
    const auto file = extractor_.tree().open_if_exists(extractor_.name_of(index));
    if (!file) return false;
    Buffer buffer(std::clamp<ByteCount>(there.size, 1, piece_bytes));
    Sha256 hash;
    for (ByteCount offset = 0;;) {
      const std::size_t got = file->read_at(offset, {buffer.data(), buffer.capacity()});
      if (got == 0) break;
      hash.update({buffer.data(), got});
      offset += got;
    }
    return to_hex_digest(hash.finish()) == record.sha256;
  }

  const catalog::RecordList& records_;
  const bool overwrite_;
  archive::FileExtractor extractor_;
};

store::ObjectAttributes attributes_of(const catalog::Record& record, const RestoreTarget& target) {
  store::ObjectAttributes attributes;
  attributes.headers = record.headers;
  if (target.with_metadata) attributes.metadata = record.metadata;
  if (target.with_tags) attributes.tags = record.tags;
  attributes.storage_class = target.storage_class;
  if (!target.storage_class.empty()) return attributes;
  // Whoever restores an object wants to read it: not from an archive class again.
  const bool archived =
      record.storage_class == "GLACIER" || record.storage_class == "DEEP_ARCHIVE" || record.storage_class.empty();
  attributes.storage_class = archived ? "STANDARD" : record.storage_class;
  return attributes;
}

/// What a bucket's objects are written with.
struct BucketTools {
  store::ObjectStore& store;
  flow::ThreadPool& connections;
  flow::MemoryBudget& budget;
  std::stop_token stop;
};

/// One object. Where all its bytes come in one write(), or it is small, it is one PUT; else it is uploaded in parts.
class BucketReceiver final : public archive::ObjectReceiver {
 public:
  BucketReceiver(const BucketTools& tools, ObjectAddress address, ByteCount size, store::ObjectAttributes attributes,
                 store::WriteConditions conditions)
      : tools_(tools),
        address_(std::move(address)),
        size_(size),
        attributes_(std::move(attributes)),
        conditions_(std::move(conditions)) {}

  void write(ByteView bytes) override {
    if (bytes.size() == size_) {
      whole_ = bytes;
    } else if (size_ <= whole_bytes) {
      if (gathered_.capacity() == 0) gathered_ = Buffer(size_);
      if (bytes.size() > gathered_.spare().size()) throw Error(ErrorKind::internal, "more bytes than the object has");
      gathered_.append(bytes);
      whole_ = gathered_.view();
    } else {
      write_part(bytes);
    }
  }

  void finish() override {
    if (sink_) {
      if (!piece_.bytes.empty()) sink_->append(std::move(piece_));
      return sink_->finish();
    }
    if (whole_.size() != size_) throw Error(ErrorKind::internal, "fewer bytes than the object has");
    store::MemoryBody body(whole_);
    tools_.store.put(address_, body, attributes_, conditions_);
  }

 private:
  void write_part(ByteView bytes) {
    if (!sink_) {
      transfer::ObjectSinkOptions options;
      options.attributes = attributes_;
      options.expected_bytes = size_;
      options.conditions = conditions_;
      options.stop = tools_.stop;
      sink_ = transfer::open_object_sink(tools_.store, tools_.connections, address_, options);
    }
    while (!bytes.empty()) {
      if (piece_.bytes.capacity() == 0) piece_ = {Buffer(piece_bytes), tools_.budget.acquire(piece_bytes, tools_.stop)};
      const std::size_t taken = std::min(bytes.size(), piece_.bytes.spare().size());
      piece_.bytes.append(bytes.first(taken));
      bytes = bytes.subspan(taken);
      if (piece_.bytes.spare().empty()) sink_->append(std::exchange(piece_, {}));
    }
  }

  const BucketTools& tools_;
  const ObjectAddress address_;
  const ByteCount size_;
  const store::ObjectAttributes attributes_;
  const store::WriteConditions conditions_;
  ByteView whole_;
  Buffer gathered_;
  std::unique_ptr<transfer::ObjectSink> sink_;
  transfer::OutputPiece piece_;
};

class BucketDestination final : public RestoreDestination {
 public:
  BucketDestination(BucketTools tools, const RestoreTarget& target, const catalog::RecordList& records, bool overwrite)
      : tools_(std::move(tools)),
        target_(target),
        records_(records),
        overwrite_(overwrite),
        conditions_(records.size()) {}

  std::string name(std::size_t index) const override { return to_uri(address(index)); }

  bool look(std::size_t index) override {
    const ObjectAddress place = address(index);
    // What is not there is written on If-None-Match: the store itself holds against the answer then.
    const auto there = tools_.store.head(place, {.version_id = {}, .if_match = {}, .absence_unconfirmed = true});
    if (there && is_same(records_[index], place, *there)) return false;
    if (there && !overwrite_) throw is_different(to_uri(place));
    conditions_[index] = there ? store::WriteConditions{.if_none_match = false, .if_match = there->etag}
                               : store::WriteConditions{.if_none_match = true, .if_match = {}};
    return true;
  }

  std::unique_ptr<archive::ObjectReceiver> receive(std::size_t index, ByteCount size) override {
    const catalog::Record record = records_[index];
    return std::make_unique<BucketReceiver>(tools_, address(index), size, attributes_of(record, target_),
                                            conditions_[index]);
  }
  bool takes_tickets(ByteCount size) const noexcept override { return size > whole_bytes; }
  std::size_t objects_a_task() const noexcept override { return 1; }  // most of a task's time is the service's
  void sync() override {}

 private:
  ObjectAddress address(std::size_t index) const {
    return {target_.bucket, ObjectKey(target_.prefix + std::string(records_.object_path(index)))};
  }

  bool is_same(const catalog::Record& record, const ObjectAddress& place, const store::ObjectInfo& there) {
    if (!can_have(record, there.size)) return false;
    // An ETag is of the content and of how it was cut into parts: equal ones mean equal bytes, different ones nothing.
    if (there.etag == record.etag) return true;
    if (record.sha256.empty()) return false;
    try {
      const auto stream = tools_.store.get(place, {}, {.version_id = {}, .if_match = there.etag});
      Buffer buffer(std::clamp<ByteCount>(there.size, 1, piece_bytes));
      Sha256 hash;
      while (const std::size_t got = stream->read({buffer.data(), buffer.capacity()}))
        hash.update({buffer.data(), got});
      return to_hex_digest(hash.finish()) == record.sha256;
    } catch (const Error& error) {
      // Of an archive class, replaced or deleted since, or damaged: nobody knows that it is the same.
      const bool tells_nothing = error.kind() == ErrorKind::denied || error.kind() == ErrorKind::precondition ||
                                 error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::corrupt;
      if (!tells_nothing) throw;
      return false;
    }
  }

  const BucketTools tools_;
  const RestoreTarget target_;
  const catalog::RecordList& records_;
  const bool overwrite_;
  std::vector<store::WriteConditions> conditions_;  ///< by object; each touched by who works on that object
};

}  // namespace

std::unique_ptr<RestoreDestination> make_directory_destination(os::Files& files, const os::TreeRoot& directory,
                                                               const catalog::RecordList& records, bool overwrite) {
  return std::make_unique<DirectoryDestination>(files, directory, records, overwrite);
}

std::unique_ptr<RestoreDestination> make_bucket_destination(store::ObjectStore& store, const RestoreTarget& target,
                                                            const catalog::RecordList& records, bool overwrite,
                                                            flow::ThreadPool& connections, flow::MemoryBudget& budget,
                                                            std::stop_token stop) {
  return std::make_unique<BucketDestination>(BucketTools{store, connections, budget, std::move(stop)}, target, records,
                                             overwrite);
}

}  // namespace bale::recover
