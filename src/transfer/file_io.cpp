#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "os/target.hpp"
#include "transfer/byte_io.hpp"

namespace bale::transfer {
namespace {

Error not_readable(const os::fs::path& path, const char* what) {
  return Error(ErrorKind::invalid, what, escape_name(path.native()), "name a file that can be read at any place");
}

class FileSource final : public RandomSource {
 public:
  FileSource(os::Files& files, const os::fs::path& path) : file_(files.open(path)), name_(escape_name(path.native())) {}
  ByteCount size() override { return file_->size(); }
  void read_at(ByteCount offset, MutableBytes bytes) override {
    if (file_->read_at(offset, bytes) < bytes.size())
      throw Error(ErrorKind::corrupt, fmt::format("the file ends before byte {}", offset + bytes.size()), name_);
  }
  Buffer read_tail(ByteCount most) override {
    Buffer tail(std::min(most, file_->size()));
    tail.resize(tail.capacity());
    read_at(file_->size() - tail.size(), {tail.data(), tail.size()});
    return tail;
  }
  std::string name() const override { return name_; }

 private:
  std::unique_ptr<os::ReadableFile> file_;
  std::string name_;
};

void check_stop(const std::stop_token& stop, const std::string& name) {
  if (stop.stop_requested()) throw Error(ErrorKind::cancelled, "interrupted", name);
}

class FileSink final : public ByteSink {
 public:
  FileSink(os::Files& files, const os::fs::path& path, std::stop_token stop)
      : file_(files, path, os::Existing::as_found), name_(escape_name(path.native())), stop_(std::move(stop)) {
    os::try_target(files, file_.path().parent_path());  // before what is to be written is read
  }
  void append(OutputPiece piece) override {
    file_.file().write(piece.bytes.view());
    written_ += piece.bytes.size();
  }
  void finish() override {
    check_stop(stop_, name_);
    file_.commit();
  }
  ByteCount written() const override { return written_; }
  std::string name() const override { return name_; }

 private:
  os::AtomicFile file_;
  std::string name_;
  std::stop_token stop_;
  ByteCount written_ = 0;
};

/// A pipe or device, which keeps nothing and has nothing to be made durable.
class StreamSink final : public ByteSink {
 public:
  StreamSink(os::Files& files, const os::fs::path& path, const std::stop_token& stop)
      : file_(files.open_stream(path, stop)), name_(escape_name(path.native())), stop_(stop) {}
  void append(OutputPiece piece) override {
    file_->write(piece.bytes.view());
    written_ += piece.bytes.size();
  }
  void finish() override { check_stop(stop_, name_); }
  ByteCount written() const override { return written_; }
  std::string name() const override { return name_; }

 private:
  std::unique_ptr<os::WritableFile> file_;
  std::string name_;
  std::stop_token stop_;
  ByteCount written_ = 0;
};

}  // namespace

std::unique_ptr<RandomSource> open_file_source(os::Files& files, const os::fs::path& path) {
  const auto found = files.info_followed(path);
  if (found && found->type == os::FileType::directory) throw not_readable(path, "this is a directory");
  // Opening a pipe would wait for a writer, and the end of it could not be read first.
  if (found && found->type == os::FileType::other) throw not_readable(path, "this is no regular file");
  return std::make_unique<FileSource>(files, path);
}

std::unique_ptr<ByteSink> open_file_sink(os::Files& files, const os::fs::path& path, std::stop_token stop) {
  if (files.is_stream(path)) return std::make_unique<StreamSink>(files, path, stop);
  return std::make_unique<FileSink>(files, path, std::move(stop));
}

}  // namespace bale::transfer
