#include "jobs/bucket/journal_files.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "store/listing.hpp"

namespace bale::bucket {
namespace {

class ObjectJournal final : public JournalFiles {
 public:
  ObjectJournal(store::ObjectStore& store, flow::ThreadPool& connections, BucketName bucket, std::string prefix)
      : store_(store), connections_(connections), bucket_(std::move(bucket)), prefix_(std::move(prefix)) {}

  std::vector<JournalFile> list() override {
    std::vector<JournalFile> found;
    store::Listing listing(store_, bucket_, {.prefix = prefix_});
    while (const auto page = listing.next()) {
      for (const store::ListedObject& object : page->objects)
        found.push_back({object.key.str().substr(prefix_.size()), object.size, object.etag});
    }
    return found;
  }

  std::string read_start(const JournalFile& file, std::size_t most) override {
    if (file.size == 0) return {};
    const ByteCount length = std::min<ByteCount>(most, file.size);
    return read_all(*store_.get(at(file.name), store::ByteRange::at(0, length), {.if_match = file.etag}), most);
  }

  ReadBytes open(const JournalFile& file) override {
    std::shared_ptr<store::GetStream> stream = store_.get(at(file.name), std::nullopt, {.if_match = file.etag});
    return [stream](MutableBytes bytes) { return stream->read(bytes); };
  }

  std::unique_ptr<transfer::ByteSink> create(const std::string& name, ByteCount expected,
                                             const JournalFile* replaced) override {
    transfer::ObjectSinkOptions options{.attributes = {}, .conditions = {}, .expected_bytes = expected};
    options.attributes.headers.content_type = "application/octet-stream";
    if (replaced != nullptr) options.conditions.if_match = replaced->etag;
    return transfer::open_object_sink(store_, connections_, at(name), std::move(options));
  }

  void remove(const std::string& name) override { store_.remove(at(name)); }
  std::string where() const override { return to_uri(bucket_, ObjectKey(prefix_)); }

 private:
  ObjectAddress at(const std::string& name) const { return {bucket_, ObjectKey(prefix_ + name)}; }
  store::ObjectStore& store_;
  flow::ThreadPool& connections_;
  const BucketName bucket_;
  const std::string prefix_;
};

class DirectoryJournal final : public JournalFiles {
 public:
  DirectoryJournal(os::Files& files, os::fs::path directory) : files_(files), directory_(std::move(directory)) {}

  std::vector<JournalFile> list() override {
    std::vector<JournalFile> found;
    const auto info = files_.info_followed(directory_);
    if (!info) return found;
    if (info->type != os::FileType::directory)
      throw Error(ErrorKind::invalid, "the journal is not a directory", directory_.native());
    for (const os::DirectoryEntry& entry : files_.list(directory_)) {
      const auto each = files_.info_followed(directory_ / entry.name);
      if (each && each->type == os::FileType::regular) found.push_back({entry.name, each->size, {}});
    }
    return found;
  }

  std::string read_start(const JournalFile& file, std::size_t most) override {
    std::string start(most, '\0');
    const auto opened = files_.open(directory_ / file.name);
    start.resize(opened->read_at(0, {reinterpret_cast<std::byte*>(start.data()), start.size()}));
    return start;
  }

  ReadBytes open(const JournalFile& file) override {
    std::shared_ptr<os::ReadableFile> opened = files_.open(directory_ / file.name);
    return [opened, at = ByteCount(0)](MutableBytes bytes) mutable {
      const std::size_t got = opened->read_at(at, bytes);
      at += got;
      return got;
    };
  }

  std::unique_ptr<transfer::ByteSink> create(const std::string& name, ByteCount, const JournalFile*) override {
    for (const os::fs::path& made : files_.make_directories(directory_)) {
      const os::fs::path parent = made.parent_path();
      files_.sync_directory(parent.empty() ? os::fs::path(".") : parent);
    }
    return transfer::open_file_sink(files_, directory_ / name);
  }

  void remove(const std::string& name) override { files_.remove(directory_ / name); }
  std::string where() const override { return directory_.native(); }

 private:
  os::Files& files_;
  const os::fs::path directory_;
};

}  // namespace

std::unique_ptr<JournalFiles> journal_in_bucket(store::ObjectStore& store, flow::ThreadPool& connections,
                                                const BucketName& bucket, const std::string& prefix) {
  return std::make_unique<ObjectJournal>(store, connections, bucket, prefix);
}

std::unique_ptr<JournalFiles> journal_in_directory(os::Files& files, const os::fs::path& directory) {
  return std::make_unique<DirectoryJournal>(files, directory);
}

}  // namespace bale::bucket
